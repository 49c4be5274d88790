"""A circuit as the node-link JSON of networkx (``nx.node_link_data``), which d3 reads as well.

    {"directed": true, "multigraph": true, "graph": {…}, "nodes": [{"id": "9.6", …}],
     "edges": [{"source": "9.6", "target": "logits", "key": "logits", …}]}

Nothing of a circuit is lost; engine/interchange/plain_graph.py says what the attributes are. networkx before 3.4
calls the list of edges "links": both are read. Its ``key`` is an edge's input.
"""

from __future__ import annotations

import json
from typing import Any

from engine.errors import HeadlightError
from engine.interchange.plain_graph import GraphEdge, GraphNode, PlainGraph, file_of, graph_of
from engine.record.circuit_file import WAY_ON, CircuitFile, Json, read_json, short

EDGE_LISTS = ("edges", "links")


def write_node_link(file: CircuitFile) -> str:
    """The circuit, as ``nx.node_link_graph(json.loads(text), edges="edges")`` takes it."""
    graph = graph_of(file)
    record = {
        "directed": True,
        "multigraph": True,
        "graph": graph.attributes,
        "nodes": [{"id": node.id, **node.attributes} for node in graph.nodes],
        "edges": [
            {"source": edge.source, "target": edge.target, "key": edge.attributes["input"], **edge.attributes}
            for edge in graph.edges
        ],
    }
    return json.dumps(record, ensure_ascii=False, allow_nan=False, indent=1)


def is_node_link(record: Any) -> bool:
    """Whether a JSON value looks like a graph in this form."""
    return isinstance(record, dict) and isinstance(record.get("nodes"), list) and _edge_list(record) is not None


def read_node_link(data: bytes, shape: tuple[int, int] | None = None) -> CircuitFile:
    """The circuit of a file's bytes; ``shape`` as of ``file_of``. Raises HeadlightError for anything else."""
    return node_link_in(read_json(data), shape)


def node_link_in(record: Any, shape: tuple[int, int] | None = None) -> CircuitFile:
    """The circuit of a JSON value."""
    if not is_node_link(record):
        raise HeadlightError(f"Expected a JSON object with lists of nodes and edges, got {short(record)}. {WAY_ON}")
    if record.get("directed") is False:
        raise HeadlightError(f"The graph is undirected; a circuit's edges lead from sender to receiver. {WAY_ON}")
    whole = record.get("graph", {})
    if not isinstance(whole, dict):
        raise HeadlightError(f"Expected the attributes of the graph as an object, got {short(whole)}. {WAY_ON}")
    nodes = [GraphNode(_text(node, "id", f"Node {i}"), node) for i, node in enumerate(record["nodes"], 1)]
    edges = [
        GraphEdge(_text(edge, "source", f"Edge {i}"), _text(edge, "target", f"Edge {i}"), edge)
        for i, edge in enumerate(record[_edge_list(record)], 1)
    ]
    return file_of(PlainGraph(whole, nodes, edges), shape)


def _edge_list(record: Json) -> str | None:
    return next((name for name in EDGE_LISTS if isinstance(record.get(name), list)), None)


def _text(entry: Any, key: str, where: str) -> str:
    """An id; tools that number nodes write numbers."""
    value = entry.get(key) if isinstance(entry, dict) else None
    if type(value) is int:
        return str(value)
    if not isinstance(value, str):
        raise HeadlightError(f"{where} is {short(entry)}; expected an object with {key}. {WAY_ON}")
    return value
