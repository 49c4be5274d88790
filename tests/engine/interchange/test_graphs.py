"""GraphML and node-link JSON: nothing is lost, networkx reads them, and files other tools wrote again are read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings

from engine.circuit import Edge, Input, to_networkx
from engine.errors import HeadlightError
from engine.heads import Head
from engine.interchange import graphml
from engine.interchange.graphml import read_graphml, write_graphml
from engine.interchange.node_link import read_node_link, write_node_link
from engine.nodes import Mlp
from engine.record.circuit_file import CircuitFile
from tests.engine.interchange.made_up import BY_HAND, WITH_MLPS, files


def edges_of(graph: nx.MultiDiGraph) -> set[tuple[Any, ...]]:
    return {(a, b, data["input"], data["effect"], data["shared"]) for a, b, data in graph.edges(data=True)}


@settings(max_examples=150, deadline=None)
@given(files())
def test_any_circuit_comes_back_from_both(file: CircuitFile):
    assert read_node_link(write_node_link(file).encode()) == file
    assert read_graphml(write_graphml(file).encode()) == file


@settings(max_examples=50, deadline=None)
@given(files())
def test_networkx_reads_both_and_sees_the_circuit(file: CircuitFile):
    expected = to_networkx(file.circuit)
    parsed = nx.parse_graphml(write_graphml(file), force_multigraph=True)
    linked = nx.node_link_graph(json.loads(write_node_link(file)), edges="edges")
    for graph in (parsed, linked):
        assert isinstance(graph, nx.MultiDiGraph) and edges_of(graph) == edges_of(expected)
        assert {n: (d["layer"], d["index"]) for n, d in graph.nodes(data=True)} == {
            n: (d["layer"], d["index"]) for n, d in expected.nodes(data=True)
        }
        assert {n: d["name"] for n, d in graph.nodes(data=True) if "name" in d} == {
            str(head): name for head, name in file.names.items()
        }
    # What networkx writes of them is read again, but for the order of edges.
    again = read_node_link(json.dumps(nx.node_link_data(linked, edges="links")).encode())
    graphml_again = read_graphml("\n".join(nx.generate_graphml(parsed)).encode())
    for each in (again, graphml_again):
        assert set(each.circuit.edges) == set(file.circuit.edges)
        assert replace(each, circuit=file.circuit) == file


def test_every_edge_has_an_id_of_its_own():
    graph = nx.parse_graphml(write_graphml(WITH_MLPS), force_multigraph=True)
    ids = [key for *_, key in graph.edges(keys=True)]
    assert len(set(ids)) == len(WITH_MLPS.circuit.edges) and "m0-2.0.k" in ids


NODE_LINK = {
    "directed": True, "multigraph": False, "graph": {},
    "nodes": [{"id": "a0.h1"}, {"id": "m1"}, {"id": "2.0"}, {"id": "logits"}, {"id": "input"}],
    "links": [
        {"source": "input", "target": "a0.h1", "key": "q"}, {"source": "a0.h1", "target": "m1", "weight": 0.5},
        {"source": "m1", "target": "2.0", "key": "v", "effect": -0.25}, {"source": "2.0", "target": "logits"},
    ],
}  # fmt: skip


def encoded(**parts: Any) -> bytes:
    return json.dumps({**NODE_LINK, **parts}).encode()


def test_a_graph_by_somebody_else():
    file = read_node_link(encoded(), shape=(3, 2))
    assert file.circuit.heads == (Head(0, 1), Head(2, 0)) and file.circuit.mlps == (Mlp(1),)
    assert file.circuit.edges == (
        Edge(Head(0, 1), Mlp(1), Input.MLP, 0.5),
        Edge(Mlp(1), Head(2, 0), Input.V, -0.25),
        Edge(Head(2, 0), None, Input.LOGITS, 0.0),
    )
    assert (file.model, file.task, file.seed, file.d_model) == (None, None, None, None)
    assert file.notes == (
        "The node input (the embedding) is left out with its edges (1): it is no node here.",
        "Edges without an effect in the file: 1. Theirs stands as 0.",
    )
    with pytest.raises(HeadlightError, match="how many layers and heads"):
        read_node_link(encoded())
    whole = read_node_link(encoded(graph={"n_layers": 4, "n_heads": 5}), shape=(3, 2))
    assert (whole.circuit.n_layers, whole.circuit.n_heads) == (4, 5)  # the file knows better


# As igraph writes a graph that it read: nodes numbered anew, whole numbers as doubles.
IGRAPH = """<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <!-- Created by igraph -->
  <key id="g_n_layers" for="graph" attr.name="n_layers" attr.type="double"/>
  <key id="g_n_heads" for="graph" attr.name="n_heads" attr.type="double"/>
  <key id="v_layer" for="node" attr.name="layer" attr.type="double"/>
  <key id="v_index" for="node" attr.name="index" attr.type="double"/>
  <key id="e_input" for="edge" attr.name="input" attr.type="string"/>
  <key id="e_effect" for="edge" attr.name="effect" attr.type="double"/>
  <key id="e_shared" for="edge" attr.name="shared" attr.type="boolean"/>
  <graph id="G" edgedefault="directed">
    <data key="g_n_layers">3</data><data key="g_n_heads">2</data>
    <node id="n0"><data key="v_layer">3</data><data key="v_index">0</data></node>
    <node id="n1"><data key="v_layer">0</data><data key="v_index">1</data></node>
    <node id="n2"><data key="v_layer">1</data><data key="v_index">-1</data></node>
    <edge source="n1" target="n0">
      <data key="e_input">logits</data><data key="e_effect">-0.25</data><data key="e_shared">true</data>
    </edge>
    <edge source="n1" target="n2"><data key="e_input">mlp</data><data key="e_effect">1e-3</data></edge>
  </graph>
