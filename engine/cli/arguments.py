"""What can be typed: one subcommand a stage, the same model, task and output options on each.

Imports no torch, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.cli.capsule_arguments import add_capsules
from engine.cli.export_arguments import add_export, bringing_options
from engine.cli.run_arguments import add_runs
from engine.cli.stage_options import (
    add_again,
    add_stage,
    mask_options,
    memory_option,
    mlps_option,
    mode_option,
    output_option,
    scores_option,
)
from engine.cli.sweep_arguments import add_sweep, ray_option

EXAMPLES = """\
examples:
  python -m engine models
  python -m engine score --task ioi --pairs 16 --out scores.json
  python -m engine effects --receiver 23.3.q --senders 22.0,22.1 --out -
  python -m engine discover --method app --sparsity auto --pairs 8 --out run.json
  python -m engine tune --task ioi --pairs 8 --trials 40 --out front.json
  python -m engine verify --circuit run.json --out -
  python -m engine stability --circuit run.json --resamples 10 --out stability.json
  python -m engine receipt --circuit run.json --of 9.6,2.2:9.6.k --out -
  python -m engine evaluate --circuit run.json --out evaluation.json
  python -m engine export run.json --format mib --out circuit.json
  python -m engine runs
  python -m engine capsule run.json --out run.headlight
  python -m engine verify-capsule run.headlight --sample 5
  python -m engine sweep sweep.yaml --ray auto
