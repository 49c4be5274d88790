"""A run measured again: does this model, on this machine, give the numbers that a capsule holds?

1. The model: its fingerprint against the capsule's. Another one is said, and the numbers compared all the same.
2. Prompts: built (or, of a task of one's own, tokenized) again and compared. All that follows runs on the
   capsule's own tokens, so that one difference is not counted twice.
3. Baseline, and every score that a few passes give; the keep mask that these scores make.
4. The circuit follows from the effects: thresholds, important senders and edges made again of the kept matrices.
5. A random sample of receivers: those effects that were exact by exact path patching, those that were estimates by the
   same estimate. Other algorithms decide edge by edge, each in view of the ones before: they are run again whole.
6. Verification: the circuit's heads alone on fresh prompts.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from engine.capsule.digits import Agreement, agreement
from engine.capsule.verdict import Recomputation
from engine.circuit import Input
from engine.cost.ledger import Ledger, pass_flops
from engine.discovery import Discovery
from engine.errors import HeadlightError
from engine.fresh import verify_on_fresh
from engine.heads import heads_of
from engine.models.model import Model
from engine.nodes import with_mlps
from engine.patching.mlp_nodes import depths_of
from engine.patching.receiver import LOGITS, Receiver
from engine.prepare import prepare, task_prompts
from engine.progress import Watcher
from engine.pruning.candidates import keep_of
from engine.scores.kinds import Score, Source
from engine.scoring.attribution import with_score
from engine.search.algorithms import search_by
from engine.search.measuring import patching_of
from engine.search.path_patching import (
    LOGITS_THRESHOLD_SCALE,
    SearchStep,
    Thresholds,
    circuit_of,
    important_senders,
    layer_thresholds,
)
from engine.settings import Algorithm
from engine.tasks.build import bos_tokens
from engine.tasks.custom import CUSTOM
from engine.tasks.own import is_own
from engine.tasks.prompts import Prompts
from engine.tasks.vocabulary import Vocabulary
from engine.verification import STAGE as VERIFICATION
from engine.verification import Verification

STAGE = "measuring again"
CHEAP = (Source.RUNS, Source.GRADIENT, Source.PATH)  # scores measured from these take a few passes at most
SAMPLE = 5  # receivers


def recompute(
    model: Model,
    found: Discovery,
    fingerprint: str | None,
    watcher: Watcher,
    sample: int = SAMPLE,
    seed: int = 0,
) -> Recomputation:
    """Measure the run ``found`` again with ``model``; ``sample`` receivers, drawn by ``seed``.

    ``fingerprint`` of the model it was found with. Raises HeadlightError for a model that it cannot be of, and
    Cancelled.
    """
    _check_model(model, found)
    watcher.check()
    again = _Again(model, found, watcher)
    agreements = [*again.baseline(), *again.scores(), *again.mask()]
    drawn = sorted(random.Random(seed).sample(range(len(found.steps)), min(max(0, sample), len(found.steps))))
    agreements += again.effects(drawn)
    if found.verification is not None:
        watcher.step(VERIFICATION, 0, 1)
        agreements += again.verification(found.verification)
        watcher.step(VERIFICATION, 1, 1)
    return Recomputation(
        fingerprints=(fingerprint, model.fingerprint),
        tokens_agree=_tokens_agree(model, found),
        circuit_follows=circuit_follows(found, _mlp_depths(model, found)),
        agreements=tuple(agreements),
        sample=tuple(_name(found.steps[index]) for index in drawn),
        receivers=len(found.steps),
        left_out=tuple(again.left_out),
    )


def circuit_follows(found: Discovery, mlp_depths: Sequence[float] | None = None) -> bool | None:
    """Whether the thresholds make the kept circuit of the kept effects; None for an algorithm without thresholds."""
    if found.thresholds is None or not found.complete:
        return None
    for step in found.steps:
        rule = found.thresholds
        if step.input is Input.LOGITS:
            rule = Thresholds(LOGITS_THRESHOLD_SCALE, rule.min_effect)
        limits = layer_thresholds(step.effects, _top(step, mlp_depths), rule)
        if important_senders(step.effects, limits, step.n_heads) != step.important:
            return False
    edges = [edge for step in found.steps for edge in step.edges]
    return circuit_of(edges, found.circuit.n_layers, found.circuit.n_heads) == found.circuit


class _Again:
    """The kept prompts run again, and what is measured on them."""

    def __init__(self, model: Model, found: Discovery, watcher: Watcher) -> None:
        self.model, self.found, self.watcher = model, found, watcher
        prepared = prepare(model, found.settings, watcher, found.prompts)
        self.prepared = replace(prepared, custom=_brought(found))  # a built-in task has fresh prompts
        self.settings = self.prepared.settings
        self.ledger = Ledger(pass_flops(model, found.prompts), watcher.spend, watcher.now)
        self.left_out: list[str] = []

    def baseline(self) -> list[Agreement]:
        kept, again = (
            torch.tensor([each.clean_logit_diff, each.corrupted_logit_diff], dtype=torch.float64)
            for each in (self.found.baseline, self.prepared.baseline)
        )
        accuracy = agreement("accuracy", self.found.baseline.accuracy, self.prepared.baseline.accuracy, unit=1.0)
        return [agreement("metric, clean and corrupted", kept, again), accuracy]

    def scores(self) -> list[Agreement]:
        agreements = []
        for score in self.found.scores.available():
            if score.source not in CHEAP:
                self.left_out.append(f"score {score.value}, which takes a sweep of all heads")
                continue
            self.prepared = with_score(self.prepared, score, self.watcher)
            kept, again = self.found.scores.of(score), self.prepared.scores.of(score)
            agreements.append(agreement(f"score {score.value}", kept, again))
        kept, again = self.found.mlp_scores, self.prepared.mlp_scores
        if kept is not None and again is not None:
            one, other = (torch.stack((each.flap, each.contrastive_flap)) for each in (kept, again))
            agreements.append(agreement("MLP scores", one, other))
        return agreements

    def mask(self) -> list[Agreement]:
        mask = self._mask()
        return [] if mask is None else [agreement("keep mask", self.found.keep.double(), mask.double())]

    def _mask(self) -> Tensor | None:
        """Made of the scores measured again; of an automatic sparsity at the cliffs the run found."""
        if self.found.pruning is None:
            if not self.prepared.scores.has(self.settings.score):
                self.left_out.append(f"the keep mask, for want of the score {self.settings.score.value}")
                return None
            return keep_of(self.prepared, self.settings, None)
        union = self.found.pruning.taken(self.settings.union)
        flap, contrastive = union.flap_cliff.sparsity, union.contrastive_cliff.sparsity
        keep = self.prepared.scores.keep(Score.MERGED, contrastive, flap)
        if self.prepared.mlp_scores is None:
            return keep
        return with_mlps(keep, self.prepared.mlp_scores.keep_either(flap, contrastive))

    def effects(self, drawn: Sequence[int]) -> list[Agreement]:
        """Of the steps at these places; told in units of the largest effect of the whole run."""
        if not drawn:
            return []
        steps = self.found.steps
        unit = max(float(step.effects.nan_to_num().abs().max()) for step in steps)
        if self.settings.algorithm is Algorithm.PATH_PATCHING:
            measured = self._patched([steps[index] for index in drawn])
        else:
            measured = self._searched(drawn)
        return [
            agreement(f"effects on {_name(steps[index])}", steps[index].effects, values, unit)
            for index, values in zip(drawn, measured, strict=True)
        ]

    def _patched(self, steps: Sequence[SearchStep]) -> list[Tensor]:
        patching = patching_of(self.prepared, self.found.keep, self.settings, self.ledger)
        measured = []
        for done, step in enumerate(steps):

            def decides(receiver: Receiver, f: Tensor, step: SearchStep = step) -> Tensor:
                return ~step.estimated

            def tick(share: float, done: int = done) -> None:
                self.watcher.step(STAGE, done + share, len(steps))

            [effects] = patching.measure([_receiver(step)], decides, tick)
            measured.append(effects.f)
        return measured

    def _searched(self, drawn: Sequence[int]) -> list[Tensor]:
        """The whole search of another algorithm, of which these steps; one that has other steps measured nothing."""
        heads = heads_of(self.found.keep)
        result, _ = search_by(
            self.model, self.prepared.activations, heads, self.settings, self.ledger, self.prepared.memory,
            self.watcher,
        )  # fmt: skip
        self.watcher.check()  # stopped, a search returns what it had
        again = {_name(step): step.effects for step in result.steps}
        steps = self.found.steps
        nothing = torch.full_like(steps[0].effects, float("nan"))
        return [again.get(_name(steps[index]), nothing) for index in drawn]

    def verification(self, kept: Verification) -> list[Agreement]:
        circuit, settings = self.found.circuit, self.settings
        with self.ledger.stage(VERIFICATION):
            again = verify_on_fresh(
                self.prepared, circuit.heads, kept.seed, self.ledger, circuit.mlps if settings.mlps else None
            )
        names = ("circuit_logit_diff", "clean_logit_diff", "corrupted_logit_diff")
        one, other = (
            torch.tensor([getattr(each, name) for name in names], dtype=torch.float64) for each in (kept, again)
        )
        return [
            agreement("verification: metric", one, other),
            agreement("verification: performance", kept.performance, again.performance, unit=100.0),
            agreement("verification: faithfulness", kept.faithfulness, again.faithfulness, unit=1.0),
        ]


def _check_model(model: Model, found: Discovery) -> None:
    """Raise HeadlightError if the run cannot be of this model, whatever its weights."""
    circuit = found.circuit
    if (model.n_layers, model.n_heads) != (circuit.n_layers, circuit.n_heads):
        raise HeadlightError(
            f"The run is of a model with {circuit.n_layers} layers x {circuit.n_heads} heads; {model.name} has "
            f"{model.n_layers} x {model.n_heads}. Give the model it was made with (--model)."
        )
    pairs = found.prompts.pairs
    tokens = max(max((*p.clean_tokens, *p.corrupted_tokens, *p.answer_tokens, *p.distractor_tokens)) for p in pairs)
    longest = max(len(pair.clean_tokens) for pair in pairs)
    if tokens >= model.vocab_size or longest > model.max_positions:
        raise HeadlightError(
            f"The run's prompts have tokens up to {tokens} and {longest} positions; {model.name} has "
            f"{model.vocab_size} tokens and {model.max_positions} positions. Give the model it was made with (--model)."
        )
    if not all(pair.answer_tokens and pair.distractor_tokens for pair in pairs):
        raise HeadlightError("A prompt of the run has no answer or no distractor, so its metric cannot be read.")


def _brought(found: Discovery) -> bool:
    """Whether the prompts are somebody's own, of which there are no others."""
    return found.settings.task == CUSTOM or is_own(found.settings.task)


