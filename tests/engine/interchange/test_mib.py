"""MIB and EAP-IG graphs: written so that their reader takes them, read as their writers write them, older ones too."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings

from engine.circuit import Edge, Input
from engine.errors import HeadlightError
from engine.heads import Head
from engine.interchange.mib import write_mib
from engine.interchange.mib_reading import read_mib
from engine.nodes import Mlp
from engine.record.circuit_file import CircuitFile
from tests.engine.interchange.made_up import BY_HAND, WITH_MLPS, files

CFG = {"n_layers": 2, "n_heads": 2, "parallel_attn_mlp": False, "d_model": 8}
TURNED = "Effects are the scores of the file with the sign turned, in its own units."


def graph(nodes: Any, edges: Any, **more: Any) -> bytes:
    return json.dumps({"cfg": CFG, "nodes": nodes, "edges": edges, **more}).encode()


def edge(score: float | None, in_graph: bool = True) -> dict[str, Any]:
    return {"score": score, "in_graph": in_graph}


class Theirs:
    """What their code makes of a file: every edge there can be, from the file its score and mark, then pruned."""

    def __init__(self, text: str) -> None:
        record = json.loads(text)
        cfg = record["cfg"]
        self.nodes = {"input": False, "logits": False}
        self.edges: dict[tuple[str, str], list[float | bool]] = {}
        self._build(cfg["n_layers"], cfg["n_heads"], cfg["parallel_attn_mlp"])
        assert cfg["d_model"] > 0
        for name, node in record["nodes"].items():
            assert name in self.nodes  # theirs is a KeyError
            self.nodes[name] = node["in_graph"]
        for name, item in record["edges"].items():
            ends = tuple(name.split("->"))
            assert ends in self.edges
            self.edges[ends] = [float(item["score"]), item["in_graph"]]

    def _build(self, n_layers: int, n_heads: int, parallel: bool) -> None:
        stream = ["input"]
        for layer in range(n_layers):
            heads, mlp = [f"a{layer}.h{head}" for head in range(n_heads)], f"m{layer}"
            self.nodes |= dict.fromkeys([*heads, mlp], False)
            inputs = [f"{head}<{letter}>" for head in heads for letter in "qkv"]
            self.edges |= {(sender, end): [0.0, False] for sender in stream for end in inputs}
            self.edges |= {(s, mlp): [0.0, False] for s in (stream if parallel else [*stream, *heads])}
            stream += [*heads, mlp]
        self.edges |= {(sender, "logits"): [0.0, False] for sender in stream}

    def pruned(self) -> set[tuple[str, str]]:
        """Edges left once nodes that nothing leads to, or that lead nowhere, are taken out again and again."""
        left = {ends for ends, (_, marked) in self.edges.items() if marked}
        while True:
            into, out = defaultdict(set), defaultdict(set)
            for sender, receiver in left:
                into[receiver.split("<")[0]].add(sender)
                out[sender].add(receiver)
            alive = {node for node in self.nodes if out[node] and (into[node] or node == "input")} | {"logits"}
            fewer = {(s, r) for s, r in left if s in alive and r.split("<")[0] in alive}
            if fewer == left:
                return left
            left = fewer


def test_a_circuit_in_their_words():
    record = json.loads(write_mib(BY_HAND))
    assert record["cfg"] == {"n_layers": 3, "n_heads": 2, "parallel_attn_mlp": False, "d_model": 48}
    assert list(record["nodes"]) == [
        "input", "a0.h0", "a0.h1", "m0", "a1.h0", "a1.h1", "m1", "a2.h0", "a2.h1", "m2", "logits",
    ]  # fmt: skip
    assert {name for name, node in record["nodes"].items() if not node["in_graph"]} == {"a0.h0", "a2.h1"}
    measured = {name: entry for name, entry in record["edges"].items() if "always" not in entry}
    assert measured == {
        "a2.h0->logits": {"score": 0.8, "in_graph": True},
        "a0.h1->a2.h0<q>": {"score": -0.25, "in_graph": True},
        "a0.h1->a1.h0<v>": {"score": 0.5, "in_graph": True, "shared": True},
        "a0.h1->a1.h1<v>": {"score": 0.5, "in_graph": True, "shared": True},
        "a1.h0->logits": {"score": 0.1, "in_graph": True},
    }
    always = set(record["edges"]) - set(measured)
    # 4 heads by 3 letters, 3 MLPs and the logits hear the embedding; m0 hears 0.1, m1 0.1 1.0 1.1, m2 all four, each
    # also the MLPs below; heads of layer 1 hear m0, 2.0 hears m0 and m1; the logits hear all three.
    assert len(always) == 4 * 3 + 3 + 1 + (1 + 3 + 4) + (0 + 1 + 2) + (2 + 2) * 3 + 3
    assert {"input->a2.h0<k>", "input->m2", "m0->a1.h1<v>", "a2.h0->m2", "m1->m2", "m2->logits"} <= always
    assert "a2.h0->m1" not in always and all(record["edges"][name]["score"] == 0.0 for name in always)


@pytest.mark.parametrize("file", [BY_HAND, WITH_MLPS])
def test_their_reader_takes_it_and_their_pruning_leaves_all_of_it(file: CircuitFile):
    theirs = Theirs(write_mib(file))
    marked = {ends for ends, (_, mark) in theirs.edges.items() if mark}
    assert len(marked) > 10 and theirs.pruned() == marked
    assert theirs.edges["a2.h0", "logits"] == [-file.circuit.edges[0 if file is BY_HAND else 2].effect, True]


@settings(max_examples=150, deadline=None)
@given(files())
def test_any_circuit_is_one_of_theirs_and_comes_back(file: CircuitFile):
    text = write_mib(file)
    Theirs(text)
    assert read_mib(text.encode()) == file


def test_without_the_width_nothing_is_written():
    with pytest.raises(HeadlightError, match="d_model"):
        write_mib(CircuitFile("m", "t", 0, BY_HAND.circuit, {}, {}))


def test_a_file_of_their_writer():
    nodes = {
        "input": {"in_graph": True}, "a0.h0": {"in_graph": False, "score": math.nan}, "a0.h1": {"in_graph": True},
        "m0": {"in_graph": True, "score": 0.5}, "a1.h0": {"in_graph": True}, "a1.h1": {"in_graph": True},
        "m1": {"in_graph": False}, "logits": {"in_graph": True},
    }  # fmt: skip
    edges = {
        "input->a0.h1<q>": edge(0.1), "input->a0.h0<k>": edge(9.0, False), "a0.h1->m0": edge(-0.2),
        "a0.h1->a1.h0<k>": edge(0.3), "m0->a1.h0<v>": edge(None), "a1.h0->logits": edge(0.4),
        "a0.h0->logits": edge(7.0, False),
    }  # fmt: skip
    file = read_mib(graph(nodes, edges))
    assert file.circuit.heads == (Head(0, 1), Head(1, 0), Head(1, 1)) and file.circuit.mlps == (Mlp(0),)
    assert file.circuit.edges == (
        Edge(Head(0, 1), Mlp(0), Input.MLP, 0.2),
        Edge(Head(0, 1), Head(1, 0), Input.K, -0.3),
        Edge(Mlp(0), Head(1, 0), Input.V, 0.0),
        Edge(Head(1, 0), None, Input.LOGITS, -0.4),
    )
    assert (file.model, file.task, file.seed, file.d_model) == (None, None, None, 8)
    assert file.notes[0].startswith("The node input (the embedding) is left out with its edges (1)")
    assert file.notes[1:] == (TURNED, "Edges without an effect in the file: 1. Theirs stands as 0.")


def test_an_older_file_says_true_and_false_of_nodes():
    file = read_mib(graph({"a0.h0": True, "a1.h1": True, "m0": False}, {"a0.h0->a1.h1<q>": edge(0.5)}))
    assert file.circuit.heads == (Head(0, 0), Head(1, 1)) and file.circuit.mlps == () and file.notes == (TURNED,)
    assert file.circuit.edges == (Edge(Head(0, 0), Head(1, 1), Input.Q, -0.5),)


SCORED = {
    "input->logits": edge(99.0, False), "a1.h0->logits": edge(0.2, False), "a0.h0->a1.h0<q>": edge(-3.0, False),
    "a0.h1->a1.h1<q>": edge(8.0, False), "a0.h1->a1.h0<v>": edge(2.0, False), "a1.h1->logits": edge(0.1, False),
    "m0->logits": edge(0.0, False),
}  # fmt: skip


def test_scores_alone_give_the_strongest_edges_that_hang_together():
    record = {"cfg": {"n_layers": 2, "n_heads": 2}, "edges": SCORED}  # nodes may be missing
    two = read_mib(json.dumps(record).encode(), strongest=2)
    # 8.0 is the largest, but its receiver is reached last, through an edge of 0.1.
    assert [(str(each.sender), each.effect) for each in two.circuit.edges] == [("1.0", -0.2), ("0.0", 3.0)]
    assert two.circuit.heads == (Head(0, 0), Head(1, 0)) and two.d_model is None
    assert "Taken are the 2 strongest by |score| that hang together, of 5 with a score" in two.notes[0]
    assert "its edges (0)" in two.notes[1]
    most = read_mib(json.dumps(record).encode())
    assert [each.effect for each in most.circuit.edges] == [-0.2, 3.0, -2.0, -0.1, -8.0]


def test_scores_of_nodes_give_the_strongest_nodes():
    nodes = {"input": {"in_graph": False, "score": 9.0}, "a0.h0": {"in_graph": False, "score": -2.0}}
    nodes |= {"m1": {"in_graph": False, "score": 1.0}, "a1.h1": {"in_graph": False, "score": 0.5}}
    file = read_mib(graph(nodes, {"a0.h0->m1": edge(0.0, False)}), strongest=2)
    assert (file.circuit.heads, file.circuit.mlps, file.circuit.edges) == ((Head(0, 0),), (Mlp(1),), ())
    assert "the 2 strongest nodes by |score|, of 3" in file.notes[0]
    nodes["a1.h1"]["in_graph"] = True  # a mark is more than a score
    marked = read_mib(graph(nodes, {}), strongest=2)
    assert (marked.circuit.heads, marked.circuit.mlps) == ((Head(1, 1),), ())


def test_a_file_without_marks_and_scores_is_an_empty_circuit():
    """As the circuit of 0 % of the edges that the track asks for."""
    file = read_mib(graph({"a0.h0": {"in_graph": False}}, {"a0.h0->logits": {"in_graph": False}}))
    assert file.circuit.nodes == () and file.circuit.edges == ()


def test_single_neurons_make_whole_nodes_and_that_is_said():
    nodes = {"a0.h0": {"in_graph": True, "neurons": [True, False], "neurons_scores": [0.1, math.nan]}}
    file = read_mib(graph(nodes, {"a0.h0->logits": edge(1.0)}))
    assert file.circuit.heads == (Head(0, 0),)
    assert file.notes == ("Nodes of which single neurons are marked: 1. They are taken whole.", TURNED)


@pytest.mark.parametrize(
    ("nodes", "edges", "words"),
    [
        ([], {}, "an object of nodes, got []"),
        ({}, [], "an object of edges, got []"),
        ({"m0.5": True}, {}, "called 'm0.5'"),
        ({"a0.h0": 1}, {}, "true or false for in_graph of node a0.h0, got 1"),
        ({"a0.h0": {"in_graph": True, "score": "x"}}, {}, "the score of node a0.h0, got 'x'"),
        ({"a5.h0": True}, {}, "head 5.0, but its model has layers 0 to 1 and heads 0 to 1"),
        ({"m2": True}, {}, "MLP m2"),
        ({}, {"a0.h0->a1.h0": edge(1.0)}, "called 'a0.h0->a1.h0'; expected a0.h0->a1.h1<q>"),
        ({}, {"a0.h0->m1<q>": edge(1.0)}, "called 'a0.h0->m1<q>'"),
        ({}, {"a0.h0->logits<v>": edge(1.0)}, "called"),
        ({}, {"a0.h0->input": edge(1.0)}, "called"),
        ({}, {"logits->m0": edge(1.0)}, "called"),
        ({}, {"a0.h0 -> logits": edge(1.0)}, "called"),
        ({}, {"a0.h0->logits": 1.0}, "an object with score and in_graph for edge 'a0.h0->logits', got 1.0"),
        ({}, {"a0.h0->logits": edge(math.inf)}, "got inf"),
        ({}, {"a0.h0->logits": edge(10**400)}, "a number for the score"),
        ({}, {"a0.h0->logits": edge(True)}, "got True"),
        ({}, {"a0.h0->logits": {"in_graph": None}}, "true or false for in_graph"),
        ({}, {"a1.h0->a0.h0<q>": edge(1.0)}, "from 1.0 to 0.0; expected a receiver in a higher layer"),
        ({}, {"a0.h0->a0.h1<q>": edge(1.0)}, "higher layer"),
        ({}, {"a0.h0->logits": edge(1.0), "a00.h0->logits": edge(1.0)}, "Edge 2 is there twice"),
    ],
)
def test_what_is_no_graph_is_refused_and_the_place_named(nodes: Any, edges: Any, words: str):
    with pytest.raises(HeadlightError) as error:
        read_mib(graph(nodes, edges))
    message = str(error.value)
    assert words in message and len(message) < 500 and message.isprintable()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"cfg": {"n_layers": 2}, "edges": {}, "nodes": {"a0.h0": true}}', "n_layers from 1 to 1000 and n_heads"),
        (b'{"cfg": {"n_layers": 2, "n_heads": 2, "d_model": 0}, "edges": {}, "nodes": {"a0.h0": true}}', "d_model"),
        (b'{"cfg": {"n_layers": 1e3, "n_heads": 2}, "edges": {}, "nodes": {"a0.h0": true}}', "n_layers"),
        (b'{"cfg": [], "edges": {}}', "cfg, nodes and edges"),
        (b'{"cfg": {}, "edges": {"a0.h0->logits": {}, "a0.h0->logits": {}}}', "'a0.h0->logits' twice"),
        (graph({"a0.h0": True}, {}, headlight=[]), "an object for headlight"),
        (graph({"a0.h0": True}, {}, headlight={"model": 5}), "the name of a model, got 5"),
    ],
)
def test_bad_beginnings_too(data: bytes, words: str):
    with pytest.raises(HeadlightError, match=None) as error:
        read_mib(data)
    assert words in str(error.value)


def test_a_number_to_take_must_be_one():
    with pytest.raises(HeadlightError, match="at least 1 edge"):
        read_mib(graph({}, SCORED), strongest=0)
