"""Receipts: what one head or edge does on fresh prompts, beside a control, and what that says to the circuit."""

from __future__ import annotations

import streamlit as st

from engine.circuit import Circuit
from engine.discovery import Discovery
from engine.evaluation.bootstrap import DRAWS
from engine.figures.export import figure_html, rows_csv
from engine.figures.receipts import receipt_rows, receipts_figure
from engine.heads import Head
from engine.prepare import Prepared
from engine.record.json_values import dumps
from engine.record.trust_record import receipts_json
from engine.settings import Settings
from engine.trust.claim import Target
from engine.trust.overlap import EdgeName, name_of
from engine.trust.receipt import Receipts
from pages.shared import brought, edges, job_panel, look, state, verification_jobs
from pages.shared.chart import chart, drawn, is_dark
from pages.shared.glossary import term
from pages.shared.view import View
from pages.verification import numbers, receipt_card, subject

LEAD = (
    f"A {term('causal receipt')} for one head or edge: what breaks without it on prompts the search never saw, beside "
    "a head of the same layer that is as loud but not in the circuit."
)
MOST_DRAWN = 20


def show(prepared: Prepared, settings: Settings, circuit: Circuit, found: Discovery | None) -> None:
    view, own = state.current(), settings if found is None else found.settings
    st.html('<div id="receipt"></div>')
    look.step(None, "A receipt for one head or edge", LEAD)
    if circuit.mlps:
        look.empty("Only for circuits of heads", "Search without MLPs as nodes to get receipts.")
        return
    target = _choose(prepared, circuit, view)
    seed = _seed(own, view)
    if target is not None:
        _receipt(own, circuit, target, view, seed)
    _past(own, circuit, target)


def _seed(settings: Settings, view: View) -> int:
    """Of prompts that the circuit was not found on."""
    file = brought.imported()
    if view.subject == subject.FILE and file is not None:
        return brought.fresh_seed(settings.seed, file.file)
    return settings.report_seed


