"""What was measured of the scores is written and read back as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.scores.kinds import Score, Source
from engine.scoring.score_recall import ScoreRecall, read_recall, write_recall

FOUND = ScoreRecall(
    "smollm2-135m", 8, 0.3,
    {
        "ioi": {Score.FLAP: 0.5, Score.ATTRIBUTION: 0.75, Score.RANK_SUM: 1.0},
        "docstring": {Score.FLAP: 0.7, Score.ATTRIBUTION: 0.5},
    },
)  # fmt: skip


def test_a_measurement_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "recall.json"
    assert read_recall(file) is None
    write_recall(FOUND, file)
    assert read_recall(file) == FOUND


def test_the_best_has_the_highest_mean_among_those_measured_everywhere() -> None:
    assert FOUND.mean(Score.FLAP) == pytest.approx(0.6) and FOUND.of(Score.ATTRIBUTION) == [0.75, 0.5]
    assert FOUND.best() is Score.ATTRIBUTION and FOUND.best(without=(Source.GRADIENT,)) is Score.FLAP
