"""The full-size map: roles, names, pins and keys on heads; bundles and flows where it is crowded."""

from __future__ import annotations

import pytest

from engine.behaviour.roles import Role
from engine.circuit import Circuit, Edge, Input
from engine.figures.circuit_map import MOST_FLOWS, circuit_map, drawn_links, link_text
from engine.figures.edges import shade_of
from engine.figures.node_look import ROLE_MARKS, Look
from engine.figures.theme import traces
from engine.heads import Head
from engine.trust.frequency import CircuitFrequency
from engine.trust.overlap import name_of
from engine.views.circuit_layers import by_layer, every_head
from tests.engine.figures.made_up import A_CIRCUIT, a_large_circuit


def drawn(look: Look, circuit: Circuit = A_CIRCUIT):
    return circuit_map(every_head(circuit), circuit, look)


def named(figure, name: str):
    return next(trace for trace in traces(figure) if trace.name == name)


def legend(figure) -> set[str]:
    return {trace.name for trace in traces(figure) if trace.showlegend is not False}


def test_a_head_takes_the_shape_and_colour_of_its_first_role():
    roles = {Head(0, 1): (Role.PREVIOUS,), Head(4, 2): (Role.NAME_MOVER, Role.INDUCTION)}
    figure = drawn(Look(dark=False, roles=roles, by_role=True))
    heads = named(figure, "heads")
    assert list(heads.marker.symbol) == ["square", "circle", "circle", "triangle-up"]
    assert heads.marker.color[0] == "rgb(0,114,178)" and heads.marker.color[1] == heads.marker.color[2]
    assert {"previous token", "name-mover-like"} <= legend(figure) and "induction" not in legend(figure)
    assert "behaves like: name-mover-like, induction" in heads.hovertext[3]


def test_roles_differ_in_shape_and_in_colour():
    assert len({mark.symbol for mark in ROLE_MARKS.values()}) == len(Role)
    assert len({mark.colour for mark in ROLE_MARKS.values()}) == len(Role)


def test_by_effect_there_is_a_colour_bar_and_by_role_none():
    def bars(figure) -> int:
        return sum(bool(trace.marker.showscale) for trace in traces(figure))

    assert (bars(drawn(Look(dark=True))), bars(drawn(Look(dark=True, by_role=True)))) == (1, 0)


def test_a_selected_head_is_framed_and_all_but_its_neighbours_fade():
    figure = drawn(Look(dark=False, selected=Head(2, 0)))
    assert list(named(figure, "heads").marker.opacity) == [0.35, 1.0, 0.35, 1.0]
    assert len(named(figure, "selected").x) == 1
    faded = sum(t.meta["edges"] for t in traces(figure) if t.name == "edges" and t.line.color.endswith(",0.12)"))
    assert faded == 3


def test_names_of_the_readers_are_shown_as_they_are():
    figure = drawn(Look(dark=False, names={Head(0, 1): "<img src=x>", Head(5, 5): "not here"}))
    assert list(named(figure, "names").text) == ["<b>&lt;img src=x&gt;</b>"]
    assert "<img" not in "".join(named(figure, "heads").hovertext)


def test_an_answer_key_rims_what_was_found_and_draws_what_was_not():
    key = {Head(4, 2): "name mover", Head(3, 1): "induction"}
    figure = drawn(Look(dark=False, key_roles=key, missing=[Head(3, 1)]))
    assert list(named(figure, "heads").marker.line.width) == [1.2, 1.2, 1.2, 3.5]
    missing = named(figure, "missing")
    assert [list(data) for data in missing.customdata] == [[3, 1]]
    assert missing.marker.symbol == "circle-open" and "in the answer key as induction" in missing.hovertext[0]
    assert "layer 3" in figure.layout.yaxis.ticktext
    assert "not in the answer key" in named(figure, "heads").hovertext[0]
    assert "missing" not in {trace.name for trace in traces(drawn(Look(dark=False)))}


