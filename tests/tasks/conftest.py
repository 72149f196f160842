"""A whole model with random weights: every task, sound and text, sizes of a few hundred codes."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning import LightningModule

from videolm.data.captions import NUM_PHRASINGS, caption_of
from videolm.data.clip import Clip
from videolm.data.shards import CodedClip, ShardWriter
from videolm.data.synthetic import Corpus
from videolm.lm.transformer import LMConfig, PrefixLM
from videolm.lm.vocabulary import Vocabulary
from videolm.tasks.cli import main
from videolm.tasks.encode import ClipEncoder
from videolm.tasks.model_folder import ModelConfig
from videolm.tasks.pipeline import VideoLM
from videolm.tasks.task import all_tasks, task_names
from videolm.tokenizers.audio import AudioTokenizer, AudioTokenizerConfig
from videolm.tokenizers.text import TextTokenizer
from videolm.tokenizers.video import VideoTokenizer
from videolm.tokenizers.video_config import VideoTokenizerConfig

SIZES = {"height": 32, "width": 32, "num_frames": 9, "fps": 8.0}


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    return Corpus(**SIZES, sample_rate=16000, split="triples")


@pytest.fixture(scope="session")
def make_model(corpus: Corpus) -> Callable[[int], VideoLM]:
    return lambda seed: _model(corpus, seed)


@pytest.fixture(scope="session")
def model(make_model) -> VideoLM:
    return make_model(0)


@pytest.fixture(scope="session")
def model_folder(model: VideoLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "model"
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def clip(corpus: Corpus) -> Clip:
    return corpus[0]


@pytest.fixture(scope="session")
def coded_run(model: VideoLM, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with the model's tokenizers, and shards of random codes with captions of the corpus."""
    run = tmp_path_factory.mktemp("coded")
    model.video_tokenizer.save_pretrained(run / "model" / "video_tokenizer")
    assert model.audio_tokenizer is not None
    model.audio_tokenizer.save_pretrained(run / "model" / "audio_tokenizer")
    writer = ShardWriter(run / "shards", model.clips, {"source": "random"})
    generator = torch.Generator().manual_seed(0)
    clips = []
    for number in range(40):
        codes = {
            name: torch.randint(16 if name == "audio" else 64, shape, generator=generator)
            for name, shape in model.clips.shapes.items()
        }
        clips.append(CodedClip(codes, (caption_of(corpus.scene(number), 0),), f"file-{number}"))
    writer.write(0, clips)
    writer.finish()
    return run


@pytest.fixture
def run_until_killed(start_forked) -> Callable[..., None]:
    """Run a fit in a process of its own that gets SIGKILL when a step begins."""

    def run(command: list[str], training: type[LightningModule], step: int) -> None:
        real = training.training_step

        def killed(self, batch, index):
            if self.global_step == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(self, batch, index)

        def fit() -> None:
            training.training_step = killed
            main(command)

        process = start_forked(fit)
        process.join()
        assert process.exitcode == -signal.SIGKILL

    return run


@pytest.fixture
def same_weights() -> Callable[[Path, Path], bool]:
    """Whether the last checkpoints in two folders agree bit for bit in all that is stored of the network."""

    def same(one: Path, other: Path) -> bool:
        states = [
            torch.load(each / "last.ckpt", weights_only=True)["state_dict"] for each in (one, other)
        ]
        return states[0].keys() == states[1].keys() and all(
            torch.equal(value, states[1][name]) for name, value in states[0].items()
        )

    return same


def _model(corpus: Corpus, seed: int) -> VideoLM:
    torch.manual_seed(seed)
    video = VideoTokenizer(
        VideoTokenizerConfig(bits=6, channels=8, multipliers=(1, 1, 1), patch=4, spatial_strides=(2, 1))
    )
    audio = AudioTokenizer.of_config(AudioTokenizerConfig(num_filters=4, hidden_size=8, codebook_size=16))
    audio.set_codebooks(torch.randn(2, 16, 8))
    captions = [caption_of(corpus.scene(index), index % NUM_PHRASINGS) for index in range(100 + seed)]
    text = TextTokenizer.train(captions, vocab_size=320)
    vocabulary = Vocabulary.of_sizes(video.factors, audio.codebook_sizes, text.vocab_size)
    lm = PrefixLM(
        LMConfig(dim=32, layers=2, heads=2, kv_heads=1, hidden=64, rotary_dims=(4, 6, 6)), vocabulary
    )
    for weight in lm.parameters():  # a fresh model's heads are zero: it would not listen to its prompt
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.3)
    clips = ClipEncoder(video, audio, **SIZES, tasks=all_tasks()).clips
    config = ModelConfig(clips, task_names(), text.fingerprint)
    return VideoLM(config, vocabulary, lm, video, audio, text)
