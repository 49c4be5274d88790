"""Measured rows on disk, one file a part, and ``RESULTS.md`` put together from the parts there are."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks import algorithms, exact, interface, masks, scaling, search
from benchmarks.algorithm_tables import algorithms_sections
from benchmarks.mask_tables import masks_sections
from benchmarks.tables import exact_sections, interface_sections, scaling_sections, search_sections
from engine.models.loading import usable_cores

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "RESULTS.md"
PARTS_FOLDER = FOLDER / "results"


@dataclass(frozen=True)
class Part:
    """``measure(repeats, quick)`` yields rows of the types ``rows``; ``sections`` turns them into Markdown.

    ``publish`` is called with all of them once a part is finished.
    """

    measure: Callable[[int, bool], Iterator[Any]]
    rows: tuple[type, ...]
    sections: Callable[[Sequence[Any]], list[str]]
    repeats: int  # by default
    publish: Callable[[Sequence[Any]], None] = lambda rows: None


PARTS = {
    "exact": Part(exact.measure, (exact.Comparison, exact.PassTwo, exact.SweepRate), exact_sections, 2),
    "search": Part(search.measure, (search.Search, search.ModesCompared, search.LeftOut), search_sections, 1),
    "masks": Part(masks.measure, (masks.Recall, search.LeftOut), masks_sections, 1, masks.publish),
    "algorithms": Part(algorithms.measure, (algorithms.Contest, search.LeftOut), algorithms_sections, 1),
    "interface": Part(interface.measure, (interface.Wait, interface.Drag), interface_sections, 5),
    "scaling": Part(scaling.measure, (scaling.Scaling,), scaling_sections, 3),
}


def save(name: str, rows: Sequence[Any], repeats: int, finished: bool) -> None:
    """Write the part's rows so far and put ``RESULTS.md`` together anew."""
    record = {
        "date": str(date.today()),
        "machine": machine(),
        "repeats": repeats,
        "finished": finished,
        "rows": [{"type": type(row).__name__, **asdict(row)} for row in rows],
    }
    PARTS_FOLDER.mkdir(exist_ok=True)
    (PARTS_FOLDER / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    RESULTS.write_text(assembled(), encoding="utf-8")
    if finished:
        PARTS[name].publish(rows)


def assembled() -> str:
    """All parts on disk, each with its own date and machine."""
    lines = [
        "# Measured",
        "",
        "Made by `python -m benchmarks`; what each table means stands in [README.md](README.md). Machines are noisy, "
        "so quote the ratios. Where several values were taken: median (smallest – largest).",
        "",
    ]
    for name, part in PARTS.items():
        path = PARTS_FOLDER / f"{name}.json"
        if path.exists():
            record = json.loads(path.read_text(encoding="utf-8"))
            lines += [*part.sections(_rows(part, record)), _provenance(name, record), ""]
    return "\n".join(lines)


def machine() -> str:
    """Processor, cores, threads and versions, in one line."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("transformers", "transformer_lens"))
    return (
        f"{_processor()}, {usable_cores()} cores, {torch.get_num_threads()} threads, {platform.system()}, "
        f"Python {platform.python_version()}, torch {torch.__version__}, {libraries}, float32"
    )


def _processor() -> str:
    """The processor's name where the system tells it, else its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _rows(part: Part, record: dict[str, Any]) -> list[Any]:
    types = {kind.__name__: kind for kind in part.rows}
    return [types[row.pop("type")](**row) for row in record["rows"]]


def _provenance(name: str, record: dict[str, Any]) -> str:
    repeats = f"{record['repeats']} repeat{'s' if record['repeats'] > 1 else ''}"
    unfinished = "" if record["finished"] else " **Unfinished: rows are missing.**"
    return f"`--part {name}`, {record['date']}, {repeats}: {record['machine']}.{unfinished}"
