"""Reads the graph JSON of EAP-IG and of the MIB circuit track; engine/interchange/mib.py says what stands in it.

1. Newer files say {"in_graph": …, "score": …} of a node, older ones true or false; nodes may be missing. An edge may
   have no score (null, NaN). Marks and scores decide what the circuit is (engine/interchange/mib_choice.py).
2. effect = -score, in the units of the file: a change of its loss, not f. That is said in a note, unless Headlight
   wrote the file.
3. The embedding and its edges are left out and counted. An edge without a score has the effect 0, and is counted.
4. MLPs are nodes, as there: their edges are direct.
5. Their q, k and v are each query head's own, so no edge is marked as shared, unless Headlight wrote the file. In a
   model with grouped KV heads an evaluation of edges joins what is listed for the heads of a group.
6. A node of which a file marks single neurons is taken whole, and counted.

Files written by torch.save (.pt) are not read: opening one can run code.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from engine.circuit import LOGITS_NODE, Input
from engine.errors import HeadlightError
from engine.interchange.mib import ALWAYS, OURS, SHARED
from engine.interchange.mib_choice import Link, Mark, chosen_links, chosen_nodes
from engine.interchange.plain_graph import INPUT_NODE, circuit_among, embedding_note, no_effect_note, node_name
from engine.record.circuit_file import (
    WAY_ON,
    CircuitFile,
    Json,
    each_once,
    is_number,
    names_of,
    read_json,
    seed_of,
    shape_of,
    short,
    text_of,
    width_of,
)

STRONGEST = 100
NODE = r"(input|logits|m\d{1,4}|a\d{1,4}\.h\d{1,4})"
NAME = re.compile(NODE, re.ASCII)
EDGE = re.compile(rf"{NODE}->{NODE}(?:<([qkv])>)?", re.ASCII)


def is_mib(record: Any) -> bool:
    """Whether a JSON value looks like a graph in this form."""
    return isinstance(record, dict) and isinstance(record.get("cfg"), dict) and "edges" in record


def read_mib(data: bytes, strongest: int = STRONGEST) -> CircuitFile:
    """The circuit of a file's bytes; raises HeadlightError for anything else.

    ``strongest``: how many edges (or nodes) are taken where the file marks none.
    """
    return mib_in(read_json(data, each_once), strongest)


def mib_in(record: Any, strongest: int = STRONGEST) -> CircuitFile:
    """The circuit of a JSON value."""
    if not is_mib(record):
        raise HeadlightError(f"Expected a JSON object with cfg, nodes and edges, got {short(record)}. {WAY_ON}")
    if strongest < 1:
        raise HeadlightError(f"Expected at least 1 edge to take, got {strongest}. Ask for 10 to 1000.")
    marks, links = _marks(record.get("nodes", {})), _links(record["edges"])
    chosen, notes = chosen_links(links, strongest)
    if any(link.marked for link in chosen):
        nodes = tuple(name for name, mark in marks.items() if mark.marked)
    elif chosen:
        nodes = ()
    else:
        nodes, notes = chosen_nodes(marks, strongest)
    inner = [link for link in chosen if link.sender != INPUT_NODE]
    if INPUT_NODE in (*marks, *(link.sender for link in links)):
        notes = (*notes, embedding_note(len(chosen) - len(inner)))
    notes = (*notes, *_neuron_notes(record.get("nodes", {})), *_score_notes(inner, OURS not in record))
    return _file(record, [*nodes, *(end for link in chosen for end in (link.sender, link.receiver))], inner, notes)


def _file(record: Json, nodes: Sequence[str], links: Sequence[Link], notes: tuple[str, ...]) -> CircuitFile:
    cfg, ours = record["cfg"], record.get(OURS, {})
    if not isinstance(ours, dict):
        raise HeadlightError(f"Expected an object for {OURS}, got {short(ours)}. {WAY_ON}")
    inside = [name for name in nodes if name not in (INPUT_NODE, LOGITS_NODE)]
    circuit = circuit_among(inside, [_edge(link) for link in links], *shape_of({"model_shape": cfg}))
    return CircuitFile(
        model=text_of(ours, "model") if "model" in ours else None,
        task=text_of(ours, "task") if "task" in ours else None,
        seed=seed_of(ours),
        circuit=circuit,
        names=names_of(ours.get("names"), circuit),
        roles=names_of(ours.get("roles"), circuit),
        notes=notes,
        d_model=width_of(cfg),
        parallel_mlps=cfg.get("parallel_attn_mlp") is True,
    )


def _marks(nodes: Any) -> dict[str, Mark]:
    """By our names; what a file of our own marks as always there is left out."""
    if not isinstance(nodes, dict):
        raise HeadlightError(f"Expected an object of nodes, got {short(nodes)}. {WAY_ON}")
    marks = {}
    for name, entry in nodes.items():
        if NAME.fullmatch(name) is None:
            raise HeadlightError(f"A node is called {short(name)}; expected input, logits, a0.h0 or m0. {WAY_ON}")
        given = entry if isinstance(entry, dict) else {"in_graph": entry}
        if given.get(ALWAYS) is not True:
            where = f"node {name}"
            marks[node_name(name) or name] = Mark(_flag(given.get("in_graph", False), where), _score(given, where))
    return marks


def _links(edges: Any) -> list[Link]:
    if not isinstance(edges, dict):
        raise HeadlightError(f"Expected an object of edges, got {short(edges)}. {WAY_ON}")
    return [
        _link(name, entry)
        for name, entry in edges.items()
        if not isinstance(entry, dict) or entry.get(ALWAYS) is not True
    ]


def _link(name: str, entry: Any) -> Link:
    where, found = f"edge {short(name)}", EDGE.fullmatch(name)
    if found is None or found[2] == INPUT_NODE or found[1] == LOGITS_NODE or (found[3] is None) == (found[2][0] == "a"):
        raise HeadlightError(
            f"An edge is called {short(name)}; expected a0.h0->a1.h1<q>, with q, k or v, a0.h0->m0 or a0.h0->logits. "
            f"{WAY_ON}"
        )
    if not isinstance(entry, dict):
        raise HeadlightError(f"Expected an object with score and in_graph for {where}, got {short(entry)}. {WAY_ON}")
    sender, receiver = (node_name(end) or end for end in (found[1], found[2]))
    marked, shared = _flag(entry.get("in_graph", False), where), entry.get(SHARED) is True
    return Link(sender, receiver, found[3], _score(entry, where), marked, shared)


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise HeadlightError(f"Expected true or false for in_graph of {where}, got {short(value)}. {WAY_ON}")
    return value


def _score(entry: Mapping[str, Any], where: str) -> float | None:
    """None where there is none; raises HeadlightError for infinity and what is no number."""
    value = entry.get("score")
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if not is_number(value):
        raise HeadlightError(f"Expected a number for the score of {where}, got {short(value)}. {WAY_ON}")
    return float(value)


def _edge(link: Link) -> Json:
    only = Input.LOGITS if link.receiver == LOGITS_NODE else Input.MLP
    return {
        "sender": link.sender,
        "receiver": link.receiver,
        "input": link.letter or only.value,
        "effect": 0.0 if link.score is None else -link.score,
        "shared": link.shared,
    }


def _score_notes(links: Sequence[Link], foreign: bool) -> tuple[str, ...]:
    without = sum(link.score is None for link in links)
    scored = foreign and without < len(links)
    turned = ("Effects are the scores of the file with the sign turned, in its own units.",) if scored else ()
    return (*turned, *((no_effect_note(without),) if without else ()))


def _neuron_notes(nodes: Json) -> tuple[str, ...]:
    listed = (node.get("neurons") for node in nodes.values() if isinstance(node, dict))
    single = sum(isinstance(neurons, list) and not all(neurons) for neurons in listed)
    return (f"Nodes of which single neurons are marked: {single:,}. They are taken whole.",) if single else ()
