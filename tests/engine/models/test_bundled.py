"""The bundled model, once it is unpacked."""

from __future__ import annotations

import pytest
import torch

from engine.models.registry import find_card

pytestmark = pytest.mark.slow


def test_bundled_model_is_what_its_card_says(bundled_model):
    card = find_card("smollm2-135m")
    assert card is not None
    assert (bundled_model.n_layers, bundled_model.n_heads) == (card.n_layers, card.n_heads)
    assert bundled_model.d_model == card.d_model and not bundled_model.parallel_mlps
    assert bundled_model.n_kv_heads == 3
    assert sum(p.numel() for p in bundled_model.hf_model.parameters()) == card.parameters


def test_bundled_model_knows_whom_the_drink_goes_to(bundled_model):
    prompt = "When Mary and John went to the store, John gave a drink to"
    tokens = bundled_model.tokenizer(prompt, return_tensors="pt").input_ids
    assert tokens.shape == (1, 14)
    with torch.no_grad():
        best = bundled_model.hf_model(tokens).logits[0, -1].argmax()
    assert bundled_model.tokenizer.decode(best) == " Mary"


def test_rotary_base_is_the_files_own(bundled_model):
    """10 000 is the usual default; this model was trained with 100 000."""
    assert bundled_model.config.rope_parameters["rope_theta"] == 100_000
