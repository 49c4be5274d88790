"""Beside the graph: how large, how true and how cheap the circuit is, and what it shares with others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from engine.cost.duration import duration
from engine.cost.estimate import dense_flops
from engine.discovery import Discovery
from engine.heads import Head
from engine.prepare import Prepared
from engine.search.path_patching import search_cost
from engine.settings import ATTRIBUTING, Algorithm, Method
from engine.trust.answer_keys import answer_keys
from engine.trust.overlap import overlap
from engine.verification import Verification
from pages.shared import algorithm_words, look, search_jobs, self_tests
from pages.shared.work import result_of


def show(prepared: Prepared, found: Discovery, with_keys: bool = True) -> None:
    """``with_keys`` False keeps quiet about published circuits."""
    circuit, checked = found.circuit, found.verification
    total = circuit.n_layers * circuit.n_heads
    sparsity = f"sparsity {100 * circuit.sparsity:.1f} %"
    if found.settings.mlps:
        sparsity += f" of the heads; and {len(circuit.mlps)} of {look.count(circuit.n_layers, 'MLP')}"
    size = look.Fact("Size", f"{len(circuit.heads)}", f"of {total} heads", sparsity)
    look.facts(
        [
            size, *truth(checked, prepared.custom), *_agreements(found, with_keys), _search(found),
            _cost(prepared, found),
        ]
    )  # fmt: skip
    self_tests.badge(found.self_tests)
    if checked is None:
        look.note("Not verified: the search was cancelled before.")


def truth(checked: Verification | None, custom: bool = False) -> list[look.Fact]:
    """Performance and faithfulness: two numbers, each under its own name."""
    if checked is None:
        return []
    fresh = f"{checked.n} fresh pairs, seed {checked.seed}"
    pairs = f"{checked.n} pairs, the same it was found on (an own task has no others)" if custom else fresh
    others = "all other heads" if checked.live_mlps is None else "all other heads and MLPs"
    where = f"n = {pairs}, {checked.ablation.value} ablation of {others}"
    return [
        look.Fact("Performance", f"{checked.performance:.1f}", "%", f"LD circuit ÷ LD model; {where}"),
        look.Fact(
            "Faithfulness",
            look.number(checked.faithfulness, 3),
            "",
            "(LD circuit − LD corrupted) ÷ (LD clean − LD corrupted); same pairs",
        ),
    ]


def _agreements(found: Discovery, with_keys: bool) -> list[look.Fact]:
    """Against published circuits of this model and task, and against a dense run if there has been one."""
    keys = answer_keys(found.settings.model, found.settings.task) if with_keys else ()
    facts = [_agreement(found, f"with {key.title}", key.heads) for key in keys]
    dense = _dense_run(found)
    if dense is not None:
        facts.append(_agreement(found, "with dense path patching", dense.circuit.heads))
    return facts


def _agreement(found: Discovery, with_what: str, known: Iterable[Head]) -> look.Fact:
    known = tuple(known)
    same = overlap(found.circuit.heads, known)
    return look.Fact(
        "Precision · recall",
        f"{100 * same.precision:.0f} · {100 * same.recall:.0f}",
        "%",
        f"{look.count(len(same.common), 'head')} in common {with_what} ({len(known)} heads)",
    )


def _dense_run(found: Discovery) -> Discovery | None:
    standard = found.settings.standard()
    if standard == found.settings:
        return None
    dense: Discovery | None = result_of(search_jobs.search_job(standard))
    return dense if dense is not None and dense.complete else None


def _search(found: Discovery) -> look.Fact:
    """The thresholds the circuit was found with, and how effects were measured."""
    used, own = found.thresholds, algorithm_words.parameter(found.settings)
    if own is not None:
        return replace(own, note=f"{own.note}; {_measured(found)}")
    if used is None:
        return look.Fact("Scale s · smallest effect", "–", "", f"the grid was cancelled before; {_measured(found)}")
    source = "taken of the grid’s 16 pairs" if found.settings.grid else "as chosen"
    value = f"{used.scale:g} · {used.min_effect:g}"
    return look.Fact("Scale s · smallest effect", value, "", f"{source}; {_measured(found)}")


def _measured(found: Discovery) -> str:
    if (screening := found.screening) is not None:
        return f"effects screened, {screening.recomputed:,} of {look.count(screening.estimated, 'estimate')} recomputed"
    if found.settings.algorithm in ATTRIBUTING:
        return "every effect an estimate, none patched"
    return "effects exact, every path patched" if found.check else "effects exact, through hooked forwards"


def _cost(prepared: Prepared, found: Discovery) -> look.Fact:
    """What was measured, and what path patching among all heads would take for the same receivers."""
    seconds = sum(row.seconds for row in found.cost)
    passes = sum(row.forward_passes for row in found.cost)
    words = f"measured, calibration and pruning included; {duration(seconds)}"
    search = search_cost(found.cost).flops
    patching = found.settings.algorithm is Algorithm.PATH_PATCHING
    if patching and found.settings.method is Method.APP and found.complete and search:
        receivers = [node for node in found.circuit.nodes if node.layer > 0]
        recomputed = found.screening.recomputed / max(1, found.screening.estimated) if found.screening else 1.0
        mlps = found.settings.mlps
        ratio = dense_flops(prepared, receivers, found.settings.mode, recomputed, mlps) / search
        words += f". The same receivers densely ≈ {ratio:.1f} × the search (estimate)"
    return look.Fact("Cost", f"{passes:,.0f}", "passes", words)
