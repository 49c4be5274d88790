"""Figures, tables and circuits as files a reader can look at; engine/interchange/ has those that tools read back.

PNG and SVG come from the camera in the figure's own mode bar (theme.mode_bar).
"""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from engine.circuit import Circuit
from engine.figures import theme
from engine.figures.tables import Row
from engine.heads import Head
from engine.nodes import Node

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title></head>
<body style="margin:0;padding:16px;background:{background};color:{ink};font-family:{font}">
<h1 style="font-size:18px;font-weight:600;margin:0 0 8px">{title}</h1>
{figure}
</body>
</html>
"""


def figure_html(figure: go.Figure, title: str, dark: bool) -> str:
    """A page of its own that works without a network: plotly.js is inside (several megabytes)."""
    alone = go.Figure(figure)
    for slider in alone.layout.sliders:  # pyright: ignore[reportAttributeAccessIssue]
        for step in slider.steps:
            step.execute = True  # nobody but Plotly moves it there
    body = alone.to_html(full_html=False, include_plotlyjs=True, config=theme.mode_bar(_file_name(title)))
    return PAGE.format(
        title=html.escape(title), background=theme.page(dark), ink=theme.ink(dark), font=theme.FONT, figure=body
    )


def rows_csv(rows: Sequence[Row]) -> str:
    """Rows of tables.py as CSV with a header line; None becomes an empty field, no rows an empty text."""
    if not rows:
        return ""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def circuit_mermaid(
    circuit: Circuit, names: Mapping[Head, str] | None = None, roles: Mapping[Head, str] | None = None
) -> str:
    """The circuit as a Mermaid flowchart, for Markdown that draws it: layers upward, strongest edges first.

    A dotted arrow is an edge whose patch raises the metric.
    """
    lines = ["flowchart BT"]
    for layer in sorted({node.layer for node in circuit.nodes}):
        lines.append(f'  subgraph layer{layer}["layer {layer}"]')
        for node in (each for each in circuit.nodes if each.layer == layer):
            own = ((names or {}).get(node), (roles or {}).get(node)) if isinstance(node, Head) else ()
            texts = "<br>".join(_mermaid_text(text) for text in (str(node), *own) if text)
            lines.append(f'    {_node(node)}["{texts}"]')
        lines.append("  end")
    lines.append('  logits["logits"]')
    for edge in sorted(circuit.edges, key=lambda edge: -abs(edge.effect)):
        to = "logits" if edge.receiver is None else _node(edge.receiver)
        arrow = "-.->" if edge.effect > 0 else "-->"
        lines.append(f'  {_node(edge.sender)} {arrow}|"{edge.input.value} {edge.effect:+.3f}"| {to}')
    return "\n".join(lines) + "\n"


def _node(node: Node) -> str:
    return f"h{node.layer}_{node.index}" if isinstance(node, Head) else str(node)


def _mermaid_text(text: str) -> str:
    """Mermaid reads entities by number, and little else, between quotes."""
    return "".join(c if c.isalnum() or c in " .,-+" else f"#{ord(c)};" for c in text)


def _file_name(title: str) -> str:
    return "-".join("".join(c if c.isalnum() or c == "." else " " for c in title.lower()).split()) or "figure"
