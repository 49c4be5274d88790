"""How much of the dense circuit each head score finds at equal mask size, as measured: ``assets/score_recall.json``.

``python -m benchmarks --part masks`` writes the file; without one there is nothing to tell.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from engine.machine.atomic import write_text
from engine.scores.kinds import Score, Source

FILE = Path(__file__).parent / "assets" / "score_recall.json"


@dataclass(frozen=True)
class ScoreRecall:
    """Share of the dense circuit's heads among the top ``share`` of all heads by each score, task by task."""

    model: str
    pairs: int
    share: float
    recall: Mapping[str, Mapping[Score, float]]  # by task

    def of(self, score: Score) -> list[float]:
        """One recall a task."""
        return [by_score[score] for by_score in self.recall.values()]

    def mean(self, score: Score) -> float:
        values = self.of(score)
        return sum(values) / len(values)

    def best(self, without: Collection[Source] = ()) -> Score:
        """The highest mean over tasks, among the scores measured on all of them; none that is made ``without``."""
        everywhere = [score for score in Score if all(score in by_score for by_score in self.recall.values())]
        return max((score for score in everywhere if score.source not in without), key=self.mean)


def read_recall(file: Path = FILE) -> ScoreRecall | None:
    """What was measured; None if there is no such file."""
    if not file.exists():
        return None
    record = json.loads(file.read_text(encoding="utf-8"))
    recall = {
        task: {Score(name): float(value) for name, value in by_score.items()}
        for task, by_score in record["recall"].items()
    }
    return ScoreRecall(str(record["model"]), int(record["pairs"]), float(record["share"]), recall)


@cache
def known_recall() -> ScoreRecall | None:
    """``read_recall`` of the file that comes with Headlight, read once."""
    return read_recall()


def write_recall(found: ScoreRecall, file: Path = FILE) -> None:
    recall = {
        task: {score.value: round(value, 4) for score, value in by_score.items()}
        for task, by_score in found.recall.items()
    }
    record = {"model": found.model, "pairs": found.pairs, "share": found.share, "recall": recall}
    write_text(json.dumps(record, indent=1) + "\n", file)