</graphml>"""

# As Gephi writes it: no attributes of the graph, a weight, colours in a namespace of their own.
GEPHI = """<?xml version="1.0" encoding="UTF-8"?><graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key attr.name="label" attr.type="string" for="node" id="label"/>
<key attr.name="Edge Label" attr.type="string" for="edge" id="edgelabel"/>
<key attr.name="weight" attr.type="double" for="edge" id="weight"/>
<key attr.name="input" attr.type="string" for="edge" id="input"/>
<key attr.name="r" attr.type="int" for="node" id="r"/>
<graph edgedefault="directed">
<node id="logits"><data key="label">logits</data><data key="r">192</data></node>
<node id="2.0"><data key="label">2.0</data></node>
<edge id="2.0-logits.logits" source="2.0" target="logits"><data key="weight">0.5</data></edge>
</graph></graphml>"""

# As yEd writes it: drawings inside data, and a graph that is undirected by default.
YED = """<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:y="http://www.yworks.com/xml/graphml">
<key for="node" id="d6" attr.name="index" attr.type="int"/>
<key attr.name="input" attr.type="string" for="edge" id="d9"/>
<graph edgedefault="undirected" id="G">
<node id="0.1"><data key="d6"><y:ShapeNode><y:node>x</y:node></y:ShapeNode></data></node><node id="2.0"/>
<edge id="e0" directed="true" source="0.1" target="2.0"><data key="d9">k</data></edge>
</graph></graphml>"""


def test_files_as_other_tools_write_them():
    file = read_graphml(IGRAPH.encode())
    assert file.circuit.edges == (
        Edge(Head(0, 1), None, Input.LOGITS, -0.25, shared=True),
        Edge(Head(0, 1), Mlp(1), Input.MLP, 0.001),
    )
    assert read_graphml(GEPHI.encode(), (3, 2)).circuit.edges == (Edge(Head(2, 0), None, Input.LOGITS, 0.5),)
    assert read_graphml(YED.encode(), (3, 2)).circuit.edges == (Edge(Head(0, 1), Head(2, 0), Input.K, 0.0),)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (encoded(directed=False), "undirected"),
        (encoded(graph=[]), "attributes of the graph as an object"),
        (encoded(nodes=[{"id": "head 3"}]), "Node 1 is called 'head 3'"),
        (encoded(nodes=[{"id": "h", "layer": -1, "index": 0}]), "Node 1"),
        (encoded(nodes=[{"id": "h", "layer": True, "index": 0}]), "Node 1"),
        (encoded(nodes=[{"name": "0.1"}]), "Node 1 is {'name': '0.1'}; expected an object with id"),
        (encoded(nodes=["0.1"]), "Node 1 is '0.1'"),
        (encoded(nodes=[{"id": "0.1"}, {"id": "a0.h1"}]), "Node 2, 'a0.h1', is there twice"),
        (encoded(nodes=[{"id": "0.5"}], links=[]), "head 0.5, but its model has layers 0 to 2 and heads 0 to 1"),
        (encoded(links=[{"source": "0.1", "target": "9.9"}]), "the node '0.1', which the file does not list"),
        (encoded(links=[{"source": "2.0"}]), "expected an object with target"),
        (encoded(links=[{"source": "a0.h1", "target": "2.0"}]), "enters its receiver by None; expected q or k or v"),
        (encoded(links=[{"source": "2.0", "target": "logits", "effect": "big"}]), "Edge 1 has the effect 'big'"),
        (encoded(links=[{"source": "2.0", "target": "logits"}] * 2), "Edge 2 is there twice"),
        (encoded(links=[{"source": "m1", "target": "a0.h1", "key": "q"}]), "higher layer"),
        (encoded(links=[{"source": "logits", "target": "m1"}]), "layer.index"),
        (encoded(graph={"n_layers": 3}), "n_layers from 1 to 1000 and n_heads"),
        (encoded(graph={"n_layers": 3, "n_heads": 2, "d_model": -1}), "d_model"),
        (encoded(graph={"n_layers": 3, "n_heads": 2, "model": 7}), "name of a model"),
        (b"[]", "lists of nodes and edges, got []"),
    ],
)
def test_what_is_no_circuit_is_refused_and_the_place_named(data: bytes, words: str):
    with pytest.raises(HeadlightError) as error:
        read_node_link(data, (3, 2))
    message = str(error.value)
    assert words in message and len(message) < 500 and message.isprintable()


LAUGHS = '<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><graphml><graph>&b;</graph></graphml>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]><graphml><graph><data>&f;</data></graph></graphml>'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LAUGHS, "a document type"),
        (OUTSIDE, "a document type"),
        ("<!DOCTYPE graphml><graphml/>", "a document type"),
        ("<graphml>&lol;</graphml>", "undefined entity at line 1, column 10"),
        ("<graphml><graph>", "no element found"),
        ("<graphml></graph>", "mismatched tag"),
        ("<svg/>", "Expected a graphml document, got one of 'svg'"),
        ("<graphml/>", "one graph in the file, got 0"),
        ("<graphml><graph/><graph/></graphml>", "one graph in the file, got 2"),
        ('<y:graphml xmlns:y="other"/>', "got one of 'other graphml'"),
        ("<graphml><graph><node/></graph></graphml>", "Node 1 has no id"),
        ('<graphml><graph><node id="0.1"/><edge source="0.1"/></graph></graphml>', "Edge 1 has no target"),
        (YED.replace(' directed="true"', ""), "Edge 1 is undirected"),
        (GEPHI.replace(">0.5<", ">much<"), "a number for 'weight', got 'much'"),
        (GEPHI.replace(">0.5<", ">inf<"), "Edge 1 has the effect inf"),
        (GEPHI.replace(">0.5<", ">nan<"), "Edge 1 has the effect nan"),
        ("<a>" * 60 + "</a>" * 60, "one in another"),
    ],
)
def test_xml_that_is_unsafe_or_no_circuit_is_refused(text: str, words: str):
    with pytest.raises(HeadlightError) as error:
        read_graphml(text.encode(), (3, 2))
    message = str(error.value)
    assert words in message and len(message) < 500 and message.isprintable()


def test_too_many_elements_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(graphml, "MAX_ELEMENTS", 10)
    with pytest.raises(HeadlightError, match="more than 10 elements"):
        read_graphml(write_graphml(BY_HAND).encode())
