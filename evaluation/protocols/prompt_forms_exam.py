"""The protocol "prompt-forms": do clips show what their prompts say, however these are written?

The task is text_to_video of the protocol "shapes"; its held-out triples are then asked for in every form of
prompt_forms.py, with the same seeds, so that forms differ by nothing but the text. Beside what is read in the
clips the report says which words a form has that the model does not read.
"""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...data.runtime.progress import progress
from ...data.synthetic.scene import Scene
from ...generation.pipeline import VideoLM
from ...generation.prompt import Prompt
from ...generation.prompt_text import PromptReader, TextNote, TextNotes
from ..metrics.shapes import describe_all, word_scores
from .guidance import sampling_for
from .prompt_forms import FORMS, HELD_OUT, PLAIN, Form
from .shapes import PROBES, SEEN, judge
from .shapes_exam import BATCH, POPULATION, Exam, ExamSettings, HeldOut, Result, corpus_of, run_exam

TASK = "text_to_video"


def run_prompt_forms(model: VideoLM, settings: ExamSettings, forms: Sequence[Form] = FORMS) -> Result:
    """Score text_to_video as "shapes" does, and then on prompts of every form."""
    exam = Exam(
        (TASK,),
        lambda model, task, real: PROBES[task].prompts(model, real),
        lambda model, task, made, real, training: judge(task, made, real, training, 0),
    )
    result = run_exam(model, exam, settings)
    real = result.held_out["triples"]
    population = corpus_of(model, settings.source, "train", settings.seed)
    training = [population.scene(index) for index in range(POPULATION)]
    with progress("prompt forms", len(forms)) as tell:
        scored = []
        for number, form in enumerate(forms):
            scored.append(_scored(model, form, real, training, settings))
            tell(number + 1)
    return replace(result, report=result.report | {"prompt_forms": scored, "lowest_by_form": lowest(scored)})


def _scored(
    model: VideoLM, form: Form, real: HeldOut, training: Sequence[Scene], settings: ExamSettings
) -> dict[str, Any]:
    """The scores of a form, its name and an example, and whether training captions may have it."""
    texts = [form(scene) for scene in real.scenes]
    prompts = [Prompt(text=text) for text in texts]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TextNote)  # the report has them
        made = model.generate_batch(
            TASK,
            prompts,
            seed=settings.seed,
            sampling=sampling_for(prompts, settings.sampling),
            batch_size=BATCH,
        )
    scores = word_scores(SEEN, real.scenes, describe_all(made), training)
    shown = {"name": form.name, "example": texts[0], "held_out": form in HELD_OUT}
    return shown | {"left_out": _left_out(model, texts)} | scores


def _left_out(model: VideoLM, texts: Sequence[str]) -> list[str]:
    """Words and signs of the texts that the model does not read."""
    notes, reader = TextNotes(), PromptReader(model.text_tokenizer, model.config.text_pieces)
    for text in texts:
        reader.read(text, notes)
    return list(dict.fromkeys(notes.left_out))


def lowest(scored: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The lowest score of each label and its form, of forms in training captions and of those held out."""
    kinds = {"trained": False, "held_out": True}
    found: dict[str, dict[str, Any]] = {}
    for kind, held_out in kinds.items():
        those = [each for each in scored if each["held_out"] == held_out and each["name"] != PLAIN]
        if those:
            worst = {label: min(those, key=lambda each, label=label: each[label]["score"]) for label in SEEN}
            found[kind] = {
                label: {"score": each[label]["score"], "form": each["name"]} for label, each in worst.items()
            }
    return found
