"""The race while it runs: one pair of bars on the same scale, and a lane for each contestant."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from engine.circuit import Circuit, union
from engine.cost.ledger import CostRow
from engine.prepare import Prepared
from pages.race import lane as one
from pages.race.before import estimate
from pages.race.contestants import Lane, lanes_of
from pages.shared import look

POLL_SECONDS = 1.0
SCALE = "Work booked so far, both on one scale. The mark is where each will probably end; pruning is booked to APP."


def show(prepared: Prepared, lanes: tuple[Lane, Lane]) -> None:
    """Follow both until neither is live; the whole page runs again then."""
    pair = (lanes[0].contestant, lanes[1].contestant)
    rough = [_flops(estimate(prepared, lane).likely) for lane in lanes]

    @st.fragment(run_every=POLL_SECONDS, key="race")
    def poll() -> None:
        now = lanes_of(pair)
        if not any(lane.live for lane in now):
            st.rerun(scope="app")
        look.step(None, "The race", SCALE)
        st.html(f'<div class="hl-race">{_bars(prepared, now, rough)}</div>')
        among = all_found(now)
        for column, lane in zip(st.columns(2, gap="medium"), now, strict=True):
            with column:
                one.show(prepared, lane, among)

    poll()


def all_found(lanes: tuple[Lane, Lane]) -> Circuit | None:
    """What either has found."""
    first, second = (one.circuit_of(lane) for lane in lanes)
    if first is None or second is None:
        return first or second
    return union(first, second)


def _bars(prepared: Prepared, lanes: tuple[Lane, Lane], rough: Sequence[float]) -> str:
    ends = [_end(lane, before) for lane, before in zip(lanes, rough, strict=True)]
    booked = [lane.shot.flops if lane.shot is not None else 0.0 for lane in lanes]
    most = max(*ends, *booked) or 1.0
    return "".join(
        _bar(lane, done / most, end / most, done / one.pass_flops(prepared), end / one.pass_flops(prepared))
        for lane, done, end in zip(lanes, booked, ends, strict=True)
    )


def _end(lane: Lane, rough: float) -> float:
    """FLOPs of the whole run: what was booked once it is over, until then what is predicted."""
    if lane.shot is None:
        return 0.0
    return (_flops(lane.shot.predicted) or rough) if lane.live else lane.shot.flops


def _flops(rows: Sequence[CostRow]) -> float:
    return sum(row.flops for row in rows)


def _bar(lane: Lane, done: float, end: float, passes: float, whole: float) -> str:
    words = f"{passes:,.0f} of ≈ {whole:,.0f} passes" if whole and lane.live else f"{passes:,.0f} passes"
    mark = f'<i style="left:calc({100 * end:.1f}% - 2px)"></i>' if end else ""
    title = escape(lane.contestant.title)
    return (
        f'<b>{title}</b><div class="track" role="progressbar" aria-label="{title}" aria-valuenow="{100 * done:.0f}">'
        f'<div class="{lane.contestant.name}" style="width:{100 * min(done, 1.0):.1f}%"></div>{mark}</div>'
        f"<span>{words}</span>"
    )
