"""What the probe of a bridge's hooks finds, and what it refuses."""

import pytest
import torch
from transformers import AutoTokenizer

from engine.errors import HeadlightError
from engine.models import bridge, hooks
from engine.models.loading import load_model
from engine.models.model import Model
from tests.tiny import TINY_VOCAB
from tests.tiny_hooked import HOOKED_KINDS, hooked_config, random_model, save_hooked_model


@pytest.fixture
def make(tiny_model_folder):
    """``make(config)``: a random model of a config, as Model sees it after loading."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder("gpt2"))
    return lambda config, **options: Model("mine", random_model(config), tokenizer, **options)


def refused(make, config, says: str) -> None:
    name = rf"mine \({config.model_type}\)"
    with pytest.raises(HeadlightError, match=f"{name} cannot be patched: .*{says}.*another architecture"):
        make(config)


@pytest.mark.parametrize("kind", HOOKED_KINDS)
def test_hooks_that_serve_are_used(make, kind):
    model = make(hooked_config(kind))
    assert not model.fast and kind in model.note and "exact, but slow" in model.note
    assert [tuple(model.output_weight(layer).shape) for layer in range(2)] == [(32, 32)] * 2
    assert model.vocab_size == TINY_VOCAB


def test_a_model_without_attention_is_refused(make):
    from transformers import MambaConfig

    refused(make, MambaConfig(vocab_size=TINY_VOCAB, hidden_size=32, num_hidden_layers=2), "hook_q")


def test_a_model_that_looks_ahead_is_refused(make):
    from transformers import BertConfig

    config = BertConfig(
        vocab_size=TINY_VOCAB, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64
    )
    refused(make, config, "not causal")


def test_an_architecture_the_bridge_lacks_is_refused(make):
    from transformers import HeliumConfig

    config = HeliumConfig(
        vocab_size=TINY_VOCAB, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2,
        head_dim=8, intermediate_size=64,
    )  # fmt: skip
    refused(make, config, "cannot be set up")


def test_an_output_projection_that_is_not_what_attention_writes_is_refused(make, monkeypatch):
    """Bloom adds the residual stream inside its attention module: that output is not W_O z."""
    monkeypatch.setattr(hooks, "written_name", lambda layer: f"blocks.{layer}.attn.hook_out")
    refused(make, hooked_config("bloom"), "in layer 0, what attention writes is not its output projection of z")


def test_hooks_that_change_nothing_are_refused(make, monkeypatch):
    monkeypatch.setattr(hooks, "replacing", lambda name, new: (name, lambda value, hook: None))
    refused(make, hooked_config("gpt_neo"), r"put in at blocks\.0\.attn\.hook_q does not reach the logits")


def test_hooks_that_move_what_they_carry_are_refused(make, monkeypatch):
    replacing = hooks.replacing
    monkeypatch.setattr(hooks, "replacing", lambda name, new: replacing(name, new + 1))
    refused(make, hooked_config("gpt_neo"), r"putting what blocks\.0\.attn\.hook_q recorded back .* changes the logits")


def test_a_bridge_that_computes_something_else_is_refused(make, monkeypatch):
    boot = bridge.boot

    def altered(hf_model, tokenizer, folder):
        with torch.no_grad():
            next(hf_model.parameters()).mul_(1.01)
        return boot(hf_model, tokenizer, folder)

    monkeypatch.setattr(bridge, "boot", altered)
    refused(make, hooked_config("gpt_neo"), "the model computes something else")


def test_other_shapes_of_z_are_refused(make, monkeypatch):
    def flat(into, name):
        def hook(value, hook):
            into[name] = value.flatten(2) if name.endswith("hook_z") else value

        return name, hook

    monkeypatch.setattr(hooks, "recorder", flat)
    refused(make, hooked_config("gpt_neo"), r"expected z as \[batch pos head\] \[1, 6, 4\] .*got \(1, 6, 32\)")


@pytest.mark.parametrize(
    ("kind", "known"),
    [("bloom", True), ("gpt_neo", True), ("bert", False), ("mamba", False), ("helium", False), ("x", False)],
)
def test_what_the_bridge_knows_by_name(kind, known):
    assert bridge.knows(kind) == known


def test_a_part_unknown_to_a_known_family_runs_through_hooks(tiny_model_folder, make):
    """Dynamic rotary scaling depends on the prompt's length: hooked forwards see all of it."""
    from tests.tiny import tiny_config

    config = tiny_config("llama")
    config.rope_parameters = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    assert not make(config).fast


def test_loading_says_nothing_extra_and_keeps_the_note(tmp_path):
    save_hooked_model("bloom", tmp_path)
    said: list[str] = []
    model = load_model(str(tmp_path), announce=said.append)
    assert model.note.startswith("bloom: ") and len(said) == 1


def test_a_model_that_does_not_run_at_all_is_refused(make, monkeypatch):
    def fail(*args, **kwargs):
        raise ValueError("no cache")

    monkeypatch.setattr("transformers.GPTNeoForCausalLM.forward", fail)
    refused(make, hooked_config("gpt_neo"), r"not even a plain forward works \(no cache\)")


@pytest.mark.parametrize(
    ("kind", "parallel"), [("gpt_neox", True), ("gpt_neox-sequential", False), ("gpt2", False), ("llama", False)]
)
def test_whether_mlps_run_beside_attention_is_known_by_parts_and_by_hooks(
    tiny_model_folder, kind: str, parallel: bool
):  # fmt: skip
    fast = load_model(str(tiny_model_folder(kind)))
    hooked = Model(fast.name, fast.hf_model, fast.tokenizer, hooked=True)
    assert (fast.parallel_mlps, hooked.parallel_mlps) == (parallel, parallel)
