"""The two tables: models and tasks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from engine.cli.console import Console
from engine.models.architectures import SUPPORTED
from engine.models.registry import MODELS
from engine.models.sources import is_ready_offline
from engine.tasks.task import TASKS


def print_models(options: argparse.Namespace, console: Console) -> None:
    rows = []
    for card in MODELS:
        ready, reason = is_ready_offline(card)
        heads = f"{card.n_layers} x {card.n_heads}"
        rows.append((card.name, card.title, heads, f"{card.parameters / 1e6:,.1f} M", "yes" if ready else "no", reason))
    print_table(("name", "title", "layers x heads", "parameters", "offline", "how"), rows)
    print(
        "\nAny other causal model of these architectures works by Hugging Face id or folder: "
        f"{', '.join(sorted(SUPPORTED))}.\nOthers that TransformerLens can hook run through hooked forwards: exact, "
        "but slow."
    )


def print_tasks(options: argparse.Namespace, console: Console) -> None:
    rows = [(task.name, task.title, ", ".join(task.metrics), task.description) for task in TASKS]
    print_table(("name", "title", "metrics", "what the model must do"), rows)
    print("\nYour own task: --rows FILE with clean, corrupted, answer and distractor columns.")


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """On standard output, columns as wide as what stands in them."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    for row in (header, ["-" * width for width in widths], *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
