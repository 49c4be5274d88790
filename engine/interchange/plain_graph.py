"""A circuit as any graph library holds one: nodes and edges with attributes, and some attributes of the whole.

Written (``graph_of``):

1. Attributes of the graph: schema, model, task, seed, n_layers, n_heads, d_model, parallel_mlps; what is not known is
   left out.
2. A node a head (``9.6``, with layer and index, and name and role where it has them), an MLP (``m9``, index -1) and
   one for the logits (layer n_layers, index 0).
3. An edge for each edge of the circuit, in its order, with input, effect and shared.

Read (``file_of``), from files that other tools may have written again since:

1. A node is known by its id, written as above or as ``a9.h6``; else by its layer and index.
2. The model's shape stands in the graph's attributes; else in what the caller knows.
3. An edge's input is its ``input``, else its ``key``; to the logits and MLPs there is but one. Its effect is its
   ``effect``, else its ``weight``.
4. A node ``input`` and its edges are left out, and counted in a note: no circuit here has the embedding as a node.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.circuit import LOGITS_NODE, Circuit, Input
from engine.errors import HeadlightError
from engine.heads import Head
from engine.record.circuit_file import (
    WAY_ON,
    CircuitFile,
    Json,
    names_of,
    parse_circuit,
    printable,
    seed_of,
    shape_of,
    short,
    text_of,
    width_of,
)
from engine.record.writing import SCHEMA

INPUT_NODE = "input"
HEAD = re.compile(r"(?:a(\d{1,4})\.h|(\d{1,4})\.)(\d{1,4})", re.ASCII)
MLP = re.compile(r"m(\d{1,4})", re.ASCII)
Attributes = Mapping[str, Any]


class UnknownShape(HeadlightError):
    """The file does not say how large its model is, and nobody else did."""


@dataclass(frozen=True)
class GraphNode:
    """One node; ``id`` as the file writes it."""

    id: str
    attributes: Attributes


@dataclass(frozen=True)
class GraphEdge:
    """One edge between two ids."""

    source: str
    target: str
    attributes: Attributes


@dataclass(frozen=True)
class PlainGraph:
    """A directed graph; two nodes may have several edges."""

    attributes: Attributes
    nodes: Sequence[GraphNode]
    edges: Sequence[GraphEdge]


def graph_of(file: CircuitFile) -> PlainGraph:
    """All of a circuit, as attributes that JSON and GraphML can hold."""
    circuit = file.circuit
    whole = {
        "schema": SCHEMA,
        "model": printable(file.model),
        "task": printable(file.task),
        "seed": file.seed,
        "n_layers": circuit.n_layers,
        "n_heads": circuit.n_heads,
        "d_model": file.d_model,
        "parallel_mlps": file.parallel_mlps,
    }
    nodes = [GraphNode(LOGITS_NODE, {"layer": circuit.n_layers, "index": 0})]
    for node in circuit.nodes:
        attributes: Json = {"layer": node.layer, "index": node.index}
        if isinstance(node, Head):
            attributes |= {"name": printable(file.names.get(node)), "role": printable(file.roles.get(node))}
        nodes.append(GraphNode(str(node), _known(attributes)))
    edges = [
        GraphEdge(
            str(edge.sender), LOGITS_NODE if edge.receiver is None else str(edge.receiver),
            {"input": edge.input.value, "effect": edge.effect, "shared": edge.shared},
        )
        for edge in circuit.edges
    ]  # fmt: skip
    return PlainGraph(_known(whole), nodes, edges)


def file_of(graph: PlainGraph, shape: tuple[int, int] | None = None) -> CircuitFile:
    """The circuit of a graph; ``shape`` (layers, heads a layer) is that of the model if the graph does not say it.

    Raises HeadlightError for a graph that is no circuit.
    """
    n_layers, n_heads = _shape(graph, shape)
    names = _names(graph, n_layers)
    kept = [name for name in names.values() if name not in (LOGITS_NODE, INPUT_NODE)]
    edges = [edge for edge in graph.edges if INPUT_NODE not in _ends(edge, names)]
    circuit = circuit_among(kept, [_edge(edge, names) for edge in edges], n_layers, n_heads)
    whole = dict(graph.attributes)
    return CircuitFile(
        model=text_of(whole, "model") if "model" in whole else None,
        task=text_of(whole, "task") if "task" in whole else None,
        seed=seed_of(whole),
        circuit=circuit,
        names=names_of(_texts(graph, names, "name"), circuit),
        roles=names_of(_texts(graph, names, "role"), circuit),
        notes=_notes(INPUT_NODE in names.values(), len(graph.edges) - len(edges), _without_effect(edges)),
        d_model=width_of(whole),
        parallel_mlps=whole.get("parallel_mlps") is True,
    )


def circuit_among(nodes: Sequence[str], edges: Sequence[Json], n_layers: int, n_heads: int) -> Circuit:
    """The circuit of nodes by our names and of edges as ``circuit_json`` writes them; raises HeadlightError."""
    mlps = [name for name in nodes if name.startswith("m")]
    heads = [name for name in nodes if not name.startswith("m")]
    circuit = parse_circuit({"heads": heads, "mlps": mlps, "edges": edges}, n_layers, n_heads)
    seen = set()
    for number, edge in enumerate(circuit.edges, 1):
        name = (edge.sender, edge.receiver, edge.input)
        if name in seen:
            raise HeadlightError(f"Edge {number} is there twice, from {edge.sender} by {edge.input}. {WAY_ON}")
        seen.add(name)
    return circuit


def node_name(written: str) -> str | None:
    """A head as ``9.6``, an MLP as ``m9``, ``logits`` or ``input``, however it is written; None for anything else."""
    if written in (LOGITS_NODE, INPUT_NODE):
        return written
    if found := HEAD.fullmatch(written):
        return f"{int(found[1] or found[2])}.{int(found[3])}"
    found = MLP.fullmatch(written)
    return f"m{int(found[1])}" if found else None


def _known(attributes: Attributes) -> Json:
    return {name: value for name, value in attributes.items() if value is not None}


def _names(graph: PlainGraph, n_layers: int) -> dict[str, str]:
    """The name of every id; raises HeadlightError for a node that is none of a model, or is there twice."""
    names: dict[str, str] = {}
    seen = set()
    for number, node in enumerate(graph.nodes, 1):
        name = node_name(node.id) or _placed(node.attributes, n_layers)
        if name is None:
            raise HeadlightError(
                f"Node {number} is called {short(node.id)}; expected a head such as 9.6 or a9.h6, an MLP such as m9, "
                f"{LOGITS_NODE} or {INPUT_NODE}, or the attributes layer and index. {WAY_ON}"
            )
        if node.id in names or name in seen:
            raise HeadlightError(f"Node {number}, {short(node.id)}, is there twice. {WAY_ON}")
        names[node.id] = name
        seen.add(name)
    return names


def _placed(attributes: Attributes, n_layers: int) -> str | None:
    """The name of a node by its layer and index, for tools that number the nodes anew."""
    layer, index = (attributes.get(key) for key in ("layer", "index"))
    if type(layer) is not int or type(index) is not int or layer < 0:
        return None
    if index == -1:
        return f"m{layer}"
    return LOGITS_NODE if layer == n_layers else node_name(f"{layer}.{index}")


def _shape(graph: PlainGraph, known: tuple[int, int] | None) -> tuple[int, int]:
    if {"n_layers", "n_heads"} & set(graph.attributes):
        return shape_of({"model_shape": dict(graph.attributes)})
    if known is None:
        raise UnknownShape(
            "The file does not say how many layers and heads its model has (the graph's attributes n_layers and "
            "n_heads). Name the model it is of."
        )
    return known


def _ends(edge: GraphEdge, names: Mapping[str, str]) -> tuple[str, str]:
    for end in (edge.source, edge.target):
        if end not in names:
            raise HeadlightError(f"An edge names the node {short(end)}, which the file does not list. {WAY_ON}")
    return names[edge.source], names[edge.target]


def _edge(edge: GraphEdge, names: Mapping[str, str]) -> Json:
    sender, receiver = _ends(edge, names)
    only = Input.LOGITS if receiver == LOGITS_NODE else Input.MLP if receiver.startswith("m") else None
    effect = _effect(edge)
    return {
        "sender": sender,
        "receiver": receiver,
        "input": edge.attributes.get("input", edge.attributes.get("key") if only is None else only.value),
        "effect": 0.0 if effect is None else effect,
        "shared": edge.attributes.get("shared"),
    }


def _effect(edge: GraphEdge) -> Any:
    return edge.attributes.get("effect", edge.attributes.get("weight"))


def _without_effect(edges: Sequence[GraphEdge]) -> int:
    return sum(_effect(edge) is None for edge in edges)


def _texts(graph: PlainGraph, names: Mapping[str, str], attribute: str) -> dict[str, Any]:
    heads = ((names[node.id], node.attributes.get(attribute)) for node in graph.nodes)
    return {name: text for name, text in heads if HEAD.fullmatch(name)}


def _notes(embedding: bool, its_edges: int, without_effect: int) -> tuple[str, ...]:
    notes = []
    if embedding:
        notes.append(embedding_note(its_edges))
    if without_effect:
        notes.append(no_effect_note(without_effect))
    return tuple(notes)


def embedding_note(edges: int) -> str:
    """What is said of a file's embedding node."""
    return f"The node {INPUT_NODE} (the embedding) is left out with its edges ({edges:,}): it is no node here."


def no_effect_note(edges: int) -> str:
    """What is said of edges that are listed with no number."""
    return f"Edges without an effect in the file: {edges:,}. Theirs stands as 0."
