"""`videolm evaluate --protocol world`: tables by steps and policies, report.json and a sheet of frames."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..data.media.contact_sheet import sheet
from ..data.runtime.files import replacing, write_json
from ..data.runtime.model_source import source_name
from ..data.runtime.text_table import text_table
from ..generation.pipeline import VideoLM
from ..generation.world.rollout import TASK
from ..tasks.model_config import ModelConfig
from ..tasks.model_scores import ModelScore
from .protocols.world import run_world
from .protocols.world_returns import run_returns
from .stored_scores import store_scores

PROTOCOL = "world"
_COLUMNS = ("episodes", "psnr_db", "copied_db", "delta_psnr_db", "agent", "doors", "carried", "legible")
_OF_POLICIES = ("episodes", "real", "dream", "real_steps", "dream_steps")
_STORED = (1, 16, 64)  # steps whose scores a model keeps


def evaluate_world(
    folder: Path,
    data: Path,
    out: Path,
    episodes: int,
    seed: int,
    environment: str | None = None,
    policy: str = "random",
    store: bool = True,
) -> list[Path]:
    """Score a world model; returns the paths written: report.json, worlds.png and scores.json of the model.

    Args:
        environment: for returns, which are not measured without.
        policy: whose returns.
        store: add the scores to the model's folder.

    Raises:
        FileNotFoundError: if the model, a part of it or the clips are missing.
        ValueError: if it is no world model, or no episode can be read.
    """
    ModelConfig.load(folder).task(TASK)  # before the weights are read
    if not data.exists():
        raise FileNotFoundError(f"there are no clips {data} (--data)")
    model = VideoLM.from_pretrained(folder)
    scores = run_world(model, str(data), episodes, seed)
    report, settings = scores.report, {"clips": scores.report["episodes"], "seed": seed}
    if environment is not None:
        report |= {"returns": run_returns(model, environment, policy, episodes, seed)}
        settings |= {"environment": environment, "policy": policy}
    print(table(report))
    path = out / "worlds.png"
    with replacing(path) as temporary:
        sheet(scores.rows).save(temporary)
    about = {"protocol": PROTOCOL, "model": source_name(folder), "data": str(data), "seed": seed}
    write_json(out / "report.json", about | report)
    stored = store_scores(folder, PROTOCOL, settings, list(kept_scores(report))) if store else []
    return [out / "report.json", path, *stored]


def kept_scores(report: Mapping[str, Any]) -> Iterator[ModelScore]:
    """What a model's folder keeps of a report; chance of the PSNR is that of the first frame, shown again."""
    for step in (each for each in _STORED if each in report["steps"]):
        values = report["steps"][step]
        yield ModelScore(f"psnr_db at step {step}", values["psnr_db"], values["copied_db"])
        for name in ("delta_psnr_db", "agent", "doors", "carried"):
            if name in values:
                yield ModelScore(f"{name} at step {step}", values[name])
    for step in sorted(report["drift"])[-1:]:
        yield ModelScore(f"psnr_db of long episodes at step {step}", report["drift"][step]["psnr_db"])
    for kind in ("rewards", "ends"):
        for name in ("precision", "recall"):
            yield ModelScore(f"{name} of {kind}", report[kind][name])
    if "returns" in report:
        yield ModelScore("correlation of returns", report["returns"]["correlation"])
        yield ModelScore("same return", report["returns"]["same"])


def table(report: Mapping[str, Any]) -> str:
    """The scores as lines of text."""
    lines = _of_steps(report["steps"])
    if report["drift"]:
        lines += ["", f"episodes of {max(report['drift'])} steps or more", *_of_steps(report["drift"])]
    lines.append("")
    for kind in ("rewards", "ends"):
        own = report[kind]
        found = f"precision {_shown(own['precision'])}, recall {_shown(own['recall'])}"
        lines.append(f"{kind}: {found}, of {own['true']}")
    lines.append(f"{report['frames_a_cpu_second']:.1f} frames a second of CPU time, several worlds together")
    if "returns" in report:
        lines += ["", *_of_returns(report["returns"])]
    return "\n".join(lines)


def _of_steps(steps: Mapping[int, Mapping[str, Any]]) -> list[str]:
    names = [name for name in _COLUMNS if any(name in values for values in steps.values())]
    rows = [
        (f"step {step}", *(_shown(values.get(name)) for name in names)) for step, values in steps.items()
    ]
    return list(text_table(rows, ("", *names)))


def _of_returns(returns: Mapping[str, Any]) -> list[str]:
    rows = [
        (name, *(_shown(values.get(column)) for column in _OF_POLICIES))
        for name, values in returns["policies"].items()
    ]
    agreement = f"the same in {_shown(returns['same'])}, correlation {_shown(returns['correlation'])}"
    head = ("returns", *(name.replace("_", " ") for name in _OF_POLICIES))
    return [*text_table(rows, head), f"returns of real and dream: {agreement}"]


def _shown(value: float | None) -> str:
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.2f}"
