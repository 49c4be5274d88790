"""TransformerLens' own direct-path patching as an oracle written by others.

It adds a head's change straight to one later head's input, so it agrees with ours where MLPs write
nothing on the way. It patches clean into corrupted; with the two runs exchanged it is our noising.
"""

import pytest
import torch
from transformer_lens import patching as transformer_lens_patching

from engine.activations import capture
from engine.circuit import Input
from engine.heads import Head
from engine.metrics import effect
from engine.models.loading import load_model
from engine.patching.receiver import Receiver
from engine.tasks.prompts import Prompts
from tests.engine.patching.test_effects import fast_effects
from tests.engine.random_prompts import LENGTHS, random_prompts


@pytest.mark.parametrize("letter", [Input.Q, Input.K, Input.V])
@torch.no_grad()
def test_effects_equal_direct_path_patching_when_mlps_write_nothing(tiny_model_folder, letter):
    model = load_model(str(tiny_model_folder("gpt2")))
    for block in model.hf_model.transformer.h:
        block.mlp.c_proj.weight.zero_()
    prompts = random_prompts(n=6)
    one_length = tuple(pair for pair in prompts.pairs if len(pair.clean_tokens) == LENGTHS[0])
    activations = capture(model, Prompts(prompts.task, prompts.metric, one_length))
    item = activations.batches[0]

    with model.lock:
        bridge = model.bridge
        _, clean_cache = bridge.run_with_cache(item.batch.clean)
        _, corrupted_cache = bridge.run_with_cache(item.batch.corrupted)
        for sender in (Head(0, 1), Head(0, 3)):
            theirs = transformer_lens_patching.get_act_patch_direct_path(
                bridge, item.batch.clean, corrupted_cache, clean_cache,
                lambda logits: item.readout(logits[:, -1][:, item.readout.tokens]).mean(),
                sender.layer, sender.index, component=letter.value, verbose=False,
            )
            expected = effect(theirs[1], activations.clean, activations.corrupted)
            ours = torch.stack([
                fast_effects(model, activations, Receiver(letter, Head(1, h)), [sender])[sender.layer, sender.index]
                for h in range(model.n_heads)
            ])
            assert expected.abs().max() > 1e-3
            torch.testing.assert_close(ours, expected, atol=2e-5, rtol=0)
