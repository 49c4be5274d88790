"""A made-up run for tests of what is kept."""

from __future__ import annotations

from engine.record.json_values import Json
from engine.settings import Settings

SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=4)


def made_up(**more) -> Json:
    """A record with all that a summary is made of: 2 heads, 1 edge, 3 s, 30 flops."""
    return {
        "schema": "headlight/1", "model": "toy-induction", "task": "induction-random", "fingerprint": "f" * 16,
        "settings": {"model": "toy-induction", "task": "induction-random", "pairs": 4, "metric": "logit_diff"},
        "complete": True, "baseline": {"accuracy": 0.75}, "scores": {"flap": [[0.5, None], [1.5, 0.1]]},
        "circuit": {"heads": ["0.1", "1.0"], "edges": [{"sender": "0.1", "receiver": "1.0"}]},
        "verification": {"performance": 98.5, "faithfulness": None},
        "cost": {"a": {"seconds": 1.0, "flops": 10.0}, "b": {"seconds": 2.0, "flops": 20.0}},
    } | more  # fmt: skip
