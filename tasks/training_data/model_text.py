"""What the folder of a language model has beside weights and tokenizers of sight and sound: text_tokenizer/,
vocabulary.json, config.json and sampling.json.

A run keeps them in its own folder from its beginning, since they are what its weights mean: a run that goes
on reads them there, and `videolm export` copies them beside the weights of any checkpoint.
"""

import shutil
from pathlib import Path

from ...data.runtime.files import replacing
from ...lm.vocabulary import Vocabulary
from ...tokenizers.text.frozen_encoder import TextEncoder
from ...tokenizers.text.sentencepiece_tokenizer import TextTokenizer
from ..model_card import write_card
from ..model_config import ModelConfig, save_model_files
from ..recommended_sampling import RecommendedSampling

_TOKENIZER = "text_tokenizer"


def write_text(
    folder: Path,
    config: ModelConfig,
    vocabulary: Vocabulary,
    tokenizer: TextTokenizer | TextEncoder | None,
    recommended: RecommendedSampling,
) -> None:
    """Write them to a folder."""
    if tokenizer is not None:
        tokenizer.save_pretrained(folder / _TOKENIZER)
    save_model_files(folder, config, vocabulary)
    recommended.save(folder)


def set_since(folder: Path, tasks: tuple[str, ...]) -> RecommendedSampling:
    """The sampling that somebody has chosen for the model in a folder, of some tasks."""
    is_model = (folder / "config.json").is_file()
    return RecommendedSampling.load(folder).of_tasks(tasks) if is_model else RecommendedSampling()


def copy_text(source: Path, target: Path) -> None:
    """Copy them from the folder of a run to a model folder, and write its page."""
    config = ModelConfig.load(source)
    recommended = set_since(target, config.tasks).over(RecommendedSampling.load(source))
    if (source / _TOKENIZER).is_dir():
        with replacing(target / _TOKENIZER) as temporary:
            shutil.copytree(source / _TOKENIZER, temporary)
    save_model_files(target, config, Vocabulary.load(source / "vocabulary.json"))
    recommended.save(target)
    write_card(target)
