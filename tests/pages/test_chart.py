"""Figures are drawn once for what they show."""

from __future__ import annotations

import plotly.graph_objects as go
import torch

from pages.shared.chart import drawn


def test_a_figure_is_drawn_again_only_if_what_it_shows_is_another_object() -> None:
    made = []

    def make(scores: torch.Tensor, *, dark: bool) -> go.Figure:
        made.append(dark)
        return go.Figure().add_heatmap(z=scores.tolist())

    scores, twin = torch.zeros(2, 2), torch.zeros(2, 2)
    first = drawn(make, scores, dark=True)
    assert drawn(make, scores, dark=True) is first
    assert drawn(make, scores, dark=False) is not first
    assert drawn(make, twin, dark=True) is not first
    assert made == [True, False, True]
