"""Both scores against each other."""

from __future__ import annotations

import pytest
import torch

from engine.figures.agreement import Placed, agreement_figure, notable, spread_out
from engine.figures.theme import traces
from engine.heads import Head
from engine.pruning.masks import keep_mask, kept_by
from tests.engine.figures.made_up import some_scores

FLAP, CONTRASTIVE = some_scores(), some_scores(seed=1)
KEPT = keep_mask(FLAP, 0.6), keep_mask(CONTRASTIVE, 0.6)


def marks(figure) -> dict[tuple[int, int], tuple[float, float, str]]:
    return {
        tuple(data): (x, y, trace.name)
        for trace in traces(figure)
        if trace.customdata is not None
        for data, x, y in zip(trace.customdata, trace.x, trace.y, strict=True)
    }


@pytest.mark.parametrize("colour", ["list", "layer"])
def test_every_head_has_one_mark_named_by_who_keeps_it(colour: str):
    shown = marks(agreement_figure(Placed(FLAP, CONTRASTIVE, "score"), *KEPT, dark=False, colour=colour))
    assert len(shown) == FLAP.numel()
    for (layer, index), (x, y, name) in shown.items():
        assert (x, y) == (float(FLAP[layer, index]), float(CONTRASTIVE[layer, index]))
        by_flap, by_contrastive = (bool(mask[layer, index]) for mask in KEPT)
        words = {(1, 1): "kept by both", (1, 0): "by FLAP alone", (0, 1): "by C-FLAP alone", (0, 0): "by neither"}
        assert name == words[by_flap, by_contrastive]


def test_ranks_run_backwards_so_that_the_first_is_at_the_far_end():
    figure = agreement_figure(Placed(FLAP, CONTRASTIVE, "rank"), *KEPT, dark=True)
    assert figure.layout.xaxis.range[0] > figure.layout.xaxis.range[1]
    best = int(FLAP.argmax())
    assert marks(figure)[best // 4, best % 4][0] == 1
    assert sorted(x for x, _, _ in marks(figure).values()) == list(range(1, 25))


def test_labels_go_to_the_first_and_to_those_the_rankings_place_apart():
    one = torch.arange(20.0, 0.0, -1.0).reshape(4, 5)
    other = one.clone()
    other[0, 4], other[3, 0] = one[3, 0], one[0, 4]  # 0.4 and 3.0 change places
    named = notable(one, other)
    assert named[0] == Head(0, 0) and {Head(0, 4), Head(3, 0)} <= set(named)


def test_labels_do_not_lie_on_each_other():
    scores = torch.tensor([[10.0, 9.99, 0.0]])
    placed = Placed(scores, scores, "score")
    assert spread_out([Head(0, 0), Head(0, 1), Head(0, 2)], placed) == [Head(0, 0), Head(0, 2)]


def test_the_lists_are_told_apart_in_layer_order():
    flap, contrastive = torch.tensor([[True, True], [False, False]]), torch.tensor([[True, False], [True, False]])
    assert kept_by(flap, contrastive) == ["both", "FLAP", "C-FLAP", "neither"]


def test_with_layers_as_colours_the_legend_tells_the_shapes():
    figure = agreement_figure(Placed(FLAP, CONTRASTIVE, "rank"), *KEPT, dark=True, colour="layer")
    shown = [trace for trace in traces(figure) if trace.showlegend is not False]
    assert [trace.name for trace in shown] == ["kept by both", "by C-FLAP alone", "by FLAP alone", "by neither"]
    assert all(trace.marker.coloraxis is None for trace in shown) and figure.layout.coloraxis.cmax == 5
