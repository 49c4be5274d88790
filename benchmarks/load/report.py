"""What comes of it all, as plain values: errors, waits, and how memory grew."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.load.lone import compare
from benchmarks.load.tally import Tally

WARM_UP = 0.4  # of the time, before memory is looked at: models come, caches fill


def report(tally: Tally, options: argparse.Namespace, seconds: float, log: Path) -> dict[str, Any]:
    compared, wrong = compare(tally)
    return {
        "sessions": options.sessions, "browsers": options.browsers, "minutes": options.minutes,
        "threads": options.threads, "seconds": round(seconds, 1), "done": tally.done,
        "results_compared": compared, "requests": len(tally.records), "wrong_results": wrong,
        "page_errors": tally.errors, "log_errors": errors_in(log), "downloads_clicked_again": tally.clicked_again,
        "most_sessions": tally.most_sessions, "most_waiting": tally.most_waiting,
        "script_run_s": spread(tally.runs), "visit_to_scores_s": spread(tally.to_scores),
        "search_to_circuit_s": spread(tally.to_circuit),
        "memory_mb": {
            "first": tally.memory[0][1], "last": tally.memory[-1][1], "most": max(mb for _, mb in tally.memory),
            "growth_per_minute": round(growth(tally.memory), 3),
            "samples": [(round(at), mb) for at, mb in tally.memory],
        },
    }  # fmt: skip


def errors_in(log: Path) -> list[str]:
    """Lines of the server's log that tell of an error, or are no JSON but Streamlit's greeting."""
    found = []
    for line in log.read_text("utf-8").splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            if any(word in line for word in ("Error", "Exception", "Traceback", "WARNING")):
                found.append(line)
            continue
        if isinstance(told, dict) and told.get("level") in ("error", "critical"):
            found.append(line)
    return found


def growth(memory: list[tuple[float, float]]) -> float:
    """Megabytes a minute after the warm-up; NaN from fewer than three samples."""
    late = [sample for sample in memory if sample[0] >= WARM_UP * memory[-1][0]] if memory else []
    if len(late) < 3:
        return float("nan")
    seconds, megabytes = zip(*late, strict=True)
    return 60 * float(np.polyfit(seconds, megabytes, 1)[0])


def spread(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    shares = {"median": 50, "p95": 95, "most": 100}
    return {"n": len(values)} | {name: round(float(np.percentile(values, at)), 3) for name, at in shares.items()}
