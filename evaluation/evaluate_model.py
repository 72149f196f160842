"""A protocol of the embedded corpus on a model folder: report.json, example clips and a page."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..data.media.clip import Clip, write_clip
from ..data.runtime.files import write_json
from ..data.runtime.model_source import is_own, source_name
from ..data.runtime.text_table import text_table
from ..generation.pipeline import VideoLM
from ..lm.decoding.sampling import DrawSettings, choice_in_words
from .html_report import ClipRow, ClipRows, Page, Section, Shown, ValueTable, score_table, write_page
from .protocols.prompt_forms_exam import run_prompt_forms
from .protocols.shapes import SEEN, run_shapes
from .protocols.shapes_all import run_shapes_all
from .protocols.shapes_exam import NUM_EXAMPLES, ExamSettings, Result
from .stored_scores import of_corpus, store_scores

PROTOCOLS: dict[str, Callable[[VideoLM, ExamSettings], Result]] = {
    "shapes": run_shapes,
    "shapes-all": run_shapes_all,
    "prompt-forms": run_prompt_forms,
}


def evaluate_model(
    folder: Path, protocol: str, out: Path, settings: ExamSettings, store: bool = True
) -> list[Path]:
    """Score a model folder, some of its tasks or all of them; returns the paths written.

    Args:
        protocol: one of PROTOCOLS.
        store: put the scores into the model's folder, too.

    Raises:
        FileNotFoundError: if the folder or a part of it is missing.
        ValueError: if a task is not known to both the protocol and the model.
    """
    model = VideoLM.from_pretrained(folder)
    start = time.monotonic()
    result = PROTOCOLS[protocol](model, settings)
    report = {
        "protocol": protocol,
        "source": settings.source,
        "model": str(folder) if is_own(folder) else source_name(folder),
        "clips": settings.clips,
        "seed": settings.seed,
        "seconds": round(time.monotonic() - start, 1),
    } | result.report
    report["examples"] = write_examples(result, out / "clips")
    write_page(out / "index.html", page_of(report))
    write_json(out / "report.json", report)
    print_scores(report)
    asked = {name: report[name] for name in ("source", "clips", "seed")}
    stored = store_scores(folder, protocol, asked, of_corpus(report)) if store else []
    return [out / "index.html", out / "report.json", *stored]


def print_scores(report: dict[str, Any]) -> None:
    """The scores as lines, for the terminal."""
    tokenizer = report["tokenizer"]
    sampled = [(f"sampling of {task}", words) for task, words in sampling_rows(report)]
    print("\n".join(text_table(sampled, left=2)))
    print(f"reconstruction: {tokenizer['psnr_db']:.2f} dB, code use {tokenizer['code_use']:.0%}")
    pairs, ceilings, rows = report["unseen_pairs"]["tasks"], tokenizer["ceiling"], []
    for task, labels in report["tasks"].items():
        for label, entry in labels.items():
            if "score" in entry:
                other = pairs.get(task, {}).get(label, {})
                best = entry.get("ceiling", ceilings.get(label, {}).get("score"))
                values = (entry["score"], other.get("score"), entry["chance"], best)
                name = f"{label}, {entry['unit']}" if "unit" in entry else label
                rows.append((task, name, *("" if value is None else f"{value:.2f}" for value in values)))
    print("\n".join(text_table(rows, ("", "", "triples", "pairs", "chance", "ceiling"), left=2)))
    for title, forms in _tables_of_forms(report):
        print("\n".join(text_table([row[:-2] for row in forms], (title, *SEEN))))


def sampling_rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Of each task how its codes were drawn: what is not at its default, and what the model recommends."""
    usual, rows = asdict(DrawSettings()), []
    for task, settings in report["sampling"].items():
        recommended = report["as_recommended"][task]
        words = [
            choice_in_words(name, value) + " (recommended)" * (name in recommended)
            for name, value in settings.items()
            if name in recommended or value != usual[name]
        ]
        rows.append((task, ", ".join(words) or "the defaults"))
    return rows


