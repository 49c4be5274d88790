"""score, effects, discover, tune, verify, evaluate: settings from options, one stage of the engine, one JSON record."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine import record
from engine.ablation import Ablation, Ablator
from engine.algorithms import check_algorithm
from engine.attribution import with_score
from engine.candidates import keep_of
from engine.circuit import Circuit, Input
from engine.circuit_file import read_circuit
from engine.cli.console import Console
from engine.cost import Ledger, pass_flops, together
from engine.duration import duration
from engine.edge_evaluation import evaluate_edges
from engine.errors import HeadlightError
from engine.evaluation.evaluate import check_shape
from engine.evaluation.evaluate import evaluate as evaluate_circuit
from engine.evaluation.plan import Plan
from engine.evaluation.words import summary
from engine.evaluation_file import edges_json, evaluation_json
from engine.json_values import Json, dumps, matrix
from engine.models.loading import load_model
from engine.models.model import Model
from engine.nodes import Node, depth_of, heads_among, mlps_among, node_mask, nodes_of
from engine.patching.effects import PathPatching, Tick
from engine.patching.mlp_nodes import NodePatching
from engine.patching.mlp_reference import booked_reference, receiver_depth
from engine.patching.receiver import Receiver
from engine.patching.reference import ReferencePatching
from engine.pipeline import Discovery
from engine.pipeline import discover as find_circuit
from engine.prepare import Prepared, prepare
from engine.saved_run import SavedCircuit, parse_nodes, read_saved_circuit
from engine.self_check import self_check
from engine.self_tests import SelfTests
from engine.settings import Algorithm, Method, Mode, Score, Settings
from engine.sparsity_sweep import prune
from engine.tasks.custom import CUSTOM, custom_prompts
from engine.tasks.prompts import Metric, Prompts
from engine.tasks.table import read_table
from engine.tuning.results import Tuning
from engine.tuning.space import Space
from engine.tuning.tune import check_tuned, with_scores
from engine.tuning.tune import tune as find_settings
from engine.verification import STAGE as VERIFICATION
from engine.verification import verify as verify_heads

EFFECTS = "effects"


def score(options: argparse.Namespace, console: Console) -> None:
    """Head scores; the keep mask and the sweep if a sparsity is asked for."""
    settings, out = _settings(options), output(options)
    prepared = with_score(_prepare(options, settings, console), settings.score, console)
    result = _run_json(prepared) | {"scores": record.scores_json(prepared.scores)}
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
    settings, out = _settings(options), output(options)
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
    result = _run_json(prepared)
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
    settings, out = _settings(options), output(options)
    if options.tune is not None:
        check_tuned(settings, options.tune)
    model = load(settings, console)
    check_algorithm(model, settings.algorithm)
    prepared = prepare(model, settings, console, rows_of(options, settings, model))
    if not prepared.baseline.capable:
        console.announce(f"warning: {prepared.baseline.verdict}")
    tuning, settings = None, prepared.settings
    if options.tune is not None:
        prepared, tuning = _tuned(prepared, options, options.tune, console)
        if not tuning.complete:  # without the choice there is nothing to find
            write(_tuning_json(prepared, tuning), out)
            return
        settings = tuning.chosen.settings
    found = find_circuit(model, settings, console, prepared, tuning=tuning)
    if found.self_tests is not None:
        console.announce(_tested(found.self_tests))
    console.announce(_outcome(found))
    if not found.complete:
        console.announce("Interrupted. What was found by then is written, not verified.")
    write(record.discovery_json(model, found), out)


def tune(options: argparse.Namespace, console: Console) -> None:
    """Trials of settings, their front and the choice; interrupted, those done so far are kept and written."""
    settings, out = _settings(options), output(options)
    check_tuned(settings, options.trials)
    prepared = _prepare(options, settings, console)
    if not prepared.baseline.capable:
        console.announce(f"warning: {prepared.baseline.verdict}")
    write(_tuning_json(*_tuned(prepared, options, options.trials, console)), out)


def _tuned(
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


def _tuning_json(prepared: Prepared, tuning: Tuning) -> Json:
    cost = record.cost_json((*prepared.cost, *tuning.cost))
    return _run_json(prepared) | {"tuning": record.tuning_json(tuning), "cost": cost}


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


def verify(options: argparse.Namespace, console: Console) -> None:
    """Performance and faithfulness of given heads, all others ablated.

    Other MLPs too, where the run had them as nodes or some are named.
    """
    saved = None
    if options.circuit is not None:
        saved = read_saved_circuit(options.circuit)
        _fill_from_file(options, saved)
    settings, out = _settings(options), output(options)
    model = load(settings, console)
    names = (*saved.heads, *(saved.mlps or ())) if saved is not None else _names(options.heads)
    nodes = parse_nodes(names, model.n_layers, model.n_heads)
    mlps = bool(mlps_among(nodes)) or (saved is not None and saved.mlps is not None)
    settings = replace(settings, mlps=mlps)
    prepared = prepare(model, settings, console, rows_of(options, settings, model))
    ledger = Ledger(pass_flops(model, prepared.prompts))
    with ledger.stage(VERIFICATION):
        ablator = Ablator(model, prepared.activations, ledger, Ablation(options.ablation))
        keep = node_mask(nodes, model.n_layers, model.n_heads)
        keep = keep if mlps else keep[:, :-1]
        result = verify_heads(prepared.activations, ablator, keep, settings.seed)
    circuit = record.circuit_json(Circuit(heads_among(nodes), (), model.n_layers, model.n_heads, mlps_among(nodes)))
    write(
        _run_json(prepared)
        | {"keep": keep.tolist(), "circuit": circuit, "verification": record.verification_json(result)}
        | {"cost": record.cost_json((*prepared.cost, *ledger.rows()))},
        out,
    )


def evaluate(options: argparse.Namespace, console: Console) -> None:
    """All that says how true a circuit is; the prompts it was found on are run too, where its file has their seed."""
    plan = Plan(Ablation(options.ablation), options.draws, options.random_circuits)
    _fill_from_file(options, read_saved_circuit(options.circuit))
    file = read_circuit(options.circuit.read_bytes())
    settings, out = _settings(options), output(options)
    model = load(settings, console)
    check_shape(file.circuit, model)
    found_on = settings if file.seed is None else replace(settings, seed=file.seed)
    prepared = prepare(model, found_on, console, rows_of(options, settings, model))
    evaluation = evaluate_circuit(prepared, file.circuit, settings.seed, console, plan)
    for sentence in summary(evaluation):
        console.announce(sentence)
    result = _run_json(prepared) | {"circuit": record.circuit_json(file.circuit)}
    result |= {"evaluation": evaluation_json(evaluation), "edge_evaluation": None}
    cost = [*prepared.cost, *evaluation.cost]
    if file.circuit.edges:
        edges = evaluate_edges(prepared, file.circuit, settings.seed, console, plan.ablation, plan.draws)
        console.announce(edges.words)
        result["edge_evaluation"] = edges_json(edges)
        cost += edges.cost
    stages = dict.fromkeys(row.stage for row in cost)  # fresh prompts are run for heads and for edges
    write(result | {"cost": record.cost_json([together(cost, stage, [stage]) for stage in stages])}, out)


def _settings(options: argparse.Namespace) -> Settings:
    """Options that were given; everything else keeps the default of Settings."""
    sparsity = getattr(options, "sparsity", None)
    given: dict[str, Any] = {
        "model": options.model,
        "task": CUSTOM if options.rows is not None else options.task,
        "pairs": options.pairs,
        "seed": options.seed,
        "metric": Metric(options.metric) if options.metric else None,
        "prepend_bos": options.bos,
        "device": options.device,
        "dtype": options.dtype,
        "method": Method(options.method) if "method" in options else None,
        "sparsity": None if sparsity == "auto" else sparsity,
        "score": Score(options.score) if "score" in options else None,
        "union": getattr(options, "union", None),
        "mode": Mode(options.mode) if "mode" in options else None,
        "algorithm": Algorithm(options.algorithm) if "algorithm" in options else None,
        "top_edges": getattr(options, "top_edges", None),
        "tolerance": getattr(options, "tolerance", None),
        "grid": getattr(options, "grid", None),
        "mlps": getattr(options, "mlps", None),
        "memory_budget": getattr(options, "memory_budget", None),
        "threshold_scale": getattr(options, "threshold_scale", None),
        "min_effect": getattr(options, "min_effect", None),
    }
    return Settings(**{name: value for name, value in given.items() if value is not None})


def _fill_from_file(options: argparse.Namespace, saved: SavedCircuit) -> None:
    """What was not typed comes from the circuit's run; the prompts of another seed."""
    options.model = options.model or saved.model
    if options.rows is None:
        options.task = options.task or saved.task
        if options.task == CUSTOM:
            raise HeadlightError(f"{options.circuit} was found on rows of your own. Give them again with --rows FILE.")
    if options.pairs is None:
        options.pairs = saved.settings.get("pairs")
    options.metric = options.metric or saved.settings.get("metric")
    options.bos = options.bos or saved.settings.get("prepend_bos")
    if options.seed is None:
        options.seed = int(saved.settings.get("seed", 0)) + 1


