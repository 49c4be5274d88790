"""The tiny models other tests stand on are what they claim to be."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.tiny import TINY_KINDS, TINY_VOCAB, TINY_WORDS, model_type_of


@pytest.mark.parametrize("kind", TINY_KINDS)
def test_words_are_single_tokens_after_a_round_trip_through_files(tiny_model_folder, kind):
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder(kind))
    text = " ".join(TINY_WORDS)
    ids = tokenizer(text).input_ids
    assert len(ids) == len(set(ids)) == len(TINY_WORDS)
    assert tokenizer.decode(ids) == text
    assert len(tokenizer) < TINY_VOCAB


@pytest.mark.parametrize("kind", TINY_KINDS)
def test_every_parameter_of_a_tiny_model_is_random(tiny_model_folder, kind):
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder(kind))
    assert model.config.model_type == model_type_of(kind)
    for name, parameter in model.named_parameters():
        assert parameter.std() > 0.05, name
    logits = model(torch.tensor([[260, 310, 320]])).logits
    assert logits.shape == (1, 3, TINY_VOCAB)
    assert logits.isfinite().all()
