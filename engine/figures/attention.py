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
    figure = _blank(len(clean_tokens), _top((clean, corrupted), hide_first), dark)
    for panel, pattern, tokens in zip(PANELS, (clean, corrupted), (clean_tokens, corrupted_tokens), strict=True):
        _add_panel(figure, panel, pattern, tokens, hide_first, dark)
    return figure


def attention_panels(
    clean: Tensor,
    corrupted: Tensor,
    clean_tokens: Sequence[str],
    corrupted_tokens: Sequence[str],
    *,
    dark: bool,
    hide_first: bool = False,
) -> tuple[go.Figure, go.Figure]:
    """attention_figure as two figures, for columns that stack on a narrow screen; one colour range all the same."""
    top = _top((clean, corrupted), hide_first)
    figures = []
    for title, pattern, tokens in (("Clean", clean, clean_tokens), ("Corrupted", corrupted, corrupted_tokens)):
        figure = _blank(len(tokens), top, dark)
        _add_panel(figure, (title, "x", "y", (0.0, 1.0)), pattern, tokens, hide_first, dark)
        figures.append(figure)
    return figures[0], figures[1]


def _top(patterns: Sequence[Tensor], hide_first: bool) -> float:
    """End of the colour range: the largest attention shown."""
    shown = [pattern[:, int(hide_first) :] for pattern in patterns]
    return max((float(pattern.max()) for pattern in shown if pattern.numel()), default=1.0) or 1.0


def _blank(n_tokens: int, top: float, dark: bool) -> go.Figure:
    figure = theme.blank(dark, 210 + max(220, min(900, 22 * n_tokens)))
    bar = theme.colour_bar("attention", dark, x=0, xanchor="left", yref="container", y=0, yanchor="bottom")
    return figure.update_layout(
        coloraxis={"colorscale": theme.sequential(dark), "cmin": 0, "cmax": top, "colorbar": bar},
        margin={"l": 90, "r": 16, "t": 48, "b": 120},
    )


def _add_panel(
    figure: go.Figure,
    panel: tuple[str, str, str, tuple[float, float]],
    pattern: Tensor,
    tokens: Sequence[str],
    hide_first: bool,
    dark: bool,
) -> None:
    title, xaxis, yaxis, domain = panel
    first = int(hide_first)
    labels = [token_label(token) for token in tokens]
    figure.add_heatmap(
        # Positions, not labels, are the coordinates: a token may occur twice.
        x=list(range(first, len(labels))), y=list(range(len(labels))), z=causal(pattern[:, first:], first),
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
