"""Where one head looks: its attention over a clean and a corrupted prompt, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from engine.figures import theme
from engine.figures.labels import token_label

if TYPE_CHECKING:
    from torch import Tensor

PANELS = (("Clean", "x", "y", (0.0, 0.46)), ("Corrupted", "x2", "y2", (0.54, 1.0)))


def attention_figure(
    clean: Tensor,
    corrupted: Tensor,
    clean_tokens: Sequence[str],
    corrupted_tokens: Sequence[str],
    *,
    dark: bool,
    hide_first: bool = False,
) -> go.Figure:
    """Attention [query key] of both prompts; tokens as decoded strings, escaped here.

    Rows are the tokens that look (queries, first on top), columns the tokens looked at (keys). Both
    panels share one colour range. ``hide_first`` leaves out the first column, where many heads park
    attention they have no use for, and stretches the colours to the rest.
    """
    first = 1 if hide_first else 0
    figure = theme.blank(dark, 190 + max(220, min(900, 22 * len(clean_tokens))))
    patterns = (clean[:, first:], corrupted[:, first:])
    top = max((float(pattern.max()) for pattern in patterns if pattern.numel()), default=1.0) or 1.0
    for panel, pattern, tokens in zip(PANELS, patterns, (clean_tokens, corrupted_tokens), strict=True):
        _add_panel(figure, panel, pattern, tokens, first, dark)
    figure.update_layout(
        coloraxis={
            "colorscale": theme.sequential(dark), "cmin": 0, "cmax": top,
            "colorbar": {"title": {"text": "attention", "side": "right"}, "thickness": 8, "outlinewidth": 0,
                         "tickfont": {"color": theme.muted(dark)}},
        },
        margin={"l": 90, "r": 16, "t": 48, "b": 96},
    )  # fmt: skip
    return figure


def _add_panel(
    figure: go.Figure,
    panel: tuple[str, str, str, tuple[float, float]],
    pattern: Tensor,
    tokens: Sequence[str],
    first: int,
    dark: bool,
) -> None:
    title, xaxis, yaxis, domain = panel
    labels = [token_label(token) for token in tokens]
    figure.add_heatmap(
        # Positions, not labels, are the coordinates: a token may occur twice.
        x=list(range(first, len(labels))), y=list(range(len(labels))), z=causal(pattern, first),
        text=[[f"{query} → {key}" for key in labels[first:]] for query in labels],
        hovertemplate="%{text}<br>attention %{z:.3f}<extra></extra>", hoverongaps=False,
        coloraxis="coloraxis", xgap=1, ygap=1, xaxis=xaxis, yaxis=yaxis, name=title,
    )  # fmt: skip
    ticks = {"tickmode": "array", "showgrid": False, "fixedrange": True}
    shown = list(range(first, len(labels)))
    figure.update_layout(
        {
            xaxis.replace("x", "xaxis"): {
                **ticks, "tickvals": shown, "ticktext": labels[first:], "tickangle": -60, "domain": domain,
                "anchor": yaxis, "range": [first - 0.5, len(labels) - 0.5],
            },
            yaxis.replace("y", "yaxis"): {
                **ticks, "tickvals": list(range(len(labels))), "ticktext": labels, "anchor": xaxis,
                "range": [len(labels) - 0.5, -0.5],
            },
        }
    )  # fmt: skip
    figure.add_annotation(
        text=f"<b>{title}</b> prompt", x=domain[0], y=1, xref="paper", yref="paper", xanchor="left", yanchor="bottom",
        showarrow=False, font={"size": 14, "color": theme.ink(dark)},
    )  # fmt: skip


def causal(pattern: Tensor, first: int) -> list[list[float | None]]:
    """Rows of the pattern whose columns start at position ``first``; what lies in the future stays empty."""
    return [
        [round(value, 5) if first + column <= query else None for column, value in enumerate(row)]
        for query, row in enumerate(pattern.tolist())
    ]
