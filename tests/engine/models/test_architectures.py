"""What architectures add to a block, by hand; what no part does is refused by name."""

import pytest
import torch

from engine.activations import run
from engine.cost.ledger import block_flops, mlp_flops
from engine.errors import HeadlightError
from engine.models.architectures import check_supported, copied_parameters, parts_of
from engine.models.attention import pattern, softcapped
from engine.models.preflight import held_parameters, parameter_count
from tests.tiny import TINY_KINDS, TINY_VOCAB, random_model, tiny_config

TOKENS = torch.randint(1, TINY_VOCAB, (2, 9), generator=torch.Generator().manual_seed(0))


def test_a_window_counts_the_querys_own_position():
    q, k = torch.zeros(5, 1, 2), torch.zeros(5, 1, 2)  # all scores alike: a row spreads over the keys it sees
    rows = pattern(q, k, 1.0, window=2)[0, 0]
    assert rows.tolist() == [
        [1, 0, 0, 0, 0], [0.5, 0.5, 0, 0, 0], [0, 0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5, 0], [0, 0, 0, 0.5, 0.5],
    ]  # fmt: skip
    assert pattern(q[3:], k, 1.0, window=2)[0, 0].tolist() == rows[3:].tolist()


def test_a_soft_cap_is_never_passed():
    assert softcapped(torch.tensor([0.0, 1e9, -1e9]), 30.0).tolist() == [0, 30, -30]
    assert softcapped(torch.tensor(0.01), 30.0).item() == pytest.approx(0.01, abs=1e-8)
    scores = pattern(torch.full((2, 1, 1), 50.0), torch.tensor([[[1.0]], [[-1.0]]]), 1.0, softcap=1.0)[0, 0, 1]
    assert (scores[0] / scores[1]).item() == pytest.approx(torch.tensor(2.0).exp().item(), rel=1e-5)


@pytest.mark.parametrize("kind", TINY_KINDS)
@torch.no_grad()
def test_what_the_heads_add_to_the_stream_is_what_attention_adds(tiny_model, kind):
    parts = tiny_model(kind).parts
    forward = run(parts, TOKENS)
    for index, layer in enumerate(parts.layers):
        z, attn_out = forward.z[index], forward.attn_out[index]
        heads = [layer.reaching_stream(layer.heads_output(z[..., h : h + 1, :], h), attn_out) for h in range(4)]
        bias = torch.zeros(32) if layer.o.bias is None else layer.o.bias
        whole = attn_out if layer.norm_after_attn is None else layer.norm_after_attn(attn_out)
        added = sum(heads) + layer.reaching_stream(bias.expand_as(attn_out), attn_out)
        torch.testing.assert_close(added, whole, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_parallel_mlp_is_computed_and_booked_once_for_all_senders(tiny_model):
    layer = tiny_model("gpt_neox").parts.layers[0]
    shared, own = torch.ones(2, 3, 32), torch.ones(5, 2, 3, 32)
    assert block_flops(layer, shared, own) == mlp_flops(layer, 2 * 3)
    assert block_flops(layer, own, shared) == mlp_flops(layer, 5 * 2 * 3)
    sequential = tiny_model("gpt_neox-sequential").parts.layers[0]
    assert block_flops(sequential, shared, own) == mlp_flops(sequential, 5 * 2 * 3)
    resid, attn_out = run(tiny_model("gpt_neox").parts, TOKENS).resid_pre[0], torch.zeros(7, 2, 9, 32)
    by_hand = resid + layer.mlp(layer.norm_mlp(resid))
    torch.testing.assert_close(layer.output(resid, attn_out), by_hand.expand(7, -1, -1, -1), atol=1e-6, rtol=0)


def test_weights_are_shared_with_the_model_but_for_what_is_booked():
    for kind in TINY_KINDS:
        hf_model = random_model(tiny_config(kind))
        owned = {parameter.untyped_storage().data_ptr() for parameter in hf_model.parameters()}
        copied = sum(
            linear.weight.numel()
            for layer in parts_of(hf_model).layers
            for linear in (layer.q, layer.k, layer.v, layer.o)
            if linear.weight.untyped_storage().data_ptr() not in owned
        )
        assert copied == copied_parameters(hf_model.config), kind
        assert held_parameters(hf_model.config) == parameter_count(hf_model.config) + copied


@pytest.mark.parametrize(
    ("kind", "changes", "named"),
    [
        ("opt", {"do_layer_norm_before": False}, "do_layer_norm_before is false"),
        ("opt", {"word_embed_proj_dim": 16}, "word_embed_proj_dim differs from hidden_size"),
        ("opt", {"_remove_final_layer_norm": True}, "no final norm"),
        ("opt", {"layer_norm_elementwise_affine": False}, "norms without weights"),
        ("phi", {"qk_layernorm": True}, "qk_layernorm"),
        ("gpt_neox", {"attention_bias": False}, "attention_bias is false"),
        ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights is false"),
        ("gptj", {"rotary_dim": 0}, "no rotary_dim"),
        ("gemma3_text", {"attn_logit_softcapping": 2.0}, "a soft cap on attention scores"),
        ("gemma2", {"use_bidirectional_attention": True}, "bidirectional attention"),
        ("gpt2", {"add_cross_attention": True}, "cross attention"),
        ("llama", {"layer_types": ["full_attention", "sliding_attention"]}, "layers of type 'sliding_attention'"),
        ("qwen2", {"layer_types": ["full_attention", "chunked_attention"]}, "layers of type 'chunked_attention'"),
        ("llama", {"rope_parameters": {"rope_type": "dynamic"}}, "rotary scaling of type 'dynamic'"),
        (
            "gemma3_text",
            {"rope_parameters": {"full_attention": {"rope_type": "longrope"}, "sliding_attention": {}}},
            "rotary scaling of type 'longrope'",
        ),
    ],
)
def test_what_no_part_does_is_refused_by_name(kind, changes, named):
    config = tiny_config(kind)
    for name, value in changes.items():
        setattr(config, name, value)
    with pytest.raises(HeadlightError, match=named):
        check_supported(config)
