"""The benchmark of masks: recall at equal size, by hand, and what it hands to the app."""

from __future__ import annotations

import pytest
import torch

from benchmarks import masks
from benchmarks.mask_tables import masks_sections
from benchmarks.search import LeftOut
from engine.scores.kinds import Score
from engine.scoring.score_recall import read_recall

# By score: heads 3 0 4 1 2; the circuit is 0, 3 and 2.
SCORES = torch.tensor([[4.0, 2.0, 1.0, 5.0, 3.0]])
CIRCUIT = torch.tensor([[True, False, True, True, False]])


def test_recall_counts_the_circuits_heads_among_the_first() -> None:
    assert masks.recall_at(SCORES, CIRCUIT, (0.0, 0.2, 0.4, 0.8, 1.0)) == (
        [0, 1, 2, 4, 5], pytest.approx([0, 1 / 3, 2 / 3, 2 / 3, 1])
    )  # fmt: skip
    assert masks.smallest_share(SCORES, CIRCUIT, 0.6) == 0.4 and masks.smallest_share(SCORES, CIRCUIT, 0.9) == 1.0


def row(task: str, score: Score, at_30: float) -> masks.Recall:
    recall = [0.1, 0.2, 0.3, at_30, 0.9]
    return masks.Recall(task, score.value, 100, 20, [10, 15, 20, 30, 40], recall, 0.5, 1.7, 0.2)


ROWS = [row("ioi", Score.FLAP, 0.4), row("ioi", Score.ATTRIBUTION, 0.8), row("docstring", Score.ATTRIBUTION, 0.6),
        LeftOut("pronouns", "it cannot")]  # fmt: skip


def test_the_table_has_the_best_score_first_and_says_who_is_left_out() -> None:
    text = "\n".join(masks_sections(ROWS))
    assert "pronouns is left out: it cannot" in text
    assert "| ioi | 100 | 20 | FLAP | 0.10 | 0.20 | 0.30 | 0.40 | 0.90 | 50 % | 1.7 | 0.2 |" in text
    assert "| Attribution | 2 | 0.10 | 0.20 | 0.30 | 0.70 | 0.90 | 0.60 | 50 % |\n| FLAP | 1 |" in text


def test_what_was_measured_is_handed_to_the_app(tmp_path, monkeypatch) -> None:
    file = tmp_path / "score_recall.json"
    monkeypatch.setattr(masks, "write_recall", lambda found: masks_write(found, file))
    masks.publish(ROWS)
    known = read_recall(file)
    assert known is not None and (known.model, known.pairs, known.share) == ("smollm2-135m", 8, 0.3)
    assert known.recall == {"ioi": {Score.FLAP: 0.4, Score.ATTRIBUTION: 0.8}, "docstring": {Score.ATTRIBUTION: 0.6}}
    assert known.best() is Score.ATTRIBUTION


def masks_write(found, file) -> None:
    from engine.scoring.score_recall import write_recall

    write_recall(found, file)


def test_nothing_measured_leaves_the_file_alone(monkeypatch) -> None:
    monkeypatch.setattr(masks, "write_recall", lambda found: pytest.fail("written"))
    masks.publish([LeftOut("ioi", "it cannot")])
