"""Scores of MLPs against the formulas, on hidden activations that TransformerLens' hooks record."""

import pytest
import torch

from engine.activations import capture
from engine.cost.ledger import Ledger
from engine.hooked import end_logits
from engine.models.hooks import recorder
from engine.scores.flap import flap_channels
from engine.scoring.mlp_scores import MlpScores, over_layers, score_mlps
from engine.settings import Score
from tests.engine.random_prompts import random_prompts


def test_flap_channels_by_hand():
    """Channel 0 is 1, 3 (mean 2): F = 1 + 1 over one prompt = 2; weights 3 and 4: 9 + 16 = 25; (2 · 25)² = 2500."""
    hidden = torch.tensor([[[1.0, 5.0], [3.0, 5.0]]])
    w_down = torch.tensor([[3.0, 1.0], [4.0, 1.0]])
    assert flap_channels([hidden], w_down).tolist() == [2500.0, 0.0]


def test_z_scores_over_layers_by_hand():
    """1, 2, 6: mean 3, unbiased variance (4 + 1 + 9) / 2 = 7."""
    found = over_layers(torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64))
    torch.testing.assert_close(found, torch.tensor([-2.0, -1.0, 3.0]) / 7**0.5)
    assert over_layers(torch.full((4,), 0.3)).tolist() == [0.0] * 4
    assert over_layers(torch.tensor([5.0])).tolist() == [0.0]


@pytest.mark.parametrize("kind", ["gpt2", "llama", "gpt_neox", "gemma2"])
@torch.no_grad()
def test_scores_equal_the_formulas_on_hooked_activations(tiny_deep_models, kind):
    model, ledger = tiny_deep_models(kind), Ledger(1.0)
    activations = capture(model, random_prompts(n=6), mlps=True)
    with ledger.stage("test"):
        scores = score_mlps(model, activations, ledger)
    flap, contrastive = [], []
    for index, layer in enumerate(model.parts.layers):
        weight = layer.mlp.down.weight.double()
        clean, corrupted = ([hidden(model, side(item), index) for item in activations.batches] for side in SIDES)
        tokens = torch.cat([each.flatten(0, 1) for each in clean])
        fluctuation = (tokens - tokens.mean(0)).square().sum(0) / 6
        flap.append((fluctuation * weight.square().sum(0)).square().mean())
        energies = [sum(each.square().sum((0, 1)) for each in run) / 6 for run in (clean, corrupted)]
        contrastive.append((weight.abs().mean(0).square() * (energies[0] - energies[1]).abs()).mean())
    for found, means in ((scores.flap, flap), (scores.contrastive_flap, contrastive)):
        raw = torch.stack(means)
        expected = (raw - raw.mean()) / raw.std()
        torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=1e-4)


SIDES = (lambda item: item.batch.clean, lambda item: item.batch.corrupted)


def hidden(model, tokens, layer):
    recorded = {}
    name = f"blocks.{layer}.mlp.out.hook_in"
    end_logits(model, tokens, [recorder(recorded, name)])
    return recorded[name].double()


def test_masks_by_each_score():
    scores = MlpScores(torch.tensor([3.0, 2.0, 1.0, 0.0]), torch.tensor([0.0, 1.0, 2.0, 3.0]))
    assert scores.keep(Score.FLAP, 0.5).tolist() == [True, False, False, False]  # round(2) - 1
    assert scores.keep(Score.CONTRASTIVE_FLAP, 0.25).tolist() == [False, False, True, True]
    assert scores.keep(Score.MERGED, 0.5).tolist() == [True, False, False, True]
    assert scores.keep_either(0.5, 0.25).tolist() == [True, False, True, True]
