"""Self-tests on every run: what must hold whatever the model, the task and the result are.

On the run's own activations of its two clearest pairs, each with the largest deviation seen:

1. identity patch   clean z put into the clean run through the paths the run uses: f = 0, to the logits and to a
                    late head's q, k and v
2. full patch       corrupted embeddings and every head's corrupted z: f = -1
3. nothing ablated  the ablation with all heads kept gives the clean metric
4. plain forward    the model's own forward, no hook in place, gives the clean and the corrupted metric
5. residual stream  = embedding + what attention and MLP of each layer add, at every layer
6. heads' sum       what attention writes = sum over heads of W_O z, and the bias
7. attention rows   sum to 1

Metrics deviate in units of f, streams as a share of the largest value. A failure does not stop the run: it is part
of the result, and shown with it. A model that has only hooks runs all but the fifth, its own way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.ablation import Ablator
from engine.activations import Activations, read_metric
from engine.cost.ledger import Ledger, head_flops, hooked_flops, mlp_flops, output_flops, pass_flops, unembed_flops
from engine.hooked import ablated_logits, all_attention, end_logits
from engine.models.bridge import written_name
from engine.models.hooks import TOLERANCES, recorder
from engine.models.model import Model
from engine.models.parts import Layer
from engine.patching.effects import PathPatching
from engine.patching.reference import reference_effects
from engine.subset import clearest_places, subset
from engine.trust.self_check import check_passes, few_receivers, few_senders

STAGE = "self-tests"
PAIRS = 2
PASSES = 3.5  # of those pairs, beside the plain forwards: what all tests take on a model of usual shape
HOOKED_PASSES = 7  # beside the identity patch: plain 2, full patch 1, nothing ablated 1, heads' sum 2, rows 1

IDENTITY = "identity patch"
FULL = "full patch"
NOTHING = "nothing ablated"
PLAIN = "plain forward"
STREAM = "residual stream"
HEADS = "heads' sum"
ROWS = "attention rows"
MEANING = {
    IDENTITY: "Clean z patched into the clean run changes nothing.",
    FULL: "Corrupted embeddings with every head's corrupted z are the corrupted run: f is -1.",
    NOTHING: "With all heads kept, the ablation gives the clean metric.",
    PLAIN: "The model's own forward gives the metrics that were captured.",
    STREAM: "The residual stream is the embedding and what attention and MLPs add.",
    HEADS: "What attention writes is the sum of what its heads write.",
    ROWS: "The attention of each query sums to 1.",
}


@dataclass(frozen=True)
class SelfTest:
    """``value``: the largest deviation seen; NaN, too, is no pass."""

    name: str
    value: float
    tolerance: float

    @property
    def passed(self) -> bool:
        return self.value <= self.tolerance

    @property
    def meaning(self) -> str:
        """What must hold, in a sentence."""
        return MEANING[self.name]


@dataclass(frozen=True)
class SelfTests:
    """All tests of one run on ``pairs`` prompt pairs; ``skipped`` names those this model cannot run."""

    tests: tuple[SelfTest, ...]
    skipped: tuple[str, ...]
    pairs: int
    flops: float

    @property
    def passed(self) -> bool:
        return all(test.passed for test in self.tests)

    @property
    def failed(self) -> tuple[SelfTest, ...]:
        return tuple(test for test in self.tests if not test.passed)


@torch.no_grad()
def self_tests(model: Model, activations: Activations, on_work: Callable[[], None] = lambda: None) -> SelfTests:
    """Run every test this model can; ``on_work`` is called between pieces of work, and may raise Cancelled."""
    activations = subset(model, activations, clearest_places(activations, PAIRS))
    ledger = Ledger(1.0, lambda flops: on_work())
    tests = _Tests(model, activations, ledger)
    with ledger.stage(STAGE):
        values = tests.of_parts() if model.fast else tests.of_hooks()
    allowed = TOLERANCES.get(model.dtype, TOLERANCES[torch.float32])
    return SelfTests(
        tests=tuple(SelfTest(name, value, allowed) for name, value in values.items() if value is not None),
        skipped=tuple(name for name in MEANING if values.get(name) is None),
        pairs=len(activations.prompts),
        flops=sum(row.flops for row in ledger.rows()),
    )


def self_tests_flops(model: Model, activations: Activations) -> float:
    """What they will take: by hooks as good as exactly, else roughly."""
    prompts = activations.prompts
    share = min(PAIRS, len(prompts)) / len(prompts)
    if not model.fast:
        return share * (check_passes(model, few_receivers(model)) + HOOKED_PASSES) * hooked_flops(model, prompts)
    return share * (PASSES * pass_flops(model, prompts) + 2 * hooked_flops(model, prompts))


class _Tests:
    """The deviations on one small set of activations, as the fast path and as hooks give them."""

    def __init__(self, model: Model, activations: Activations, ledger: Ledger) -> None:
        self.model, self.activations, self.ledger = model, activations, ledger
        self.unit = abs(activations.clean - activations.corrupted)
        self.hooked = hooked_flops(model, activations.prompts)

    def of_parts(self) -> dict[str, float | None]:
        items = self.activations.batches
        return {
            IDENTITY: self._identity(),
            FULL: self._apart(self._all_corrupted(), "corrupted_metric"),
            NOTHING: self._nothing_ablated(),
            PLAIN: self._plain(),
            STREAM: _largest(self._stream(place) for place in range(len(items))),
            HEADS: _largest(self._heads(place, index) for place in range(len(items)) for index in self._layers()),
            ROWS: _largest(self._rows(place, index) for place in range(len(items)) for index in self._layers()),
        }

    def of_hooks(self) -> dict[str, float | None]:
        return {
            IDENTITY: self._hooked_identity(),
            FULL: self._apart(self._hooked_corrupted(), "corrupted_metric"),
            NOTHING: self._nothing_ablated(),
            PLAIN: self._plain(),
            HEADS: _largest(self._hooked_heads(place) for place in range(len(self.activations.batches))),
            ROWS: self._hooked_rows(),
        }

    def _layers(self) -> range:
        return range(self.model.n_layers)

    def _apart(self, metrics: Iterable[Tensor], name: str) -> float:
        """Largest distance of ``metrics [batch]``, batch by batch, from what was captured, in units of f."""
        pairs = zip(metrics, self.activations.batches, strict=True)
        return _largest((metric - getattr(item, name)).abs().max() for metric, item in pairs) / self.unit

    def _identity(self) -> float:
        items = tuple(replace(item, corrupted_z=item.clean_z) for item in self.activations.batches)
        senders = few_senders(self.model)
        patching = PathPatching(self.model, replace(self.activations, batches=items), senders, self.ledger)
        receivers = few_receivers(self.model)
        return _largest(patching.effects(receiver)[s.layer, s.index] for receiver in receivers for s in senders)

    def _all_corrupted(self) -> Iterable[Tensor]:
        """The metric ``[batch]`` of each batch once the embedding and all heads are corrupted, by changes of z."""
        parts = self.model.parts
        for item in self.activations.batches:
            resid = parts.embed(item.batch.corrupted.to(item.clean.z.device))
            for index, layer in enumerate(parts.layers):
                change = item.corrupted_z[index] - item.clean.z[index]
                attn_out = layer.changed_output(item.clean.attn_out[index], change, 0)
                resid = layer.output(resid, attn_out)
                rows = resid[..., 0].numel()
                self.ledger.add(output_flops(layer, rows, self.model.n_heads) + mlp_flops(layer, rows))
            read = self.model.vocab_size if item.readout.tokens is None else len(item.readout.tokens)
            self.ledger.add(unembed_flops(parts, len(resid), read))
            yield read_metric(parts, item.readout, resid[:, -1])

    def _nothing_ablated(self) -> float:
        everyone = torch.ones(self.model.n_layers, self.model.n_heads, dtype=torch.bool)
        kept = Ablator(self.model, self.activations, self.ledger).by_pair(everyone)
        return float((kept - self.activations.by_pair("clean_metric")).abs().max()) / self.unit

    def _plain(self) -> float:
        deviations = []
        for name in ("clean", "corrupted"):
            logits = [end_logits(self.model, getattr(i.batch, name).to(self.model.device)) for i in self._items()]
            self.ledger.add(self.hooked)
            metrics = [item.readout.of_vocabulary(each) for item, each in zip(self._items(), logits, strict=True)]
            deviations.append(self._apart(metrics, f"{name}_metric"))
        return _largest(deviations)

    def _items(self):
        return self.activations.batches

    def _stream(self, place: int) -> float:
        """Of one batch, over its layers."""
        parts, item = self.model.parts, self._items()[place]
        streams = [*item.clean.resid_pre, item.clean.resid_final]
        total = parts.embed(item.batch.clean.to(streams[0].device))
        deviations = [_off(total, streams[0])]
        for index, layer in enumerate(parts.layers):
            attn, mlp = _added(layer, streams[index], item.clean.attn_out[index])
            self.ledger.add(mlp_flops(layer, attn[..., 0].numel()))
            total = total + attn + mlp
            deviations.append(_off(total, streams[index + 1]))
        return _largest(deviations)

    def _heads(self, place: int, index: int) -> float:
        layer, clean = self.model.parts.layers[index], self._items()[place].clean
        z, attn_out = clean.z[index], clean.attn_out[index]
        total = torch.zeros_like(attn_out) if layer.o.bias is None else layer.o.bias.to(attn_out).expand_as(attn_out)
        for head in range(self.model.n_heads):
            total = total + layer.heads_output(z[..., head : head + 1, :], head)
        self.ledger.add(output_flops(layer, attn_out[..., 0].numel(), self.model.n_heads))
        return _off(total, attn_out)

    def _rows(self, place: int, index: int) -> Tensor:
        layer, clean = self.model.parts.layers[index], self._items()[place].clean
        pattern = layer.pattern(clean.q[index], clean.k[index])
        self.ledger.add(head_flops(layer, clean.q[index][..., 0, 0].numel() / 2, pattern.shape[-1], self.model.n_heads))
        return (pattern.sum(dim=-1) - 1).abs().max()

    def _hooked_identity(self) -> float:
        """The reference records corrupted z itself, so here the corrupted prompts are the clean ones."""
        items = tuple(
            replace(item, batch=replace(item.batch, corrupted=item.batch.clean)) for item in self._items()
        )
        senders = few_senders(self.model)
        activations, deviations = replace(self.activations, batches=items), []
        for receiver in few_receivers(self.model):
            f = reference_effects(self.model, activations, receiver, senders)
            self.ledger.add(check_passes(self.model, [receiver]) * self.hooked)
            deviations += [f[sender.layer, sender.index] for sender in senders]
        return _largest(deviations)

    def _hooked_corrupted(self) -> Iterable[Tensor]:
        nobody = torch.zeros(self.model.n_layers, self.model.n_heads, dtype=torch.bool)
        for item in self._items():
            tokens = item.batch.corrupted.to(self.model.device)
            yield item.readout.of_vocabulary(ablated_logits(self.model, tokens, nobody, item.corrupted_z))
        self.ledger.add(self.hooked)

    def _hooked_heads(self, place: int) -> float:
        """Clean minus corrupted, which no bias is part of."""
        item, names = self._items()[place], [written_name(layer) for layer in self._layers()]
        written = []
        for tokens in (item.batch.clean, item.batch.corrupted):
            recorded: dict[str, Tensor] = {}
            end_logits(self.model, tokens.to(self.model.device), [recorder(recorded, name) for name in names])
            self.ledger.add(len(tokens) * self.model.counted_flops(tokens.shape[1]))
            written.append([recorded[name].to(self.model.device) for name in names])
        change = item.clean_z - item.corrupted_z
        self.ledger.add(2 * change.numel() * self.model.d_model)
        return _largest(
            _off(change[index].flatten(-2) @ self.model.output_weight(index).T, clean - corrupted, clean)
            for index, (clean, corrupted) in enumerate(zip(*written, strict=True))
        )

    def _hooked_rows(self) -> float | None:
        """None where the hooks show no attention."""
        deviations = []
        for item in self._items():
            patterns = all_attention(self.model, item.batch.clean.to(self.model.device))
            if patterns is None:
                return None
            deviations += [(pattern.sum(dim=-1) - 1).abs().max() for pattern in patterns]
        self.ledger.add(self.hooked)
        return _largest(deviations)


def _added(layer: Layer, resid: Tensor, attn_out: Tensor) -> tuple[Tensor, Tensor]:
    """What attention and MLP of one layer add to the stream ``resid [batch pos d_model]``, written out step by step."""
    attn = attn_out if layer.norm_after_attn is None else layer.norm_after_attn(attn_out)
    read = layer.norm_mlp(resid if layer.parallel else resid + attn)
    mlp = layer.mlp(read.to(layer.device)).to(resid.device)
    return attn, mlp if layer.norm_after_mlp is None else layer.norm_after_mlp(mlp)


def _off(got: Tensor, expected: Tensor, scale: Tensor | None = None) -> float:
    """Largest distance, as a share of the largest value expected (or of ``scale``)."""
    largest = (expected if scale is None else scale).abs().max()
    return float((got - expected).abs().max() / largest.clamp_min(torch.finfo(largest.dtype).tiny))


def _largest(values: Iterable[Tensor | float]) -> float:
    """Of absolute values; NaN if any is NaN, which ``max`` would pass over."""
    return float(torch.stack([torch.as_tensor(float(value)).abs() for value in values]).max())
