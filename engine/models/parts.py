"""The pieces of a transformer as plain functions over its own weights, without hooks.

Path patching restarts a model in the middle, so it needs the parts between two residual streams
rather than a forward pass: norms, the query, key and value of one head, rotary embedding, the MLP,
the unembedding of a few tokens. ``parts_of`` reads them from a Hugging Face model without copying
a weight; nothing here is changed afterwards, so threads may share it without a lock.

Known architectures, all with pre-norm blocks (attention, then MLP):

* gpt2   LayerNorm, biases, learned positions, joint QKV stored as Conv1D
* llama  RMSNorm, rotary positions, grouped KV heads, gated MLP
* qwen2  llama with biases on q, k and v

Axes: ``... pos d_model`` for residual streams, ``... pos head d_head`` for q and z,
``... pos kv_head d_head`` for k and v.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.errors import HeadlightError
from engine.models.attention import mix, pattern

SUPPORTED = frozenset({"gpt2", "llama", "qwen2"})
# These rescale with the prompt's length or swap frequencies past a limit; a head recomputed alone would not see that.
UNSUPPORTED_ROPE = frozenset({"dynamic", "longrope"})


@dataclass(frozen=True, eq=False)
class Linear:
    """``x @ weight.T + bias``; weight ``[out in]``, a view of the model's own storage."""

    weight: Tensor
    bias: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def rows(self, first: int, size: int) -> Linear:
        """The outputs ``first … first + size`` alone: one head of a q, k or v projection."""
        bias = None if self.bias is None else self.bias[first : first + size]
        return Linear(self.weight[first : first + size], bias)


@dataclass(frozen=True, eq=False)
class Norm:
    """LayerNorm, or RMSNorm where ``centred`` is False."""

    weight: Tensor
    bias: Tensor | None
    eps: float
    centred: bool

    def __call__(self, x: Tensor) -> Tensor:
        if self.centred:
            return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)

    def as_scaled(self, part: Tensor, whole: Tensor) -> Tensor:
        """What a summand ``part`` of ``whole`` becomes under the norm of ``whole``: linear, no bias."""
        if self.centred:
            part, whole = part - part.mean(-1, keepdim=True), whole - whole.mean(-1, keepdim=True)
        return part * self.weight * torch.rsqrt(whole.square().mean(-1, keepdim=True) + self.eps)


@dataclass(frozen=True, eq=False)
class Rotary:
    """Rotary embedding of q and k.

    ``tables`` maps positions ``[pos]`` to cos and sin ``[pos d_head]``; they come from the model's own
    module, because the theta in a config is not always the one in use.
    """

    tables: Callable[[Tensor], tuple[Tensor, Tensor]]

    def __call__(self, x: Tensor, first: int) -> Tensor:
        """Rotate ``[... pos head d_head]`` whose first position is ``first``."""
        positions = torch.arange(first, first + x.shape[-3], device=x.device)
        cos, sin = (table.unsqueeze(-2).to(x.dtype) for table in self.tables(positions))
        left, right = x.chunk(2, dim=-1)
        return x * cos + torch.cat((-right, left), dim=-1) * sin


