"""The toy model does induction, and its circuit is the one written down."""

from __future__ import annotations

import json
from random import Random

import pytest
import torch
from transformers import GPT2LMHeadModel

from engine.models.assets import make_toy_induction, measure_toy_circuit
from engine.models.sources import TOY_FOLDER


@pytest.fixture(autouse=True)
def one_thread():
    """Hundreds of tiny forward passes: handing each to a second thread costs more than it saves."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def known():
    return json.loads((TOY_FOLDER / "circuit.json").read_text())


def test_every_random_repeated_sequence_is_continued(toy_model):
    rng = Random(7)
    for _ in range(100):
        period = rng.randint(8, 16)
        length = rng.randint(period + 1, 2 * period - 1)
        tokens = (rng.sample(range(2, 64), period) * 2)[: length + 1]
        logits = toy_model.hf_model(torch.tensor([tokens[:length]])).logits[0, -1]
        runner_up, best = logits.topk(2).values.flip(0)
        assert logits.argmax() == tokens[length]
        assert best - runner_up > 5


def test_without_a_repetition_nothing_is_certain(toy_model):
    tokens = torch.tensor([Random(3).sample(range(2, 64), 20)])
    assert toy_model.hf_model(tokens).logits[0, -1].softmax(dim=-1).max() < 0.5


def test_exhaustive_patching_finds_the_circuit_written_down(known):
    model = GPT2LMHeadModel.from_pretrained(TOY_FOLDER, dtype=torch.float32).eval()
    with torch.no_grad():
        found = measure_toy_circuit.circuit_of(measure_toy_circuit.measure(model, measure_toy_circuit.make_pairs(4)))
    assert found["heads"] == known["heads"] == ["0.1", "1.2"]
    named = [[(edge["sender"], edge["receiver"], edge["input"]) for edge in c["edges"]] for c in (found, known)]
    assert named[0] == named[1] == [("1.2", "logits", "logits"), ("0.1", "1.2", "k")]
    assert found["largest_other_effect"] < 0.005


def test_stored_weights_are_those_the_script_makes():
    made = make_toy_induction.make_model().state_dict()
    stored = GPT2LMHeadModel.from_pretrained(TOY_FOLDER, dtype=torch.float32).state_dict()
    assert made.keys() == stored.keys()
    for name, tensor in made.items():
        torch.testing.assert_close(stored[name], tensor, rtol=1e-3, atol=1e-6)  # float16 on disk


def test_token_codes_are_far_apart():
    codes = make_toy_induction.token_codes()
    products = codes @ codes.T
    torch.testing.assert_close(products.diagonal(), torch.ones(64), rtol=0, atol=1e-6)
    products.fill_diagonal_(0)
    assert products.abs().max() <= 0.25 + 1e-6


def test_stepping_back_takes_each_position_code_to_the_one_before():
    omega = torch.tensor(make_toy_induction.OMEGA)
    codes = make_toy_induction.position_codes(omega)
    torch.testing.assert_close(codes[1:] @ make_toy_induction.step_back(omega), codes[:-1], rtol=0, atol=1e-5)
    products = codes @ codes.T
    products.fill_diagonal_(0)
    assert products.max() < 0.3


def test_words_are_single_tokens_and_other_words_are_not(toy_model):
    words = make_toy_induction.WORDS.split()
    assert len(set(words)) == 62
    ids = toy_model.tokenizer(" ".join(words)).input_ids
    assert ids == list(range(2, 64))
    assert toy_model.tokenizer.decode(ids) == " ".join(words)
    unknown = toy_model.tokenizer.unk_token_id
    assert toy_model.tokenizer(" Mary").input_ids == [unknown] * 4


def test_files_are_small():
    assert sum(path.stat().st_size for path in TOY_FOLDER.iterdir()) < 1_500_000


def test_path_patching_by_hand_is_right_where_it_is_easy():
    """A model whose every z is clean gives the clean logits; its own q, k, v put back change nothing."""
    pairs = measure_toy_circuit.make_pairs(2)
    model = GPT2LMHeadModel.from_pretrained(TOY_FOLDER, dtype=torch.float32).eval()  # the shared one may have hooks
    with torch.no_grad():
        logits, z = measure_toy_circuit._run(model, pairs.clean)
        again, qkv = measure_toy_circuit._run_frozen(model, pairs.clean, z)
        torch.testing.assert_close(again, logits, rtol=0, atol=1e-5)
        columns = slice(40, 60)
        same = measure_toy_circuit._run_with_input(model, pairs.clean, 1, columns, qkv[1][..., columns])
        torch.testing.assert_close(same, logits, rtol=0, atol=1e-5)
