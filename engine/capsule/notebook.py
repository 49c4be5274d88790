"""A run as a notebook: the script of engine/capsule/script.py in cells, with words between and a map of the scores.

The format is Jupyter's own JSON (nbformat 4.5): a list of cells, each with an id, kind and text. Words are fixed; what
comes from the record stands in cells of code, as data.
"""

from __future__ import annotations

from engine.capsule.script import COMPARE, definitions_of, imports_of, run_of
from engine.record.json_values import Json
from engine.record.reading import discovery_of

FORMAT, MINOR = 4, 5

PATH = '''\
import sys
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))  # Headlight's folder, where the package engine lies
'''
SCORES = '''\
from engine.figures.heatmap import heatmap_figure
from engine.scores.kinds import TITLES, Score

score = Score.CONTRASTIVE_FLAP
scores = found.scores.of(score)  # [layer head]
heatmap_figure(scores, name=TITLES[score], dark=False, kept=found.keep[:, : scores.shape[1]])
'''
CIRCUIT = '''\
print(", ".join(str(node) for node in found.circuit.nodes) or "nothing found")
for edge in sorted(found.circuit.edges, key=lambda edge: -abs(edge.effect)):
    print(f"{edge.effect:+.4f}  {edge.sender} -> {edge.receiver or 'logits'} ({edge.input.value})")
'''
CHECK = '''\
found.verification
'''

WORDS = (
    "# A Headlight run, made again\n\nThese cells find a circuit of attention heads by Accelerated Path Patching with "
    "the settings of a run that was made before, and compare the numbers. Start Jupyter in Headlight's folder, with "
    "its packages installed.",
    "## What was asked, and what came of it\n\n`SETTINGS` are those of the run; `EXPECTED` holds the numbers it gave.",
    "## The run\n\nThe model is loaded, the prompts are run, every head is scored, the circuit is found by path "
    "patching and verified on fresh prompts. The whole run is written to `run-again.json`.",
    "## Do the numbers agree?\n\nEvery number beside the one expected. The last digit may differ on another machine.",
    "## Head scores\n\nHow differently each head behaves on clean and on corrupted prompts. Ringed heads were the "
    "candidates of the search. Layers go upwards.",
    "## The circuit\n\nIts nodes, and its edges from the strongest: the effect is the change of the metric that a "
    "patch of this path causes, in units of clean minus corrupted. -1 is as bad as the corrupted prompts.",
    "## How true is it?\n\nAll other heads ablated, on prompts it was not found on: performance in percent of the "
    "whole model's metric, faithfulness between corrupted (0) and whole (1).",
)


def notebook_of(record: Json) -> Json:
    """The notebook; raises HeadlightError for a record that is no run."""
    found = discovery_of(record)
    codes = (
        f"{PATH}\n{imports_of(found)}", definitions_of(found, record), f"{run_of(found)}\n\nfound = run()\n",
        f"{COMPARE}\n\ncompare(found)\n", SCORES, CIRCUIT, CHECK,
    )  # fmt: skip
    cells = [cell for pair in zip(map(_words, WORDS), map(_code, codes), strict=True) for cell in pair]
    return {
        "nbformat": FORMAT,
        "nbformat_minor": MINOR,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "cells": [{"id": f"cell-{place}", **cell} for place, cell in enumerate(cells)],
    }


def _words(text: str) -> Json:
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def _code(text: str) -> Json:
    source = text.rstrip("\n").splitlines(keepends=True)
    return {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "source": source}
