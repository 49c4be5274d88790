"""``python -m benchmarks``: measure on this machine and write ``benchmarks/RESULTS.md``.

Not part of CI: machines are noisy, so what is quoted are ratios of one run.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks.exact import Comparison, compare
from benchmarks.models import bundled, gpt2_shape, ioi_prompts, random_prompts
from engine.circuit import Input
from engine.heads import Head
from engine.models.loading import configure_threads
from engine.models.model import Model
from engine.patching.receiver import LOGITS, Receiver
from engine.pipeline import Discovery, discover
from engine.progress import Watcher
from engine.settings import Settings
from engine.tasks.prompts import Prompts

RESULTS = Path(__file__).parent / "RESULTS.md"
PAIRS = 16


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    options.add_argument("--repeats", type=int, default=3, help="of every comparison (default: 3)")
    repeats = options.parse_args().repeats
    configure_threads()
    comparisons = []
    for model, prompts, late in _subjects():
        receivers = [LOGITS, *(Receiver(letter, late) for letter in (Input.Q, Input.K, Input.V))]
        comparisons += [_shown(compare(model, prompts, receiver, repeats)) for receiver in receivers]
    model = bundled()
    began = time.perf_counter()
    found = discover(model, Settings(pairs=8, sparsity=0.8), Watcher())
    text = _report(comparisons, found, time.perf_counter() - began, repeats)
    RESULTS.write_text(text, encoding="utf-8")
    print(f"\nWritten to {RESULTS}")


def _subjects() -> list[tuple[Model, Prompts, Head]]:
    """Models, prompts, and a late head to receive."""
    gpt2, smollm = gpt2_shape(), bundled()
    return [
        (gpt2, random_prompts(gpt2, PAIRS), Head(9, 6)),
        (smollm, ioi_prompts(smollm, PAIRS), Head(23, 3)),
    ]


def _shown(result: Comparison) -> Comparison:
    print(_row(result), flush=True)
    return result


def _row(result: Comparison) -> str:
    low, high = min(result.ratios), max(result.ratios)
    return (
        f"| {result.work} | {result.senders} | {statistics.median(result.reference):.1f} | "
        f"{statistics.median(result.fast):.2f} | {result.ratio:.0f} ({low:.0f} – {high:.0f}) | "
        f"{result.largest_difference:.1e} | {result.gflops:.0f} |"
    )


def _report(comparisons: list[Comparison], found: Discovery, seconds: float, repeats: int) -> str:
    lines = [
        "# Measured",
        "",
        f"{date.today()}, {platform.machine()} {platform.system()}, {torch.get_num_threads()} threads, "
        f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"transformer_lens {version('transformer_lens')}. "
        "Made by `python -m benchmarks`; machines are noisy, so quote the ratios.",
        "",
        f"## Exact path patching against hooked forwards, {PAIRS} pairs",
        "",
        f"All senders below the receiver, from tokens, float32; medians of {repeats} alternating repeats. Reference "
        "seconds are one-off runs plus what a sender costs, taken from a sample, times all senders; the largest "
        "difference in f is over that sample.",
        "",
        "| work | senders | reference s | exact s | ratio (range) | largest difference | GFLOP/s |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *map(_row, comparisons),
        "",
        "## A whole search: bundled model, IOI, 8 pairs, APP at sparsity .8, exact",
        "",
        f"{seconds:.0f} s after loading; {len(found.circuit.heads)} heads, {len(found.circuit.edges)} edges.",
        "",
        "| stage | seconds | forward passes |",
        "| --- | --- | --- |",
        *(f"| {row.stage} | {row.seconds:.1f} | {row.forward_passes:.1f} |" for row in found.cost),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
