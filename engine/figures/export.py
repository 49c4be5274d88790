"""Figures, tables and circuits as files a reader can take away.

PNG and SVG come from the camera in the figure's own mode bar (theme.mode_bar).
"""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Sequence

import networkx as nx
import plotly.graph_objects as go

from engine.circuit import Circuit, to_networkx
from engine.figures import theme
from engine.figures.tables import Row, edge_rows

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
    body = figure.to_html(full_html=False, include_plotlyjs=True, config=theme.mode_bar(_file_name(title)))
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


def circuit_graphml(circuit: Circuit) -> str:
    """The circuit for Gephi, yEd, Cytoscape or networkx: edges carry input, effect and shared."""
    return "\n".join(nx.generate_graphml(to_networkx(circuit)))


def circuit_json(circuit: Circuit) -> str:
    """Heads and edges, strongest first, with the shape of the model."""
    content = {
        "n_layers": circuit.n_layers,
        "n_heads": circuit.n_heads,
        "heads": [str(head) for head in circuit.heads],
        "edges": edge_rows(circuit),
    }
    return json.dumps(content, indent=1)


def _file_name(title: str) -> str:
    return "-".join("".join(c if c.isalnum() or c == "." else " " for c in title.lower()).split()) or "figure"
