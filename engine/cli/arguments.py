"""What can be typed: one subcommand a stage, the same model, task and output options on each.

Imports no torch, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLES = """\
examples:
  python -m engine models
  python -m engine score --task ioi --pairs 16 --out scores.json
  python -m engine effects --receiver 23.3.q --senders 22.0,22.1 --out -
  python -m engine discover --method app --sparsity auto --pairs 8 --out run.json
  python -m engine verify --circuit run.json --out -
"""


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
    _add_verify(commands)
    return parser


def _add_score(commands) -> None:
    score = _stage(commands, "score", "head scores; with --sparsity also the keep mask, with auto the whole sweep")
    _mask_options(score, default=None)


def _add_effects(commands) -> None:
    effects = _stage(commands, "effects", "exact path-patching effects of many heads on one receiver")
    effects.add_argument("--receiver", default="logits", help="logits (default), a head's input such as 23.3.q, or m23")
    effects.add_argument("--senders", default="all", help="all, or heads (and MLPs) such as 23.0,m22 (default: all)")
    _mlps_option(effects)
    _memory_option(effects)
    effects.add_argument("--reference", action="store_true", help="use the slow hooked implementation, the oracle")


def _add_discover(commands) -> None:
    discover = _stage(commands, "discover", "find a circuit and verify it on fresh prompts")
    discover.add_argument("--method", choices=("app", "dense"), default="app", help="app searches inside the keep mask")
    _mask_options(discover, default="auto")
    discover.add_argument(
        "--union", metavar="FLAP+CFLAP",
        help="search in this of the nine unions, named by a cliff of each score: first, biggest or fixed, such as "
        "first+biggest (default: the one chosen automatically)",
    )
    discover.add_argument(
        "--mode", choices=("exact", "screened"), default="screened",
        help="exact patches every path; screened (default) estimates all of them first and patches those that decide",
    )
    discover.add_argument(
        "--threshold-scale", type=float, default=2.0, metavar="S", help="in standard deviations (default: 2)"
    )
    discover.add_argument(
        "--min-effect", type=float, default=0.01, metavar="F", help="smallest effect that counts (default: 0.01)"
    )
    _mlps_option(discover)
    discover.add_argument(
        "--grid", action="store_true", help="try 16 pairs of these two thresholds and take the best circuit"
    )
    _memory_option(discover)


def _add_verify(commands) -> None:
    verify = _stage(commands, "verify", "how much of the model a set of heads keeps", from_file=True)
    heads = verify.add_mutually_exclusive_group(required=True)
    heads.add_argument("--circuit", type=Path, metavar="FILE", help="a run written by discover")
    heads.add_argument(
        "--heads", metavar="HEADS", help="heads such as 9.6,10.0; with MLPs such as m9, other MLPs are ablated too"
    )
    verify.add_argument(
        "--ablation", choices=("mean", "resample", "zero"), default="mean",
        help="what replaces the other heads' z: corrupted mean by template group (default), corrupted value, zero",
    )


def _stage(commands, name: str, help_text: str, from_file: bool = False) -> argparse.ArgumentParser:
    """A subcommand with the options all stages share; ``from_file``: unset ones come from the circuit's file."""
    stage = commands.add_parser(name, help=help_text, description=help_text)
    model, task, pairs = ("the file's",) * 3 if from_file else ("smollm2-135m", "ioi", "16")
    stage.add_argument("--model", help=f"name, Hugging Face id, folder or .gguf file (default: {model})")
    stage.add_argument("--task", help=f"see the command tasks (default: {task})")
    stage.add_argument("--rows", type=Path, metavar="FILE", help="your own task instead: CSV or JSONL, see the README")
    stage.add_argument("--pairs", type=int, help=f"prompt pairs (default: {pairs})")
    stage.add_argument("--seed", type=int, help="of the prompts (default: 0; verify --circuit: another than the run's)")
    stage.add_argument(
        "--metric", choices=("logit_diff", "logit_diff_max", "prob_diff"), help="default: the task's own"
    )
    stage.add_argument("--bos", action="store_true", default=None, help="put the beginning-of-sequence token first")
    stage.add_argument("--device", default="cpu", help="cpu, cuda, mps, or auto: all GPUs (default: cpu)")
    stage.add_argument("--dtype", default="auto", help="auto, float32, bfloat16 or float16 (default: auto, float32)")
    stage.add_argument("--out", default="-", metavar="FILE", help="where the JSON goes (default: -, standard output)")
    return stage


def _mlps_option(stage: argparse.ArgumentParser) -> None:
    stage.add_argument(
        "--mlps", action="store_true",
        help="MLPs are nodes too, written m9: they send and receive, and no path runs through them unseen",
    )


def _memory_option(stage: argparse.ArgumentParser) -> None:
    stage.add_argument(
        "--memory-budget", type=_bytes, metavar="SIZE",
        help="what path patching may take beside the weights, such as 500M or 8G (default: a share of what is free)",
    )


def _mask_options(stage: argparse.ArgumentParser, default: str | None) -> None:
    stage.add_argument(
        "--sparsity", type=_sparsity, default=default, metavar="auto|P",
        help="share of heads to prune, or auto: by cliff points of both scores"
        + (" (default: auto)" if default else ""),
    )
    stage.add_argument(
        "--score", choices=("contrastive_flap", "flap", "merged"), default="contrastive_flap",
        help="which score prunes at a fixed sparsity (default: contrastive_flap)",
    )


def _sparsity(text: str) -> str | float:
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected auto or a number from 0 to below 1, got {text!r}") from None


def _bytes(text: str) -> float:
    units = {"K": 1e3, "M": 1e6, "G": 1e9}
    number, unit = (text[:-1], units[text[-1].upper()]) if text[-1:].upper() in units else (text, 1.0)
    try:
        return float(number) * unit
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected bytes such as 500M or 8G, got {text!r}") from None
