"""What can be typed about circuits in other tools' files."""

from __future__ import annotations

import argparse

FORMATS = ("mib", "graphml", "node-link", "json")


def add_export(commands) -> None:
    words = "a circuit as a file of other tools; runs no model"
    export = commands.add_parser("export", help=words, description=words)
    export.add_argument(
        "run", metavar="RUN", help="a run or any circuit file, a capsule, or the id of a run that is kept"
    )
    export.add_argument(
        "--format", choices=FORMATS, required=True,
        help="mib: graph JSON of EAP-IG and the MIB circuit track; graphml; node-link: JSON of networkx; json: ours",
    )
    export.add_argument("--model", help="name of the model, where the file does not say it")
    export.add_argument("--task", help="name of the task, where the file does not say it")
    export.add_argument(
        "--d-model", type=int, metavar="N", help="of mib: the model's width, where the file does not say it"
    )
    bringing_options(export)
    export.add_argument("--out", default="-", metavar="FILE", help="where the file goes (default: -, standard output)")


def bringing_options(command: argparse.ArgumentParser) -> None:
    """How a graph of another tool is read."""
    command.add_argument(
        "--strongest", type=int, default=100, metavar="N",
        help="of an EAP-IG or MIB graph that marks no edge: how many of the strongest that hang together to take "
        "(default: 100)",
    )
    command.add_argument(
        "--heads-only", action="store_true", help="leave MLPs out of the circuit; all of them are live instead"
    )
