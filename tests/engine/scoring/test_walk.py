"""The walk by estimates: its score by hand, and as the threshold factor at which a search loses each head."""

from __future__ import annotations

import math
import random

import pytest
import torch
from torch.testing import assert_close

from engine.circuit import Input
from engine.cost.ledger import Ledger
from engine.errors import HeadlightError
from engine.heads import Head, heads_of, mask_of
from engine.models.loading import load_model
from engine.patching.effects import Effects
from engine.patching.receiver import LOGITS, Receiver
from engine.prepare import prepare
from engine.progress import Watcher
from engine.scores.kinds import Score, Source
from engine.scoring.attribution import source_flops, with_score
from engine.scoring.walk import walk_scores
from engine.search.eap import edge_scores
from engine.search.path_patching import Thresholds, search
from engine.settings import Settings
from tests.engine.random_prompts import random_prompts
from tests.tiny_hooked import HOOKED_KINDS, save_hooked_model

NAN = float("nan")
USUAL = Thresholds(2.0, 0.01)


def made_up(seed: int, n_layers: int, n_heads: int, group: int) -> dict[Receiver, torch.Tensor]:
    """Heavy-tailed scores, so that some edges stand out."""
    rng = random.Random(seed)

    def below(top: int) -> torch.Tensor:
        values = [[rng.gauss(0, 0.02) ** 3 * 4e3 for _ in range(n_heads)] for _ in range(n_layers)]
        return torch.tensor(values).where(torch.arange(n_layers)[:, None] < top, NAN)

    found = {LOGITS: below(n_layers)}
    for layer in range(1, n_layers):
        for index in range(n_heads):
            found[Receiver(Input.Q, Head(layer, index))] = below(layer)
        for index in range(0, n_heads, group):
            found |= {Receiver(letter, Head(layer, index)): below(layer) for letter in (Input.K, Input.V)}
    return found


def test_the_walk_by_hand():
    # The logits hear 1.0 strongly; 1.0's query hears 0.1. No other edge counts.
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.9, 0.0, 0.0, 0.0]])
    query = torch.tensor([[0.0, 0.5, 0.0, 0.0], [NAN] * 4])
    silent = torch.tensor([[0.001, 0.0, 0.0, 0.0], [NAN] * 4])
    edges = {LOGITS: logits, Receiver(Input.Q, Head(1, 0)): query, Receiver(Input.V, Head(1, 0)): silent}
    first = 0.9 / (0.9 / 8 + (2 + 2 / math.sqrt(8)) * logits.std().item())  # of 1.0: eight heads up to its layer
    second = 0.5 / (0.5 / 4 + (2 + 2 / math.sqrt(4)) * query[0].std().item())
    found = walk_scores(edges, 1, USUAL)
    assert found[1, 0].item() == pytest.approx(first) and found[0, 1].item() == pytest.approx(min(first, second))
    assert found[0, 0].item() == pytest.approx(0.001 / 0.02)  # no edge into v counts: in units of twice the smallest
    assert found[1, 1:].abs().max() == 0


def test_a_head_is_worth_no_more_than_the_way_to_it():
    """0.0 matters to 1.1's query, which nothing hears."""
    logits, query = torch.zeros(2, 20), torch.zeros(2, 20)
    logits[1, 0], query[0, 0], query[1] = 0.9, 0.8, NAN
    found = walk_scores({LOGITS: logits, Receiver(Input.Q, Head(1, 1)): query}, 1, USUAL)
    assert found[1, 0] > 1 and found[0, 0] == 0
    found = walk_scores({LOGITS: logits, Receiver(Input.Q, Head(1, 0)): query}, 1, USUAL)
    assert found[0, 0] > 1


@pytest.mark.parametrize(("seed", "group"), [(0, 1), (1, 1), (2, 2), (8, 4)])
def test_above_one_are_the_heads_a_search_takes(seed: int, group: int):
    n_layers, n_heads = 6, 4
    edges = made_up(seed, n_layers, n_heads, group)

    def measure(receivers, decides, tick):
        return [Effects.exact(edges[receiver]) for receiver in receivers]

    taken = search(measure, n_layers, n_heads, group, USUAL, Watcher()).circuit.heads
    above = walk_scores(edges, group, USUAL) > 1
    assert 1 < len(taken) < n_layers * n_heads
    assert torch.equal(above, mask_of(taken, n_layers, n_heads))


def test_it_is_measured_once_and_costs_what_was_foretold(toy_model):
    prepared = prepare(toy_model, Settings(model="toy-induction", task="induction-random", pairs=8), Watcher())
    scored = with_score(prepared, Score.WALK_UNION, Watcher())
    assert scored.cost[-1].stage == Source.EDGES.value
    assert scored.cost[-1].flops == pytest.approx(source_flops(prepared, Source.EDGES))
    assert with_score(scored, Score.WALK, Watcher()) is scored and scored.scores.has(Score.INTEGRATED_ATTRIBUTION)
    top = scored.scores.of(Score.WALK).flatten().topk(2).indices.tolist()
    assert {divmod(place, toy_model.n_heads) for place in top} == {(0, 1), (1, 2)}  # the known circuit


def test_it_walks_over_the_edges_of_all_pairs(tiny_deep_model):
    prepared = prepare(tiny_deep_model, Settings(model="tiny"), Watcher(), random_prompts())
    everyone = heads_of(torch.ones(tiny_deep_model.n_layers, tiny_deep_model.n_heads, dtype=torch.bool))
    edges = edge_scores(tiny_deep_model, prepared.activations, everyone, Ledger(1.0))
    expected = walk_scores(edges, tiny_deep_model.group, USUAL)
    assert_close(with_score(prepared, Score.WALK, Watcher()).scores.of(Score.WALK), expected, atol=1e-4, rtol=1e-4)


def test_hooks_alone_have_no_walk(tmp_path):
    save_hooked_model(HOOKED_KINDS[0], tmp_path)
    prepared = prepare(load_model(str(tmp_path)), Settings(model="hooked"), Watcher(), random_prompts())
    with pytest.raises(HeadlightError, match="walk by estimates is not available"):
        with_score(prepared, Score.WALK, Watcher())
