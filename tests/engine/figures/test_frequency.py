"""How often heads and edges come back: map, bars, rows."""

import math

from engine.circuit import Circuit, Edge, Input
from engine.figures.frequency import (
    edge_frequency_figure,
    edge_frequency_rows,
    frequency_figure,
    frequency_of_heads,
    head_frequency_rows,
)
from engine.figures.theme import traces
from engine.heads import Head
from engine.trust.frequency import frequency
from engine.trust.overlap import name_of

A, B, C = Head(0, 1), Head(1, 2), Head(1, 0)
KEY, OUT, OTHER = Edge(A, B, Input.K, -0.5), Edge(B, None, Input.LOGITS, -1.0), Edge(C, None, Input.LOGITS, 0.1)


def run(heads, *edges) -> Circuit:
    return Circuit(tuple(heads), edges, 2, 3)


# Of 4 runs: A and its edge in 4 and 3, B and its edge in 4, C in 1.
FOUND = frequency([run((A, B), KEY, OUT), run((A, B), KEY, OUT), run((A, B, C), KEY, OUT, OTHER), run((A, B), OUT)])
MINE = (A, B, Head(1, 1))


def trace(figure, name: str):
    return next(trace for trace in traces(figure) if trace.name == name)


def test_the_map_has_every_head_and_rings_the_circuits():
    figure = frequency_figure(FOUND, MINE, 2, 3, dark=False)
    assert [list(row) for row in traces(figure)[0].z] == [[0, 1, 0], [0.25, 0, 1]]
    rings = trace(figure, "kept")
    assert sorted(zip(rings.y, rings.x, strict=True)) == [(0, 1), (1, 1), (1, 2)]
    points = trace(figure, "heads")
    assert list(points.customdata[3]) == [1, 0] and "found in 1 of 4 runs" in points.text[3]
    assert "not in this circuit" in points.text[3] and "found in 0 of 4 runs<br>in this circuit" in points.text[4]
    assert not trace(figure, "selected").x and "4 runs" in traces(figure)[0].colorbar.title.text


def test_one_run_alone_leaves_the_map_empty():
    one = frequency([run((A, B), OUT)])
    assert frequency_of_heads(one, 2, 3).isnan().all()
    assert traces(frequency_figure(one, MINE, 2, 3, dark=True))[0].z[0][1] is None


def test_bars_are_hollow_where_the_circuit_lacks_the_edge():
    figure = edge_frequency_figure(FOUND, [name_of(KEY), name_of(OUT)], dark=False)
    keys, logits = trace(figure, "into k"), trace(figure, "into logits")
    assert (list(keys.x), list(keys.y)) == ([0.75], ["0.1 → 1.2.k"])
    assert list(keys.customdata[0]) == ["0.1", "1.2", "k"]
    assert (list(logits.x), list(logits.y)) == ([1.0, 0.25], ["1.2 → logits", "1.0 → logits"])
    assert logits.marker.color[0] != logits.marker.color[1] and logits.marker.color[1].endswith("0.12)")
    assert list(figure.layout.yaxis.categoryarray) == ["1.2 → logits", "0.1 → 1.2.k", "1.0 → logits"]
    fewest = edge_frequency_figure(FOUND, [], dark=True, most=1)
    assert [list(each.y) for each in traces(fewest)] == [["1.2 → logits"]]
    none = edge_frequency_figure(frequency([run((A,))] * 2), [], dark=False)
    assert "No run found an edge" in none.layout.annotations[0].text


def test_rows_have_what_no_run_found():
    heads = head_frequency_rows(FOUND, MINE)
    assert [(row["head"], row["frequency"]) for row in heads] == [("0.1", 1), ("1.2", 1), ("1.0", 0.25), ("1.1", 0)]
    assert [row["coin flip"] for row in heads] == [False, False, True, False]
    assert [row["in this circuit"] for row in heads] == [True, True, False, True]
    edges = edge_frequency_rows(FOUND, [(Head(0, 0), B, "v")])
    assert [(row["sender"], row["receiver"], row["input"]) for row in edges] == [
        ("1.2", "logits", "logits"), ("0.1", "1.2", "k"), ("1.0", "logits", "logits"), ("0.0", "1.2", "v"),
    ]  # fmt: skip
    assert [row["runs that found it"] for row in edges] == [4, 3, 1, 0] and not math.isnan(edges[3]["frequency"])
