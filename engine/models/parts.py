"""The pieces of a transformer as plain functions over its own weights, without hooks.

Path patching restarts a model in the middle, so it needs the parts between two residual streams
rather than a forward pass: norms, the query, key and value of one head, rotary embedding, the MLP,
the unembedding of a few tokens. One block does, each step where the architecture has it:

1. q, k, v of the normed stream; q and k normed by head, then rotated
2. scores, scaled, under a soft cap, causal, within a sliding window; z; what the output projection writes
3. that, normed, added to the stream; the MLP of the sum, or of the stream into the block where the two
   are parallel; its output, normed, added too

``engine/models/architectures`` fills these in from a Hugging Face model. Nothing here is changed
afterwards, so threads may share it without a lock. What comes in is moved to where a block's weights
lie and what goes out back to where it came from, which costs nothing where that is one device.

Axes: ``... pos d_model`` for residual streams, ``... pos head d_head`` for q and z,
``... pos kv_head d_head`` for k and v.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.models.attention import mix, pattern, softcapped


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
    """LayerNorm, or RMSNorm where ``centred`` is False; over the last axis.

    The weight is applied where it lies and in its own precision; the result is given back in that of ``x``.
    """

    weight: Tensor
    bias: Tensor | None
    eps: float
    centred: bool

    def __call__(self, x: Tensor) -> Tensor:
        there = x.to(self.weight)
        if self.centred:
            return F.layer_norm(there, self.weight.shape, self.weight, self.bias, self.eps).to(x)
        return F.rms_norm(there, self.weight.shape, self.weight, self.eps).to(x)

    def as_scaled(self, part: Tensor, whole: Tensor) -> Tensor:
        """What a summand ``part`` of ``whole`` becomes under the norm of ``whole``: linear, no bias."""
        summand, total = part.to(self.weight), whole.to(self.weight)
        if self.centred:
            summand, total = summand - summand.mean(-1, keepdim=True), total - total.mean(-1, keepdim=True)
        return (summand * self.weight * torch.rsqrt(total.square().mean(-1, keepdim=True) + self.eps)).to(part)


@dataclass(frozen=True, eq=False)
class Rotary:
    """Rotary embedding of q and k, of their first channels alone where the tables are narrower than a head.

    ``tables`` maps positions ``[pos]`` to cos and sin ``[pos channel]``; they come from the model's own
    module, because the theta in a config is not always the one in use.
    """

    tables: Callable[[Tensor], tuple[Tensor, Tensor]]
    adjacent: bool = False  # the two channels of a plane: neighbours, or half the rotated channels apart

    def __call__(self, x: Tensor, first: int) -> Tensor:
        """Rotate ``[... pos head d_head]`` whose first position is ``first``."""
        positions = torch.arange(first, first + x.shape[-3], device=x.device)
        cos, sin = (table.unsqueeze(-2).to(x) for table in self.tables(positions))
        width = cos.shape[-1]
        turning, rest = x[..., :width], x[..., width:]
        turned = turning * cos + self._quarter_turn(turning) * sin
        return torch.cat((turned, rest), dim=-1) if rest.shape[-1] else turned

    def _quarter_turn(self, x: Tensor) -> Tensor:
        if self.adjacent:
            return torch.stack((-x[..., 1::2], x[..., ::2]), dim=-1).flatten(-2)
        left, right = x.chunk(2, dim=-1)
        return torch.cat((-right, left), dim=-1)


@dataclass(frozen=True, eq=False)
class FeedForward:
    """An MLP: ``hidden`` maps the normed stream ``... d_model`` to what the down projection reads, ``... channel``."""

    hidden: Callable[[Tensor], Tensor]
    down: Linear

    def __call__(self, x: Tensor) -> Tensor:
        return self.down(self.hidden(x))


@dataclass(frozen=True, eq=False)
class Layer:
    """One block. ``mlp`` maps the normed stream ``... d_model`` to its output ``... d_model``."""

    norm_attn: Norm
    q: Linear
    k: Linear
    v: Linear
    o: Linear
    norm_mlp: Norm
    mlp: FeedForward
    mlp_parameters: int
    scale: float  # of the attention scores
    d_head: int
    rotary: Rotary | None = None  # None: learned positions
    q_norm: Norm | None = None  # over d_head, before rotary
    k_norm: Norm | None = None
    softcap: float | None = None  # scores become softcap * tanh(score / softcap)
    window: int | None = None  # keys a query sees, its own position included; None: all before it
    parallel: bool = False  # the MLP reads the stream into the block, not the one attention wrote to
    norm_after_attn: Norm | None = None  # of what attention writes, before it is added
    norm_after_mlp: Norm | None = None

    @property
    def device(self) -> torch.device:
        """Of all weights of the block."""
        return self.o.weight.device

    def queries(self, normed: Tensor, first: int) -> Tensor:
        """q ``... pos head d_head`` of the normed stream ``... pos d_model`` from position ``first`` on."""
        return self._by_head("q", self.q, normed, first)

    def keys(self, normed: Tensor, first: int) -> Tensor:
        """k ``... pos kv_head d_head``, like ``queries``."""
        return self._by_head("k", self.k, normed, first)

    def values(self, normed: Tensor) -> Tensor:
        """v ``... pos kv_head d_head``."""
        return self._by_head("v", self.v, normed, 0)

    def heads_input(self, letter: str, heads: slice, normed: Tensor, first: int) -> Tensor:
        """q of some query heads, or k or v of some KV heads, alone: ``... pos head d_head``."""
        whole = {"q": self.q, "k": self.k, "v": self.v}[letter]
        some = whole.rows(heads.start * self.d_head, (heads.stop - heads.start) * self.d_head)
        return self._by_head(letter, some, normed, first)

    def pattern(self, q: Tensor, k: Tensor) -> Tensor:
        """Attention probabilities ``[... kv_head group qpos kpos]``: see ``engine/models/attention.py``."""
        return pattern(q, k, self.scale, self.softcap, self.window)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """z ``[... qpos head d_head]``; ``q`` holds the last positions of ``k`` and ``v``."""
        return mix(self.pattern(q, k), v)

    def attention_output(self, z: Tensor) -> Tensor:
        """All heads' z ``... pos head d_head`` to what the output projection writes, ``... pos d_model``.

        ``output`` applies the norm after attention, if there is one: up to here everything is linear in z.
        """
        return self.o(z.flatten(-2).to(self.device)).to(z.device)

    def heads_output(self, z: Tensor, first: int) -> Tensor:
        """What heads ``first …`` write for ``z [... head d_head]``: ``... d_model``, no bias."""
        channels = slice(first * self.d_head, (first + z.shape[-2]) * self.d_head)
        return F.linear(z.flatten(-2).to(self.device), self.o.weight[:, channels]).to(z.device)

    def changed_output(self, attn_out: Tensor, change: Tensor, first: int) -> Tensor:
        """``attn_out`` once z of heads ``first …`` has changed by ``change [... head d_head]``."""
        return attn_out + self.heads_output(change, first)

    def reaching_stream(self, part: Tensor, attn_out: Tensor) -> Tensor:
        """What a summand ``part`` of ``attn_out`` adds to the stream, given the whole: linear, no bias."""
        return part if self.norm_after_attn is None else self.norm_after_attn.as_scaled(part, attn_out)

    def output(self, resid: Tensor, attn_out: Tensor) -> Tensor:
        """The stream out of the block, for the stream into it and its ``attention_output``."""
        home, resid, attn_out = resid.device, resid.to(self.device), attn_out.to(self.device)
        resid_mid = resid + self.attention_written(attn_out)
        return (resid_mid + self.mlp_written(resid if self.parallel else resid_mid)).to(home)

    def attention_written(self, attn_out: Tensor) -> Tensor:
        """What attention adds to the stream: its ``attention_output``, under the norm after it."""
        if self.norm_after_attn is None:
            return attn_out
        return self.norm_after_attn(attn_out.to(self.device)).to(attn_out.device)

    def mlp_reads(self, resid: Tensor, attn_out: Tensor) -> Tensor:
        """The stream the MLP reads, before its norm: ``resid`` alone in a parallel block."""
        return resid if self.parallel else resid + self.attention_written(attn_out)

    def mlp_written(self, read: Tensor) -> Tensor:
        """What the MLP adds to the stream, for the stream it reads (``mlp_reads``), ``... d_model`` each."""
        return self.mlp_written_of(self.mlp_hidden(read))

    def mlp_hidden(self, read: Tensor) -> Tensor:
        """The input of the down projection, ``... channel``, for the stream the MLP reads."""
        return self.mlp.hidden(self.norm_mlp(read.to(self.device))).to(read.device)

    def mlp_written_of(self, hidden: Tensor) -> Tensor:
        """``mlp_written`` from the input of the down projection on."""
        out = self.mlp.down(hidden.to(self.device))
        return (out if self.norm_after_mlp is None else self.norm_after_mlp(out)).to(hidden.device)

    def _by_head(self, letter: str, projection: Linear, normed: Tensor, first: int) -> Tensor:
        """A projection's output by head, ready for attention: ``... pos head d_head``."""
        x = projection(normed.to(self.device)).unflatten(-1, (-1, self.d_head))
        norm = {"q": self.q_norm, "k": self.k_norm, "v": None}[letter]
        x = x if norm is None else norm(x)
        return (x if letter == "v" or self.rotary is None else self.rotary(x, first)).to(normed.device)


@dataclass(frozen=True, eq=False)
class Parts:
    """Everything of one model that path patching runs."""

    embed: Callable[[Tensor], Tensor]  # tokens [batch pos] -> [batch pos d_model]
    layers: tuple[Layer, ...]
    final_norm: Norm
    unembedding: Linear
    logit_softcap: float | None = None  # logits become logit_softcap * tanh(logit / logit_softcap)

    def unembed(self, resid: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Logits of ``tokens`` (all if None) for the last residual stream: ``... token``."""
        logits = self.project(self.final_norm(resid), tokens, with_bias=True)
        return logits if self.logit_softcap is None else softcapped(logits, self.logit_softcap)

    def project(self, normed: Tensor, tokens: Tensor | None = None, with_bias: bool = False) -> Tensor:
        """Directions ``... d_model`` as logits of ``tokens`` (all if None), before a soft cap: ``... token``."""
        weight, bias = self.unembedding.weight, self.unembedding.bias if with_bias else None
        if tokens is not None:
            tokens = tokens.to(weight.device)
            weight, bias = weight[tokens], None if bias is None else bias[tokens]
        return F.linear(normed.to(weight.device), weight, bias).to(normed.device)
