"""tune: automatic settings, and how discover --tune takes them."""

from __future__ import annotations

import argparse

from engine.cli.common import output, prepared_for, run_json, settings_from, write
from engine.cli.console import Console
from engine.prepare import Prepared
from engine.record import writing as record
from engine.record.json_values import Json
from engine.settings import Score
from engine.tuning.results import Tuning
from engine.tuning.space import Space
from engine.tuning.tune import check_tuned, with_scores
from engine.tuning.tune import tune as find_settings


def tune(options: argparse.Namespace, console: Console) -> None:
    """Trials of settings, their front and the choice; interrupted, those done so far are kept and written."""
    settings, out = settings_from(options), output(options)
    check_tuned(settings, options.trials)
    prepared = prepared_for(options, settings, console)
    if not prepared.baseline.capable:
        console.announce(f"warning: {prepared.baseline.verdict}")
    write(tuning_json(*tuned(prepared, options, options.trials, console)), out)


def tuned(
    prepared: Prepared, options: argparse.Namespace, trials: int, console: Console
) -> tuple[Prepared, Tuning]:
    """The trials, and what was prepared with the scores they chose from."""
    space = Space() if options.scores is None else Space(tuple(Score(name) for name in options.scores))
    prepared = with_scores(prepared, space, console)
    tuning = find_settings(prepared, prepared.settings, trials, console, space)
    chosen = tuning.chosen
    console.announce(
        f"{len(tuning.trials)} trials, {tuning.kept} of them kept from before, {tuning.pruned} pruned. Taken is number "
        f"{chosen.number}, {tuning.reason}: {chosen.size} heads, faithfulness {chosen.faithfulness:.3f}, by mean "
        f"ablation on {tuning.n} {'held-out' if tuning.seeds.fresh else 'of the same'} pairs."
    )
    if not tuning.complete:
        console.announce("Interrupted. These trials are kept: the same command goes on from here.")
    return prepared, tuning


def tuning_json(prepared: Prepared, tuning: Tuning) -> Json:
    cost = record.cost_json((*prepared.cost, *tuning.cost))
    return run_json(prepared) | {"tuning": record.tuning_json(tuning), "cost": cost}
