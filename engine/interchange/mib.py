"""A circuit as the graph JSON of EAP-IG (Hanna et al. 2024) and of the MIB circuit track (Mueller et al. 2025).

    {"cfg": {"n_layers": 12, "n_heads": 12, "parallel_attn_mlp": false, "d_model": 768},
     "nodes": {"input": {"in_graph": true}, "a0.h0": {"in_graph": false}, "m0": …, "logits": …},
     "edges": {"a9.h9->logits": {"score": 0.8, "in_graph": true}, "a2.h2->a9.h9<q>": …}}

1. Every node of the model, and the edges in the graph: their reader takes all others for edges left out.
2. A score of theirs is the change of a loss as an edge is corrupted, so positive helps; an effect is the change of the
   metric, so negative helps. The sign is turned: score = -effect, in our units (1 = clean - corrupted).
3. What runs whatever the circuit says, with score 0 and the mark "always": the embedding into every node, and, where
   MLPs are no nodes of the circuit, every MLP with its edges. Their evaluation takes out every node that nothing
   leads to, which would be all of them.
4. An object "headlight" (model, task, seed, names, roles) and the mark "shared" of a k or v edge that stands for a KV
   head. Their reader passes over marks it does not know. With them a file reads back as it was written
   (engine/interchange/mib_reading.py); another tool that writes the file again drops them.

What the format cannot hold: that a live MLP passes a sender on to some receivers and not to others. Each of their
edges is direct, so a circuit without MLPs as nodes is another quantity there: its MLPs hear every head of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from engine.circuit import LOGITS_NODE, Circuit, Edge, Input
from engine.errors import HeadlightError
from engine.heads import Head
from engine.interchange.plain_graph import INPUT_NODE
from engine.nodes import Mlp, Node
from engine.record.circuit_file import CircuitFile, Json, printable
from engine.record.writing import SCHEMA

OURS, ALWAYS, SHARED = "headlight", "always", "shared"
LETTERS = (Input.Q, Input.K, Input.V)


def write_mib(file: CircuitFile) -> str:
    """The circuit for EAP-IG and the MIB circuit track; raises HeadlightError if the file does not say d_model."""
    circuit = file.circuit
    if file.d_model is None:
        raise HeadlightError(
            "The MIB format holds the width of the model, d_model, and this circuit's file does not say it. Give it, "
            "such as 768 for GPT-2 small."
        )
    nodes: Json = {node_in_mib(node): {"in_graph": False} for node in _everyone(circuit)}
    nodes |= {node_in_mib(node): {"in_graph": True} for node in circuit.nodes}
    nodes |= {name: {"in_graph": True, ALWAYS: True} for name in (INPUT_NODE, *map(str, _live_mlps(circuit)))}
    record = {
        "cfg": {
            "n_layers": circuit.n_layers,
            "n_heads": circuit.n_heads,
            "parallel_attn_mlp": file.parallel_mlps,
            "d_model": file.d_model,
        },
        "nodes": {INPUT_NODE: nodes.pop(INPUT_NODE), **nodes, LOGITS_NODE: {"in_graph": True}},
        "edges": {edge_in_mib(edge.sender, edge.receiver, edge.input): _entry(edge) for edge in circuit.edges}
        | {name: {"score": 0.0, "in_graph": True, ALWAYS: True} for name in _always(file)},
        OURS: _ours(file),
    }
    return json.dumps(record, ensure_ascii=False, allow_nan=False)


def node_in_mib(node: Node) -> str:
    """``a9.h6`` or ``m9``."""
    return f"a{node.layer}.h{node.index}" if isinstance(node, Head) else str(node)


def edge_in_mib(sender: Node | str, receiver: Node | None, entry: Input) -> str:
    """``a2.h2->a9.h9<q>``, ``a2.h2->m9`` or ``a9.h9->logits``."""
    start = sender if isinstance(sender, str) else node_in_mib(sender)
    letter = f"<{entry.value}>" if entry in LETTERS else ""
    return f"{start}->{LOGITS_NODE if receiver is None else node_in_mib(receiver)}{letter}"


def _entry(edge: Edge) -> Json:
    return {"score": -edge.effect, "in_graph": True} | ({SHARED: True} if edge.shared else {})


def _everyone(circuit: Circuit) -> Iterator[Node]:
    """Every node of the model, in their order."""
    for layer in range(circuit.n_layers):
        yield from (Head(layer, index) for index in range(circuit.n_heads))
        yield Mlp(layer)


def _live_mlps(circuit: Circuit) -> tuple[Mlp, ...]:
    """All of them where none is a node: then every MLP is part of every path."""
    return () if circuit.mlps else tuple(map(Mlp, range(circuit.n_layers)))


def _always(file: CircuitFile) -> Iterator[str]:
    """The names of the edges that no circuit leaves out."""
    heads, live = file.circuit.heads, _live_mlps(file.circuit)
    for node in (*file.circuit.nodes, *live):
        entries = LETTERS if isinstance(node, Head) else (Input.MLP,)
        yield from (edge_in_mib(INPUT_NODE, node, entry) for entry in entries)
    yield edge_in_mib(INPUT_NODE, None, Input.LOGITS)
    for mlp in live:
        below = [head for head in heads if head.layer < mlp.layer + (not file.parallel_mlps)]
        yield from (edge_in_mib(sender, mlp, Input.MLP) for sender in (*below, *live[: mlp.layer]))
        above = (head for head in heads if head.layer > mlp.layer)
        yield from (edge_in_mib(mlp, head, entry) for head in above for entry in LETTERS)
        yield edge_in_mib(mlp, None, Input.LOGITS)


def _ours(file: CircuitFile) -> Json:
    known = {"schema": SCHEMA, "model": printable(file.model), "task": printable(file.task), "seed": file.seed}
    texts = {
        kind: {str(head): printable(text) for head, text in sorted(by_head.items())}
        for kind, by_head in (("names", file.names), ("roles", file.roles))
    }
    return {key: value for key, value in known.items() if value is not None} | texts