@dataclass(frozen=True, eq=False)
class Layer:
    """One block. ``mlp`` maps the normed stream ``... d_model`` to its output ``... d_model``."""

    norm_attn: Norm
    q: Linear
    k: Linear
    v: Linear
    o: Linear
    norm_mlp: Norm
    mlp: Callable[[Tensor], Tensor]
    mlp_parameters: int
    scale: float  # of the attention scores
    d_head: int
    rotary: Rotary | None  # None: learned positions

    def queries(self, normed: Tensor, first: int) -> Tensor:
        """q ``... pos head d_head`` of the normed stream ``... pos d_model`` from position ``first`` on."""
        return self._rotated(self.q(normed).unflatten(-1, (-1, self.d_head)), first)

    def keys(self, normed: Tensor, first: int) -> Tensor:
        """k ``... pos kv_head d_head``, like ``queries``."""
        return self._rotated(self.k(normed).unflatten(-1, (-1, self.d_head)), first)

    def values(self, normed: Tensor) -> Tensor:
        """v ``... pos kv_head d_head``."""
        return self.v(normed).unflatten(-1, (-1, self.d_head))

    def heads_input(self, letter: str, heads: slice, normed: Tensor, first: int) -> Tensor:
        """q of some query heads, or k or v of some KV heads, alone: ``... pos head d_head``."""
        whole = {"q": self.q, "k": self.k, "v": self.v}[letter]
        some = whole.rows(heads.start * self.d_head, (heads.stop - heads.start) * self.d_head)
        x = some(normed).unflatten(-1, (-1, self.d_head))
        return x if letter == "v" else self._rotated(x, first)

    def pattern(self, q: Tensor, k: Tensor) -> Tensor:
        """Attention probabilities ``[... kv_head group qpos kpos]``: see ``engine/models/attention.py``."""
        return pattern(q, k, self.scale)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """z ``[... qpos head d_head]``; ``q`` holds the last positions of ``k`` and ``v``."""
        return mix(self.pattern(q, k), v)

    def attention_output(self, z: Tensor) -> Tensor:
        """All heads' z ``... pos head d_head`` to what attention writes, ``... pos d_model``."""
        return self.o(z.flatten(-2))

    def heads_output(self, z: Tensor, first: int) -> Tensor:
        """What heads ``first …`` write for ``z [... head d_head]``: ``... d_model``, no bias."""
        channels = slice(first * self.d_head, (first + z.shape[-2]) * self.d_head)
        return F.linear(z.flatten(-2), self.o.weight[:, channels])

    def changed_output(self, z: Tensor, attn_out: Tensor, change: Tensor, first: int) -> Tensor:
        """What attention writes once z of heads ``first …`` has changed by ``change [... head d_head]``.

        ``z`` and ``attn_out`` are all heads' z and what attention wrote before the change.
        """
        return attn_out + self.heads_output(change, first)

    def output(self, resid: Tensor, attn_out: Tensor) -> Tensor:
        """The stream out of the block, for the stream into it and what its attention writes."""
        resid_mid = resid + attn_out
        return resid_mid + self.mlp(self.norm_mlp(resid_mid))

    def _rotated(self, x: Tensor, first: int) -> Tensor:
        return x if self.rotary is None else self.rotary(x, first)


