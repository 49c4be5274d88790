"""A sweep as a grid: a row for each task of a model, a column for each method. Our own HTML, what is quoted escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from statistics import fmean

from engine.sweep.state import SweepState, SweepUnit, UnitState
from pages.shared import look
from pages.shared.job_names import model_title, task_title

DIGITS = {"faithfulness": 3, "performance": 1, "heads": 1, "edges": 1, "seconds": 1}


def grid_html(sweep: SweepState, number: str) -> str:
    """Each cell with the mean of ``number`` over the seeds done, and how many those are."""
    spec = sweep.spec
    methods = [method.name for method in spec.methods]
    head = "".join(f"<th>{escape(name)}</th>" for name in methods)
    several = len(spec.models) > 1
    rows = []
    for model in spec.models:
        for task in spec.tasks:
            title = escape(task_title(task)) + (f"<small> {escape(model_title(model))}</small>" if several else "")
            cells = "".join(_cell(_units(sweep, model, task, method), number) for method in methods)
            rows.append(f'<tr><th scope="row">{title}</th>{cells}</tr>')
    return (
        f'<div class="hl-scroll"><table class="hl-table hl-grid hl-sweep"><thead><tr><th>task</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _units(sweep: SweepState, model: str, task: str, method: str) -> list[SweepUnit]:
    """The runs of one cell, without their resamples."""
    place = (model, task, method)
    return [
        unit for unit in sweep.units if (unit.model, unit.task, unit.method) == place and unit.resample is None
    ]


def _cell(units: Sequence[SweepUnit], number: str) -> str:
    done = [unit for unit in units if unit.state is UnitState.DONE]
    failed = [unit for unit in units if unit.state is UnitState.FAILED]
    values = [unit.numbers[number] for unit in done if number in unit.numbers]
    digits = 0 if values and all(value == int(value) for value in values) and len(values) == 1 else DIGITS[number]
    shown = look.number(fmean(values), digits) if values else "–"
    words = f"{len(done)} of {len(units)}" + (f", {len(failed)} failed" if failed else "")
    reason = f' title="{escape(failed[0].error)}"' if failed else ""
    kind = "bad" if failed else "done" if len(done) == len(units) else "waiting"
    return f'<td class="{kind}"{reason}><b>{shown}</b><span>{words}</span></td>'
