"""One run opened: everything it found, read from what is kept, without its model."""

from __future__ import annotations

from html import escape

from engine.cost.duration import duration
from engine.discovery import Discovery
from engine.record.json_values import Json
from engine.settings import Settings
from engine.tasks.own import is_own
from pages.runs import opened_circuit, opened_maps, opened_tables
from pages.runs.reading import Opened
from pages.shared import circuit_facts, look, search_run, self_tests, stage_costs
from pages.shared.job_names import model_title, task_title
from pages.shared.metric_words import METRIC_WORDS
from pages.shared.view import View

VERSIONS = {"headlight": "Headlight", "python": "Python", "torch": "PyTorch", "transformers": "Transformers",
            "transformer_lens": "TransformerLens"}  # fmt: skip


def show(opened: Opened, view: View) -> None:
    found = opened.found
    _facts(found)
    opened_circuit.show(opened, view)
    opened_maps.show(found, view)
    opened_tables.show(opened)
    stage_costs.show(found.predicted, found.cost)
    _made_with(opened.record)


def about(settings: Settings, n: int) -> str:
    """``SmolLM2 135M · IOI · 16 pairs · seed 0 · inside the automatic union, …``"""
    parts = [model_title(settings.model), task_title(settings.task), look.count(n, "pair"), f"seed {settings.seed}"]
    return " · ".join([*parts, search_run.describe(settings)])


def _facts(found: Discovery) -> None:
    """How large, how true and how dear, and whether the model does the task at all."""
    circuit, baseline = found.circuit, found.baseline
    total = circuit.n_layers * circuit.n_heads
    look.step(None, "What was found", escape(about(found.settings, baseline.n)))
    if not found.complete:
        look.verdict(
            "Cancelled.", f"Kept is what had been found by then: {search_run.size_words(circuit)}, not verified.",
            "wait",
        )  # fmt: skip
    size = look.Fact(
        "Size", f"{len(circuit.heads)}", f"of {total} heads",
        f"{search_run.size_words(circuit)}; sparsity {100 * circuit.sparsity:.1f} %",
    )  # fmt: skip
    metric, unit, direction, digits = METRIC_WORDS[found.prompts.metric]
    look.facts(
        [
            size,
            *circuit_facts.truth(found.verification, is_own(found.settings.task)),
            look.Fact(
                f"{metric}, clean", look.signed(baseline.clean_logit_diff, digits), unit,
                f"{direction}, of the whole model; corrupted {look.signed(baseline.corrupted_logit_diff, digits)}; "
                f"mean of {baseline.n}",
            ),
            look.Fact(
                "Accuracy", f"{100 * baseline.accuracy:.0f}", "%", f"answer preferred, of {baseline.n} clean prompts"
            ),
            _cost(found),
        ]
    )  # fmt: skip
    self_tests.badge(found.self_tests)


def _cost(found: Discovery) -> look.Fact:
    seconds = sum(row.seconds for row in found.cost)
    passes = sum(row.forward_passes for row in found.cost)
    flops = sum(row.flops for row in found.cost)
    return look.Fact(
        "Cost", duration(seconds), "", f"{passes:,.0f} forward passes, {flops / 1e9:,.0f} GFLOP; pruning included"
    )


def _made_with(record: Json) -> None:
    """Versions, and which weights."""
    versions = record.get("made_with")
    words = [f"{title} {versions[name]}" for name, title in VERSIONS.items() if name in versions] if versions else []
    weights = record.get("fingerprint")
    look.note(
        f"Made with {', '.join(words) or 'versions that are not known'}. "
        + (f"Fingerprint of the model’s config and weights: {weights}." if weights else "Its weights are not named.")
    )
