"""Exit codes and error texts: 0 done, 1 a clear message, 2 usage, 3 not reproduced, 130 interrupted."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from engine.cli.arguments import build_parser
from engine.cli.console import Console, interruptible
from engine.errors import Cancelled, HeadlightError
from engine.machine.out_of_memory import told_when_memory_runs_out

INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; no traceback for what a person can mend."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    console = Console()
    try:
        with interruptible(console):
            code = _run(options, console)
    except HeadlightError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (Cancelled, KeyboardInterrupt):
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as head, has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return INTERRUPTED if console.interrupted else code


def _run(options: argparse.Namespace, console: Console) -> int:
    """Commands import torch, so they are imported only once the command line is known to be good."""
    if options.command == "runs":  # brings no model library
        from engine.cli.runs import runs

        runs(options, console)
        return 0
    from engine.cli import capsules, commands, exporting, sweeping, tables, trust, tuning, verifying

    run = {
        "models": tables.print_models,
        "tasks": tables.print_tasks,
        "score": commands.score,
        "effects": commands.effects,
        "discover": commands.discover,
        "tune": tuning.tune,
        "verify": verifying.verify,
        "evaluate": verifying.evaluate,
        "agreement": trust.agreement,
        "stability": trust.stability,
        "receipt": trust.receipt,
        "capsule": capsules.capsule,
        "show": capsules.show,
        "diff": capsules.diff,
        "verify-capsule": capsules.verify_capsule,
        "script": capsules.script,
        "export": exporting.export,
        "sweep": sweeping.sweep,
    }[options.command]
    with told_when_memory_runs_out():
        return run(options, console) or 0