def _tokens_agree(model: Model, found: Discovery) -> bool:
    """Whether the prompts, made again by this model's tokenizer, are those kept."""
    if _brought(found):
        return _tokenized(model, found.prompts, found.settings.prepend_bos)
    settings = replace(found.settings, pairs=len(found.prompts))
    return task_prompts(model, settings, settings.seed).pairs == found.prompts.pairs


def _tokenized(model: Model, prompts: Prompts, prepend_bos: bool) -> bool:
    vocabulary = Vocabulary(model.tokenizer)
    bos = bos_tokens(vocabulary, prepend_bos)
    return all(
        bos + vocabulary.encode(text) == tokens
        for pair in prompts.pairs
        for text, tokens in ((pair.clean, pair.clean_tokens), (pair.corrupted, pair.corrupted_tokens))
    )


def _mlp_depths(model: Model, found: Discovery) -> Sequence[float] | None:
    return depths_of(model.parts) if found.settings.mlps else None


def _top(step: SearchStep, mlp_depths: Sequence[float] | None) -> float:
    """The depth at which the step's receiver reads: senders lie below it."""
    if step.input is Input.LOGITS:
        return step.effects.shape[0]
    layer = step.receivers[0].layer
    return mlp_depths[layer] if step.input is Input.MLP and mlp_depths is not None else layer


def _receiver(step: SearchStep) -> Receiver:
    return LOGITS if step.input is Input.LOGITS else Receiver(step.input, step.receivers[0])


def _name(step: SearchStep) -> str:
    return str(_receiver(step))
