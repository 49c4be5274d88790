"""Automatic settings: many trials of mask and thresholds, and the one to take (METHOD section 2.8).

1. Optuna suggests settings that make the circuit small and, on held-out prompts, faithful (engine/tuning/study.py).
2. Hopeless ones are pruned before their search:
   * no head of the mask is important for the logits: the circuit would be empty. Never a loss.
   * the whole mask alone is less faithful on the held-out prompts than ``ACCEPTABLE - SLACK``, and an earlier trial
     reached ``ACCEPTABLE``. Assumes that a circuit is at most ``SLACK`` more faithful than the mask it
     lies in; then only points of the front below ``ACCEPTABLE`` can be lost, which would not have been taken.
3. The same mask with the same thresholds as an earlier trial is not searched again: its result is taken.
4. The smallest circuit that is faithful enough is taken (engine/tuning/results.py).
5. If it rests on estimates, it is searched again, now exactly where that decides, and measured anew; until the
   one taken is exact.

The settings taken are run and reported on fresh prompts like any others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from engine.ablation import Ablation
from engine.cost.ledger import CostRow, pass_flops
from engine.errors import Cancelled, HeadlightError
from engine.heads import heads_of
from engine.prepare import Prepared
from engine.progress import Preliminary, Watcher
from engine.scores.kinds import Source
from engine.scoring.attribution import with_score
from engine.serving.limits import limits
from engine.settings import Algorithm, Method, Settings
from engine.tuning.bench import STAGE, Bench, seeds_of
from engine.tuning.place import study_name
from engine.tuning.results import Outcome, Trial, Tuning, choose
from engine.tuning.space import Space
from engine.tuning.study import Study, opened

DEFAULT_TRIALS = 40
MOST_TRIALS = 1000
ACCEPTABLE = 0.5  # faithfulness below which nobody takes a circuit
SEARCH_SHARE = 0.9  # of a trial's progress; the rest is the ablation of its circuit
SLACK = 0.1  # how much more faithful than its whole mask a circuit may be: negative heads may be left out


def tune(
    prepared: Prepared,
    settings: Settings,
    trials: int = DEFAULT_TRIALS,
    watcher: Watcher | None = None,
    space: Space | None = None,
) -> Tuning:
    """The first ``trials`` trials of this study: those kept from earlier sittings, and as many more as are missing.

    ``settings`` say all that the space leaves open. Stopped, what is there comes back, marked not complete;
    stopped before any trial found a circuit, raises Cancelled. Raises HeadlightError for dense settings, for
    a count out of range, or if the study cannot be kept.
    """
    check_tuned(settings, trials)
    watcher, space = watcher or Watcher(), space or Space()
    prepared = with_scores(prepared, space, watcher)
    bench = Bench(prepared, settings, space.widest(prepared.scores), watcher)
    kept = limits().keeps
    with opened(study_name(prepared, settings, space), settings, space, kept) as study:
        return _Sitting(bench, study, settings, space, watcher, trials).tune()


def with_scores(prepared: Prepared, space: Space, watcher: Watcher) -> Prepared:
    """``prepared`` with all scores of the space, measured now where they are not there; raises Cancelled."""
    for score in space.scores:
        prepared = with_score(prepared, score, watcher)
    return prepared


def check_tuned(settings: Settings, trials: int) -> None:
    """Raise HeadlightError if these settings leave nothing to choose, or if so many trials cannot be asked for."""
    if settings.method is Method.DENSE:
        raise HeadlightError(
            "Expected settings of APP, got dense ones: automatic settings choose a keep mask, and a dense search has "
            "none. Take the method app."
        )
    if settings.algorithm is not Algorithm.PATH_PATCHING:
        raise HeadlightError(
            f"Expected path patching, got {settings.algorithm.value}: automatic settings choose the thresholds that "
            "only path patching has. Take the algorithm path_patching."
        )
    if settings.mlps:
        raise HeadlightError("Automatic settings choose among heads. Leave MLPs as nodes out.")
    if not 1 <= trials <= MOST_TRIALS:
        raise HeadlightError(f"Expected 1 to {MOST_TRIALS:,} trials, got {trials:,}. Ask for {DEFAULT_TRIALS}.")


def hopeless(mask_faithfulness: float, earlier: Sequence[Trial]) -> bool:
    """The second rule of step 2."""
    reached = any(trial.faithfulness >= ACCEPTABLE for trial in earlier)
    return reached and mask_faithfulness < ACCEPTABLE - SLACK


class _Sitting:
    """One call of ``tune``."""

    def __init__(
        self, bench: Bench, study: Study, settings: Settings, space: Space, watcher: Watcher, wanted: int
    ) -> None:
        self._bench, self._study, self._settings, self._space = bench, study, settings, space
        self._watcher, self._wanted = watcher, wanted
        self._trials = list(study.trials[:wanted])
        self._kept = len(self._trials)

    def tune(self) -> Tuning:
        try:
            while len(self._trials) < self._wanted:
                self._watcher.step(STAGE, len(self._trials), self._wanted)
                self._trials.append(self._study.add(len(self._trials), self._try))
            exact = self._make_exact()
        except Cancelled:
            if not any(trial.outcome for trial in self._trials):
                raise
            return self._tuning(list(self._trials), complete=False)
        self._watcher.report(STAGE, self._wanted, self._wanted)
        return self._tuning(exact, complete=True)

    def _try(self, number: int, settings: Settings) -> Trial:
        """Prune, look up or search; what it cost is its own."""
        bench, before = self._bench, self._bench.spent()
        mask = bench.mask(settings)
        with bench.ledger.stage(STAGE):
            faithfulness, outcome, pruned = self._attempt(mask, settings)
        spent = bench.spent()
        return Trial(
            number, settings, int(mask.sum()), faithfulness, outcome, pruned,
            spent.seconds - before.seconds, spent.flops - before.flops,
        )  # fmt: skip

    def _attempt(self, mask: Tensor, settings: Settings) -> tuple[float, Outcome | None, str]:
        """Faithfulness of the mask, what was found, and why nothing was searched for."""
        bench = self._bench
        if not bench.starts(mask, settings.min_effect):
            return math.nan, None, "no head of the mask is important for the logits"
        faithfulness = bench.kept(heads_of(mask)).faithfulness
        if hopeless(faithfulness, self._trials):
            return faithfulness, None, f"the whole mask alone has a faithfulness below {ACCEPTABLE - SLACK:g}"
        return faithfulness, self._known(mask, settings) or bench.find(settings, self._within()), ""

    def _known(self, mask: Tensor, settings: Settings) -> Outcome | None:
        """What an earlier trial with this mask and these thresholds found."""
        for trial in self._trials:
            same = (trial.settings.threshold_scale, trial.settings.min_effect) == (
                settings.threshold_scale, settings.min_effect,
            )  # fmt: skip
            if same and trial.outcome is not None and bool((self._bench.mask(trial.settings) == mask).all()):
                return trial.outcome
        return None

    def _make_exact(self) -> list[Trial]:
        """Step 5: the trials, those taken on the way exact."""
        trials = list(self._trials)
        while (chosen := choose(trials)[1]).estimated:
            trials[chosen.number] = self._study.exact(chosen.number) or self._exactly(chosen)
        return trials

    def _exactly(self, trial: Trial) -> Trial:
        bench, before = self._bench, self._bench.spent()
        with bench.ledger.stage(STAGE):
            outcome = bench.find_exactly(trial.settings, Preliminary(self._watcher, STAGE))
        spent = bench.spent()
        exact = replace(
            trial, outcome=outcome, seconds=trial.seconds + spent.seconds - before.seconds,
            flops=trial.flops + spent.flops - before.flops,
        )  # fmt: skip
        self._study.keep_exact(exact)
        return exact

    def _within(self) -> Watcher:
        return _TrialWatcher(self._watcher, len(self._trials), self._wanted)

    def _tuning(self, trials: list[Trial], complete: bool) -> Tuning:
        front, chosen, reason = choose(trials)
        prepared = self._bench.prepared
        seconds, flops = sum(trial.seconds for trial in trials), sum(trial.flops for trial in trials)
        cost = CostRow(STAGE, seconds, flops / pass_flops(prepared.model, prepared.prompts), flops)
        return Tuning(
            trials=tuple(trials), front=front, chosen=chosen, reason=reason,
            seeds=seeds_of(prepared, self._settings), n=len(prepared.prompts), ablation=Ablation.MEAN,
            wanted=self._wanted, kept=min(self._kept, len(trials)), complete=complete,
            cost=(*scores_cost(prepared, self._space), cost),
        )  # fmt: skip


def scores_cost(prepared: Prepared, space: Space) -> tuple[CostRow, ...]:
    """What scores of the space took that the first runs alone do not give."""
    sources = {score.source for score in space.scores} - {Source.RUNS}
    return tuple(row for row in prepared.cost if row.stage in sources)


class _TrialWatcher(Preliminary):
    """Shows a trial's search as a part of all trials."""

    def __init__(self, watcher: Watcher, done: int, wanted: int) -> None:
        super().__init__(watcher, STAGE)
        self._done, self._wanted = done, wanted

    def report(self, stage: str, done: float, total: float) -> None:
        super().report(stage, self._done + SEARCH_SHARE * done / total, self._wanted)
