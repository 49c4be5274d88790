"""The score map: colours, rings, click targets."""

from __future__ import annotations

import pytest
import torch

from engine.figures.heatmap import colour_limit, heatmap_figure
from engine.figures.theme import traces
from engine.heads import Head
from engine.pruning.masks import keep_mask
from tests.engine.figures.made_up import some_scores

SCORES = some_scores()


def trace(figure, name: str):
    return next(trace for trace in traces(figure) if trace.name == name)


@pytest.mark.parametrize("dark", [False, True])
def test_the_colour_range_is_symmetric_about_zero(dark: bool):
    cells = traces(heatmap_figure(SCORES, name="FLAP", dark=dark))[0]
    assert cells.zmax == pytest.approx(float(SCORES.abs().max()))
    assert cells.zmin == -cells.zmax


def test_the_colour_range_survives_nothing_measured_and_all_zero():
    assert colour_limit(torch.full((2, 2), float("nan"))) == 1
    assert colour_limit(torch.zeros(2, 2)) == 1
    assert colour_limit(torch.tensor([[float("nan"), -3.0]])) == 3


def test_rows_are_layers_from_the_bottom_up():
    figure = heatmap_figure(SCORES, name="FLAP", dark=False)
    assert traces(figure)[0].z[2][1] == pytest.approx(float(SCORES[2, 1]), abs=1e-5)
    low, high = figure.layout.yaxis.range
    assert low < high


def test_rings_surround_exactly_the_kept_heads():
    kept = keep_mask(SCORES, 0.6)
    rings = trace(heatmap_figure(SCORES, name="FLAP", dark=False, kept=kept), "kept")
    assert {(layer, head) for head, layer in zip(rings.x, rings.y, strict=True)} == {
        (layer, head) for layer, head in kept.nonzero().tolist()
    }


def test_only_kept_heads_show_their_scores_if_asked():
    kept = keep_mask(SCORES, 0.6)
    cells = traces(heatmap_figure(SCORES, name="FLAP", dark=False, kept=kept, only_kept=True))[0]
    assert [[value is not None for value in row] for row in cells.z] == kept.tolist()


def test_every_cell_has_a_click_target_that_names_its_head():
    targets = traces(heatmap_figure(SCORES, name="FLAP", dark=False))[-1]
    assert len(targets.customdata) == SCORES.numel()
    for x, y, data in zip(targets.x, targets.y, targets.customdata, strict=True):
        assert list(data) == [y, x]
    assert targets.unselected.marker.opacity == 1


def test_hover_gives_score_and_rank_and_marks_what_is_not_measured():
    scores = torch.tensor([[0.5, float("nan")], [2.0, -1.0]])
    texts = traces(heatmap_figure(scores, name="effect", dark=False))[-1].text
    assert texts[0] == "<b>head 0.0</b><br>effect +0.500<br>rank 2 of 3"
    assert texts[1] == "<b>head 0.1</b><br>not measured"
    assert "rank 1 of 3" in texts[2]


def test_the_selected_head_is_framed_and_trace_numbers_do_not_depend_on_it():
    with_frame = heatmap_figure(SCORES, name="FLAP", dark=False, selected=Head(3, 2))
    without = heatmap_figure(SCORES, name="FLAP", dark=False)
    frame = trace(with_frame, "selected")
    assert (list(frame.x), list(frame.y)) == ([2], [3])
    assert [t.name for t in traces(with_frame)] == [t.name for t in traces(without)]
