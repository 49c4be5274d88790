"""Scores against a reference, drawn: lines, areas and rows by hand."""

import math

import pytest
import torch

from engine.figures.recall import recall_at, recall_figure, recall_rows, roc_figure, roc_rows, score_rows
from engine.figures.theme import traces
from engine.heads import Head
from engine.trust.agreement import score_agreements

GOOD = torch.tensor([[4.0, 3.0, 2.0, 1.0, 0.0, -1.0, -2.0, -3.0, -4.0, -5.0]])
KNOWN = (Head(0, 0), Head(0, 2))
# GOOD ranks 0.0 before all others and 0.2 behind one of them: of 16 comparisons 15 are right. The turned one: 1 of 16.
EFFECTS = torch.tensor([[-1.0, 0.5] + [math.nan] * 8])
SCORES = score_agreements({"flap": -GOOD, "contrastive_flap": GOOD}, KNOWN, EFFECTS)


def trace(figure, name: str):
    return next(trace for trace in traces(figure) if trace.name == name)


def test_a_line_a_score_and_one_of_chance():
    for figure in (recall_figure(SCORES, 0.9, dark=False), roc_figure(SCORES, dark=True)):
        assert [each.name for each in traces(figure)] == ["chance", "FLAP", "C-FLAP"]
        assert len({(each.line.color, each.line.dash) for each in traces(figure)}) == 3
    recall = recall_figure(SCORES, 0.9, dark=False)
    at = list(trace(recall, "C-FLAP").x).index(0.5)  # keeps 4: both
    assert trace(recall, "C-FLAP").y[at] == 1.0 and trace(recall, "FLAP").y[at] == 0.0
    assert "4 heads kept, recall 100 %, precision 50 %" in trace(recall, "C-FLAP").text[at]
    assert trace(recall, "chance").y[at] == 0.5 and recall.layout.shapes[0].y0 == 0.9


def test_the_roc_curve_goes_up_for_the_reference_and_right_for_others():
    line = trace(roc_figure(SCORES, dark=False), "C-FLAP")
    assert list(line.x[:4]) == [0, 0, 0.125, 0.125] and list(line.y[:4]) == [0, 0.5, 0.5, 1.0]
    assert line.text[2] == "50 % of the reference for 12 % of the others"


def test_rows_put_the_largest_area_first():
    best, worst = score_rows(SCORES)
    assert (best["score"], best["area under ROC"], best["heads needed for 90 %"]) == ("C-FLAP", 15 / 16, 3)
    assert worst["area under ROC"] == 1 / 16 and worst["heads of the reference"] == 2
    assert best["recall in 30 % of heads"] == 0.5  # keeps 2 of 10
    assert best["rank correlation with |effect|"] == pytest.approx(1) and recall_at(SCORES[1], 1.0) == 1.0
    assert {row["score"] for row in recall_rows(SCORES)} == {"FLAP", "C-FLAP"} and len(recall_rows(SCORES)) == 200
    assert roc_rows(SCORES)[-1] == {"score": "C-FLAP", "share of the others": 1.0, "share of the reference": 1.0}


def test_an_area_that_is_not_defined_comes_last_and_is_empty():
    nothing = score_agreements({"flap": GOOD}, ())
    assert math.isnan(nothing[0].roc.auc)
    assert score_rows((*nothing, SCORES[0]))[-1]["area under ROC"] is None
