"""One visual language for every figure: colours, fonts, blank canvases, the mode bar.

Backgrounds are transparent, so a figure sits on any page, light or dark. The diverging scale is the
same in both: its ends are of middling brightness and its middle is nearly transparent, so 0 fades
into either background. Blue-orange and the edge colours stay apart for colour-blind readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import plotly.graph_objects as go

from engine.circuit import Input

FONT = "'Source Sans', 'Source Sans 3', 'Source Sans Pro', Inter, system-ui, sans-serif"

NEGATIVE = (37, 99, 235)
POSITIVE = (234, 88, 12)
ZERO = (128, 132, 150)
ZERO_ALPHA = 0.13  # enough to see the tile of a head that scores 0

INPUT_COLOURS: dict[Input, str] = {
    Input.Q: "#3b8eea",
    Input.K: "#e0930a",
    Input.V: "#12a383",
    Input.MLP: "#a8622c",
    Input.LOGITS: "#c8559b",
}
SCORE_COLOURS = {
    "flap": "#12a383", "contrastive_flap": "#7c6cf2", "merged": "#e0730a", "output_difference": "#b0568f",
    "attribution": "#3f8fd2", "position_attribution": "#1d6fb8", "integrated_attribution": "#0f8a94",
    "walk": "#5a6fd6", "rank_sum": "#8a7a2a", "equal_union": "#a8572e", "walk_union": "#2f8f4e",
}  # fmt: skip
SEARCH_COLOURS = {"path_patching": "#e0730a", "acdc": "#3b8eea", "eap": "#12a383", "eap_ig": "#7c6cf2"}
ACCENT = "#e5308a"  # what the reader selected
CHOSEN = "#e0730a"  # heads both scores keep, and unions of them
GOOD = "#12a383"

PAGE_COLOURS = {False: (253, 252, 249), True: (18, 22, 30)}  # the backgrounds of .streamlit/config.toml


def ink(dark: bool) -> str:
    """Text and rings."""
    return "#f0ede6" if dark else "#1f2430"


def muted(dark: bool) -> str:
    """Axis titles, hints, the random band."""
    return "#a1a8b6" if dark else "#5f6470"


def grid(dark: bool) -> str:
    return "rgba(255,255,255,0.10)" if dark else "rgba(20,24,40,0.09)"


def page(dark: bool) -> str:
    """The background a transparent figure is designed for; exports paint it."""
    return _rgb(PAGE_COLOURS[dark])


def diverging() -> list[list[Any]]:
    """Plotly colour scale from negative (blue) over 0 (nearly transparent) to positive (orange)."""
    return [[step / 20, _rgba(*_shade(step / 10 - 1))] for step in range(21)]


def diverging_solid(dark: bool) -> list[list[Any]]:
    """The same scale painted on the page's background, for marks that lie above lines."""
    return [[step / 20, solid_colour(step / 10 - 1, dark)] for step in range(21)]


def solid_colour(level: float, dark: bool) -> str:
    """Opaque colour of ``level`` from -1 to 1."""
    (colour, alpha), below = _shade(max(-1.0, min(1.0, level))), PAGE_COLOURS[dark]
    return _rgb(tuple(round(alpha * c + (1 - alpha) * b) for c, b in zip(colour, below, strict=True)))


def on_page(colour: str, opacity: float, dark: bool) -> str:
    """What an ``rgb(...)`` colour of this opacity looks like on the page."""
    parts = (int(part) for part in colour[4:-1].split(","))
    return _rgb(tuple(round(opacity * c + (1 - opacity) * b) for c, b in zip(parts, PAGE_COLOURS[dark], strict=True)))


def text_on(colour: str) -> str:
    """Black or white, whichever reads better on an ``rgb(...)`` colour."""
    red, green, blue = (int(part) for part in colour[4:-1].split(","))
    return "#14161f" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#ffffff"


def sequential(dark: bool) -> list[list[Any]]:
    """For shares from 0 (transparent) to 1: attention."""
    top = (167, 139, 250) if dark else (91, 33, 182)
    return [[0.0, _rgba(top, 0.03)], [0.5, _rgba(top, 0.5)], [1.0, _rgba(top, 1.0)]]