def test_bundles_open_on_click_and_flows_open_both_their_ends():
    circuit = Circuit(
        (Head(0, 0), Head(0, 1), Head(1, 0), Head(1, 1)),
        (Edge(Head(0, 0), Head(1, 0), Input.Q, -0.5), Edge(Head(0, 1), Head(1, 1), Input.Q, 0.2)),
        2,
        2,
    )
    figure = circuit_map(by_layer(circuit), circuit, Look(dark=False))
    assert [list(data) for data in named(figure, "layers").customdata] == [["layers", 0], ["layers", 1]]
    assert list(named(figure, "layers").text) == ["2", "2"]
    assert [list(data) for data in named(figure, "edge targets").customdata] == [["layers", 0, 1]]
    [text] = named(figure, "edge targets").text
    assert "layer 0 → layer 1, q" in text and "2 edges, Σ|effect| 0.700, strongest 0.500" in text
    assert "signed sum -0.300" in text


def test_of_many_flows_the_strongest_are_drawn_and_those_of_the_selected_head():
    circuit = a_large_circuit(300)
    overview = by_layer(circuit)
    links = drawn_links(overview)
    assert len(links) == MOST_FLOWS < len(overview.links)
    head = circuit.heads[0]
    apart = by_layer(circuit, apart=[head])
    own = [link for link in apart.links if link.sender == head]
    assert own and set(own) <= set(drawn_links(apart, head))


@pytest.mark.parametrize(
    ("n_heads", "n_layers"), [(1, 30), (5, 30), (30, 12), (100, 30), (100, 4), (300, 30), (300, 8)]
)
def test_labels_fit_into_their_nodes_and_nodes_into_their_rows(n_heads: int, n_layers: int):
    """Pixels at the width that sizes are chosen for: no two heads of a layer touch."""
    circuit = a_large_circuit(n_heads, n_layers, per_layer=40)
    figure = drawn(Look(dark=True, by_role=True), circuit)
    heads = named(figure, "heads")
    low, high = figure.layout.xaxis.range
    a_unit = 900 / (high - low)  # neighbours are at least one apart
    assert max(heads.marker.size) <= a_unit or n_heads == 1
    rows = len(figure.layout.yaxis.ticktext) + 1
    assert figure.layout.height / rows > max(heads.marker.size)
    assert all(heads.text) == (max(heads.marker.size) >= 21)


def test_when_filters_leave_nothing_it_says_so():
    figure = circuit_map(every_head(Circuit((), (), 6, 4)), A_CIRCUIT, Look(dark=False))
    assert any("No head passes" in note.text for note in figure.layout.annotations)


def test_a_single_edge_says_what_it_says_elsewhere():
    assert "4.2 → the logits" in link_text(A_CIRCUIT.edges[0])


def test_what_is_seldom_found_again_is_faint():
    sent = A_CIRCUIT.edges[0]
    heads = dict(zip(A_CIRCUIT.heads, (1.0, 0.5, 0.1, 0.0), strict=True))
    names = {name_of(edge): 1.0 for edge in A_CIRCUIT.edges} | {name_of(sent): 0.25}
    figure = drawn(Look(dark=False, frequency=CircuitFrequency(heads, names, 8)))
    assert list(named(figure, "heads").marker.opacity) == [1.0, 0.6, 0.2, 0.2]
    assert "found again in 4 of 8 runs (50 %)" in named(figure, "heads").hovertext[1]
    said = [text for text in named(figure, "edge targets").text if "found again in 2 of 8 runs (25 %)" in text]
    assert len(said) == 1 and said[0].startswith(link_text(sent))
    lines = [each for each in traces(figure) if each.name == "edges"]
    assert {round(alpha(each) / (0.55 + 0.06 * each.line.width), 2) for each in lines} == {0.4, 1.0}
    assert {"found in all of 8 runs", "found in 60 % of 8 runs", "found in 20 % of 8 runs"} <= legend(figure)
    chosen = drawn(Look(dark=False, selected=Head(4, 2), frequency=CircuitFrequency(heads, names, 8)))
    assert named(chosen, "heads").marker.opacity[3] == 1.0
    assert not {name for name in legend(drawn(Look(dark=False))) if "runs" in name}


def alpha(trace) -> float:
    return float(trace.line.color[:-1].split(",")[-1])


def test_shades_round_up_and_nothing_known_is_full():
    assert [shade_of(share) for share in (0, 0.2, 0.21, 0.6, 0.95, 1)] == [0.2, 0.2, 0.4, 0.6, 1.0, 1.0]
    assert shade_of(float("nan")) == 1.0