def write_examples(result: Result, folder: Path) -> list[dict[str, Any]]:
    """Write a few clips of each task beside the real ones.

    Returns:
        For each example its task, its prompt in words, and its clips as `Shown`, with paths that begin with
        the name of the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    real = result.held_out["triples"]
    examples = []
    for task, made in result.generated.items():
        for index in range(min(NUM_EXAMPLES, len(made))):
            kinds = {"generated": made[index]}
            if task != "unconditional":
                kinds = {"real": real.clips[index], "reconstructed": real.reconstructions[index]} | kinds
            if result.led_by.get(task):
                kinds = {"given": result.led_by[task][index]} | kinds
            stem = f"{task}-{index}"
            shown = [write_shown(clip, folder, f"{stem}-{kind}", kind) for kind, clip in kinds.items()]
            text = prompt_in_words(task, real.clips[index].caption or "")
            examples.append({"task": task, "text": text, "clips": [asdict(each) for each in shown]})
    return examples


def example_rows(examples: Iterable[dict[str, Any]], folder: str = "") -> ClipRows:
    """The examples of a report for a page.

    Args:
        folder: from the page to the report, ending in "/".
    """
    rows = []
    for example in examples:
        shown = [Shown(**clip | {"path": folder + clip["path"]}) for clip in example["clips"]]
        rows.append(ClipRow(example["task"], example["text"], shown))
    return ClipRows(rows)


def score_sections(report: dict[str, Any], bars: Sequence[dict[str, Any]] = ()) -> list[Section]:
    """The scores as sections of a page."""
    tokenizer, audio = report["tokenizer"], report["audio"]
    pairs = report["unseen_pairs"]
    of_pairs = score_table(pairs["tasks"], pairs["ceiling"])
    rows = [(f"video {name}", f"{value:.3f}") for name, value in tokenizer.items() if name != "ceiling"]
    for name, value in audio.items():
        values = value if isinstance(value, list) else [value]
        rows.append((f"audio {name}", ", ".join(f"{each:.2f}" for each in values)))
    return [
        Section(
            "Scores on triples of colour, shape and motion never seen together",
            [score_table(report["tasks"], tokenizer["ceiling"], bars)],
            "What describe() reads in each generated clip against its prompt; an abstention is wrong. "
            "The line in a bar is chance: a model that ignores its prompt. The ceiling is what is read from "
            "real clips after a trip through the tokenizers.",
        ),
        Section("Scores on colours and shapes never seen together", [of_pairs]),
        Section("Tokenizers", [ValueTable(rows)], "On real clips held out of training."),
    ]


def form_sections(report: dict[str, Any]) -> list[Section]:
    """The scores by form of the prompt, if there are any, as a section of a page."""
    names = ("", *SEEN, "an example", "not read")
    tables = [ValueTable(rows, names, title) for title, rows in _tables_of_forms(report)]
    if not tables:
        return []
    text = (
        "The same scenes and seeds in every row. Training captions of the embedded corpus have the forms of "
        "the first table, and never those of the second. What training never showed is left out of a prompt."
    )
    return [Section("Scores by form of the prompt", tables, text)]


def _tables_of_forms(report: dict[str, Any]) -> list[tuple[str, list[tuple[str, ...]]]]:
    """Rows of name, scores, example and words left out, of each kind of forms."""
    kinds = {"in training captions": False, "held out of training captions": True}
    tables = []
    for title, held_out in kinds.items():
        those = [form for form in report.get("prompt_forms", ()) if form["held_out"] == held_out]
        rows = [
            (
                form["name"],
                *(f"{form[label]['score']:.2f}" for label in SEEN),
                form["example"],
                " ".join(form["left_out"]),
            )
            for form in those
        ]
        tables += [(title, rows)] if rows else []
    return tables


def page_of(report: dict[str, Any]) -> Page:
    """The page of a report."""
    text = f"Protocol {report['protocol']} on {report['source']}, "
    text += f"{report['clips']} clips per task and kind of prompt."
    numbers = [
        (f"{entry['score']:.2f}", f"{task} {label}")
        for task, labels in report["tasks"].items()
        for label, entry in labels.items()
        if "score" in entry
    ][:6]
    return Page(
        f"videolm: {report['protocol']}",
        f"Evaluation of {report['model']}",
        text,
        numbers,
        [
            *form_sections(report),
            *score_sections(report),
            Section("Sampling", [ValueTable(sampling_rows(report))], "How codes were drawn."),
            Section("Examples", [example_rows(report["examples"])]),
        ],
    )


def prompt_in_words(task: str, caption: str) -> str:
    """What a task is given of a real clip, beside the clip's caption."""
    return {
        "unconditional": "nothing given",
        "frame_prediction": f"the first half is given ({caption})",
        "video_to_audio": f"the pictures are given ({caption})",
        "audio_to_video": f"the sound is given ({caption})",
        "audio_video_continuation": f"the first half is given, with its sound ({caption})",
        "inpainting": f"all but a box is given: {caption}",
        "outpainting": f"only a part is given: {caption}",
        "stylization": f"the motion is given: {caption}",
        "stylization_with_image": f"the motion and the first frame are given: {caption}",
    }.get(task, caption)


def write_shown(clip: Clip, folder: Path, stem: str, caption: str) -> Shown:
    """Write FOLDER/STEM.mp4, or .png of a picture, to be shown on a page beside the folder."""
    name = stem + (".png" if clip.num_frames == 1 else ".mp4")
    write_clip(clip, folder / name)
    return Shown(f"{folder.name}/{name}", caption, has_sound=clip.waveform is not None)
