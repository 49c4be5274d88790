"""agreement: how far to trust what a run found, from its file."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine import own_keys, record, trust_record
from engine.agreement import rank_correlations, score_agreements, with_circuit, with_key
from engine.answer_key_file import AnswerKey, check_key, read_key
from engine.answer_keys import answer_keys
from engine.cli.commands import output, write
from engine.cli.console import Console
from engine.errors import HeadlightError
from engine.run_file import read_run
from engine.run_summary import RunSummary


def agreement(options: argparse.Namespace, console: Console) -> None:
    """A circuit and its scores against a dense run, and against every answer key there is for it."""
    out, run = output(options), read_run(_bytes(options.circuit))
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


def _other_run(path: Path, run: RunSummary) -> RunSummary:
    other = read_run(_bytes(path))
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
    key = check_key(read_key(_bytes(path)), *run.shape)
    if (key.model, key.task) != (run.model, run.task):
        raise HeadlightError(
            f"The answer key in {path} is for {key.model} and {key.task}, the run is of {run.model} and {run.task}. "
            "Give a key for the same model and task."
        )
    return key


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise HeadlightError(f"Cannot read {path}: {error.strerror}. Give a file that is there.") from error
