"""Scores of a model put into its folder, beside those of other protocols and days, and on its page."""

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from ..data.runtime.model_source import is_own, source_name
from ..tasks.model_card import write_card
from ..tasks.model_config import model_fingerprint
from ..tasks.model_scores import SCORES, Evaluation, ModelScore, add_scores
from .metrics.score import Score


def store_scores(
    folder: Path, protocol: str, settings: Mapping[str, Any], scores: Sequence[ModelScore]
) -> list[Path]:
    """Add scores to scores.json and the page of a model folder; returns what was written.

    A packaged model, one of the hub's cache and a folder that cannot be written to are left as they are; a
    line says so.

    Args:
        settings: that the scores depend on beside the model.

    Raises:
        ValueError: if scores.json is there and holds something else.
    """
    if not is_own(folder) or not os.access(folder, os.W_OK):
        print(f"the scores are not added to {source_name(folder)}, which is not written to")
        return []
    today = date.today().isoformat()
    add_scores(folder, Evaluation(protocol, today, model_fingerprint(folder), dict(settings), tuple(scores)))
    write_card(folder)
    return [folder / SCORES]


def of_measures(scores: Sequence[Score]) -> list[ModelScore]:
    """Scores of a benchmark."""
    return [ModelScore(each.name, each.value) for each in scores if each.value is not None]


def of_corpus(report: dict[str, Any]) -> list[ModelScore]:
    """Scores of a report of a protocol of the embedded corpus, on held-out triples and on unseen pairs."""
    ceilings = report["tokenizer"]["ceiling"]
    triples = list(_of_tasks(report["tasks"], ceilings, ""))
    return triples + list(_of_tasks(report["unseen_pairs"]["tasks"], ceilings, ", unseen pairs"))


def _of_tasks(tasks: Mapping[str, Any], ceilings: Mapping[str, Any], kind: str) -> Iterator[ModelScore]:
    for task, labels in tasks.items():
        for label, entry in labels.items():
            if "score" in entry:
                unit = f", {entry['unit']}" if "unit" in entry else ""
                ceiling = entry.get("ceiling", ceilings.get(label, {}).get("score") if not kind else None)
                yield ModelScore(f"{task} {label}{unit}{kind}", entry["score"], entry.get("chance"), ceiling)
