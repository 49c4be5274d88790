"""The options that several subcommands share: model, task and output, what path patching takes, which heads are pruned.

Imports no torch, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
from pathlib import Path

# Those of engine.scores.kinds.Score, which a test compares: the engine would bring in torch.
SCORES = (
    "contrastive_flap", "flap", "merged", "output_difference", "attribution", "position_attribution",
    "integrated_attribution", "walk", "rank_sum", "equal_union", "walk_union",
)  # fmt: skip


def add_again(commands, name: str, help_text: str) -> argparse.ArgumentParser:
    """A subcommand that goes on with a run that discover wrote, by that run's own settings."""
    again = commands.add_parser(name, help=help_text, description=help_text)
    again.add_argument("--circuit", type=Path, required=True, metavar="FILE", help="a run written by discover")
    again.add_argument("--rows", type=Path, metavar="FILE", help="the rows it was found on, if they were your own")
    again.add_argument("--device", help="cpu, cuda, mps, or auto: all GPUs (default: the run's)")
    again.add_argument("--dtype", help="auto, float32, bfloat16 or float16 (default: the run's)")
    memory_option(again)
    output_option(again)
    return again


def add_stage(commands, name: str, help_text: str, from_file: bool = False) -> argparse.ArgumentParser:
    """A subcommand with the options all stages share; ``from_file``: unset ones come from the circuit's file."""
    stage = commands.add_parser(name, help=help_text, description=help_text)
    model, task, pairs = ("the file's",) * 3 if from_file else ("smollm2-135m", "ioi", "16")
    stage.add_argument("--model", help=f"name, Hugging Face id, folder or .gguf file (default: {model})")
    stage.add_argument("--task", help=f"see the command tasks (default: {task})")
    stage.add_argument("--rows", type=Path, metavar="FILE", help="your own task instead: CSV or JSONL, see the README")
    stage.add_argument("--pairs", type=int, help=f"prompt pairs (default: {pairs})")
    stage.add_argument("--seed", type=int, help="of the prompts (default: 0; with --circuit: another than the run's)")
    stage.add_argument(
        "--metric", choices=("logit_diff", "logit_diff_max", "prob_diff"), help="default: the task's own"
    )
    stage.add_argument("--bos", action="store_true", default=None, help="put the beginning-of-sequence token first")
    stage.add_argument("--device", default="cpu", help="cpu, cuda, mps, or auto: all GPUs (default: cpu)")
    stage.add_argument("--dtype", default="auto", help="auto, float32, bfloat16 or float16 (default: auto, float32)")
    output_option(stage)
    return stage


def mlps_option(stage: argparse.ArgumentParser) -> None:
    stage.add_argument(
        "--mlps", action="store_true",
        help="MLPs are nodes too, written m9: they send and receive, and no path runs through them unseen",
    )


def scores_option(stage: argparse.ArgumentParser) -> None:
    stage.add_argument(
        "--scores", type=_scores, metavar="SCORE,…",
        help="head scores that trials may choose from (default: those that take no backward pass)",
    )


def mode_option(stage: argparse.ArgumentParser) -> None:
    stage.add_argument(
        "--mode", choices=("exact", "screened"), default="screened",
        help="exact patches every path; screened (default) estimates all of them first and patches those that decide",
    )


def output_option(command: argparse.ArgumentParser) -> None:
    command.add_argument("--out", default="-", metavar="FILE", help="where the JSON goes (default: -, standard output)")


def memory_option(stage: argparse.ArgumentParser) -> None:
    stage.add_argument(
        "--memory-budget", type=_bytes, metavar="SIZE",
        help="what path patching may take beside the weights, such as 500M or 8G (default: a share of what is free)",
    )


def mask_options(stage: argparse.ArgumentParser, default: str | None) -> None:
    stage.add_argument(
        "--sparsity", type=_sparsity, default=default, metavar="auto|P",
        help="share of heads to prune, or auto: by cliff points of both scores"
        + (" (default: auto)" if default else ""),
    )
    stage.add_argument(
        "--score", choices=SCORES, default="contrastive_flap", metavar="SCORE",
        help=f"which score prunes at a fixed sparsity: {', '.join(SCORES)} (default: contrastive_flap); attributions "
        "and rank_sum take backward passes",
    )


def _sparsity(text: str) -> str | float:
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected auto or a number from 0 to below 1, got {text!r}") from None


def _scores(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    unknown = [name for name in names if name not in SCORES]
    if unknown:
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(SCORES)}, got {unknown[0]!r}")
    return names


def _bytes(text: str) -> float:
    units = {"K": 1e3, "M": 1e6, "G": 1e9}
    number, unit = (text[:-1], units[text[-1].upper()]) if text[-1:].upper() in units else (text, 1.0)
    try:
        return float(number) * unit
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected bytes such as 500M or 8G, got {text!r}") from None
