"""The benchmark of algorithms on the toy model, and its table."""

from __future__ import annotations

import pytest

from benchmarks import algorithms
from benchmarks.algorithm_tables import algorithms_sections
from benchmarks.search import LeftOut


@pytest.fixture(scope="module")
def rows() -> list[algorithms.Contest | LeftOut]:
    return list(algorithms.measure(repeats=1, quick=True))


def test_every_run_finds_the_toys_circuit_and_is_evaluated_on_fresh_prompts(rows) -> None:
    assert [row.run for row in rows] == list(algorithms.RUNS)
    for row in rows:
        assert (row.heads, row.precision, row.recall) == (2, 1.0, 1.0)
        assert row.faithfulness[1] <= row.faithfulness[0] <= row.faithfulness[2]
        assert row.seed == 1 and row.n == 8 and row.gigaflops > 0
    searched = {row.run: row.candidates for row in rows}
    assert searched["APP, this mask"] == searched["ACDC, this mask"] < searched[algorithms.DENSE] == 24


def test_attribution_takes_as_many_edges_as_dense_path_patching(rows) -> None:
    edges = {row.run: row.edges for row in rows}
    assert edges["EAP-IG, dense"] == edges["EAP-IG, this mask"] == edges[algorithms.DENSE]


def test_the_same_seed_gives_the_same_figures(rows) -> None:
    again = next(algorithms.measure(repeats=1, quick=True))
    first = rows[0]
    assert (again.faithfulness, again.edge_faithfulness) == (first.faithfulness, first.edge_faithfulness)
    assert again.gigaflops == pytest.approx(first.gigaflops, rel=0.2)  # the self-check is done once a model


def test_the_table_says_who_is_left_out(rows) -> None:
    text = "\n".join(algorithms_sections([*rows, LeftOut("pronouns", "it cannot")]))
    assert "pronouns is left out: it cannot" in text and text.count("| induction-random |") == len(rows)
    assert "| induction-random | dense path patching | 24 | 2 | 2 | 100.8 | 1.00 (1.00 – 1.01) |" in text
