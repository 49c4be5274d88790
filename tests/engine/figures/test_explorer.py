"""The live drag: what every slider step shows, worked out from the colour scales it moves."""

from __future__ import annotations

import pytest
import torch

from engine.figures.explorer import GUIDE, POSITION, RINGS, explorer_figure, step_labels
from engine.figures.export import figure_html
from engine.figures.heatmap import CLEAR
from engine.figures.theme import traces
from engine.heads import Head
from engine.pruning.masks import SWEEP_SPARSITIES, drop_sparsity, keep_mask
from tests.engine.figures.made_up import A_BAND, a_sweep, some_scores

SCORES = some_scores(12, 12)
SWEEPS = (a_sweep(SCORES), a_sweep(some_scores(12, 12, seed=1), "flap"))


def explorer(sparsity: float = 0.8, **changes):
    settings = {
        "name": "C-FLAP", "sweeps": SWEEPS, "active": "contrastive_flap", "band": A_BAND, "sparsity": sparsity,
        "dark": False,
    }  # fmt: skip
    return explorer_figure(SCORES, drop_sparsity(SCORES), **{**settings, **changes})


def visible(figure, name: str, step: int) -> set[tuple[float, float]]:
    """(x, y) of the points of a trace that are not clear once the slider is at ``step``."""
    number, trace = next((i, t) for i, t in enumerate(traces(figure)) if t.name == name)
    scale, moved = figure.layout.sliders[0].steps[step].args
    assert number in moved
    low, high = scale["marker.cmin"], scale["marker.cmax"]
    return {
        (x, y)
        for x, y, value in zip(trace.x, trace.y, trace.marker.color, strict=True)
        if colour_at((value - low) / (high - low), trace.marker.colorscale) != CLEAR
    }


def colour_at(position: float, scale) -> str:
    """Plotly's colour of a scale made of flat pieces; no test value may lie on a border."""
    assert all(abs(position - border) > 1e-6 for border, _ in scale[1:-1])
    return [colour for border, colour in scale if border <= position][-1]


def test_the_rings_at_every_step_are_the_kept_heads():
    figure = explorer()
    for step, sparsity in enumerate(SWEEP_SPARSITIES):
        kept = {(head, layer) for layer, head in keep_mask(SCORES, sparsity).nonzero().tolist()}
        assert visible(figure, RINGS, step) == kept, sparsity


def test_the_position_at_every_step_is_one_point_of_the_active_curve():
    figure = explorer()
    for step, sparsity in enumerate(SWEEP_SPARSITIES):
        assert visible(figure, POSITION, step) == {(sparsity, SWEEPS[0].performance[step])}
        assert {x for x, _ in visible(figure, GUIDE, step)} == {sparsity}


def test_the_slider_starts_at_the_given_sparsity():
    figure = explorer(sparsity=0.29)
    slider = figure.layout.sliders[0]
    assert slider.active == 29
    rings = next(t for t in traces(figure) if t.name == RINGS)
    assert slider.steps[29].args[0] == {"marker.cmin": rings.marker.cmin, "marker.cmax": rings.marker.cmax}


def test_steps_say_sparsity_heads_kept_and_performance():
    labels = step_labels(drop_sparsity(SCORES), SWEEPS[0])
    assert len(labels) == 100
    assert labels[75] == "sparsity 0.75 · 35 of 144 heads kept<br>performance 100 %"
    unmeasured = step_labels(drop_sparsity(SCORES), None)[94]
    assert unmeasured == "sparsity 0.94 · 8 of 144 heads kept<br>performance not measured"


def test_a_union_of_two_scores_keeps_what_either_keeps():
    other = some_scores(12, 12, seed=1)
    drop = torch.maximum(drop_sparsity(SCORES), drop_sparsity(other))
    figure = explorer_figure(
        SCORES, drop, name="merged", sweeps=SWEEPS, active=None, band=None, sparsity=0.8, dark=True
    )
    union = keep_mask(SCORES, 0.8) | keep_mask(other, 0.8)
    assert visible(figure, RINGS, 80) == {(head, layer) for layer, head in union.nonzero().tolist()}


def test_before_the_sweep_a_hint_stands_in_for_the_curve():
    figure = explorer(sweeps=(), band=None)
    assert "not been measured" in figure.layout.annotations[0].text
    assert "not measured" in figure.layout.sliders[0].steps[50].label


def test_click_targets_lie_on_top_of_the_map():
    figure = explorer(selected=Head(3, 2))
    names = [trace.name for trace in traces(figure)]
    assert names.index("heads") > names.index(RINGS)
    targets = traces(figure)[names.index("heads")]
    assert list(targets.customdata[5]) == [0, 5]
    assert figure.layout.hoverdistance == -1


@pytest.mark.parametrize("dark", [False, True])
def test_the_largest_model_stays_small(dark: bool):
    scores = some_scores(28, 28)
    figure = explorer_figure(
        scores, drop_sparsity(scores), name="C-FLAP", sweeps=(a_sweep(scores), a_sweep(scores, "flap")),
        active="flap", band=A_BAND, sparsity=0.8, dark=dark,
    )  # fmt: skip
    assert len(figure.to_json()) < 400_000


def test_on_a_page_the_page_paints_the_steps_and_alone_plotly_does():
    figure = explorer()
    assert not any(step.execute for step in figure.layout.sliders[0].steps)
    alone = figure_html(figure, "Scores", dark=False)
    assert alone.count('"execute":true') == len(SWEEP_SPARSITIES) and '"execute":false' not in alone
    assert not any(step.execute for step in figure.layout.sliders[0].steps)  # the figure itself is left as it was
