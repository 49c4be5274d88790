"""score, effects, discover: settings from options, one stage of the engine, one JSON record."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from engine.circuit import Input
from engine.cli.common import load, names_in, output, prepared_for, rows_of, run_json, settings_from, write
from engine.cli.console import Console
from engine.cli.keeping import Keeping, keeping
from engine.cli.tuning import tuned, tuning_json
from engine.cli.workers import workers
from engine.cost.duration import duration
from engine.cost.ledger import Ledger, pass_flops
from engine.discovery import Discovery
from engine.errors import HeadlightError
from engine.models.model import Model
from engine.nodes import Node, depth_of, heads_among, mlps_among, nodes_of
from engine.patching.effects import PathPatching, Tick
from engine.patching.mlp_nodes import NodePatching
from engine.patching.mlp_reference import booked_reference, receiver_depth
from engine.patching.receiver import Receiver
from engine.patching.reference import ReferencePatching
from engine.pipeline import discover as find_circuit
from engine.prepare import Prepared, prepare
from engine.pruning.candidates import keep_of
from engine.pruning.sparsity_sweep import prune
from engine.record import writing as record
from engine.record.json_values import matrix
from engine.record.saved_run import parse_nodes
from engine.scoring.attribution import with_score
from engine.search.algorithms import check_algorithm
from engine.settings import Settings
from engine.trust.self_check import self_check
from engine.trust.self_tests import SelfTests
from engine.tuning.tune import check_tuned

EFFECTS = "effects"


def score(options: argparse.Namespace, console: Console) -> None:
    """Head scores; the keep mask and the sweep if a sparsity is asked for."""
    settings, out = settings_from(options), output(options)
    prepared = with_score(prepared_for(options, settings, console), settings.score, console)
    result = run_json(prepared) | {"scores": record.scores_json(prepared.scores)}
    cost = prepared.cost
    if options.sparsity is not None:
        pruning = prune(prepared, console) if settings.sparsity is None else None
        result["keep"] = keep_of(prepared, settings, pruning).tolist()
        if pruning is not None:
            result["sweep"] = record.sweep_json(pruning)
            cost += pruning.cost
    write(result | {"cost": record.cost_json(cost)}, out)


def effects(options: argparse.Namespace, console: Console) -> None:
    """Effects of many senders on one receiver, fast or by the reference."""
    settings, out = settings_from(options), output(options)
    model = load(settings, console)
    receiver = Receiver.parse(options.receiver, model.n_layers, model.n_heads)
    senders = _senders(options.senders, model, receiver, settings.mlps)
    prepared = prepare(model, settings, console, rows_of(options, settings, model))
    ledger = Ledger(pass_flops(model, prepared.prompts))

    def tick(share: float) -> None:
        console.step(EFFECTS, share, 1)

    reference = options.reference or not model.fast
    if not reference:
        self_check(model, prepared.activations, mlps=settings.mlps)
    values = _measured(prepared, receiver, senders, ledger, reference, tick)
    result = run_json(prepared)
    result["settings"] |= {
        "receiver": str(receiver), "senders": [str(node) for node in senders], "reference": reference,
    }
    cost = record.cost_json((*prepared.cost, *ledger.rows()))
    write(result | {"effects": matrix(values), "cost": cost}, out)


def _measured(
    prepared: Prepared, receiver: Receiver, senders: Sequence[Node], ledger: Ledger, reference: bool, tick: Tick
) -> Tensor:
    """f of the senders on the receiver: ``[layer head]``, or ``[layer column]`` where MLPs are nodes."""
    model, activations = prepared.model, prepared.activations
    if prepared.settings.mlps:
        if reference:
            return booked_reference(model, activations, receiver, senders, ledger, tick)
        return NodePatching(model, activations, senders, ledger, prepared.memory).effects(receiver, tick)
    if reference:
        return ReferencePatching(model, activations, heads_among(senders), ledger).effects(receiver, tick)
    return PathPatching(model, activations, senders, ledger, prepared.memory).effects(receiver, tick)


def discover(options: argparse.Namespace, console: Console) -> None:
    """Find and verify a circuit; interrupted, the part found so far is still written."""
    settings, out = settings_from(options), output(options)
    if options.tune is not None:
        check_tuned(settings, options.tune)
    model = load(settings, console)
    check_algorithm(model, settings.algorithm)
    with keeping(options, settings, model, console) as run:
        _discover(options, settings, model, run, console, out)


def _discover(
    options: argparse.Namespace, settings: Settings, model: Model, run: Keeping, console: Console, out: Path | None
) -> None:
    prepared = prepare(model, settings, console, rows_of(options, settings, model))
    if not prepared.baseline.capable:
        console.announce(f"warning: {prepared.baseline.verdict}")
    tuning, settings = None, prepared.settings
    if options.tune is not None:
        prepared, tuning = tuned(prepared, options, options.tune, console)
        if not tuning.complete:  # without the choice there is nothing to find
            write(tuning_json(prepared, tuning), out)
            run.cancel()
            return
        settings = tuning.chosen.settings
    with workers(options.ray, console) as executor:
        found = find_circuit(
            model, settings, console, prepared, tuning=tuning, journal=run.journal, executor=executor
        )
    if found.self_tests is not None:
        console.announce(_tested(found.self_tests))
    console.announce(_outcome(found))
    if not found.complete:
        console.announce("Interrupted. What was found by then is written, not verified.")
    result = record.discovery_json(model, found)
    write(result, out)
    run.finish(result)


def _outcome(found: Discovery) -> str:
    """What a run took, and how far the estimates of its effects were off."""
    seconds, passes = sum(row.seconds for row in found.cost), sum(row.forward_passes for row in found.cost)
    verb = "took" if found.complete else "stopped after"
    words = f"{verb} {duration(seconds)} and {passes:,.0f} forward passes over all pairs"
    if found.screening is None:
        return words
    screening = found.screening
    off = f", largest disagreement {screening.largest:.4f}" if screening.recomputed else ""
    return f"{words}; {screening.recomputed:,} of {screening.estimated:,} estimated paths recomputed{off}"


def _tested(done: SelfTests) -> str:
    """Whether the run's self-tests passed; by how much those that did not failed."""
    if done.passed:
        return f"self-tests: all {len(done.tests)} passed"
    failed = "; ".join(f"{test.name} is off by {test.value:.2g}, allowed {test.tolerance:g}" for test in done.failed)
    return f"warning: self-tests failed ({failed}). Numbers of this run are not to be trusted; report the model."


def _senders(text: str, model: Model, receiver: Receiver, mlps: bool) -> tuple[Node, ...]:
    """All nodes below the receiver, or the named ones, all of which must lie below it."""
    named = () if text == "all" else parse_nodes(names_in(text), model.n_layers, model.n_heads)
    if not mlps and (mlps_among(named) or receiver.input is Input.MLP):
        raise HeadlightError("MLPs send and receive only where they are nodes. Add --mlps, or name heads alone.")
    top = receiver_depth(model, receiver)
    if text == "all":
        everyone = torch.ones(model.n_layers, model.n_heads + mlps, dtype=torch.bool)
        return tuple(node for node in nodes_of(everyone, model.n_heads) if depth_of(node) < top)
    above = [str(node) for node in named if depth_of(node) >= top]
    if above:
        raise HeadlightError(f"Senders must lie in a layer below the receiver {receiver}, got {', '.join(above)}.")
    return named
