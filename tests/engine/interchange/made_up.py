"""Circuits to write and read: one by hand, and any there can be."""

from __future__ import annotations

from hypothesis import strategies as st

from engine.circuit import Circuit, Edge, Input
from engine.heads import Head
from engine.nodes import Mlp, Node, depth_of
from engine.record.circuit_file import CircuitFile

BY_HAND = CircuitFile(
    model="some/model",
    task="ioi",
    seed=4,
    circuit=Circuit(
        heads=(Head(0, 1), Head(1, 0), Head(1, 1), Head(2, 0)),
        edges=(
            Edge(Head(2, 0), None, Input.LOGITS, -0.8),
            Edge(Head(0, 1), Head(2, 0), Input.Q, 0.25),
            Edge(Head(0, 1), Head(1, 0), Input.V, -0.5, shared=True),
            Edge(Head(0, 1), Head(1, 1), Input.V, -0.5, shared=True),
            Edge(Head(1, 0), None, Input.LOGITS, -0.1),
        ),
        n_layers=3,
        n_heads=2,
    ),
    names={Head(2, 0): 'the <b>"mover"</b> & co'},
    roles={Head(0, 1): "induction, name-mover-like"},
    d_model=48,
)
WITH_MLPS = CircuitFile(
    model="some/model",
    task="ioi",
    seed=None,
    circuit=Circuit(
        heads=(Head(0, 1), Head(2, 0)),
        edges=(
            Edge(Head(0, 1), Mlp(0), Input.MLP, -0.5),
            Edge(Mlp(0), Head(2, 0), Input.K, -0.25),
            Edge(Head(2, 0), None, Input.LOGITS, -1.0),
            Edge(Mlp(0), Mlp(1), Input.MLP, 0.125),
            Edge(Mlp(1), None, Input.LOGITS, 0.0625),
        ),
        n_layers=3,
        n_heads=2,
        mlps=(Mlp(0), Mlp(1)),
    ),
    names={},
    roles={},
    d_model=48,
)

TEXT = st.text(st.characters(exclude_categories=("C", "Z"), codec="utf-8"), min_size=1, max_size=20)
EFFECT = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def files(draw: st.DrawFn) -> CircuitFile:
    """Any circuit with any texts: some heads, some MLPs or none, some of the edges there can be, in any order."""
    n_layers, n_heads = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    parallel = draw(st.booleans())
    everyone = [Head(layer, index) for layer in range(n_layers) for index in range(n_heads)]
    heads = draw(st.lists(st.sampled_from(everyone), unique=True).map(sorted))
    mlps = draw(st.lists(st.sampled_from([Mlp(layer) for layer in range(n_layers)]), unique=True).map(sorted))
    possible = _possible([*heads, *mlps], parallel)
    chosen = draw(st.lists(st.sampled_from(possible), unique=True, max_size=12)) if possible else []
    edges = tuple(Edge(*ends, draw(EFFECT), draw(st.booleans())) for ends in chosen)
    texts = st.dictionaries(st.sampled_from(heads), TEXT) if heads else st.just({})
    return CircuitFile(
        model=draw(st.none() | TEXT),
        task=draw(st.none() | TEXT),
        seed=draw(st.none() | st.integers(0, 2**31 - 1)),
        circuit=Circuit(tuple(heads), edges, n_layers, n_heads, tuple(mlps)),
        names=draw(texts),
        roles=draw(texts),
        d_model=draw(st.integers(1, 10_000)),
        parallel_mlps=parallel,
    )


def _possible(nodes: list[Node], parallel: bool) -> list[tuple[Node, Node | None, Input]]:
    found: list[tuple[Node, Node | None, Input]] = [(node, None, Input.LOGITS) for node in nodes]
    for sender in nodes:
        for receiver in nodes:
            reads_at = receiver.layer if parallel else depth_of(receiver)
            if depth_of(sender) < reads_at:
                letters = (Input.MLP,) if isinstance(receiver, Mlp) else (Input.Q, Input.K, Input.V)
                found += [(sender, receiver, letter) for letter in letters]
    return found
