"""A saved run read back for comparing: the same as the run itself, and nothing but a run is taken."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest
import torch

from engine.circuit import Input
from engine.errors import HeadlightError
from engine.pipeline import discover
from engine.progress import Watcher
from engine.record import circuit_file
from engine.record import writing as record
from engine.record.json_values import dumps
from engine.record.run_file import read_run
from engine.record.run_summary import summary_of
from engine.search.path_patching import STAGE
from engine.settings import Method, Score, Settings
from tests.engine.test_pipeline import CancelIn

SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=4, method=Method.DENSE)


@pytest.fixture(scope="module")
def found(toy_model):
    return discover(toy_model, SETTINGS, Watcher())


@pytest.fixture(scope="module")
def saved(toy_model, found):
    return record.discovery_json(toy_model, found)


def as_file(content) -> bytes:
    return json.dumps(content).encode()


def check_same(read, made):
    """Field by field: matrices are equal, everything else is."""
    for name in made.scores:
        assert torch.equal(read.scores[name], made.scores[name])
    torch.testing.assert_close(read.effects, made.effects, rtol=0, atol=0, equal_nan=True)
    assert replace(read, scores={}, effects=None).__dict__ == replace(made, scores={}, effects=None).__dict__


@pytest.mark.parametrize("changes", [{}, {"method": Method.APP}, {"grid": True}, {"threshold_scale": 0.5}], ids=str)
def test_a_file_says_what_the_run_says(toy_model, changes):
    run = discover(toy_model, replace(SETTINGS, **changes), Watcher())
    read = read_run(dumps(record.discovery_json(toy_model, run)).encode())
    check_same(read, summary_of(run))
    assert read.thresholds == run.thresholds and read.circuit == run.circuit
    assert read.work.flops >= read.search.flops > 0


def test_runs_from_before_the_further_scores_are_read_and_those_with_them_too(toy_model, saved):
    old = copy.deepcopy(saved)
    assert set(old["scores"]) == {"contrastive_flap", "flap", "output_difference"}
    del old["scores"]["output_difference"]
    assert set(read_run(as_file(old)).scores) == {"contrastive_flap", "flap"}
    settings = replace(SETTINGS, method=Method.APP, sparsity=0.5, score=Score.RANK_SUM)
    run = discover(toy_model, settings, Watcher())
    read = read_run(dumps(record.discovery_json(toy_model, run)).encode())
    check_same(read, summary_of(run))
    assert {"attribution", "position_attribution"} < set(read.scores) and read.settings["score"] == "rank_sum"
    del old["scores"]["flap"]
    with pytest.raises(HeadlightError, match="flap"):
        read_run(as_file(old))


def test_a_cancelled_run_is_read_too(toy_model):
    run = discover(toy_model, replace(SETTINGS, grid=True), CancelIn(STAGE))
    read = read_run(dumps(record.discovery_json(toy_model, run)).encode())
    check_same(read, summary_of(run))
    assert not read.complete and read.checked is None and read.thresholds is None


def test_a_record_from_before_steps_knew_their_cost_is_read(saved, found):
    old = copy.deepcopy(saved)
    for step in old["steps"]:
        del step["spent"]
    del old["predicted"]
    check_same(read_run(as_file(old)), summary_of(found))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00\xff", "a PNG picture"),
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "too deep"),
                (b'{"schema": ' + b"9" * 5000 + b"}", "too large"),
        (b"[1, 2]", "schema headlight/1"),
        (b'{"schema": "headlight/2"}', "this one says"),
        (b'{"schema": null}', "schema headlight/1"),
        (b'{"schema": "headlight/1"}', "holds no circuit"),
    ],
)  # fmt: skip
def test_what_is_no_run_is_refused(content, says):
    with pytest.raises(HeadlightError) as refused:
        read_run(content)
    assert says in str(refused.value)


def put(saved, path, value):
    """The record with one value exchanged."""
    changed = copy.deepcopy(saved)
    place = changed
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("model",), ["x"], "the name of a model"),
        (("model_shape", "n_layers"), 3, "3 rows of 12 numbers"),
        (("model_shape", "n_layers"), 10**9, "1 to 1000"),
        (("scores", "flap", 0), [1.0], "2 rows of 12 numbers"),
        (("scores", "flap", 0, 0), "much", "numbers"),
        (("scores", "flap", 0, 0), 10**400, "a finite number"),
        (("keep",), 7, "a matrix"),
        (("settings", "pairs"), [1], "a single short value"),
        (("settings", "threshold_scale"), "two", "a number"),
        (("baseline", "accuracy"), "all", "a number"),
        (("circuit", "heads", 0), "9.6", "names head 9.6"),
        (("circuit", "heads", 0), "<b>", "layer.index"),
        (("circuit", "edges", 0, "effect"), "strong", "a number"),
        (("scores",), [1.0], "an object"),
        (("scores", "flap", 1, 3), float("nan"), "a finite number"),
        (("verification", "n"), 0, "from 1"),
        (("cost", "pass 2"), 3, "an object"),
        (("cost", "pass 2"), {"seconds": 1}, "“forward_passes”"),
        (("complete",), 1, "true or false"),
    ],
)  # fmt: skip
def test_values_of_the_wrong_kind_or_shape_are_named(saved, path, value, says):
    with pytest.raises(HeadlightError) as refused:
        read_run(as_file(put(saved, path, value)))
    assert says in str(refused.value)


def test_an_edge_listed_twice_is_refused(saved):
    edges = saved["circuit"]["edges"]
    with pytest.raises(HeadlightError, match="twice"):
        read_run(as_file(put(saved, ("circuit", "edges"), [*edges, edges[0]])))
    assert read_run(as_file(saved)).circuit.edges[0].input in set(Input)


def test_a_file_that_is_too_large_is_not_even_parsed(saved, monkeypatch):
    monkeypatch.setattr(circuit_file, "MAX_BYTES", 1_000_000)
    with pytest.raises(HeadlightError, match="2 MB; at most 1"):
        read_run(b" " * 2_000_000)
