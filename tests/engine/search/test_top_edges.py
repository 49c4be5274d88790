"""The strongest edges that hang together, on made-up scores."""

import math

import pytest
import torch

from engine.circuit import Edge, Input
from engine.errors import HeadlightError
from engine.heads import Head
from engine.patching.receiver import LOGITS, Receiver
from engine.search.top_edges import top_edges

NAN = math.nan
A, B, C, D = Head(0, 0), Head(0, 1), Head(1, 0), Head(1, 1)
Q, K, V = Input.Q, Input.K, Input.V


def scores(group: int = 1) -> dict[Receiver, torch.Tensor]:
    """Two layers of two heads; ``group`` 2 shares k and v."""
    made = {
        LOGITS: torch.tensor([[0.1, 0.0], [-0.5, 0.2]]),
        Receiver(Q, C): torch.tensor([[0.3, -0.4], [NAN, NAN]]),
        Receiver(K, C): torch.tensor([[0.0, 0.05], [NAN, NAN]]),
        Receiver(V, C): torch.tensor([[0.0, 0.15], [NAN, NAN]]),
        Receiver(Q, D): torch.tensor([[0.9, 0.0], [NAN, NAN]]),
    }
    if group == 1:
        made |= {Receiver(letter, D): torch.tensor([[0.0, 0.0], [NAN, NAN]]) for letter in (K, V)}
    return made


def names(found) -> list[tuple]:
    return [(edge.sender, edge.receiver, edge.input) for edge in found.circuit.edges]


def test_an_edge_is_taken_only_once_its_receiver_is_in():
    # D's query has the strongest edge of all, which counts only once D is in: after the third edge of C.
    expected = [(C, None, Input.LOGITS), (B, C, Q), (A, C, Q), (D, None, Input.LOGITS), (A, D, Q)]
    for n in range(1, 6):
        assert set(names(top_edges(scores(), n, 1))) == set(expected[:n])
    assert (B, C, V) in names(top_edges(scores(), 6, 1))  # .15, before A's .1 on the logits
    assert (A, None, Input.LOGITS) not in names(top_edges(scores(), 6, 1))


def test_zero_is_no_edge_and_too_many_is_all():
    assert len(top_edges(scores(), 1000, 1).circuit.edges) == 8


def test_the_search_it_amounts_to():
    found = top_edges(scores(), 4, 1)
    steps = {(step.receivers, step.input): step for step in found.steps}
    assert [(step.receivers, step.input) for step in found.steps] == [
        ((), Input.LOGITS), ((C,), Q), ((D,), Q), ((C,), K), ((C,), V), ((D,), K), ((D,), V),
    ]  # fmt: skip
    assert found.complete and found.circuit.heads == (A, B, C, D)
    logits, query, unfed = found.steps[0], steps[(C,), Q], steps[(D,), Q]
    assert logits.important == (C, D) and logits.thresholds.tolist() == [pytest.approx(0.2)] * 2
    assert query.important == (A, B) and query.thresholds.tolist() == [pytest.approx(0.3), math.inf]
    assert unfed.important == () and unfed.thresholds.tolist() == [math.inf, math.inf]
    assert query.estimated.tolist() == [[True, True], [False, False]]
    [edge] = [edge for edge in found.circuit.edges if edge.sender == B]
    assert edge == Edge(B, C, Q, edge.effect) and edge.effect == pytest.approx(-0.4)


def test_a_shared_key_or_value_counts_once_and_is_listed_for_each_of_its_heads():
    found = top_edges(scores(2), 6, 2)
    of_v = [edge for edge in found.circuit.edges if edge.input is V]
    assert [(edge.sender, edge.receiver, edge.shared) for edge in of_v] == [(B, C, True), (B, D, True)]
    assert len(found.circuit.edges) == 7
    # D joins alone: its group's k and v open under the first head's name, for D.
    made = scores(2) | {LOGITS: torch.tensor([[0.0, 0.0], [0.0, 0.2]])}
    alone = top_edges(made, 3, 2)
    assert names(alone) == [(A, D, Q), (B, D, V), (D, None, Input.LOGITS)]
    assert not any(edge.shared for edge in alone.circuit.edges)


def test_equal_scores_are_taken_in_a_fixed_order():
    tied = {receiver: torch.where(values.isnan(), NAN, 0.5) for receiver, values in scores().items()}
    order = [
        (A, None, Input.LOGITS), (B, None, Input.LOGITS), (C, None, Input.LOGITS), (D, None, Input.LOGITS),
        (A, C, Q), (B, C, Q), (A, D, Q), (B, D, Q), (A, C, K),
    ]  # fmt: skip
    for n in range(1, len(order) + 1):
        assert set(names(top_edges(tied, n, 1))) == set(order[:n])


def test_a_head_that_sends_twice_is_one_receiver():
    """Three layers of one head: the middle one reaches the logits and the top one's query."""
    top, middle, low = Head(2, 0), Head(1, 0), Head(0, 0)
    made = {
        LOGITS: torch.tensor([[0.0], [0.6], [0.9]]),
        Receiver(Q, top): torch.tensor([[0.0], [0.7], [NAN]]),
        Receiver(V, middle): torch.tensor([[0.5], [NAN], [NAN]]),
    }
    found = top_edges(made, 4, 1)
    assert names(found) == [
        (low, middle, V), (middle, top, Q), (middle, None, Input.LOGITS), (top, None, Input.LOGITS),
    ]  # fmt: skip
    assert [step.receivers for step in found.steps] == [(), (top,), (middle,)]
    assert not any(edge.shared for edge in found.circuit.edges)


def test_fewer_than_one_edge_is_refused():
    with pytest.raises(HeadlightError, match="at least 1 edge to take, got 0"):
        top_edges(scores(), 0, 1)
