"""Self-tests, agreement, stability and receipts as JSON: parts of records and records of their own.

Heads are written ``"9.6"``, edges as in a circuit; null means not measured.
"""

from __future__ import annotations

import math
from typing import Any

from engine.self_tests import SelfTests

Json = dict[str, Any]


def self_tests_json(done: SelfTests) -> Json:
    """Every test with its largest deviation, and whether all passed."""
    tests = [
        {
            "name": test.name, "meaning": test.meaning, "value": number(test.value), "tolerance": test.tolerance,
            "passed": test.passed,
        }
        for test in done.tests
    ]  # fmt: skip
    return {"passed": done.passed, "pairs": done.pairs, "tests": tests, "skipped": list(done.skipped)}


def number(value: float) -> float | None:
    """JSON has neither NaN nor infinity: both become null."""
    return value if math.isfinite(value) else None
