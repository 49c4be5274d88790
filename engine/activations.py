"""One clean and one corrupted forward of every prompt, kept for everything that follows.

1. Clean: each layer's residual streams, q, k, v and z, because path patching freezes z at clean,
   restarts layers from the clean stream and attends to clean keys and values.
2. Corrupted: z alone, which is what a patch inserts (METHOD section 2.7). Where MLPs are nodes, also what each
   MLP writes in either run.
3. The metric of both runs, pair by pair; and what the probabilities of answer and distractor are read from,
   which nothing but showing the pairs needs.

A model whose parts are not known gives z and the metric alone, by hooks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.errors import HeadlightError
from engine.hooked import recorded_z
from engine.machine.chunks import chunked
from engine.metrics import Readout, end_probabilities
from engine.models.model import Model
from engine.models.parts import Layer, Parts
from engine.scores.contrastive_flap import prompt_energies
from engine.tasks.prompts import PromptBatch, Prompts

UNEMBEDDED_TOGETHER = 32  # pairs: all logits of a few hundred would be the largest tensor of the run


@dataclass(frozen=True, eq=False)
class Run:
    """One plain forward of a batch; q and k after rotary."""

    resid_pre: Tensor  # [layer batch pos d_model] stream into each layer
    attn_out: Tensor  # [layer batch pos d_model] its output projection of z
    resid_final: Tensor  # [batch pos d_model] stream after the last layer
    q: Tensor  # [layer batch pos head d_head]
    k: Tensor  # [layer batch pos kv_head d_head]
    v: Tensor  # [layer batch pos kv_head d_head]
    z: Tensor  # [layer batch pos head d_head]

    def of_pairs(self, pairs: slice) -> Run:
        """The run of some of the batch's pairs, as views."""
        by_layer = {name: getattr(self, name)[:, pairs] for name in ("resid_pre", "attn_out", "q", "k", "v", "z")}
        return Run(resid_final=self.resid_final[pairs], **by_layer)


@dataclass(frozen=True, eq=False)
class MlpRuns:
    """What the MLPs of both runs do; ``corrupted_energy`` is what scores need of their hidden channels."""

    clean: Tensor  # [layer batch pos d_model] what each MLP adds to the stream
    corrupted: Tensor  # [layer batch pos d_model]
    corrupted_energy: tuple[Tensor, ...]  # by layer, [batch channel] sum over positions of squares, float64

    def of_pairs(self, pairs: slice) -> MlpRuns:
        """Those of some of the batch's pairs, as views."""
        energies = tuple(energy[pairs] for energy in self.corrupted_energy)
        return MlpRuns(self.clean[:, pairs], self.corrupted[:, pairs], energies)


@dataclass(frozen=True, eq=False)
class BatchActivations:
    """Both runs of the pairs of one token length."""

    batch: PromptBatch
    readout: Readout
    clean_z: Tensor  # [layer batch pos head d_head]
    corrupted_z: Tensor  # [layer batch pos head d_head]
    clean_metric: Tensor  # [batch]
    corrupted_metric: Tensor  # [batch]
    run: Run | None  # of the clean prompts; None where hooks recorded z alone
    corrupted_end: Tensor | None = None  # [batch d_model] last stream at the end position, of the fast path
    probabilities: Tensor | None = None  # [batch run 2] of a hooked run, whose logits are all there anyway
    mlps: MlpRuns | None = None  # only where MLPs are nodes

    @property
    def clean(self) -> Run:
        """The clean run, for the fast path."""
        if self.run is None:
            raise ValueError("Expected a model whose parts are known; hooks recorded z alone")
        return self.run

    @property
    def mlp_runs(self) -> MlpRuns:
        """What the MLPs do, for a run in which they are nodes."""
        if self.mlps is None:
            raise ValueError("Expected activations captured with mlps=True")
        return self.mlps

    @property
    def first(self) -> int:
        """First position a patch can change (SPEED item 4)."""
        return self.batch.first_difference

    def of_pairs(self, pairs: slice) -> BatchActivations:
        """Both runs of some of the pairs, as views."""
        return BatchActivations(
            batch=self.batch.of_pairs(pairs),
            readout=self.readout.of_pairs(pairs),
            clean_z=self.clean_z[:, pairs],
            corrupted_z=self.corrupted_z[:, pairs],
            clean_metric=self.clean_metric[pairs],
            corrupted_metric=self.corrupted_metric[pairs],
            run=None if self.run is None else self.run.of_pairs(pairs),
            corrupted_end=None if self.corrupted_end is None else self.corrupted_end[pairs],
            probabilities=None if self.probabilities is None else self.probabilities[pairs],
            mlps=None if self.mlps is None else self.mlps.of_pairs(pairs),
        )


