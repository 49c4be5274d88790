"""Taking the circuit away, and bringing one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from engine.behaviour.roles import Finding, Role
from engine.figures.circuit_tables import circuit_head_rows
from engine.figures.export import circuit_mermaid, figure_html, rows_csv
from engine.figures.tables import edge_rows
from engine.heads import Head
from engine.interchange.graphml import write_graphml
from engine.interchange.mib import write_mib
from engine.interchange.node_link import write_node_link
from engine.interchange.of_run import file_of_run
from engine.prepare import Prepared
from engine.record.circuit_file import CircuitFile, file_record
from engine.record.json_values import dumps
from engine.record.writing import discovery_json
from engine.settings import Settings
from engine.trust.answer_keys import AnswerKey
from pages.circuit import picture
from pages.circuit.shown import SOURCE, SOURCES, Shown
from pages.shared import brought, circuit_facts, job_panel, look, verification_jobs
from pages.shared.brought import Imported
from pages.shared.chart import is_dark

EXPORT_LEAD = (
    "Pictures and the HTML page show the graph as filtered above; the other files hold the whole circuit, with your "
    "names and the roles. EAP-IG and the MIB circuit track read their JSON; there every edge is direct, so live MLPs "
    "hear all heads of the circuit."
)
IMPORT_LEAD = (
    "A run or a circuit of Headlight, a graph of EAP-IG or the MIB circuit track (JSON), GraphML, or networkx "
    "node-link JSON: to look at, with everything above, or to verify on this page’s model and fresh prompts. Nothing "
    "in the file is run."
)


def take_away(
    prepared: Prepared,
    shown: Shown,
    figure: Any,
    redraw: Any,
    names: Mapping[Head, str],
    found: Mapping[Head, tuple[Finding, ...]],
    roles: Mapping[Head, tuple[Role, ...]],
    key: AnswerKey | None,
) -> None:
    look.step(None, "Take it away", EXPORT_LEAD)
    dark, circuit = is_dark(), shown.circuit  # read here: downloads are made outside a script run
    texts = {head: ", ".join(each) for head, each in roles.items()}
    file = _file(prepared, shown, names, texts)
    picture.buttons("circuit_map", "circuit", dark, redraw)
    with st.container(horizontal=True, key="circuit_downloads"):
        look.download("Graph as HTML", lambda: figure_html(figure, "Circuit", dark), "circuit.html", "text/html")
        look.download("GraphML", lambda: write_graphml(file), "circuit.graphml", "application/xml")
        look.download("Mermaid", lambda: circuit_mermaid(circuit, names, texts), "circuit.mmd", "text/plain")
        as_json = partial(_circuit_json, shown, prepared.settings, file)
        look.download("Circuit as JSON", as_json, "circuit.json", JSON)
        look.download("Node-link JSON", lambda: write_node_link(file), "circuit-node-link.json", JSON)
        if file.d_model is not None:
            look.download("EAP-IG / MIB JSON", lambda: write_mib(file), "circuit-mib.json", JSON)
        if (run := shown.found) is not None:
            look.download(
                "Whole run as JSON", lambda: dumps(discovery_json(prepared.model, run)), "headlight-run.json", JSON
            )
        look.download("Edges as CSV", lambda: rows_csv(edge_rows(circuit)), "circuit-edges.csv", "text/csv")
        key_roles = key.roles if key is not None else None
        look.download(
            "Heads as CSV", lambda: rows_csv(circuit_head_rows(circuit, names, roles, found, key_roles)),
            "circuit-heads.csv", "text/csv",
        )  # fmt: skip


JSON = "application/json"


def _file(prepared: Prepared, shown: Shown, names: Mapping[Head, str], roles: Mapping[Head, str]) -> CircuitFile:
    """The circuit with this page's names and roles; a file's keeps saying what it is of."""
    own = shown.found.settings if shown.found is not None else prepared.settings
    here = file_of_run(prepared.model, own, shown.circuit, names, roles)
    if shown.file is None:
        return here
    brought_file = replace(shown.file, names=names, roles=roles)
    if brought_file.d_model is None and shown.fits:
        return replace(brought_file, d_model=here.d_model, parallel_mlps=here.parallel_mlps)
    return brought_file


def _circuit_json(shown: Shown, settings: Settings, file: CircuitFile) -> str:
    """The circuit alone; where a file does not say what it is of, this page's model and task stand in."""
    model = file.model or (settings.model if shown.fits else "unknown")
    record = file_record(replace(file, model=model, task=file.task or settings.task))
    return json.dumps(record, ensure_ascii=False, allow_nan=False, indent=1)


def bring(prepared: Prepared, settings: Settings) -> None:
    look.step(None, "Bring a circuit", IMPORT_LEAD)
    brought.uploader("circuit_upload", prepared, _show_file)
    here = brought.imported()
    if here is None:
        return
    look.note(f"{here.name} is kept while this tab is open. Switch at the top of the page.")
    st.button("Remove the file’s circuit", key="remove_import", icon=":material/delete:", on_click=_remove)
    _verify(prepared, settings, here)


def _show_file() -> None:
    st.session_state[SOURCE] = SOURCES[1]


def _remove() -> None:
    brought.remove()
    st.session_state.pop(SOURCE, None)


def _verify(prepared: Prepared, settings: Settings, here: Imported) -> None:
    file = here.file
    if not file.circuit.heads:
        look.note("It has no heads, so there is nothing to verify.")
        return
    if file.circuit.mlps:
        look.note("Verified are its heads alone, with every MLP live.")
    problem = brought.misfit(prepared, file)
    if problem is not None:
        look.note(problem)
    if not brought.has_heads(prepared, file.circuit):
        return
    seed = brought.fresh_seed(settings.seed, file)
    heads = file.circuit.heads
    job = verification_jobs.verify_job(settings, heads, seed)
    if job is None:
        st.button(
            "Verify on this model and task", key="verify_import", type="primary", icon=":material/fact_check:",
            on_click=lambda: verification_jobs.start_verify(settings, heads, seed) and None,
        )  # fmt: skip
        return
    shot = job.snapshot()
    if shot.state.live:
        job_panel.watch(job, "verify", "Verifying the circuit of the file")
    elif shot.result is None:
        job_panel.problem(shot, "verify", lambda: verification_jobs.start_verify(settings, heads, seed))
    else:
        size = look.Fact("Size", f"{len(heads)}", f"of {file.circuit.n_layers * file.circuit.n_heads} heads")
        look.facts([size, *circuit_facts.truth(shot.result, prepared.custom)])
