"""What two circuits share, counted by hand."""

import math

import pytest

from engine.circuit import Circuit, Edge, Input, union
from engine.heads import Head
from engine.trust.overlap import edge_overlap, head_overlap

A, B, C, D = Head(0, 1), Head(0, 2), Head(1, 0), Head(1, 3)
TO_LOGITS = Edge(C, None, Input.LOGITS, -0.5)
FIRST = Circuit((A, C), (Edge(A, C, Input.Q, -0.2), TO_LOGITS), 2, 4)
SECOND = Circuit((A, B, C, D), (Edge(A, C, Input.K, -0.2), Edge(C, None, Input.LOGITS, -0.4)), 2, 4)


def test_heads_in_both_and_in_one_alone():
    over = head_overlap(FIRST, SECOND)
    assert (over.common, over.only_first, over.only_second) == ((A, C), (), (B, D))
    assert (over.precision, over.recall, over.jaccard) == (1.0, 0.5, 0.5)
    back = head_overlap(SECOND, FIRST)
    assert (back.precision, back.recall, back.jaccard) == (0.5, 1.0, 0.5)


def test_an_edge_is_the_same_by_its_way_and_not_by_its_effect():
    over = edge_overlap(FIRST, SECOND)
    assert over.common == ((C, None, "logits"),)
    assert over.only_first == ((A, C, "q"),) and over.only_second == ((A, C, "k"),)
    assert over.jaccard == pytest.approx(1 / 3)


def test_of_nothing_there_is_no_share():
    empty = Circuit((), (), 2, 4)
    over = head_overlap(empty, FIRST)
    assert math.isnan(over.precision) and over.recall == 0.0 and over.jaccard == 0.0
    assert math.isnan(head_overlap(empty, empty).jaccard)


def test_a_union_has_all_and_the_firsts_effects():
    both = union(FIRST, SECOND)
    assert both.heads == (A, B, C, D)
    assert {(e.sender, e.receiver, e.input): e.effect for e in both.edges} == {
        (A, C, Input.Q): -0.2, (A, C, Input.K): -0.2, (C, None, Input.LOGITS): -0.5,
    }  # fmt: skip
