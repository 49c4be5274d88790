"""Figures and rows of the Prompts page carry the numbers they are given."""

from __future__ import annotations

import torch

from engine.figures.enough import enough_rows, metric_figure, scores_figure
from engine.figures.pair_tables import group_rows, groups_of, pair_rows
from engine.figures.theme import traces
from engine.heads import Head
from engine.tasks.prompts import PromptPair
from engine.trust.enough import Enough, Interval, Stage

ENOUGH = Enough(
    heads=(Head(1, 2), Head(0, 3)),
    stages=(
        Stage(
            2, Interval(1.0, 2.9, 5.0, 3.0), (Interval(0.5, 1.0, 1.5, 1.2), Interval(-1.0, 0.0, 1.0, 0.1)), 0.5, 0.25
        ),
        Stage(3, Interval(2.0, 3.0, 4.0, 3.0), (Interval(0.9, 1.1, 1.3, 1.2), Interval(-0.5, 0.1, 0.5, 0.1)), 1.0, 1.0),
    ),
    draws=10,
)


def pair(text: str, group: int) -> PromptPair:
    return PromptPair(text, text.upper(), (1, 2), (1, 3), (4,), (5,), group)


PAIRS = [pair("a", 7), pair("b", 2), pair("<b>c</b>", 7)]
CLEAN, CORRUPTED = torch.tensor([1.0, -1.0, -3.0]), torch.tensor([0.0, 0.5, 1.0])


def test_the_band_is_closed_from_low_to_high_around_the_medians():
    band, line = traces(metric_figure(ENOUGH, "metric", dark=True))
    assert list(band.x) == [0, 1, 1, 0] and list(band.y) == [5.0, 4.0, 2.0, 1.0]
    assert list(line.y) == [2.9, 3.0] and list(line.customdata) == [2, 3]


def test_every_head_has_its_intervals_and_answers_clicks():
    first, second = traces(scores_figure(ENOUGH, dark=False))
    assert first.name == "head 1.2" and [list(place) for place in first.customdata] == [[1, 2], [1, 2]]
    assert list(first.y) == [1.0, 1.1] and list(second.y) == [0.0, 0.1]
    torch.testing.assert_close(torch.tensor(first.error_y.array), torch.tensor([0.5, 0.2]))
    torch.testing.assert_close(torch.tensor(first.error_y.arrayminus), torch.tensor([0.5, 0.2]))
    assert first.x[0] < second.x[0] < first.x[1]


def test_rows_of_intervals_are_one_a_size_and_quantity():
    rows = enough_rows(ENOUGH)
    assert [(row["pairs"], row["of"]) for row in rows[:3]] == [
        (2, "mean metric, clean"), (2, "C-FLAP of 1.2"), (2, "C-FLAP of 0.3"),
    ]  # fmt: skip
    assert (rows[0]["low"], rows[0]["median"], rows[0]["high"], rows[0]["all pairs"]) == (1.0, 2.9, 5.0, 3.0)
    assert len(rows) == 6 and (rows[5]["top heads kept"], rows[5]["same top heads"]) == (1.0, 1.0)


def test_groups_are_numbered_by_their_first_pair():
    first, second = groups_of(PAIRS, CLEAN, CORRUPTED)
    assert (first.number, first.pairs, first.accuracy, first.clean, first.corrupted) == (1, (0, 2), 0.5, -1.0, 0.5)
    assert (second.number, second.pairs, second.accuracy, second.tokens) == (2, (1,), 0.0, 2)
    rows = group_rows([first, second], PAIRS)
    assert [(row["pairs"], row["accuracy %"], row["example"]) for row in rows] == [(2, 50.0, "a"), (1, 0.0, "b")]


def test_rows_of_pairs_say_what_follows_after_which_prompt():
    probabilities = torch.tensor([[[0.5, 0.25], [0.125, 0.0625]]]).repeat(3, 1, 1)
    rows = pair_rows(PAIRS, groups_of(PAIRS, CLEAN, CORRUPTED), [("x", "y")] * 3, CLEAN, CORRUPTED, probabilities)
    assert [(row["pair"], row["template"], row["answer preferred"]) for row in rows] == [
        (1, 1, True), (2, 2, False), (3, 1, False),
    ]  # fmt: skip
    assert [rows[0][f"p({kind}), {run}"] for run in ("clean", "corrupted") for kind in ("answer", "distractor")] == [
        0.5, 0.25, 0.125, 0.0625,
    ]  # fmt: skip
    assert rows[2]["clean"] == "<b>c</b>"


def test_enough_means_a_narrow_interval_and_steady_heads():
    assert not ENOUGH.enough and ENOUGH.n == 3  # +- 1 of 3 is a third
    assert ENOUGH.needed == 15  # (1 / (.15 * 3)) ** 2 = 4.94 times as many
    narrow = Stage(9, Interval(2.6, 3.0, 3.4, 3.0), ENOUGH.stages[1].scores, 0.95, 0.5)
    assert Enough(ENOUGH.heads, (narrow,), 10).enough and Enough(ENOUGH.heads, (narrow,), 10).needed == 9