@dataclass(frozen=True, eq=False)
class Activations:
    """All batches of one prompt set on one model."""

    prompts: Prompts
    batches: tuple[BatchActivations, ...]

    @property
    def clean(self) -> float:
        """Mean metric of the clean prompts."""
        return self._mean("clean_metric")

    @property
    def corrupted(self) -> float:
        """Mean metric of the corrupted prompts."""
        return self._mean("corrupted_metric")

    def by_pair(self, name: str) -> Tensor:
        """``clean_metric`` or ``corrupted_metric`` in the order of the prompts: ``[pair]``."""
        values = torch.empty(len(self.prompts))
        for item in self.batches:
            values[list(item.batch.indices)] = getattr(item, name).float().cpu()
        return values

    def _mean(self, name: str) -> float:
        return float(self.by_pair(name).double().mean())


@torch.no_grad()
def capture(model: Model, prompts: Prompts, max_rows: int | None = None, mlps: bool = False) -> Activations:
    """Run every pair, clean and corrupted; raises HeadlightError if a prompt is too long or unknown to it.

    ``max_rows`` (pair x position) run together, all of one length if None; everything that follows keeps to it.
    ``mlps``: keep what MLPs write too, for a run in which they are nodes. Needs a model whose parts are known.
    """
    _check_prompts(model, prompts)
    if mlps:
        check_mlps(model)
    batches: list[BatchActivations] = []
    for batch in prompts.batches(max_rows):
        count = len(batch.pairs)
        batches += chunked(lambda some, one=batch: _captured(model, prompts, one.of_pairs(some), mlps), count, count)
    return Activations(prompts, tuple(batches))


def check_mlps(model: Model) -> None:
    """Raise HeadlightError unless the MLPs of ``model`` can be nodes."""
    if not model.fast:
        raise HeadlightError(
            f"MLPs cannot be nodes in {model.name}: that needs the parts of the model, and those of this "
            f"{model.config.model_type} model are not known to the fast path. Run it without MLPs as nodes, or choose "
            "another architecture."
        )


def _check_prompts(model: Model, prompts: Prompts) -> None:
    longest = max(len(pair.clean_tokens) for pair in prompts.pairs)
    if longest > model.max_positions:
        raise HeadlightError(
            f"The longest prompt has {longest} tokens but {model.name} takes at most {model.max_positions}. "
            "Shorten the prompts or choose another model."
        )
    highest = max(max(*pair.clean_tokens, *pair.corrupted_tokens) for pair in prompts.pairs)
    if highest >= model.vocab_size:
        raise HeadlightError(
            f"A prompt holds token {highest} ({model.tokenizer.decode([highest])!r}), which {model.name} has no "
            f"embedding for: it knows {model.vocab_size:,} tokens. Take it out of the prompts."
        )


def _captured(model: Model, prompts: Prompts, batch: PromptBatch, mlps: bool) -> BatchActivations:
    readout = Readout.of(batch.pairs, prompts.metric, model.vocab_size, model.device)
    return _capture_batch(model, readout, batch, mlps) if model.fast else _hooked_batch(model, readout, batch)


def _hooked_batch(model: Model, readout: Readout, batch: PromptBatch) -> BatchActivations:
    clean_z, clean = recorded_z(model, batch.clean.to(model.device))
    corrupted_z, corrupted = recorded_z(model, batch.corrupted.to(model.device))
    return BatchActivations(
        batch=batch,
        readout=readout,
        clean_z=clean_z,
        corrupted_z=corrupted_z,
        clean_metric=readout.of_vocabulary(clean),
        corrupted_metric=readout.of_vocabulary(corrupted),
        run=None,
        probabilities=torch.stack([end_probabilities(logits, batch.pairs) for logits in (clean, corrupted)], dim=1),
    )


