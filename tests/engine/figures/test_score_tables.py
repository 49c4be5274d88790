"""All heads with both ranks, and the cliff points as rows."""

from __future__ import annotations

import torch

from engine.figures.score_tables import cliff_rows, ranked_rows
from engine.pruning.masks import keep_mask
from tests.engine.figures.made_up import a_sweep, some_scores


def test_a_head_has_both_scores_ranks_and_drops():
    flap, contrastive = torch.tensor([[3.0, 1.0], [2.0, 4.0]]), torch.tensor([[1.0, 4.0], [2.0, 3.0]])
    rows = ranked_rows(flap, contrastive, keep_mask(flap, 0.5), keep_mask(contrastive, 0.5))
    assert rows[1] == {
        "head": "0.1", "layer": 0, "C-FLAP": 4.0, "C-FLAP rank": 1.0, "FLAP": 1.0, "FLAP rank": 4.0,
        "rank difference": 3.0, "C-FLAP drops at": 0.63, "FLAP drops at": 0.0, "kept by": "C-FLAP",
    }  # fmt: skip
    assert [row["kept by"] for row in rows] == ["neither", "C-FLAP", "neither", "FLAP"]


def test_each_curve_has_three_cliffs_with_their_reasons():
    sweep = a_sweep(some_scores())
    rows = cliff_rows([sweep, a_sweep(some_scores(seed=1), "flap")])
    assert [(row["score"], row["cliff"]) for row in rows[:4]] == [
        ("C-FLAP", "first"), ("C-FLAP", "biggest"), ("C-FLAP", "fixed"), ("FLAP", "first"),
    ]  # fmt: skip
    assert rows[0]["sparsity"] == 0.79 and rows[0]["performance %"] == 100 and "first change" in str(rows[0]["why"])
    assert rows[0]["heads kept"] == sweep.sizes[79]