def layers() -> list[list[Any]]:
    """From the first layer to the last: amber over pink to blue, of middling brightness throughout."""
    return [[0.0, "#e0930a"], [0.5, "#c8559b"], [1.0, "#3b6fe0"]]


def fade(hex_colour: str, alpha: float) -> str:
    """``#rrggbb`` as an ``rgba(...)`` string."""
    red, green, blue = (int(hex_colour[i : i + 2], 16) for i in (1, 3, 5))
    return _rgba((red, green, blue), alpha)


def blank(dark: bool, height: int) -> go.Figure:
    """An empty figure in the house style, ``height`` in pixels; its width follows the page."""
    axis = {
        "gridcolor": grid(dark), "zeroline": False, "showline": False, "ticks": "",
        "title": {"font": {"size": 13, "color": muted(dark)}}, "tickfont": {"size": 12, "color": muted(dark)},
    }  # fmt: skip
    template = go.layout.Template(layout={"xaxis": axis, "yaxis": axis})
    return go.Figure(
        layout={
            "template": template,
            "height": height,
            "autosize": True,
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": FONT, "size": 13, "color": ink(dark)},
            "margin": {"l": 56, "r": 24, "t": 24, "b": 48},
            "hovermode": "closest",
            "hoverlabel": {
                "bgcolor": "#1b212c" if dark else "#fdfcf9",
                "bordercolor": muted(dark),
                "font": {"family": FONT, "size": 13, "color": ink(dark)},
                "align": "left",
            },
            "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "bgcolor": "rgba(0,0,0,0)"},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": muted(dark), "activecolor": ink(dark)},
            "dragmode": False,
            "uirevision": "headlight",  # constant: a new figure keeps the reader's zoom and hidden traces
        }
    )


def traces(figure: go.Figure) -> Sequence[Any]:
    """``figure.data``, whose type plotly's stubs do not know."""
    return cast("Sequence[Any]", figure.data)


def colour_bar(name: str, dark: bool, **place: Any) -> dict[str, Any]:
    """A slim horizontal colour bar: beside the plot it would take a third of a phone's width."""
    return {
        "title": {"text": name, "side": "top", "font": {"size": 13, "color": ink(dark)}},
        "orientation": "h", "thickness": 8, "len": 200, "lenmode": "pixels", "outlinewidth": 0,
        "xpad": 0, "ypad": 4, "nticks": 6,
        "tickfont": {"size": 11, "color": muted(dark)}, **place,
    }  # fmt: skip


def hint(figure: go.Figure, text: str, dark: bool, x: float = 0.5, y: float = 0.5) -> None:
    """A quiet sentence where there is nothing to draw; x and y in paper coordinates."""
    figure.add_annotation(
        text=text, x=x, y=y, xref="paper", yref="paper", showarrow=False, font={"size": 14, "color": muted(dark)}
    )


def mode_bar(name: str, image_format: str = "png") -> dict[str, Any]:
    """Plotly's ``config``: the camera saves ``name`` as "png" (at twice the size) or "svg"."""
    return {
        "displaylogo": False,
        "responsive": True,
        "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
        "toImageButtonOptions": {"format": image_format, "filename": name, "scale": 2},
    }


def _shade(level: float) -> tuple[tuple[int, int, int], float]:
    """Colour and opacity of ``level`` from -1 to 1. Both come in fast, so that a few extreme heads do not
    leave all others pale."""
    end = POSITIVE if level > 0 else NEGATIVE
    hue = min(1.0, abs(level) * 3)
    colour = tuple(round(hue * e + (1 - hue) * z) for e, z in zip(end, ZERO, strict=True))
    return (colour[0], colour[1], colour[2]), ZERO_ALPHA + (1 - ZERO_ALPHA) * abs(level) ** 0.75


def _rgba(colour: tuple[int, ...], alpha: float) -> str:
    return f"rgba({colour[0]},{colour[1]},{colour[2]},{alpha:.3g})"


def _rgb(colour: tuple[int, ...]) -> str:
    return f"rgb({colour[0]},{colour[1]},{colour[2]})"
