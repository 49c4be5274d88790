"""The document of counts: only numbers that were counted, and what was not says so."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.reliability import MISSING, PARTS, document

FAULTS = {
    "date": "2026-01-02", "machine": "a machine", "rows": [
        {"fault": "full disk", "subject": "runs", "injected": 50, "done": 30, "refused": 19, "crashed": 1, "lost": 0},
        {"fault": "full disk", "subject": "keys", "injected": 7, "done": 7, "refused": 0, "crashed": 0, "lost": 2},
    ],
}  # fmt: skip
FUZZ = {
    "date": "2026-01-02", "machine": "a machine", "finished": False, "rows": [
        {"part": "links", "inputs": 1500, "refused": 3, "findings": ["one"], "slowest": 0.126},
        {"part": "capsules", "inputs": 20, "refused": 20, "findings": [], "slowest": 0.5},
    ],
}  # fmt: skip


def test_parts_that_were_not_run_say_so(tmp_path: Path) -> None:
    text = document(tmp_path)
    assert text.count(MISSING) == len(PARTS) == 4
    for part in PARTS.values():
        assert part.command in text
    for known in ("signal 9", "5 s", "1 GB", "pairs 8"):  # of what is done, not of what came of it
        text = text.replace(known, "")
    assert not any(letter.isdigit() for letter in text)


def test_counts_are_added_up(tmp_path: Path) -> None:
    (tmp_path / "faults.json").write_text(json.dumps(FAULTS), encoding="utf-8")
    (tmp_path / "fuzz.json").write_text(json.dumps(FUZZ), encoding="utf-8")
    kills = {"kills": 60, "model": "toy", "task": "ioi", "states": {"done": 5}, "lost": ["a run"], "equal": 9}
    (tmp_path / "kills.json").write_text(json.dumps(kills), encoding="utf-8")
    text = document(tmp_path)
    assert "**57 faults injected, 1 crashes, 2 times something was lost.**" in text
    assert "**1,520 inputs, 1 findings**" in text and "Unfinished" in text
    assert "| links | 1,500 | 3 | 1 | 0.13 |" in text
    assert "| full disk | runs | 50 | 30 | 19 | 1 | 0 |" in text
    assert "**60 kills of toy on ioi, 1 times something was lost.**" in text
    assert "| killed after its end | 5 |" in text and "| lost something | 1 |" in text
    assert "| runs that came to their end | – |" in text  # not in the file
    assert text.count(MISSING) == 1


def test_a_load_with_errors_says_how_many(tmp_path: Path) -> None:
    load = {
        "sessions": 30, "minutes": 10.0, "results_compared": 68, "wrong_results": ["one"], "page_errors": ["a", "b"],
        "log_errors": ["c"], "script_run_s": None, "memory_mb": {"most": 1909.1, "growth_per_minute": 49.05},
    }  # fmt: skip
    (tmp_path / "load.json").write_text(json.dumps(load), encoding="utf-8")
    text = document(tmp_path)
    assert "**30 sessions for 10 minutes, 68 results compared, 1 wrong, 3 errors.**" in text
    assert "| errors on a page | 2 |" in text and "| most memory, MB | 1909.10 |" in text
    assert "| run of a page, median, s | – |" in text
