"""Heads and MLPs side by side: names, order, masks."""

import random

import pytest
import torch

from engine.errors import HeadlightError
from engine.heads import Head
from engine.nodes import Mlp, depth_of, mlp_depths, node_mask, nodes_of, parse_node, with_mlps


def test_an_mlp_is_written_m_and_its_layer():
    assert str(Mlp(9)) == "m9" and Mlp.parse(" m10 ") == Mlp(10)
    assert parse_node("m3") == Mlp(3) and parse_node("3.1") == Head(3, 1)


@pytest.mark.parametrize("text", ["m", "9", "m9.1", "M9", "m-1", "m¹", "mm1"])
def test_anything_else_is_refused_with_the_form_expected(text):
    with pytest.raises(HeadlightError, match="such as m9"):
        Mlp.parse(text)


def test_an_mlp_sorts_after_the_heads_of_its_layer():
    ordered = [Head(0, 0), Head(0, 11), Mlp(0), Head(1, 0), Mlp(1)]
    for seed in range(5):
        shuffled = random.Random(seed).sample(ordered, len(ordered))
        assert sorted(shuffled) == ordered
    assert Head(0, 11) < Mlp(0) <= Mlp(0) < Head(1, 0) and Mlp(1) > Mlp(0) >= Head(0, 3)
    assert Mlp(0) != Head(0, 0)


def test_depths_say_who_lies_below_whom():
    assert (depth_of(Head(2, 5)), depth_of(Mlp(2))) == (2, 2.5)
    assert mlp_depths([False, True]) == (0.5, 1)


def test_a_mask_and_its_nodes_are_the_same_thing():
    nodes = (Head(0, 2), Mlp(0), Head(1, 0))
    mask = node_mask(nodes, 2, 3)
    assert mask.tolist() == [[False, False, True, True], [True, False, False, False]]
    assert nodes_of(mask, 3) == nodes
    assert nodes_of(mask[:, :3], 3) == (Head(0, 2), Head(1, 0))  # a run without MLPs
    assert torch.equal(with_mlps(mask[:, :3], mask[:, 3]), mask)
    with pytest.raises(ValueError, match="Expected 5 columns, or 6"):
        nodes_of(mask, 5)
