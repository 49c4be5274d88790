"""What the worker's threads do for each request: none of it calls Streamlit.

A job takes what earlier ones left, the prompts that have run above all, and makes what is missing.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.heads import Head
from engine.jobs.job import Job
from engine.jobs.manager import JobManager, kind_of
from engine.notes.journal import Journal
from engine.progress import Watcher
from engine.serving.limits import check_prompts, check_trials, limits
from engine.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor

    from engine.ablation import Ablation
    from engine.behaviour.roles import Behaviour
    from engine.circuit import Circuit
    from engine.cost.pilot import Pilot
    from engine.discovery import Discovery
    from engine.edges.evaluation import EdgeEvaluation
    from engine.evaluation.evaluate import Evaluation
    from engine.evaluation.plan import Plan
    from engine.prepare import Prepared
    from engine.pruning.sparsity_sweep import Pruning, RandomBand, Sweep
    from engine.scores.kinds import Score, Source
    from engine.scoring.attribution import Measured
    from engine.tasks.prompts import Prompts
    from engine.trust.claim import Target
    from engine.trust.draws import Plan as DrawPlan
    from engine.trust.enough import Enough
    from engine.trust.receipt import Receipts
    from engine.trust.stability import Stability
    from engine.tuning.results import Tuning
    from engine.verification import Verification
    from pages.shared.background import Background


def data_of(settings: Settings) -> Settings:
    """What loading, scoring and the curves depend on, the rest as by default."""
    return Settings(
        model=settings.model, task=settings.task, pairs=settings.pairs, seed=settings.seed,
        metric=settings.metric, prepend_bos=settings.prepend_bos, device=settings.device,
    )  # fmt: skip


def result_of(job: Job | None) -> Any:
    """What a finished job returned, else None."""
    return job.snapshot().result if job is not None else None


def prepare_anew(behind: Background, settings: Settings, watcher: Watcher) -> Prepared:
    from engine.prepare import prepare

    def admit(prompts: Prompts) -> None:
        check_prompts(max(len(pair.clean_tokens) for pair in prompts.pairs), len(prompts), limits())

    model = behind.shelf.take(settings.model, settings.device, watcher)
    return prepare(model, settings, watcher, admit=admit)


def models_in_use(jobs: JobManager) -> set[str]:
    """The models of the jobs in work."""
    return {part.model for job in jobs.running() for part in _parts(job.key) if isinstance(part, Settings)}


def forget_model(jobs: JobManager, name: str) -> None:
    """Let go of prompts that have run through a model: they hold on to it."""
    for key in jobs.known():
        if kind_of(key) == "ready" and any(isinstance(part, Settings) and part.model == name for part in _parts(key)):
            jobs.forget(key)


def _parts(key: Hashable) -> tuple[Hashable, ...]:
    return key if isinstance(key, tuple) else ()


def ready(behind: Background, settings: Settings, watcher: Watcher) -> Prepared:
    """What an earlier job prepared, or prepare it now (that job may be long forgotten)."""
    data = data_of(settings)
    return result_of(behind.jobs.find(("ready", data))) or prepare_anew(behind, data, watcher)


def curve(behind: Background, settings: Settings, watcher: Watcher) -> Pruning:
    from engine.pruning.sparsity_sweep import prune

    return prune(ready(behind, settings, watcher), watcher)


def band(behind: Background, settings: Settings, watcher: Watcher) -> RandomBand:
    from engine.pruning.sparsity_sweep import random_band

    return random_band(ready(behind, settings, watcher), watcher)


class Common:
    """What contestants share: one set of activations, which the first of them to come sees to."""

    def __init__(self, behind: Background, contestants: int) -> None:
        self.behind, self._contestants = behind, contestants
        self._prepared: Prepared | None = None

    def prepared(self, settings: Settings, watcher: Watcher) -> Prepared:
        from engine.machine.memory import plan_of_each

        with watcher.alone():  # nobody else may do the same work meanwhile
            if self._prepared is None:
                known = ready(self.behind, settings, watcher)
                memory = plan_of_each(known.memory, known.model, known.prompts, self._contestants)
                self._prepared = replace(known, memory=memory)
        return self._prepared


def contest(common: Common, settings: Settings, watcher: Watcher) -> Discovery:
    return discovered(common.behind, common.prepared(settings, watcher), settings, watcher)


def enough(behind: Background, settings: Settings, watcher: Watcher) -> Enough | None:
    from engine.trust.enough import how_many_are_enough

    return how_many_are_enough(ready(behind, settings, watcher), watcher)


def search(behind: Background, settings: Settings, watcher: Watcher) -> Discovery:
    return discovered(behind, ready(behind, settings, watcher), settings, watcher)


def discovered(behind: Background, prepared: Prepared, settings: Settings, watcher: Watcher) -> Discovery:
    from engine.pipeline import discover

    pruning = result_of(behind.jobs.find(("curve", data_of(settings))))
    pilot = result_of(behind.jobs.find(("pilot", settings)))
    prepared = scored(behind, prepared, settings.score_source)
    tuning = tuning_of(behind, settings)

    def found(journal: Journal) -> Discovery:
        return discover(prepared.model, settings, watcher, prepared, pruning, pilot, tuning, journal)

    def share() -> float | None:
        job = behind.jobs.find(("search", settings))
        return job.snapshot().share if job is not None else None

    return behind.kept.keeping(prepared.model, settings, found, share)


def restore(behind: Background, settings: Settings, run_id: str, watcher: Watcher) -> Discovery:
    """A run that was kept, as if the search had just ended; what is learnt about its circuit belongs to it."""
    from engine.record.reading import discovery_of

    stored = behind.kept.store().get(run_id)
    found = discovery_of(behind.kept.store().read(run_id))
    behind.kept.adopted(settings, found, run_id)
    seconds = stored.summary.get("seconds", stored.seconds or 0.0)
    behind.dismissed.add(behind.jobs.adopt(("search", settings), found, seconds, stored.created))  # no news to tell
    return found


def tune(behind: Background, settings: Settings, trials: int, watcher: Watcher) -> Tuning:
    from engine.tuning.tune import tune as find_settings

    check_trials(trials, limits())
    return find_settings(ready(behind, settings, watcher), settings, trials, watcher)


def tuning_of(behind: Background, settings: Settings) -> Tuning | None:
    """The automatic settings that these were taken from, if they were and it is still remembered."""
    for key in reversed(behind.jobs.known()):
        if isinstance(key, tuple) and key[0] == "tune" and data_of(key[1]) == data_of(settings):
            tuning: Tuning | None = result_of(behind.jobs.find(key))
            if tuning is not None and any(trial.settings == settings for trial in tuning.trials):
                return tuning
    return None


def score(behind: Background, settings: Settings, source: Source, watcher: Watcher) -> Measured:
    from engine.scoring.attribution import measure

    return measure(ready(behind, settings, watcher), source, watcher)


def scored(behind: Background, prepared: Prepared, source: Source) -> Prepared:
    """With what somebody had measured of the scores of that source."""
    from engine.scoring.attribution import added

    known = result_of(behind.glances.find(("score", data_of(prepared.settings), source)))
    return prepared if known is None else added(prepared, known)


def sweep(behind: Background, settings: Settings, score: Score, watcher: Watcher) -> Sweep:
    from engine.pruning.sparsity_sweep import sweep_of
    from engine.scoring.attribution import with_score

    prepared = scored(behind, ready(behind, settings, watcher), score.source)
    return sweep_of(with_score(prepared, score, watcher), score, watcher)


def pilot(behind: Background, settings: Settings, keep: Tensor, watcher: Watcher) -> Pilot:
    from engine.cost.pilot import look_ahead

    return look_ahead(ready(behind, settings, watcher), keep, settings, watcher)


def roles(behind: Background, settings: Settings, watcher: Watcher) -> Behaviour:
    from engine.behaviour.measured import measure_behaviour

    return measure_behaviour(ready(behind, settings, watcher), watcher)


def verify(
    behind: Background, settings: Settings, heads: tuple[Head, ...], seed: int, watcher: Watcher
) -> Verification:
    from engine.cost.ledger import Ledger, pass_flops
    from engine.fresh import verify_on_fresh
    from engine.verification import STAGE

    prepared = ready(behind, settings, watcher)
    watcher.step(STAGE, 0, 1)
    ledger = Ledger(pass_flops(prepared.model, prepared.prompts), watcher.spend, watcher.now)
    with ledger.stage(STAGE):
        return verify_on_fresh(prepared, heads, seed, ledger)


def evaluate(
    behind: Background, settings: Settings, circuit: Circuit, seed: int, plan: Plan, watcher: Watcher
) -> Evaluation:
    from engine.evaluation import evaluate as evaluation
    from engine.record.evaluation_file import evaluation_json

    found = evaluation.evaluate(ready(behind, settings, watcher), circuit, seed, watcher, plan)
    behind.kept.attach(settings, circuit, "evaluation", f"{plan.ablation}-seed{seed}", lambda: evaluation_json(found))
    return found


def edges(
    behind: Background, settings: Settings, circuit: Circuit, seed: int, ablation: Ablation, watcher: Watcher
) -> EdgeEvaluation:
    from engine.edges.evaluation import evaluate_edges
    from engine.record.evaluation_file import edges_json

    found = evaluate_edges(ready(behind, settings, watcher), circuit, seed, watcher, ablation)
    behind.kept.attach(settings, circuit, "edges", f"{ablation}-seed{seed}", lambda: edges_json(found))
    return found


def stability(behind: Background, settings: Settings, plan: DrawPlan, watcher: Watcher) -> Stability:
    from engine.record.trust_record import stability_json
    from engine.trust import stability as again

    prepared = replace(ready(behind, settings, watcher), settings=settings)
    found = again.stability(prepared, settings, plan, watcher)
    run: Discovery | None = result_of(behind.jobs.find(("search", settings)))
    if run is not None:
        name = f"{plan.resamples}-resamples-{plan.seeds}-seeds{'-templates' if plan.templates else ''}"
        behind.kept.attach(settings, run.circuit, "stability", name, lambda: stability_json(found, run.circuit))
    return found


def receipt(
    behind: Background, settings: Settings, circuit: Circuit, target: Target, ablation: Ablation, seed: int,
    watcher: Watcher,
) -> Receipts:  # fmt: skip
    from engine.record.trust_record import receipts_json
    from engine.trust.receipt import receipts

    prepared = replace(ready(behind, settings, watcher), settings=settings)  # for the smallest effect that counts
    found = receipts(prepared, circuit, [target], watcher, ablation, seed)
    name = f"{file_name_of(target)}-{ablation}-seed{seed}"
    behind.kept.attach(settings, circuit, "receipts", name, lambda: receipts_json(found))
    return found


def file_name_of(target: Target) -> str:
    """``9_6``, ``9_6-logits``, ``5_5-9_6-q``: a name that a capsule can have."""
    if isinstance(target, Head):
        return f"{target.layer}_{target.index}"
    sender, receiver, letter = target
    parts = [str(sender), *([] if receiver is None else [str(receiver)]), letter]
    return "-".join(parts).replace(".", "_")
