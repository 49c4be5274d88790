"""agreement, stability, receipt: how far to trust what a run found, from its file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from engine.ablation import Ablation
from engine.circuit import Circuit
from engine.cli.bringing import content_of
from engine.cli.common import load, output, rows_of, write
from engine.cli.console import Console
from engine.cli.workers import workers
from engine.cost.ledger import CostRow
from engine.errors import HeadlightError
from engine.heads import Head, check_head
from engine.patching.receiver import Receiver
from engine.prepare import Prepared, prepare
from engine.record import trust_record
from engine.record import writing as record
from engine.record.circuit_file import read_circuit
from engine.record.json_values import Json
from engine.record.run_file import read_run
from engine.record.run_summary import RunSummary
from engine.record.saved_run import read_saved_circuit, settings_of
from engine.tasks.custom import CUSTOM
from engine.trust import own_keys
from engine.trust.agreement import rank_correlations, score_agreements, with_circuit, with_key
from engine.trust.answer_key_file import AnswerKey, check_key, read_key
from engine.trust.answer_keys import answer_keys
from engine.trust.claim import Target
from engine.trust.draws import Plan
from engine.trust.receipt import receipts
from engine.trust.stability import stability as find_again


def agreement(options: argparse.Namespace, console: Console) -> None:
    """A circuit and its scores against a dense run, and against every answer key there is for it."""
    out, run = output(options), read_run(content_of(options.circuit))
    path: Path | None = options.against
    others = {path.name: _other_run(path, run)} if path is not None else {}
    keys = _keys(options, run, console)
    if not keys and not others:
        raise HeadlightError(
            f"There is no answer key for {run.model} and {run.task}. Give one with --key FILE, or a dense run of the "
            "same task with --against FILE."
        )
    parts = [
        trust_record.agreement_json(
            with_circuit(run.circuit, other.circuit, f"the run in {name}"),
            score_agreements(run.scores, other.circuit.heads, other.effects),
        )
        for name, other in others.items()
    ]
    parts += [
        trust_record.agreement_json(with_key(run.circuit, key), score_agreements(run.scores, key.heads))
        for key in keys
    ]
    correlations = rank_correlations(run.scores).items()
    write(
        {
            "schema": record.SCHEMA,
            "model": run.model,
            "task": run.task,
            "circuit": record.circuit_json(run.circuit),
            "agreement": parts,
            "rank_correlations": [
                {"scores": list(pair), "spearman": trust_record.number(value)} for pair, value in correlations
            ],
        },
        out,
    )


def stability(options: argparse.Namespace, console: Console) -> None:
    """The run's circuit found again; interrupted, the runs done so far are still written."""
    out, plan = output(options), Plan(options.resamples, options.seeds, not options.no_templates)
    prepared, circuit = _again(options, console)
    with workers(options.ray, console) as executor:
        found = find_again(prepared, prepared.settings, plan, console, executor)
    for note in found.notes:
        console.announce(f"note: {note}")
    _write(prepared, circuit, {"stability": trust_record.stability_json(found, circuit)}, found.cost, out)


def receipt(options: argparse.Namespace, console: Console) -> None:
    """What heads and edges do on fresh prompts; interrupted, the receipts done so far are still written."""
    out = output(options)
    prepared, circuit = _again(options, console)
    targets = circuit.heads if options.of is None else [_target(name, circuit) for name in options.of.split(",")]
    if not targets:
        raise HeadlightError("The circuit has no heads. Name heads or edges of the model with --of.")
    done = receipts(prepared, circuit, targets, console, Ablation(options.ablation))
    for each in done.receipts:
        console.announce(each.words)
    _write(prepared, circuit, {"receipts": trust_record.receipts_json(done)}, done.cost, out)


def _again(options: argparse.Namespace, console: Console) -> tuple[Prepared, Circuit]:
    """The run's prompts run again, and its circuit; what was typed goes before the run's own settings."""
    circuit = read_circuit(content_of(options.circuit)).circuit
    settings = settings_of(read_saved_circuit(options.circuit))
    if settings.task == CUSTOM and options.rows is None:
        raise HeadlightError(f"{options.circuit} was found on rows of your own. Give them again with --rows FILE.")
    typed = {"device": options.device, "dtype": options.dtype, "memory_budget": options.memory_budget}
    settings = replace(settings, **{name: value for name, value in typed.items() if value is not None})
    model = load(settings, console)
    if (model.n_layers, model.n_heads) != (circuit.n_layers, circuit.n_heads):
        raise HeadlightError(
            f"The circuit is of a model with {circuit.n_layers} layers x {circuit.n_heads} heads, {settings.model} has "
            f"{model.n_layers} x {model.n_heads}. Give the run of this model."
        )
    return prepare(model, settings, console, rows_of(options, settings, model)), circuit


def _target(text: str, circuit: Circuit) -> Target:
    """``9.6``, or ``2.2:9.6.k`` for an edge."""
    sender, colon, receiver = text.strip().partition(":")
    head = check_head(Head.parse(sender), circuit.n_layers, circuit.n_heads)
    if not colon:
        return head
    end = Receiver.parse(receiver, circuit.n_layers, circuit.n_heads)
    return head, end.head, end.input.value


def _write(
    prepared: Prepared, circuit: Circuit, part: Json, cost: Sequence[CostRow], out: Path | None
) -> None:
    run = record.run_json(prepared.model, prepared.settings, prepared.prompts, prepared.baseline)
    costs = record.cost_json((*prepared.cost, *cost))
    write(run | {"circuit": record.circuit_json(circuit)} | part | {"cost": costs}, out)


def _other_run(path: Path, run: RunSummary) -> RunSummary:
    other = read_run(content_of(path))
    if (other.model, other.task) != (run.model, run.task):
        raise HeadlightError(
            f"Expected another run of {run.model} and {run.task}, got one of {other.model} and {other.task} in {path}. "
            "Give a run of the same model and task."
        )
    return other


def _keys(options: argparse.Namespace, run: RunSummary, console: Console) -> list[AnswerKey]:
    """Published and kept ones for the run's model and task, and the one given."""
    if options.key is None and options.keep_key:
        raise HeadlightError("Expected a key to keep, got none. Give it with --key FILE.")
    given = [] if options.key is None else [_given_key(options.key, run)]
    if options.keep_key:
        console.announce(f"kept as {own_keys.keep(given[0]).name}")
    keys = {own_keys.named(key).name: key for key in (*given, *answer_keys(run.model, run.task))}
    return [check_key(key, *run.shape) for key in keys.values()]


def _given_key(path: Path, run: RunSummary) -> AnswerKey:
    key = check_key(read_key(content_of(path)), *run.shape)
    if (key.model, key.task) != (run.model, run.task):
        raise HeadlightError(
            f"The answer key in {path} is for {key.model} and {key.task}, the run is of {run.model} and {run.task}. "
            "Give a key for the same model and task."
        )
    return key

