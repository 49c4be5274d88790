"""The grid of thresholds: what each pair gives, and which was taken."""

from __future__ import annotations

from html import escape

import streamlit as st

from engine.discovery import Discovery
from engine.figures.export import rows_csv
from engine.figures.tables import grid_rows
from engine.search.grid import Grid, GridPoint
from pages.shared import look
from pages.shared.glossary import term


def show(found: Discovery) -> None:
    """Nothing, unless the search tried the grid and finished."""
    if found.grid is None:
        return
    st.markdown("##### The grid of thresholds")
    chosen = found.grid.taken.thresholds
    look.lead(
        f"Of the {term('grid', '16 pairs')}, s {chosen.scale:g} with smallest effect {chosen.min_effect:g} was taken: "
        f"{escape(found.grid.reason)}. {term('performance', 'Performance')} here is on the {len(found.prompts)} pairs "
        f"the circuit was found on.{_how_sure(found.grid)}"
    )
    st.html(_table(found.grid))
    with st.expander("The grid as a list, and downloads", key="twin_grid"):
        rows = grid_rows(found.grid)
        performance = st.column_config.NumberColumn("performance %", format="%.1f")
        st.dataframe(rows, hide_index=True, height=320, column_config={"performance %": performance})
        look.download("Grid as CSV", lambda: rows_csv(rows), "grid.csv", "text/csv")


def _how_sure(grid: Grid) -> str:
    """Screened, only what is taken is searched exactly."""
    if not any(point.estimated for point in grid.points):
        return ""
    return f" It was searched again with {term('exact')} effects; the others rest on {term('estimate', 'estimates')}."


def _table(grid: Grid) -> str:
    """Scales downward, smallest effects to the right."""
    points = {(point.thresholds.scale, point.thresholds.min_effect): point for point in grid.points}
    scales, effects = (list(dict.fromkeys(key[axis] for key in points)) for axis in (0, 1))
    taken = grid.points[grid.chosen]
    head = "".join(f'<th scope="col">{effect:g}</th>' for effect in effects)
    rows = "".join(
        f'<tr><th scope="row">{scale:g}</th>{"".join(_cell(points[scale, effect], taken) for effect in effects)}</tr>'
        for scale in scales
    )
    return (
        '<table class="hl-table hl-grid"><thead>'
        f'<tr><th rowspan="2">scale s</th><th colspan="{len(effects)}">smallest effect</th></tr><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _cell(point: GridPoint, taken: GridPoint) -> str:
    mark, label = (' class="taken"', "<i>taken</i>") if point is taken else ("", "")
    size = f"<span>{look.count(point.size, 'head')},</span> <span>{look.count(point.edges, 'edge')}</span>"
    return f"<td{mark}><b>{look.number(point.performance, 0)} %</b>{size}{label}</td>"
