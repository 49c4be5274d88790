"""What can be typed of sweeps, and --ray, which several commands have. Imports no torch."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.errors import HeadlightError
from engine.executor.address import check_address


def add_sweep(commands) -> None:
    words = "many runs, models x tasks x methods x seeds, from a file; the same command goes on where it was stopped"
    sweep = commands.add_parser("sweep", help=words, description=words)
    sweep.add_argument("spec", type=Path, metavar="SPEC.yaml", help="what to go over, see the README")
    sweep.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where it is kept, runs too (default: the user's data folder)"
    )
    sweep.add_argument("--list", action="store_true", help="say what there is to do and what is done; run nothing")
    ray_option(sweep)


def ray_option(command: argparse.ArgumentParser) -> None:
    """Who does the work; a wrong address is refused before any."""
    command.add_argument(
        "--ray", type=_address, metavar="auto|ADDRESS",
        help="workers do it: auto takes the cluster that RAY_ADDRESS names, or starts a worker for each core here; "
        "needs requirements-cluster.txt (default: this process does it)",
    )


def _address(text: str) -> str:
    try:
        return check_address(text)
    except HeadlightError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
