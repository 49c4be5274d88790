"""A circuit as GraphML, for Gephi, yEd, Cytoscape, igraph and networkx.

1. Written: one ``key`` an attribute, then the graph; nothing of a circuit is lost (engine/interchange/plain_graph.py
   says what the attributes are). Every edge has an id of its own, without which Gephi drops parallel edges.
2. Read: a document type is refused before anything of it is expanded, so that no entity can be; then elements and
   depth are counted while the text is parsed. Attributes are told by the ``attr.name`` of their key and read as its
   ``attr.type`` says. Elements that are no GraphML (yEd's drawings) are passed over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from engine.errors import HeadlightError
from engine.interchange.plain_graph import Attributes, GraphEdge, GraphNode, PlainGraph, file_of, graph_of
from engine.record.circuit_file import WAY_ON, CircuitFile, read_text, short

NAMESPACE = "http://graphml.graphdrawing.org/xmlns"
MAX_ELEMENTS = 1_000_000
MAX_DEPTH = 50
TYPES = {bool: "boolean", int: "long", float: "double", str: "string"}
WHOLE = ("int", "integer", "long")
WHOLE_ATTRIBUTES = frozenset(("layer", "index", "seed", "n_layers", "n_heads", "d_model"))
Keys = dict[str, tuple[str, str]]  # id of a key -> name and type of its attribute


def write_graphml(file: CircuitFile) -> str:
    """The circuit as a GraphML document."""
    graph = graph_of(file)
    parts = (
        ("graph", [graph.attributes]),
        ("node", [node.attributes for node in graph.nodes]),
        ("edge", [edge.attributes for edge in graph.edges]),
    )
    types = {(kind, name): TYPES[type(value)] for kind, all in parts for each in all for name, value in each.items()}
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<graphml xmlns="{NAMESPACE}">']
    for (kind, name), type_ in types.items():
        lines.append(f'  <key id="{kind}_{name}" for="{kind}" attr.name="{name}" attr.type="{type_}"/>')
    lines.append('  <graph id="circuit" edgedefault="directed">')
    lines += _data("graph", graph.attributes)
    for node in graph.nodes:
        lines += [f"    <node id={quoteattr(node.id)}>", *_data("node", node.attributes), "    </node>"]
    for edge in graph.edges:
        name = f"{edge.source}-{edge.target}.{edge.attributes['input']}"
        ends = f"source={quoteattr(edge.source)} target={quoteattr(edge.target)}"
        lines += [f"    <edge id={quoteattr(name)} {ends}>", *_data("edge", edge.attributes), "    </edge>"]
    return "\n".join([*lines, "  </graph>", "</graphml>", ""])


def read_graphml(data: bytes, shape: tuple[int, int] | None = None) -> CircuitFile:
    """The circuit of a file's bytes; ``shape`` as of ``file_of``. Raises HeadlightError for anything else."""
    root = _parsed(read_text(data))
    if root.tag != "graphml":
        raise HeadlightError(f"Expected a graphml document, got one of {short(root.tag)}. {WAY_ON}")
    graphs = root.findall("graph")
    if len(graphs) != 1:
        raise HeadlightError(f"Expected one graph in the file, got {len(graphs)}. {WAY_ON}")
    return file_of(_graph(graphs[0], _keys(root)), shape)


def _data(kind: str, attributes: Attributes) -> Iterable[str]:
    for name, value in attributes.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)  # of a float: all its digits
        yield f'      <data key="{kind}_{name}">{escape(text)}</data>'


def _parsed(text: str) -> Element:
    """The document's root, with namespaces taken off; raises HeadlightError for what is not safe or not XML."""
    parser, builder = expat.ParserCreate(namespace_separator=" "), TreeBuilder()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler, parser.EndElementHandler = _counting(builder)
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        where = f"line {error.lineno}, column {error.offset + 1}"
        raise HeadlightError(f"This is not XML: {expat.ErrorString(error.code)} at {where}. {WAY_ON}") from error
    return builder.close()


def _counting(builder: TreeBuilder) -> tuple[Callable[[str, dict[str, str]], None], Callable[[str], None]]:
    """Handlers that build the tree until it is too large or too deep."""
    elements, depth = 0, 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal elements, depth
        elements, depth = elements + 1, depth + 1
        if elements > MAX_ELEMENTS or depth > MAX_DEPTH:
            raise HeadlightError(
                f"The file has more than {MAX_ELEMENTS:,} elements, or more than {MAX_DEPTH} one in another. {WAY_ON}"
            )
        builder.start(_local(tag), attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_local(tag))

    return start, end


def _local(tag: str) -> str:
    """Elements of other namespaces keep theirs, so that none is taken for GraphML."""
    namespace, _, name = tag.rpartition(" ")
    return name if namespace in ("", NAMESPACE) else tag


def _refuse_doctype(*_: Any) -> None:
    raise HeadlightError(f"The file has a document type (<!DOCTYPE …>): none is read, it can hide text. {WAY_ON}")


def _keys(root: Element) -> Keys:
    return {
        key.get("id", ""): (key.get("attr.name", key.get("id", "")), key.get("attr.type", "string"))
        for key in root.findall("key")
    }


def _graph(graph: Element, keys: Keys) -> PlainGraph:
    nodes = [
        GraphNode(_attribute(node, "id", f"Node {number}"), _values(node, keys))
        for number, node in enumerate(graph.iterfind("node"), 1)
    ]
    by_default = "false" if graph.get("edgedefault") == "undirected" else "true"
    edges = []
    for number, edge in enumerate(graph.iterfind("edge"), 1):
        if edge.get("directed", by_default) != "true":
            raise HeadlightError(
                f"Edge {number} is undirected; a circuit's edges lead from sender to receiver. {WAY_ON}"
            )
        source, target = (_attribute(edge, end, f"Edge {number}") for end in ("source", "target"))
        # networkx writes an edge's key as its id.
        edges.append(GraphEdge(source, target, {"key": edge.get("id"), **_values(edge, keys)}))
    return PlainGraph(_values(graph, keys), nodes, edges)


def _attribute(element: Element, name: str, where: str) -> str:
    value = element.get(name)
    if value is None:
        raise HeadlightError(f"{where} has no {name}. {WAY_ON}")
    return value


def _values(element: Element, keys: Keys) -> dict[str, Any]:
    values = {}
    for data in element.iterfind("data"):
        name, type_ = keys.get(data.get("key", ""), (data.get("key", ""), "string"))
        if len(data) == 0:  # else it holds a drawing
            values[name] = _value(data.text or "", name, type_)
    return values


def _value(text: str, name: str, type_: str) -> Any:
    """A value of the type its key says; whole numbers may be written as others, as igraph does."""
    stripped = text.strip()
    if type_ == "boolean":
        return stripped.lower() in ("true", "1")
    if type_ not in (*WHOLE, "float", "double"):
        return text
    try:
        value = float(stripped)
    except ValueError as error:
        raise HeadlightError(f"Expected a number for {short(name)}, got {short(text)}. {WAY_ON}") from error
    is_whole = math.isfinite(value) and value == int(value) and abs(value) < 2**53
    return int(value) if is_whole and (type_ in WHOLE or name in WHOLE_ATTRIBUTES) else value