def _capture_batch(model: Model, readout: Readout, batch: PromptBatch, mlps: bool) -> BatchActivations:
    """Clean and corrupted prompts run as one batch: larger matmuls."""
    pairs = len(batch.pairs)
    tokens = torch.cat((batch.clean, batch.corrupted)).to(model.device)
    recorder = _MlpRecorder(pairs) if mlps else None
    both = run(model.parts, tokens, pairs, recorder)
    metric = read_metric(model.parts, readout.repeated(2), both.resid_final[:, -1])
    clean = replace(both, resid_final=both.resid_final[:pairs].clone(), z=both.z[:, :pairs])
    return BatchActivations(
        batch=batch,
        readout=readout,
        clean_z=clean.z,
        corrupted_z=both.z[:, pairs:],
        clean_metric=metric[:pairs],
        corrupted_metric=metric[pairs:],
        run=clean,
        corrupted_end=both.resid_final[pairs:, -1].clone(),
        mlps=recorder.runs() if recorder is not None else None,
    )


class _MlpRecorder:
    """Takes each layer of a forward of clean and corrupted prompts and keeps what its MLP does."""

    def __init__(self, pairs: int) -> None:
        self._pairs = pairs
        self._written: list[Tensor] = []
        self._energies: list[Tensor] = []

    def through(self, layer: Layer, resid: Tensor, attn_out: Tensor) -> Tensor:
        """The stream out of ``layer``, as ``Layer.output`` gives it."""
        read = layer.mlp_reads(resid, attn_out)
        hidden = layer.mlp_hidden(read)
        self._energies.append(prompt_energies(hidden[self._pairs :]))
        self._written.append(layer.mlp_written_of(hidden))
        return resid + layer.attention_written(attn_out) + self._written[-1]

    def runs(self) -> MlpRuns:
        written = torch.stack(self._written)
        return MlpRuns(written[:, : self._pairs], written[:, self._pairs :], tuple(self._energies))


def run(parts: Parts, tokens: Tensor, keep: int | None = None, recorder: _MlpRecorder | None = None) -> Run:
    """A plain forward of ``tokens [batch pos]`` that keeps what patching needs.

    ``keep``: of the first so many prompts alone (all if None), but for z and the final stream.
    """
    resid = parts.embed(tokens)
    kept: dict[str, list[Tensor]] = {name: [] for name in ("resid_pre", "attn_out", "q", "k", "v")}
    zs = []
    for layer in parts.layers:
        normed = layer.norm_attn(resid)
        q, k, v = layer.queries(normed, 0), layer.keys(normed, 0), layer.values(normed)
        z = layer.attend(q, k, v)
        attn_out = layer.attention_output(z)
        for name, value in zip(kept, (resid, attn_out, q, k, v), strict=True):
            kept[name].append(value[:keep])
        zs.append(z)
        resid = layer.output(resid, attn_out) if recorder is None else recorder.through(layer, resid, attn_out)
    return Run(resid_final=resid, z=torch.stack(zs), **{name: torch.stack(values) for name, values in kept.items()})


@torch.no_grad()
def pair_probabilities(model: Model, activations: Activations) -> Tensor:
    """Probability of answers and of distractors after each prompt, both summed: ``[pair run 2]``.

    Runs are clean and corrupted. No forward pass: the last streams are unembedded, a few pairs at a time.
    """
    values = torch.empty(len(activations.prompts), 2, 2)
    for item in activations.batches:
        values[list(item.batch.indices)] = _probabilities(model, item).cpu()
    return values


def _probabilities(model: Model, item: BatchActivations) -> Tensor:
    """``[batch run 2]``"""
    if item.probabilities is not None:
        return item.probabilities
    if item.corrupted_end is None:
        raise ValueError("Expected activations from capture, which keep the last stream of the corrupted prompts")
    ends = torch.stack((item.clean.resid_final[:, -1], item.corrupted_end), dim=1)

    def of_some(pairs: slice) -> Tensor:
        logits = model.parts.unembed(ends[pairs])
        return torch.stack([end_probabilities(logits[:, side], item.batch.pairs[pairs]) for side in (0, 1)], dim=1)

    return torch.cat(chunked(of_some, len(ends), UNEMBEDDED_TOGETHER))


def read_metric(parts: Parts, readout: Readout, resid_end: Tensor) -> Tensor:
    """Metric ``[... batch]`` from the last stream at the end position, ``[... batch d_model]``."""
    return readout(parts.unembed(resid_end, readout.tokens))
