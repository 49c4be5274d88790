"""The walk where MLPs are nodes."""

import math
import statistics

import pytest
import torch

from engine.circuit import Input
from engine.heads import Head
from engine.nodes import Mlp
from engine.patching.effects import Effects
from engine.patching.receiver import LOGITS, Receiver
from engine.progress import Watcher
from engine.search.path_patching import Thresholds, important_senders, layer_thresholds, search_all


def test_threshold_below_an_mlp_by_hand():
    """At depth 1.5 the heads of layer 1 are part of M, the MLP of layer 1 is not."""
    effects = torch.tensor([[0.1, -0.1, 0.4], [0.0, -0.8, float("nan")], [float("nan")] * 3])
    values = [0.1, -0.1, 0.4, 0.0, -0.8]
    mean, std = statistics.mean(values), statistics.stdev(values)
    limits = layer_thresholds(effects, 1.5, Thresholds(scale=0.0, min_effect=0.01))
    assert limits[0].item() == pytest.approx(abs(mean) + 2 / math.sqrt(3) * std, abs=1e-6)
    assert limits[1].item() == pytest.approx(abs(mean) + 2 / math.sqrt(5) * std, abs=1e-6)
    assert limits[2].item() == math.inf
    limits[:2] = 0.3
    assert important_senders(effects, limits, n_heads=2) == (Mlp(0), Head(1, 1))


def made_up_nodes(receiver, tick):
    """Twenty heads and an MLP a layer: 1.3 and m1 reach the logits, 1.7 and m0 reach m1, 0.4 reaches m0."""
    effects = torch.full((2, 21), math.nan)
    effects[0], effects[1] = 0.0, 0.0
    if receiver == LOGITS:
        effects[1, 3], effects[1, -1] = -0.5, -0.6
    elif receiver == Receiver(Input.MLP, Mlp(1)):
        effects[1, -1] = math.nan
        effects[0, -1], effects[1, 7] = -0.3, 0.3
    elif receiver == Receiver(Input.MLP, Mlp(0)):
        effects[1], effects[0, -1] = math.nan, math.nan
        effects[0, 4] = -0.2
    else:
        effects[1] = math.nan
    return effects


def walk_nodes(depths):
    asked = []

    def measure(receivers, decides, tick):
        asked.append([str(receiver) for receiver in receivers])
        return [Effects.exact(made_up_nodes(receiver, tick)) for receiver in receivers]

    (found,) = search_all(measure, 2, 20, 1, [Thresholds(1.0, 0.01)], Watcher(), mlp_depths=depths)
    return found, asked


def test_an_mlp_is_searched_before_the_heads_of_its_layer():
    found, asked = walk_nodes([0.5, 1.5])
    heads = ["1.3.k", "1.7.k", "1.3.q", "1.7.q", "1.3.v", "1.7.v"]
    assert asked == [["logits"], ["m1"], heads, ["m0"]]
    assert found.circuit.heads == (Head(0, 4), Head(1, 3), Head(1, 7)) and found.circuit.mlps == (Mlp(0), Mlp(1))
    named = [(str(edge.sender), str(edge.receiver), edge.input) for edge in found.circuit.edges]
    assert named == [
        ("0.4", "m0", Input.MLP), ("m0", "m1", Input.MLP), ("1.7", "m1", Input.MLP),
        ("1.3", "None", Input.LOGITS), ("m1", "None", Input.LOGITS),
    ]


def test_what_nothing_lies_below_is_not_searched():
    """In a parallel block the MLP of layer 0 reads the embedding alone."""
    assert walk_nodes([0, 1])[1][-1] != ["m0"]
