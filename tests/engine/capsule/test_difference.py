"""Two runs held against each other, from their records alone; numbers worked out by hand."""

from __future__ import annotations

import copy
import json
import math

import pytest

from engine.capsule.difference import difference, difference_json
from engine.capsule.reading import capsule_of
from engine.capsule.text import difference_text, run_text
from engine.record.json_values import dumps


def changed(record, *changes):
    """The record with values exchanged: ``(path, value)`` each."""
    made = copy.deepcopy(record)
    for path, value in changes:
        place = made
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
    return capsule_of(made)


@pytest.fixture(scope="module")
def toy(toy_record):
    return capsule_of(toy_record)


def test_a_run_is_the_same_as_itself_whatever_the_clock_says(toy, toy_record):
    slower = changed(
        toy_record, (("steps", 0, "spent", "seconds"), 99.0), (("cost", "calibration", "seconds"), 99.0),
        (("made_with", "torch"), "9.9"),
    )  # fmt: skip
    found = difference(toy, slower)
    assert found.bitwise and found.settings == ()
    assert found.versions == (("torch", toy_record["made_with"]["torch"], "9.9"),)
    assert found.correlations == pytest.approx(dict.fromkeys(toy_record["scores"], 1.0))
    assert found.largest_effect_on_logits == found.largest_effect_of_edges == 0
    assert "the same, to the last digit" in difference_text(found, "a", "b")


@pytest.mark.parametrize(
    ("path", "part"),
    [
        (("scores", "flap", 0, 0), "scores"), (("effects", 1, 2), "effects"),
        (("verification", "faithfulness"), "verification"),
        (("steps", 0, "effects", 1, 2), "steps"), (("baseline", "clean_logit_diff"), "baseline"),
        (("circuit", "edges", 0, "effect"), "circuit"), (("prompts", "clean_tokens", 0, 0), "prompts"),
    ],
)  # fmt: skip
def test_the_last_digit_counts(toy, toy_record, path, part):
    value = toy_record
    for name in path:
        value = value[name]
    moved = value + 1 if isinstance(value, int) else math.nextafter(value, math.inf)
    found = difference(toy, changed(toy_record, (path, moved)))
    assert not found.bitwise and [name for name, same in found.same.items() if not same] == [part]


def test_what_differs_by_hand(toy, toy_record):
    """One edge gone, another 0.25 stronger, the lowest and the highest score of a layer exchanged."""
    toy_record = {name: value for name, value in toy_record.items() if name != "sweep"}  # it would not fit the scores
    [_, to_logits] = toy_record["circuit"]["edges"]
    flap = copy.deepcopy(toy_record["scores"]["flap"])
    row = flap[0]
    low, high = row.index(min(row)), row.index(max(row))
    row[low], row[high] = row[high], row[low]
    other = changed(
        toy_record, (("circuit",), {"heads": ["1.2"], "edges": [to_logits | {"effect": to_logits["effect"] + 0.25}]}),
        (("scores", "flap"), flap), (("settings", "seed"), 5), (("fingerprint",), "0" * 16),
        (("effects", 1, 2), toy_record["effects"][1][2] + 0.5),
    )  # fmt: skip
    found = difference(toy, other)
    assert found.settings == (("seed", 0, 5),)
    assert found.fingerprints == (toy_record["fingerprint"], "0" * 16)
    assert (found.nodes.jaccard, found.edges.jaccard) == (0.5, 0.5)
    assert [str(node) for node in found.nodes.only_first] == ["0.1"]
    assert found.largest_effect_of_edges == pytest.approx(0.25)
    assert found.largest_effect_on_logits == pytest.approx(0.5)
    assert found.largest_score_difference["flap"] == pytest.approx(max(row) - min(row), rel=1e-6)
    assert found.correlations["flap"] < 0.9 and found.correlations["contrastive_flap"] == pytest.approx(1)
    assert ("heads", 2, 1) in found.numbers
    text = difference_text(found, "a.json", "b.json")
    for says in ("The runs differ.", "seed: 0 | 5", "1 only left: 0.1 → 1.2.k", "heads: 2 | 1", "fingerprints"):
        assert says in text
    content = json.loads(dumps(difference_json(found)))
    assert content["bitwise_equal"] is False and content["edges"]["only_left"] == ["0.1 → 1.2.k"]
    assert content["settings"] == [{"name": "seed", "left": 0, "right": 5}]


def test_runs_of_different_shape_are_compared_as_far_as_they_can_be(toy, toy_record):
    larger = copy.deepcopy(toy_record)
    larger["model_shape"]["n_heads"] = 13
    steps = [step["effects"] for step in larger["steps"]]
    for matrix in (*larger["scores"].values(), larger["keep"], larger["effects"], *steps):
        for row in matrix:
            row.append(row[-1])
    found = difference(toy, capsule_of(larger))
    assert found.correlations == {} and math.isnan(found.largest_effect_on_logits) and found.nodes.jaccard == 1
    assert json.loads(dumps(difference_json(found)))["largest_effect_on_logits_difference"] is None


def test_a_run_as_text(toy_record):
    labels = {"name": "mine", "tags": ["t"], "names": {"1.2": "mover"}, "roles": {"0.1": "previous", "1.2": "other"}}
    text = run_text(capsule_of(toy_record, {"evaluation": {"main": {}}}, labels))
    for says in (
        "toy-induction (2 layers × 12 heads), fingerprint " + toy_record["fingerprint"],
        "induction-random, 8 pairs, seed 0, logit_diff", "all as usual", "2 of 24 heads, 2 edges",
        "0.1 “previous”", "1.2 “mover”", "-0.9979  1.2 → logits", "-0.5174  0.1 → 1.2.k", "performance 100.81 %",
        "faithfulness 1.00404", "8 pairs of seed 1", "evaluation/main", "mine #t", "torch",
    ):  # fmt: skip
        assert says in text, says
    assert text.index("1.2 → logits") < text.index("0.1 → 1.2.k")
    assert "0.1 → 1.2.k" not in run_text(capsule_of(toy_record), strongest=1)


def test_settings_that_are_not_usual_are_shown(toy_record):
    text = run_text(changed(toy_record, (("settings", "sparsity"), 0.5), (("settings", "mode"), "exact")))
    assert "sparsity 0.5, mode exact" in text


def test_no_text_of_a_record_reaches_the_terminal_unprintable(toy_record):
    evil = "\x1b]0;x\x07\x1b[31mred\r\n\u202eabc"
    bad = changed(toy_record, (("model",), evil), (("task",), evil), (("settings", "device"), evil),
                  (("made_with", "torch"), evil))  # fmt: skip
    for text in (run_text(bad), difference_text(difference(bad, capsule_of(toy_record)), evil, evil)):
        assert all(letter.isprintable() or letter == "\n" for letter in text)
        assert text.count("\nred") == 0