def load(settings: Settings, console: Console) -> Model:
    model = load_model(settings.model, settings.device, settings.dtype, console.announce)
    if model.note:
        console.announce(f"note: {model.note}")
    return model


def _prepare(options: argparse.Namespace, settings: Settings, console: Console) -> Prepared:
    model = load(settings, console)
    return prepare(model, settings, console, rows_of(options, settings, model))


def _senders(text: str, model: Model, receiver: Receiver, mlps: bool) -> tuple[Node, ...]:
    """All nodes below the receiver, or the named ones, all of which must lie below it."""
    named = () if text == "all" else parse_nodes(_names(text), model.n_layers, model.n_heads)
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


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name.strip()]


def _run_json(prepared: Prepared) -> Json:
    return record.run_json(prepared.model, prepared.settings, prepared.prompts, prepared.baseline)


def output(options: argparse.Namespace) -> Path | None:
    """Where the record goes, None for standard output; refused before the work rather than after it."""
    if options.out == "-":
        return None
    path = Path(options.out)
    if path.is_dir() or not path.parent.is_dir():
        raise HeadlightError(f"Cannot write {path}: expected a file name in an existing folder. Choose another --out.")
    return path


def write(result: Json, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(dumps(result) + "\n")
        sys.stdout.flush()
        return
    try:
        record.write_json(result, out)
    except OSError as error:
        raise HeadlightError(f"Cannot write {out}: {error.strerror}. Choose another --out.") from error


def rows_of(options: argparse.Namespace, settings: Settings, model: Model) -> Prompts | None:
    """The rows of ``--rows`` as prompts; None for a built-in task."""
    if options.rows is None:
        return None
    try:
        table = read_table(options.rows.read_bytes())
    except OSError as error:
        raise HeadlightError(f"Cannot read {options.rows}: {error.strerror}. Give a CSV or JSONL file.") from error
    metric = settings.metric or Metric.LOGIT_DIFF
    return custom_prompts(table, model.tokenizer, model.max_positions, metric, settings.prepend_bos)