"""

ANY_CIRCUIT = "a run or a circuit of Headlight, EAP-IG or MIB JSON, GraphML, or networkx node-link JSON"


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="python -m engine",
        description="Attention-head circuits by Accelerated Path Patching.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("models", help="the models known by name, and which are ready without a network")
    commands.add_parser("tasks", help="the built-in tasks")
    _add_score(commands)
    _add_effects(commands)
    _add_discover(commands)
    _add_tune(commands)
    _add_verify(commands)
    _add_evaluate(commands)
    _add_agreement(commands)
    _add_stability(commands)
    _add_receipt(commands)
    add_runs(commands)
    add_capsules(commands)
    add_export(commands)
    add_sweep(commands)
    return parser


def _add_score(commands) -> None:
    score = add_stage(commands, "score", "head scores; with --sparsity also the keep mask, with auto the whole sweep")
    mask_options(score, default=None)


def _add_effects(commands) -> None:
    effects = add_stage(commands, "effects", "exact path-patching effects of many heads on one receiver")
    effects.add_argument("--receiver", default="logits", help="logits (default), a head's input such as 23.3.q, or m23")
    effects.add_argument("--senders", default="all", help="all, or heads (and MLPs) such as 23.0,m22 (default: all)")
    mlps_option(effects)
    memory_option(effects)
    effects.add_argument("--reference", action="store_true", help="use the slow hooked implementation, the oracle")


def _add_discover(commands) -> None:
    discover = add_stage(commands, "discover", "find a circuit and verify it on fresh prompts")
    discover.add_argument("--method", choices=("app", "dense"), default="app", help="app searches inside the keep mask")
    mask_options(discover, default="auto")
    discover.add_argument(
        "--union", metavar="FLAP+CFLAP",
        help="search in this of the nine unions, named by a cliff of each score: first, biggest or fixed, such as "
        "first+biggest (default: the one chosen automatically)",
    )
    mode_option(discover)
    discover.add_argument(
        "--algorithm", choices=("path_patching", "acdc", "eap", "eap_ig"), default="path_patching",
        help="how edges are chosen: by path patching (default), taken out one by one (acdc), or the strongest by a "
        "first-order score (eap, eap_ig)",
    )
    discover.add_argument(
        "--top-edges", type=int, default=100, metavar="N", help="edges that eap and eap_ig take (default: 100)"
    )
    discover.add_argument(
        "--tolerance", type=float, default=0.01, metavar="F",
        help="of acdc: an edge goes if that changes the metric by no more, in units of clean - corrupted "
        "(default: 0.01)",
    )
    discover.add_argument(
        "--threshold-scale", type=float, default=2.0, metavar="S", help="in standard deviations (default: 2)"
    )
    discover.add_argument(
        "--min-effect", type=float, default=0.01, metavar="F", help="smallest effect that counts (default: 0.01)"
    )
    mlps_option(discover)
    discover.add_argument(
        "--grid", action="store_true", help="try 16 pairs of these two thresholds and take the best circuit"
    )
    discover.add_argument(
        "--tune", type=int, metavar="N",
        help="choose score, sparsities and both thresholds automatically, by N trials such as 40: see the command tune",
    )
    scores_option(discover)
    memory_option(discover)
    ray_option(discover)
    discover.add_argument(
        "--no-store", action="store_true", help="do not keep the run, and do not go on with one that was interrupted"
    )


def _add_tune(commands) -> None:
    tune = add_stage(
        commands, "tune",
        "settings for a small and faithful circuit, by trials; they are kept, so the same command goes on where it "
        "was stopped",
    )  # fmt: skip
    tune.add_argument("--trials", type=int, default=40, metavar="N", help="in all, with those kept (default: 40)")
    scores_option(tune)
    mode_option(tune)
    memory_option(tune)


def _add_verify(commands) -> None:
    verify = add_stage(commands, "verify", "how much of the model a set of heads keeps", from_file=True)
    heads = verify.add_mutually_exclusive_group(required=True)
    heads.add_argument("--circuit", type=Path, metavar="FILE", help=ANY_CIRCUIT)
    heads.add_argument(
        "--heads", metavar="HEADS", help="heads such as 9.6,10.0; with MLPs such as m9, other MLPs are ablated too"
    )
    bringing_options(verify)
    _ablation_option(verify)


def _add_evaluate(commands) -> None:
    evaluate = add_stage(commands, "evaluate", "how true a circuit is, by every measure there is", from_file=True)
    evaluate.add_argument("--circuit", type=Path, metavar="FILE", required=True, help=ANY_CIRCUIT)
    bringing_options(evaluate)
    _ablation_option(evaluate)
    evaluate.add_argument(
        "--draws", type=int, default=1000, metavar="N", help="drawings of the pairs for every interval (default: 1000)"
    )
    evaluate.add_argument(
        "--random-circuits", type=int, default=20, metavar="K", help="of each sort, to compare with (default: 20)"
    )


def _ablation_option(stage: argparse.ArgumentParser) -> None:
    stage.add_argument(
        "--ablation", choices=("mean", "resample", "zero"), default="mean",
        help="what replaces the other heads' z: corrupted mean by template group (default), corrupted value, zero",
    )


def _add_agreement(commands) -> None:
    words = "how far a circuit and its head scores agree with a dense run and with answer keys; runs no model"
    agreement = commands.add_parser("agreement", help=words, description=words)
    agreement.add_argument("--circuit", type=Path, required=True, metavar="FILE", help="a run written by discover")
    agreement.add_argument(
        "--against", type=Path, metavar="FILE", help="another run of the same model and task, such as a dense one"
    )
    agreement.add_argument(
        "--key", type=Path, metavar="FILE", help="an answer key of your own, beside the published and the kept ones"
    )
    agreement.add_argument("--keep-key", action="store_true", help="keep the key of --key for later runs and the app")
    output_option(agreement)


def _add_stability(commands) -> None:
    words = "find a run's circuit again on resamples, other seeds, other templates"
    stability = add_again(commands, "stability", words)
    stability.add_argument("--resamples", type=int, default=10, metavar="K", help="of its own prompts (default: 10)")
    stability.add_argument("--seeds", type=int, default=5, metavar="K", help="fresh sets of prompts (default: 5)")
    stability.add_argument("--no-templates", action="store_true", help="leave no template out in turn")
    ray_option(stability)


def _add_receipt(commands) -> None:
    receipt = add_again(commands, "receipt", "what heads and edges of a circuit do on fresh prompts, with a verdict")
    receipt.add_argument(
        "--of", metavar="LIST", help="heads and edges such as 9.6,2.2:9.6.k,9.6:logits (default: all heads found)"
    )
    receipt.add_argument(
        "--ablation", choices=("mean", "resample", "zero"), default="mean", help="of a head's z (default: mean)"
    )
