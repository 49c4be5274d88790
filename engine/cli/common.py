"""What every command begins and ends with: settings from options, the model and its prompts, the record written."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from engine.cli.console import Console
from engine.errors import HeadlightError
from engine.machine.atomic import write_text
from engine.models.loading import load_model
from engine.models.model import Model
from engine.prepare import Prepared, prepare
from engine.record import writing as record
from engine.record.json_values import Json, dumps
from engine.record.saved_run import SavedCircuit
from engine.settings import Algorithm, Method, Mode, Score, Settings
from engine.tasks.custom import CUSTOM, custom_prompts
from engine.tasks.prompts import Metric, Prompts
from engine.tasks.table import read_table


def settings_from(options: argparse.Namespace) -> Settings:
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


def fill_from_file(options: argparse.Namespace, saved: SavedCircuit) -> None:
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


def prepared_for(options: argparse.Namespace, settings: Settings, console: Console) -> Prepared:
    model = load(settings, console)
    return prepare(model, settings, console, rows_of(options, settings, model))


def names_in(text: str) -> list[str]:
    return [name for name in text.split(",") if name.strip()]


def run_json(prepared: Prepared) -> Json:
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
    write_all(dumps(result) + "\n", out)


def write_all(text: str, out: Path | None) -> None:
    """To standard output, or to a file that is the whole text or what it was before."""
    if out is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    try:
        write_text(text, out)
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
