"""score, effects, discover, verify: settings from options, one stage of the engine, one JSON record."""

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
from engine.circuit import Circuit, Input
from engine.cli.console import Console
from engine.cost import Ledger, pass_flops
from engine.duration import duration
from engine.errors import HeadlightError
from engine.models.loading import load_model
from engine.models.model import Model
from engine.nodes import Node, depth_of, heads_among, mlps_among, node_mask, nodes_of
from engine.patching.effects import PathPatching, Tick
from engine.patching.mlp_nodes import NodePatching
from engine.patching.mlp_reference import booked_reference, receiver_depth
from engine.patching.receiver import Receiver
from engine.patching.reference import ReferencePatching
from engine.pipeline import Discovery, keep_of
from engine.pipeline import discover as find_circuit
from engine.prepare import Prepared, prepare
from engine.self_check import self_check
from engine.settings import Method, Mode, Score, Settings
from engine.sparsity_sweep import prune
from engine.tasks.custom import CUSTOM, custom_prompts
from engine.tasks.prompts import Metric, Prompts
from engine.tasks.table import read_table
from engine.verification import STAGE as VERIFICATION
from engine.verification import verify as verify_heads

EFFECTS = "effects"


def score(options: argparse.Namespace, console: Console) -> None:
    """Head scores; the keep mask and the sweep if a sparsity is asked for."""
    settings, out = _settings(options), _output(options)
    prepared = _prepare(options, settings, console)
    result = _run_json(prepared) | {"scores": record.scores_json(prepared.scores)}
    cost = prepared.cost
    if options.sparsity is not None:
        pruning = prune(prepared, console) if settings.sparsity is None else None
        result["keep"] = keep_of(prepared, settings, pruning).tolist()
        if pruning is not None:
            result["sweep"] = record.sweep_json(pruning)
            cost += pruning.cost
    _write(result | {"cost": record.cost_json(cost)}, out)


def effects(options: argparse.Namespace, console: Console) -> None:
    """Effects of many senders on one receiver, fast or by the reference."""
    settings, out = _settings(options), _output(options)
    model = _load(settings, console)
    receiver = Receiver.parse(options.receiver, model.n_layers, model.n_heads)
    senders = _senders(options.senders, model, receiver, settings.mlps)
    prepared = prepare(model, settings, console, _custom_prompts(options, settings, model))
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
    _write(result | {"effects": record.matrix(values), "cost": cost}, out)


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
    settings, out = _settings(options), _output(options)
    model = _load(settings, console)
    prepared = prepare(model, settings, console, _custom_prompts(options, settings, model))
    if not prepared.baseline.capable:
        console.announce(f"warning: {prepared.baseline.verdict}")
    found = find_circuit(model, prepared.settings, console, prepared)
    console.announce(_outcome(found))
    if not found.complete:
        console.announce("Interrupted. What was found by then is written, not verified.")
    _write(record.discovery_json(model, found), out)


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


def verify(options: argparse.Namespace, console: Console) -> None:
    """Performance and faithfulness of given heads, all others ablated.

    Other MLPs too, where the run had them as nodes or some are named.
    """
    saved = None
    if options.circuit is not None:
        saved = record.read_saved_circuit(options.circuit)
        _fill_from_file(options, saved)
    settings, out = _settings(options), _output(options)
    model = _load(settings, console)
    names = (*saved.heads, *(saved.mlps or ())) if saved is not None else _names(options.heads)
    nodes = record.parse_nodes(names, model.n_layers, model.n_heads)
    mlps = bool(mlps_among(nodes)) or (saved is not None and saved.mlps is not None)
    settings = replace(settings, mlps=mlps)
    prepared = prepare(model, settings, console, _custom_prompts(options, settings, model))
    ledger = Ledger(pass_flops(model, prepared.prompts))
    with ledger.stage(VERIFICATION):
        ablator = Ablator(model, prepared.activations, ledger, Ablation(options.ablation))
        keep = node_mask(nodes, model.n_layers, model.n_heads)
        keep = keep if mlps else keep[:, :-1]
        result = verify_heads(prepared.activations, ablator, keep, settings.seed)
    circuit = record.circuit_json(Circuit(heads_among(nodes), (), model.n_layers, model.n_heads, mlps_among(nodes)))
    _write(
        _run_json(prepared)
        | {"keep": keep.tolist(), "circuit": circuit, "verification": record.verification_json(result)}
        | {"cost": record.cost_json((*prepared.cost, *ledger.rows()))},
        out,
    )


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
        "grid": getattr(options, "grid", None),
        "mlps": getattr(options, "mlps", None),
        "memory_budget": getattr(options, "memory_budget", None),
        "threshold_scale": getattr(options, "threshold_scale", None),
        "min_effect": getattr(options, "min_effect", None),
    }
    return Settings(**{name: value for name, value in given.items() if value is not None})


def _fill_from_file(options: argparse.Namespace, saved: record.SavedCircuit) -> None:
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


def _load(settings: Settings, console: Console) -> Model:
    model = load_model(settings.model, settings.device, settings.dtype, console.announce)
    if model.note:
        console.announce(f"note: {model.note}")
    return model


def _prepare(options: argparse.Namespace, settings: Settings, console: Console) -> Prepared:
    model = _load(settings, console)
    return prepare(model, settings, console, _custom_prompts(options, settings, model))


def _senders(text: str, model: Model, receiver: Receiver, mlps: bool) -> tuple[Node, ...]:
    """All nodes below the receiver, or the named ones, all of which must lie below it."""
    named = () if text == "all" else record.parse_nodes(_names(text), model.n_layers, model.n_heads)
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


def _run_json(prepared: Prepared) -> record.Json:
    return record.run_json(prepared.model, prepared.settings, prepared.prompts, prepared.baseline)


def _output(options: argparse.Namespace) -> Path | None:
    """Where the record goes, None for standard output; refused before the work rather than after it."""
    if options.out == "-":
        return None
    path = Path(options.out)
    if path.is_dir() or not path.parent.is_dir():
        raise HeadlightError(f"Cannot write {path}: expected a file name in an existing folder. Choose another --out.")
    return path


def _write(result: record.Json, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(record.dumps(result) + "\n")
        sys.stdout.flush()
        return
    try:
        record.write_json(result, out)
    except OSError as error:
        raise HeadlightError(f"Cannot write {out}: {error.strerror}. Choose another --out.") from error


def _custom_prompts(options: argparse.Namespace, settings: Settings, model: Model) -> Prompts | None:
    """The rows of ``--rows`` as prompts; None for a built-in task."""
    if options.rows is None:
        return None
    try:
        table = read_table(options.rows.read_bytes())
    except OSError as error:
        raise HeadlightError(f"Cannot read {options.rows}: {error.strerror}. Give a CSV or JSONL file.") from error
    metric = settings.metric or Metric.LOGIT_DIFF
    return custom_prompts(table, model.tokenizer, model.max_positions, metric, settings.prepend_bos)