def _choose(prepared: Prepared, circuit: Circuit, view: View) -> Target | None:
    """A head of the model, or an edge of the circuit; those of the link are there whatever the circuit says."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="receipt_choice"):
        of = _kind(circuit, view)
        state.show("receipt_of", of)
        st.segmented_control(
            "For a", ("head", "edge"), required=True, disabled=not (circuit.edges or view.edge),
            **state.bound("receipt_of"),
        )  # fmt: skip
        if of == "edge":
            return _edge(prepared, circuit, view)
        return _head(prepared, circuit, view)


def _kind(circuit: Circuit, view: View) -> str:
    if view.receipt_of != "auto":
        return view.receipt_of if circuit.edges or view.edge else "head"
    return "edge" if view.edge and not view.head else "head"


def _head(prepared: Prepared, circuit: Circuit, view: View) -> Head | None:
    model = prepared.model
    chosen = state.selected_head(model.n_layers, model.n_heads)
    others = (Head(layer, index) for layer in range(model.n_layers) for index in range(model.n_heads))
    mine = {str(head) for head in circuit.heads}
    names = list(dict.fromkeys([*map(str, circuit.heads), *map(str, others)]))
    st.session_state["receipt_head"] = str(chosen) if chosen is not None else None
    st.selectbox(
        "Head", names, key="receipt_head", placeholder="of the circuit first, then all others", width=320,
        format_func=lambda name: name if name in mine else f"{name} · not in the circuit",
        on_change=lambda: state.change(head=st.session_state["receipt_head"], receipt_of="head"),
    )  # fmt: skip
    if view.head and chosen is None:
        look.note(f"There is no head {view.head} in this model.")
    return chosen


def _edge(prepared: Prepared, circuit: Circuit, view: View) -> EdgeName | None:
    known = {name: name_of(edge) for name, edge in edges.by_name(circuit).items()}
    titles = {name: edges.title(name, edge) for name, edge in edges.by_name(circuit).items()}
    if view.edge and view.edge not in known and (other := _of_link(prepared, view.edge)) is not None:
        known[view.edge], titles[view.edge] = other, f"{view.edge.replace('-', ' → ')} · not in the circuit"
    st.session_state["receipt_edge"] = view.edge if view.edge in known else None
    st.selectbox(
        "Edge", list(known), key="receipt_edge", placeholder="strongest first", format_func=titles.__getitem__,
        width=320, on_change=lambda: state.change(edge=st.session_state["receipt_edge"], receipt_of="edge"),
    )  # fmt: skip
    if view.edge and view.edge not in known:
        look.note(f"This model has no edge {view.edge}: both heads must be there, the sender below the receiver.")
    return known.get(view.edge or "")


def _of_link(prepared: Prepared, name: str) -> EdgeName | None:
    """An edge that the model has, in the circuit or not."""
    sender, _, entry = name.partition("-")
    receiver, _, letter = entry.rpartition(".")
    if "m" in sender + receiver:  # an MLP
        return None
    ends = [Head.parse(sender), *([Head.parse(receiver)] if receiver else [])]
    inside = all(head.layer < prepared.model.n_layers and head.index < prepared.model.n_heads for head in ends)
    if not inside or (receiver and ends[0].layer >= ends[1].layer):
        return None
    return (ends[0], ends[1], letter) if receiver else (ends[0], None, "logits")


def _receipt(own: Settings, circuit: Circuit, target: Target, view: View, seed: int) -> None:
    ablation = numbers.ablation_of(view)
    job = verification_jobs.receipt_job(own, circuit, target, ablation, seed)

    def start() -> None:
        verification_jobs.start_receipt(own, circuit, target, ablation, seed)

    if job is None:
        with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
            st.button(
                "Get a receipt", key="start_receipt", type="primary", icon=":material/receipt_long:", on_click=start
            )
            how = f"{ablation.value} ablation" if isinstance(target, Head) else "exact path patching"
            look.note(f"Seconds. By {how}, on prompts of seed {seed}, {DRAWS:,} drawings of the pairs.")
        return
    shot = job.snapshot()
    if shot.state.live:
        job_panel.watch(job, "receipt", "Measuring it and its control")
    elif shot.result is None:
        job_panel.problem(shot, "receipt", start)
    else:
        receipt_card.show(shot.result)


def _past(own: Settings, circuit: Circuit, target: Target | None) -> None:
    """All receipts of this circuit, the newest first."""
    shots = [job.snapshot() for job in verification_jobs.receipt_jobs(own, circuit)]
    done = [shot.result for shot in shots if shot.result is not None]
    if not done or (len(done) == 1 and done[0].receipts[0].target == target):
        _offer_downloads(done)
        return
    st.markdown(f"##### All {len(done)} receipts of this circuit")
    look.note("Newest first. Filled is the effect, hollow its control; bars are 95 % intervals, n as in the table.")
    dark, shown = is_dark(), tuple(each.receipts[0] for each in done[:MOST_DRAWN])
    figure = drawn(receipts_figure, shown, dark)
    chart(figure, "receipts", f"Effects and controls of {len(shown)} receipts", identity=(own, circuit))
    if len(done) > MOST_DRAWN:
        look.note(f"Drawn: the newest {MOST_DRAWN}; the table has all.")
    with st.expander("All receipts as a table, and downloads", key="twin_receipts", expanded=True):
        st.dataframe(receipt_rows(done), hide_index=True, height=min(320, 38 + 35 * len(done)))
        with st.container(horizontal=True):
            look.download("Figure as HTML", lambda: figure_html(figure, "Receipts", dark), "receipts.html", "text/html")
            _buttons(done)


def _offer_downloads(done: list[Receipts]) -> None:
    if done:
        with st.container(horizontal=True):
            _buttons(done)


def _buttons(done: list[Receipts]) -> None:
    look.download("Receipts as CSV", lambda: rows_csv(receipt_rows(done)), "receipts.csv", "text/csv")
    look.download(
        "Receipts as JSON", lambda: dumps({"receipts": [receipts_json(each) for each in done]}), "receipts.json",
        "application/json",
    )  # fmt: skip
