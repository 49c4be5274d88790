"""A model through its hooks alone, for architectures whose parts the fast path does not know.

Before anything relies on the hooks of TransformerLens' bridge, one short prompt asks whether they hold:

1. the bridge gives the plain model's logits, and a later token does not change an earlier position
2. each layer records q, k, v and z head by head, as many in each layer
3. its output projection turns the recorded z into what is recorded behind it
4. replacing any of the four in the first and the last layer reaches the logits

Whatever fails is refused by name: effects through such hooks would be wrong in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.errors import HeadlightError
from engine.models.bridge import hook_name, written_name
from engine.models.shape import Shape

PROBE_LENGTH = 6
POINTS = ("q", "k", "v", "z")
# Of the largest logit: the bridge computes some attentions in another order, in whatever dtype there is.
TOLERANCES = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 5e-2}

Hook = tuple[str, Callable[..., Any]]


class UnusableHooks(Exception):
    """Why; caught in this module."""


@dataclass(frozen=True, eq=False)
class Hooked:
    """What the probe found: the shape, and each layer's output projection ``[d_model head·d_head]``."""

    shape: Shape
    output_weights: tuple[Tensor, ...]


@torch.no_grad()
def inspect(name: str, hf_model: Any, boot: Callable[[], Any]) -> Hooked:
    """Probe the bridge that ``boot`` makes around ``hf_model``; raises HeadlightError if it cannot be relied on."""
    parameter = next(hf_model.parameters())
    tokens = torch.arange(1, PROBE_LENGTH + 1, device=parameter.device)[None] % hf_model.config.vocab_size
    try:
        plain = _plain_logits(hf_model, tokens)  # before the bridge wraps its modules
        return _Probe(_booted(boot), tokens, plain, TOLERANCES[parameter.dtype]).hooked(hf_model.config)
    except UnusableHooks as error:
        raise HeadlightError(
            f"{name} ({hf_model.config.model_type}) cannot be patched: its parts are not known to the fast path, and "
            f"the hooks of TransformerLens do not serve it: {error}. Choose a model of another architecture."
        ) from error


def _plain_logits(hf_model: Any, tokens: Tensor) -> Tensor:
    try:
        return hf_model(tokens, use_cache=False).logits
    except Exception as error:  # layers of a kind that do not run from a short prompt alone
        raise UnusableHooks(f"not even a plain forward works ({error})") from error


def _booted(boot: Callable[[], Any]) -> Any:
    try:
        return boot()
    except Exception as error:  # each architecture's adapter fails in its own way
        raise UnusableHooks(f"they cannot be set up ({error})") from error


def recorder(into: dict[str, Tensor], name: str) -> Hook:
    """A hook that stores a copy of what passes under ``name`` (TransformerLens resolves aliases to others)."""

    def hook(value: Tensor, hook: Any) -> None:
        into[name] = value.detach().clone()

    return name, hook


def replacing(name: str, new: Tensor) -> Hook:
    """A hook that puts ``new`` in the place of what passes under ``name``."""
    return name, lambda value, hook: new.view_as(value).to(value.device)


class _Probe:
    """One prompt's records and what they say."""

    def __init__(self, bridge: Any, tokens: Tensor, plain: Tensor, tolerance: float) -> None:
        self.bridge, self.tokens, self.plain = bridge, tokens, plain
        self.close = tolerance * float(plain.abs().max())
        self.n_layers = bridge.cfg.n_layers
        self.recorded: dict[str, Tensor] = {}

    def hooked(self, config: Any) -> Hooked:
        self._record()
        shape = self._shape(config)
        weights = tuple(self._output_weight(layer) for layer in range(self.n_layers))
        for layer in {0, self.n_layers - 1}:
            for point in POINTS:
                self._check_reaches(hook_name(layer, point))
        return Hooked(shape, weights)

    def _record(self) -> None:
        names = [hook_name(layer, point) for layer in range(self.n_layers) for point in POINTS]
        names += [written_name(layer) for layer in range(self.n_layers)]
        logits = self._run([recorder(self.recorded, name) for name in names])
        missing = [name for name in names if name not in self.recorded]
        if missing:
            raise UnusableHooks(f"{missing[0]} never fires")
        if self._change(logits) > self.close:
            raise UnusableHooks("with them in place the model computes something else")
        other = self.tokens.clone()
        other[:, -1] = 0
        if float((self._run([], other) - logits)[:, :-1].abs().max()) > self.close:
            raise UnusableHooks("it is not causal, a later token changes an earlier position")

    def _shape(self, config: Any) -> Shape:
        n_heads = config.num_attention_heads
        n_kv_heads = getattr(self.bridge.cfg, "n_key_value_heads", None) or n_heads
        for layer in range(self.n_layers):
            for point in POINTS:
                expected = (1, PROBE_LENGTH, n_heads if point in "qz" else n_kv_heads)
                got = tuple(self.recorded[hook_name(layer, point)].shape)
                if len(got) != 4 or got[:3] != expected:
                    raise UnusableHooks(f"expected {point} as [batch pos head] {list(expected)} + [d_head], got {got}")
        d_head = self.recorded[hook_name(0, "z")].shape[-1]
        return Shape(
            n_layers=self.n_layers, n_heads=n_heads, n_kv_heads=n_kv_heads,
            d_model=self.recorded[written_name(0)].shape[-1], d_head=d_head, vocab_size=self.plain.shape[-1],
            max_positions=getattr(config, "max_position_embeddings", None) or self.bridge.cfg.n_ctx,
        )  # fmt: skip

    def _output_weight(self, layer: int) -> Tensor:
        """``[d_model head·d_head]``: as stored, or transposed where the architecture stores it so."""
        module = self.bridge.blocks[layer].attn.o.original_component
        z, written = self.recorded[hook_name(layer, "z")].flatten(2), self.recorded[written_name(layer)]
        bias = getattr(module, "bias", None)
        for weight in (module.weight, module.weight.T):
            if weight.shape == (written.shape[-1], z.shape[-1]):
                close = self.close + 1e-4 * float(written.abs().max())
                if float((F.linear(z, weight, bias) - written).abs().max()) <= close:
                    return weight.detach()
        raise UnusableHooks(f"in layer {layer}, what attention writes is not its output projection of z")

    def _check_reaches(self, name: str) -> None:
        """What was recorded changes nothing; noise as large as it, at random, does."""
        recorded = self.recorded[name]
        noise = torch.randn(recorded.shape, generator=torch.Generator().manual_seed(0)).to(recorded)
        if self._change(self._run([replacing(name, recorded)])) > self.close:
            raise UnusableHooks(f"putting what {name} recorded back in its place changes the logits")
        if self._change(self._run([replacing(name, recorded + recorded.std() * noise)])) <= self.close:
            raise UnusableHooks(f"what is put in at {name} does not reach the logits")

    def _run(self, hooks: Sequence[Hook], tokens: Tensor | None = None) -> Tensor:
        try:
            return self.bridge.run_with_hooks(self.tokens if tokens is None else tokens, fwd_hooks=list(hooks))
        except Exception as error:  # a hook point that does not exist, or an adapter that does not fit
            raise UnusableHooks(f"a forward through them fails ({error})") from error

    def _change(self, logits: Tensor) -> float:
        return float((logits - self.plain).abs().max())
