"""A run, and the difference of two, as plain text for a terminal.

Records come from strangers: whatever is no printable character is shown as ``?``, so that no text can move the cursor
or colour the screen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from engine.capsule.capsule import Capsule
from engine.capsule.difference import Difference, Row, edge_text
from engine.cost.duration import duration
from engine.record.run_summary import RunSummary
from engine.settings import Settings
from engine.trust.overlap import Overlap, name_of

STRONGEST = 20
TEXT = 300  # characters of one value
WIDTH = 14  # of the first column
ABOUT = ("model", "task", "pairs", "seed", "metric")  # settings that have a place of their own


def run_text(capsule: Capsule, strongest: int = STRONGEST) -> str:
    """Who, what and what was found, with the ``strongest`` edges."""
    run = capsule.run
    lines = [
        *_about(capsule),
        *_baseline(capsule),
        *_circuit(capsule, strongest),
        *_checked(run),
        *_cost(capsule),
        *_extras(capsule),
    ]
    return "\n".join(lines) + "\n"


def difference_text(found: Difference, left: str, right: str) -> str:
    """Left against right, under the names of their files."""
    verdict = "The runs found the same, to the last digit." if found.bitwise else "The runs differ."
    unequal = [name for name, same in found.same.items() if not same]
    lines = [_line("left", left), _line("right", right), verdict]
    if unequal:
        lines.append(_line("not equal", ", ".join(unequal)))
    one, other = found.fingerprints
    lines.append(_line("model", f"same fingerprint {one}" if one == other else f"fingerprints {one} and {other}"))
    lines += [*_rows("settings", found.settings), *_rows("versions", found.versions), *_rows("numbers", found.numbers)]
    lines += _overlap("nodes", found.nodes, str)
    lines += _overlap("edges", found.edges, edge_text)
    for name, value in found.correlations.items():
        apart = found.largest_score_difference[name]
        lines.append(_line("score", f"{name}: rank correlation {_number(value)}, largest difference {_number(apart)}"))
    lines.append(_line("effects", f"largest difference on the logits {_number(found.largest_effect_on_logits)}, of "
                                  f"common edges {_number(found.largest_effect_of_edges)}"))  # fmt: skip
    return "\n".join(lines) + "\n"


def _about(capsule: Capsule) -> list[str]:
    run, manifest = capsule.run, capsule.manifest
    layers, heads = run.shape
    shape = f"{layers} layers × {heads} heads"
    lines = [_line("capsule", f"written {manifest['created']}")] if manifest else []
    lines += [
        _line("model", f"{run.model} ({shape}), fingerprint {capsule.fingerprint or 'not kept'}"),
        _line("task", f"{run.task}, {run.n} pairs, seed {run.settings.get('seed')}, {run.settings.get('metric')}"),
        _line("settings", ", ".join(f"{name} {_value(value)}" for name, value in _unusual(run)) or "all as usual"),
    ]
    made_with = capsule.record.get("made_with")
    versions = made_with.items() if isinstance(made_with, dict) else ()
    return [*lines, _line("made with", ", ".join(f"{name} {value}" for name, value in versions) or "not kept")]


def _unusual(run: RunSummary) -> list[tuple[str, Any]]:
    """Settings that have not their usual value."""
    usual = vars(Settings())
    return [
        (name, value) for name, value in run.settings.items() if name not in ABOUT and value != usual.get(name, value)
    ]


def _baseline(capsule: Capsule) -> list[str]:
    run = capsule.run
    numbers = f"metric {_number(run.clean)} clean, {_number(run.corrupted)} corrupted, accuracy {run.accuracy:.0%}"
    return [_line("baseline", numbers)]


def _circuit(capsule: Capsule, strongest: int) -> list[str]:
    run = capsule.run
    circuit, total = run.circuit, run.shape[0] * run.shape[1]
    names = {**capsule.labels.get("roles", {}), **capsule.labels.get("names", {})}
    state = "" if run.complete else " (stopped before the end)"
    lines = [
        _line("circuit", f"{len(circuit.heads)} of {total} heads, {len(circuit.edges)} edges, searched among "
                         f"{run.candidates}{state}")
    ]  # fmt: skip
    for layer in sorted({node.layer for node in circuit.nodes}):
        nodes = [node for node in circuit.nodes if node.layer == layer]
        shown = [f"{node} “{names[str(node)]}”" if str(node) in names else str(node) for node in nodes]
        lines.append(_line(f"  layer {layer}", ", ".join(shown)))
    edges = sorted(circuit.edges, key=lambda edge: -abs(edge.effect))
    if edges:
        lines.append(_line("edges", f"the {min(strongest, len(edges))} strongest of {len(edges)}, effects in f"))
    return lines + [_line("", f"{edge.effect:+.4f}  {edge_text(name_of(edge))}") for edge in edges[:strongest]]


def _checked(run: RunSummary) -> list[str]:
    if run.checked is None:
        return [_line("verification", "none: the run was stopped before it")]
    seen = run.checked
    return [
        _line("verification", f"performance {_number(seen.performance)} %, faithfulness {_number(seen.faithfulness)}, "
                              f"on {seen.n} pairs of seed {seen.seed}")
    ]  # fmt: skip


def _cost(capsule: Capsule) -> list[str]:
    work, search = capsule.run.work, capsule.run.search
    return [
        _line("cost", f"{duration(work.seconds)}, {work.forward_passes:,.0f} forward passes, {work.flops:.3g} FLOPs; "
                      f"of these the search {duration(search.seconds)}, {search.flops:.3g} FLOPs")
    ]  # fmt: skip


def _extras(capsule: Capsule) -> list[str]:
    attached = [f"{kind}/{name}" for kind, named in capsule.attachments.items() for name in named]
    lines = [_line("attachments", ", ".join(attached))] if attached else []
    said = [str(capsule.labels["name"])] if "name" in capsule.labels else []
    said += [f"#{tag}" for tag in capsule.labels.get("tags", ())]
    return [*lines, *([_line("labels", " ".join(said))] if said else [])]


def _rows(title: str, rows: Sequence[Row]) -> list[str]:
    if not rows:
        return [_line(title, "all the same")]
    return [_line(title if i == 0 else "", f"{name}: {_value(left)} | {_value(right)}")
            for i, (name, left, right) in enumerate(rows)]  # fmt: skip


def _overlap(title: str, found: Overlap[Any], name: Any) -> list[str]:
    lines = [_line(title, f"{len(found.common)} in both (Jaccard {_number(found.jaccard)})")]
    for side, members in (("left", found.only_first), ("right", found.only_second)):
        if members:
            lines.append(_line("", f"{len(members)} only {side}: {_some(map(name, members))}"))
    return lines


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" … and {len(listed) - STRONGEST} more" if len(listed) > STRONGEST else ""
    return ", ".join(listed[:STRONGEST]) + more


def _value(value: Any) -> str:
    return "none" if value is None else _number(value) if isinstance(value, float) else str(value)


def _number(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.6g}"


def _line(title: str, text: str) -> str:
    long = text if len(text) <= 10 * TEXT else f"{text[: 10 * TEXT]} …"
    return "".join(letter if letter.isprintable() else "?" for letter in f"{title:<{WIDTH}}{long}").rstrip()