@dataclass(frozen=True, eq=False)
class Parts:
    """Everything of one model that path patching runs."""

    embed: Callable[[Tensor], Tensor]  # tokens [batch pos] -> [batch pos d_model]
    layers: tuple[Layer, ...]
    final_norm: Norm
    unembedding: Linear

    def unembed(self, resid: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Logits of ``tokens`` (all if None) for the last residual stream: ``... token``."""
        normed = self.final_norm(resid)
        if tokens is None:
            return self.unembedding(normed)
        bias = None if self.unembedding.bias is None else self.unembedding.bias[tokens]
        return F.linear(normed, self.unembedding.weight[tokens], bias)


def check_supported(config: Any) -> None:
    """Raise HeadlightError, by name, unless the parts of this Hugging Face config are known."""
    kind = config.model_type
    if kind not in SUPPORTED:
        raise HeadlightError(
            f"The architecture {kind!r} is not supported. Headlight patches paths exactly, so it runs only "
            f"architectures whose parts it knows: {', '.join(sorted(SUPPORTED))}. Choose a model of one of them."
        )
    reason = _unknown_part(config)
    if reason:
        raise HeadlightError(f"This {kind} model uses {reason}, which Headlight's exact path patching does not know.")


def _unknown_part(config: Any) -> str | None:
    """What a config of a known family asks for that the parts here do not do."""
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") in UNSUPPORTED_ROPE:
        return f"rotary scaling of type {rope['rope_type']!r}"
    if getattr(config, "add_cross_attention", False):
        return "cross attention"
    if "sliding_attention" in (getattr(config, "layer_types", None) or ()):
        return "sliding-window attention"
    return None


def unknown_parts(config: Any) -> bool:
    """Whether the parts of this config are not known, so that only hooks can serve it."""
    try:
        check_supported(config)
    except HeadlightError:
        return True
    return False


def parts_of(hf_model: Any) -> Parts:
    """The parts of a supported Hugging Face causal LM; raises HeadlightError otherwise."""
    check_supported(hf_model.config)
    if hf_model.config.model_type == "gpt2":
        return _gpt2_parts(hf_model)
    return _llama_parts(hf_model)


def _activation(name: str) -> Callable[[Tensor], Tensor]:
    """The MLP nonlinearity; the tanh GELU in its fused form instead of one operation after another."""
    from transformers.activations import ACT2FN

    if name in ("gelu_new", "gelu_pytorch_tanh"):
        return lambda x: F.gelu(x, approximate="tanh")
    return ACT2FN[name]


def _gpt2_parts(hf_model: Any) -> Parts:
    body, config = hf_model.transformer, hf_model.config

    def embed(tokens: Tensor) -> Tensor:
        positions = torch.arange(tokens.shape[-1], device=tokens.device)
        return F.embedding(tokens, wte) + F.embedding(positions, wpe)

    wte, wpe = body.wte.weight.detach(), body.wpe.weight.detach()
    return Parts(
        embed=embed,
        layers=tuple(_gpt2_layer(block, config) for block in body.h),
        final_norm=_layer_norm(body.ln_f),
        unembedding=_linear(hf_model.lm_head),
    )


def _gpt2_layer(block: Any, config: Any) -> Layer:
    d_model, d_head = config.hidden_size, config.hidden_size // config.num_attention_heads
    joint = _conv1d(block.attn.c_attn)
    up, down, act = _conv1d(block.mlp.c_fc), _conv1d(block.mlp.c_proj), _activation(config.activation_function)
    return Layer(
        norm_attn=_layer_norm(block.ln_1),
        q=joint.rows(0, d_model),
        k=joint.rows(d_model, d_model),
        v=joint.rows(2 * d_model, d_model),
        o=_conv1d(block.attn.c_proj),
        norm_mlp=_layer_norm(block.ln_2),
        mlp=lambda x: down(act(up(x))),
        mlp_parameters=_parameters(up, down),
        scale=block.attn.scaling,
        d_head=d_head,
        rotary=None,
    )


def _llama_parts(hf_model: Any) -> Parts:
    body = hf_model.model
    table = body.embed_tokens.weight.detach()
    rotary_module = body.rotary_emb

    def tables(positions: Tensor) -> tuple[Tensor, Tensor]:
        probe = table.new_empty(1, dtype=torch.float32)  # the module reads only its device and dtype
        cos, sin = rotary_module(probe, positions[None])
        return cos[0], sin[0]

    rotary = Rotary(tables)
    return Parts(
        embed=lambda tokens: F.embedding(tokens, table),
        layers=tuple(_llama_layer(block, hf_model.config, rotary) for block in body.layers),
        final_norm=_rms_norm(body.norm),
        unembedding=_linear(hf_model.lm_head),
    )


def _llama_layer(block: Any, config: Any, rotary: Rotary) -> Layer:
    attn = block.self_attn
    gate, up, down = _linear(block.mlp.gate_proj), _linear(block.mlp.up_proj), _linear(block.mlp.down_proj)
    act = _activation(config.hidden_act)
    return Layer(
        norm_attn=_rms_norm(block.input_layernorm),
        q=_linear(attn.q_proj),
        k=_linear(attn.k_proj),
        v=_linear(attn.v_proj),
        o=_linear(attn.o_proj),
        norm_mlp=_rms_norm(block.post_attention_layernorm),
        mlp=lambda x: down(act(gate(x)).mul_(up(x))),
        mlp_parameters=_parameters(gate, up, down),
        scale=attn.scaling,
        d_head=attn.head_dim,
        rotary=rotary,
    )


def _parameters(*maps: Linear) -> int:
    return sum(item.weight.numel() for item in maps)


def _linear(module: Any) -> Linear:
    return Linear(module.weight.detach(), None if module.bias is None else module.bias.detach())


def _conv1d(module: Any) -> Linear:
    """GPT-2 stores ``[in out]``; the transposed view costs nothing."""
    return Linear(module.weight.detach().T, module.bias.detach())


def _layer_norm(module: Any) -> Norm:
    return Norm(module.weight.detach(), module.bias.detach(), module.eps, centred=True)


def _rms_norm(module: Any) -> Norm:
    return Norm(module.weight.detach(), None, module.variance_epsilon, centred=False)
