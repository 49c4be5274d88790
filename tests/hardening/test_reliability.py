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
    assert not any(letter.isdigit() for letter in text.replace("signal 9", "").replace("5 s", "").replace("1 GB", ""))
    for part in PARTS.values():
        assert part.command in text


def test_counts_are_added_up(tmp_path: Path) -> None:
    (tmp_path / "faults.json").write_text(json.dumps(FAULTS), encoding="utf-8")
    (tmp_path / "fuzz.json").write_text(json.dumps(FUZZ), encoding="utf-8")
    kills = {"killed": 60, "states": {"done": 5}, "lost": []}
    (tmp_path / "kills.json").write_text(json.dumps(kills), encoding="utf-8")
    text = document(tmp_path)
    assert "**57 faults injected, 1 crashes, 2 times something was lost.**" in text
    assert "**1,520 inputs, 1 findings**" in text and "Unfinished" in text
    assert "| links | 1,500 | 3 | 1 | 0.13 |" in text
    assert "| full disk | runs | 50 | 30 | 19 | 1 | 0 |" in text
    assert "| killed | 60 |" in text and "| states, done | 5 |" in text and "| lost | 0 |" in text
    assert text.count(MISSING) == 1
