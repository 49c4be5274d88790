"""A run's record as large as one likes, without running a model."""

from __future__ import annotations

import random

import torch

from engine.record.json_values import Json, matrix


def large_record(record: Json, n_layers: int, n_heads: int, steps: int, pairs: int) -> Json:
    """``record`` with matrices, steps, edges and prompts of another size, filled with random numbers."""
    draw = random.Random(0)
    torch.manual_seed(0)

    def scores() -> list:
        return matrix(torch.randn(n_layers, n_heads))

    def step(layer: int) -> Json:
        below = torch.randn(n_layers, n_heads)
        below[layer:] = float("nan")
        estimated = [f"{i}.{h}" for i in range(layer) for h in range(n_heads) if draw.random() < 0.9]
        return {
            "receivers": [f"{layer}.{draw.randrange(n_heads)}"], "input": draw.choice("qkv"),
            "effects": matrix(below), "estimated": estimated,
            "thresholds": torch.rand(n_layers).tolist(), "important": ["0.0"], "spent": None,
        }  # fmt: skip

    def tokens() -> list:
        return [[draw.randrange(50_000) for _ in range(20)] for _ in range(pairs)]

    texts = [" ".join(f"word{draw.randrange(1000)}" for _ in range(20)) for _ in range(2 * pairs)]
    heads = sorted({(draw.randrange(n_layers - 1), draw.randrange(n_heads)) for _ in range(steps // 3 + 1)})
    names = [f"{layer}.{index}" for layer, index in heads]
    edges = [
        {"sender": name, "receiver": "logits", "input": "logits", "effect": draw.random(), "shared": False}
        for name in names
    ]
    kept = {name: value for name, value in record.items() if name != "sweep"}  # it would not fit the scores
    return kept | {
        "model_shape": {"n_layers": n_layers, "n_heads": n_heads, "n_kv_heads": n_heads},
        "scores": {name: scores() for name in ("contrastive_flap", "flap", "output_difference", "attribution")},
        "keep": [[True] * n_heads for _ in range(n_layers)],
        "effects": scores(),
        "baseline": record["baseline"] | {
            "n": pairs, "clean_by_pair": torch.randn(pairs).tolist(), "corrupted_by_pair": torch.randn(pairs).tolist(),
        },
        "steps": [step(1 + i % (n_layers - 1)) for i in range(steps)],
        "circuit": {"heads": names, "edges": edges},
        "prompts": {
            "clean": texts[:pairs], "corrupted": texts[pairs:], "clean_tokens": tokens(),
            "corrupted_tokens": tokens(), "answer_tokens": [[1]] * pairs, "distractor_tokens": [[2]] * pairs,
            "end_positions": [19] * pairs, "template_groups": [0] * pairs,
        },
    }  # fmt: skip
