"""Pair by pair is what the sum is made of, and what the reference gives."""

import pytest
import torch

from engine.activations import capture
from engine.circuit import Input
from engine.cost.ledger import Ledger
from engine.heads import Head
from engine.patching.by_pair import PairedPatching
from engine.patching.effects import PathPatching
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.reference import reference_by_pair
from tests.engine.random_prompts import random_prompts

SENDERS = (Head(0, 0), Head(0, 3), Head(1, 1))
RECEIVERS = [LOGITS, *(Receiver(letter, Head(1, 2)) for letter in (Input.Q, Input.K, Input.V))]


@pytest.mark.parametrize("receiver", RECEIVERS, ids=str)
@pytest.mark.parametrize("kind", ["gpt2", "qwen2", "gemma2", "gpt_neox"])
def test_its_mean_is_f_and_each_pair_is_the_references(tiny_model, kind, receiver):
    model, prompts = tiny_model(kind), random_prompts(n=5)
    activations = capture(model, prompts, 18)  # batches of two pairs
    shares = PairedPatching(model, activations, SENDERS, Ledger(1.0)).by_pair(receiver)
    f = PathPatching(model, activations, SENDERS, Ledger(1.0)).effects(receiver)
    assert shares.shape == (2, 4, 5)
    torch.testing.assert_close(shares.mean(dim=-1).float(), f, rtol=0, atol=1e-6, equal_nan=True)
    for sender in SENDERS:
        if receiver.head is None or sender.layer < receiver.head.layer:
            expected = reference_by_pair(model, activations, receiver, sender)
            torch.testing.assert_close(shares[sender.layer, sender.index], expected, rtol=0, atol=1e-4)
            assert expected.std() > 1e-3


def test_the_same_work_is_booked(tiny_model):
    model = tiny_model("llama")
    activations, ledgers = capture(model, random_prompts()), [Ledger(1.0), Ledger(1.0)]
    PairedPatching(model, activations, SENDERS, ledgers[0]).by_pair(RECEIVERS[1])
    PathPatching(model, activations, SENDERS, ledgers[1]).effects(RECEIVERS[1])
    assert [row.flops for row in ledgers[0].rows()] == [row.flops for row in ledgers[1].rows()]
