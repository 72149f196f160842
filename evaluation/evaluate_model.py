"""`videolm evaluate` by a protocol of the embedded corpus: report.json, example clips and a page."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..data.media.clip import Clip, write_clip
from ..data.runtime.files import write_json
from ..generation.pipeline import VideoLM
from ..lm.decoding.sampling import Sampling
from .html_report import Shown, clip_row, clip_rows, header, score_table, section, value_table, write_page
from .protocols.registry import BENCHMARKS
from .protocols.shapes import run_shapes
from .protocols.shapes_all import run_shapes_all
from .protocols.shapes_exam import NUM_EXAMPLES, Result

PROTOCOLS: dict[str, Callable[[VideoLM, str, int, int, Sampling, Sequence[str]], Result]] = {
    "shapes": run_shapes,
    "shapes-all": run_shapes_all,
}


def evaluate_model(
    folder: Path,
    protocol: str,
    source: str,
    out: Path,
    clips: int,
    seed: int,
    sampling: dict[str, Any],
    tasks: Sequence[str] = (),
) -> list[Path]:
    """Score a model folder, some of its tasks or all of them; returns the paths written.

    Raises:
        FileNotFoundError: if the folder or a part of it is missing.
        ValueError: if there is no such protocol, or a task is not known to it and to the model.
    """
    check_protocol(protocol)
    how = Sampling(**sampling)
    model = VideoLM.from_pretrained(folder)
    start = time.monotonic()
    result = PROTOCOLS[protocol](model, source, clips, seed, how, tasks)
    report = {
        "protocol": protocol,
        "source": source,
        "model": str(folder),
        "clips": clips,
        "seed": seed,
        "sampling": sampling,
        "seconds": round(time.monotonic() - start, 1),
    } | result.report
    report["examples"] = write_examples(result, out / "clips")
    write_page(out / "index.html", f"videolm: {protocol}", _sections(report))
    write_json(out / "report.json", report)
    print_scores(report)
    return [out / "index.html", out / "report.json"]


def check_protocol(protocol: str) -> None:
    """Refuse a name that is neither a protocol of the embedded corpus nor a benchmark of the literature."""
    if protocol not in (known := (*PROTOCOLS, *BENCHMARKS)):
        raise ValueError(f"unknown protocol {protocol!r}; there are {', '.join(known)}")


def print_scores(report: dict[str, Any]) -> None:
    """The scores as lines, for the terminal."""
    tokenizer = report["tokenizer"]
    print(f"reconstruction: {tokenizer['psnr_db']:.2f} dB, code use {tokenizer['code_use']:.0%}")
    _print_row("", "", ("triples", "pairs", "chance", "ceiling"))
    pairs, ceilings = report["unseen_pairs"]["tasks"], tokenizer["ceiling"]
    for task, labels in report["tasks"].items():
        for label, entry in labels.items():
            if "score" in entry:
                other = pairs.get(task, {}).get(label, {})
                best = entry.get("ceiling", ceilings.get(label, {}).get("score"))
                values = (entry["score"], other.get("score"), entry["chance"], best)
                name = f"{label}, {entry['unit']}" if "unit" in entry else label
                _print_row(task, name, ["" if value is None else f"{value:.2f}" for value in values])


def _print_row(task: str, label: str, cells: Sequence[str]) -> None:
    print(f"{task:24}  {label:20}" + "".join(f"{cell:>9}" for cell in cells))


def write_examples(result: Result, folder: Path) -> list[dict[str, Any]]:
    """Write a few clips of each task beside the real ones.

    Returns:
        For each example its task, its prompt in words, and its clips: path from above the folder, what it is,
        whether it has sound.
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
            shown = [_write(clip, folder, f"{task}-{index}-{kind}", kind) for kind, clip in kinds.items()]
            text = _prompt_in_words(task, real.clips[index].caption or "")
            examples.append({"task": task, "text": text, "clips": [asdict(each) for each in shown]})
    return examples


def example_rows(examples: Iterable[dict[str, Any]], folder: str = "") -> str:
    """What `write_examples` returned as part of a page that stands above `folder`, where it was written."""
    rows = []
    for example in examples:
        shown = [Shown(**clip | {"path": folder + clip["path"]}) for clip in example["clips"]]
        rows.append(clip_row(example["task"], example["text"], shown))
    return clip_rows(rows)


def score_sections(report: dict[str, Any], bars: list[dict[str, Any]]) -> list[str]:
    """The scores as sections of a page."""
    tokenizer, audio, pairs = report["tokenizer"], report["audio"], report["unseen_pairs"]
    rows = [(f"video {name}", f"{value:.3f}") for name, value in tokenizer.items() if name != "ceiling"]
    for name, value in audio.items():
        values = value if isinstance(value, list) else [value]
        rows.append((f"audio {name}", ", ".join(f"{each:.2f}" for each in values)))
    return [
        section(
            "Scores on triples of colour, shape and motion never seen together",
            score_table(report["tasks"], tokenizer["ceiling"], bars),
            text="What describe() reads in each generated clip against its prompt; an abstention is wrong. "
            "The line in a bar is chance: a model that ignores its prompt. The ceiling is what is read from "
            "real clips after a trip through the tokenizers.",
        ),
        section(
            "Scores on colours and shapes never seen together",
            score_table(pairs["tasks"], pairs["ceiling"], []),
        ),
        section("Tokenizers", value_table(rows), text="On real clips held out of training."),
    ]


def _sections(report: dict[str, Any]) -> list[str]:
    title = f"Evaluation of {report['model']}"
    text = f"Protocol {report['protocol']} on {report['source']}, "
    text += f"{report['clips']} clips per task and kind of prompt."
    numbers = [
        (f"{entry['score']:.2f}", f"{task} {label}")
        for task, labels in report["tasks"].items()
        for label, entry in labels.items()
        if "score" in entry
    ][:6]
    examples = section("Examples", example_rows(report["examples"]))
    return [header(title, text, numbers), *score_sections(report, []), examples]


def _prompt_in_words(task: str, caption: str) -> str:
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


def _write(clip: Clip, folder: Path, stem: str, caption: str) -> Shown:
    name = stem + (".png" if clip.num_frames == 1 else ".mp4")
    write_clip(clip, folder / name)
    return Shown(f"{folder.name}/{name}", caption, has_sound=clip.waveform is not None)
