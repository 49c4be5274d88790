"""verify, evaluate: how true a circuit is, from its file or by its heads' names."""

from __future__ import annotations

import argparse
from dataclasses import replace

from engine.ablation import Ablation, Ablator
from engine.circuit import Circuit
from engine.cli.bringing import brought_circuit, saved_circuit
from engine.cli.common import fill_from_file, load, names_in, output, rows_of, run_json, settings_from, write
from engine.cli.console import Console
from engine.cost.ledger import Ledger, pass_flops, together
from engine.edges.evaluation import evaluate_edges
from engine.errors import HeadlightError
from engine.evaluation.evaluate import check_shape
from engine.evaluation.evaluate import evaluate as evaluate_circuit
from engine.evaluation.plan import Plan
from engine.evaluation.words import summary
from engine.nodes import heads_among, mlps_among, node_mask
from engine.prepare import prepare
from engine.record import writing as record
from engine.record.evaluation_file import edges_json, evaluation_json
from engine.record.saved_run import parse_nodes
from engine.verification import STAGE as VERIFICATION
from engine.verification import verify as verify_heads


def verify(options: argparse.Namespace, console: Console) -> None:
    """Performance and faithfulness of given heads, all others ablated.

    Other MLPs too, where the run had them as nodes or some are named.
    """
    saved = None
    if options.circuit is not None:
        saved = saved_circuit(options, brought_circuit(options, console))
        fill_from_file(options, saved)
    settings, out = settings_from(options), output(options)
    model = load(settings, console)
    names = (*saved.heads, *(saved.mlps or ())) if saved is not None else names_in(options.heads)
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
        run_json(prepared)
        | {"keep": keep.tolist(), "circuit": circuit, "verification": record.verification_json(result)}
        | {"cost": record.cost_json((*prepared.cost, *ledger.rows()))},
        out,
    )


def evaluate(options: argparse.Namespace, console: Console) -> None:
    """All that says how true a circuit is; the prompts it was found on are run too, where its file has their seed."""
    plan = Plan(Ablation(options.ablation), options.draws, options.random_circuits)
    file = brought_circuit(options, console)
    if file.circuit.mlps:
        raise HeadlightError(
            "An evaluation asks about heads with all MLPs live, and this circuit has MLPs as nodes. Add --heads-only "
            "to leave them out."
        )
    fill_from_file(options, saved_circuit(options, file))
    settings, out = settings_from(options), output(options)
    model = load(settings, console)
    check_shape(file.circuit, model)
    found_on = settings if file.seed is None else replace(settings, seed=file.seed)
    prepared = prepare(model, found_on, console, rows_of(options, settings, model))
    evaluation = evaluate_circuit(prepared, file.circuit, settings.seed, console, plan)
    for sentence in summary(evaluation):
        console.announce(sentence)
    result = run_json(prepared) | {"circuit": record.circuit_json(file.circuit)}
    result |= {"evaluation": evaluation_json(evaluation), "edge_evaluation": None}
    cost = [*prepared.cost, *evaluation.cost]
    if file.circuit.edges:
        edges = evaluate_edges(prepared, file.circuit, settings.seed, console, plan.ablation, plan.draws)
        console.announce(edges.words)
        result["edge_evaluation"] = edges_json(edges)
        cost += edges.cost
    stages = dict.fromkeys(row.stage for row in cost)  # fresh prompts are run for heads and for edges
    write(result | {"cost": record.cost_json([together(cost, stage, [stage]) for stage in stages])}, out)
