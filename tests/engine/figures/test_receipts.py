"""Receipts side by side."""

from math import nan

import torch

from engine.ablation import Ablation
from engine.evaluation.bootstrap import Interval
from engine.figures.receipts import receipt_rows, receipts_figure
from engine.figures.theme import traces
from engine.heads import Head
from engine.trust.claim import Claim, Verdict
from engine.trust.receipt import Receipt, Receipts

FULL = Receipt(
    Head(1, 2), Claim(True, -0.9, -1), Interval(-0.6, -0.7, -0.5, 8, 1000),
    Head(1, 3), Interval(0.1, 0.0, 0.2, 8, 1000), Interval(0.5, 0.3, 0.7, 8, 1000),
    2.0, 1.9, torch.full((8,), -0.6), Verdict.CONFIRMED,
)  # fmt: skip
BARE = Receipt(
    (Head(0, 1), Head(1, 2), "k"), Claim(False, nan, 0), Interval(-0.2, nan, nan, 1, 1000), None, None, None, 1.0, nan,
    torch.full((1,), -0.2), Verdict.INSIDE_NOISE,
)  # fmt: skip


def test_effects_stand_above_their_controls():
    figure = receipts_figure([FULL, BARE], dark=False)
    effect, control = traces(figure)
    assert list(effect.x) == [-0.6, -0.2] and list(control.x) == [0.1] and effect.y[0] < control.y[0]
    assert [round(each, 6) for each in effect.error_x.array] == [0.1, 0] and effect.error_x.arrayminus[1] == 0
    assert list(figure.layout.yaxis.ticktext) == ["1.2", "0.1 → 1.2.k"]
    assert "one pair has no interval" in effect.hovertext[1] and "control 1.3 for 1.2" in control.hovertext[0]
    low, high = figure.layout.xaxis.range
    assert low < -0.7 and high > 0.2
    assert "No receipt" in receipts_figure([], dark=True).layout.annotations[0].text


def test_rows_have_no_control_where_there_is_none():
    rows = receipt_rows([Receipts((FULL, BARE), 8, 1, True, Ablation.MEAN, (), True)])
    assert rows[0]["verdict"] == "confirmed" and rows[0]["control high"] == 0.2 and rows[0]["ablation"] == "mean"
    assert rows[1]["control"] is None and rows[1]["control effect"] is None and rows[1]["effect low"] is None
