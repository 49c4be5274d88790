"""The front of trials: places, marks, words and rows."""

import math

from engine.ablation import Ablation
from engine.figures.theme import traces
from engine.figures.tuning import settings_words, trial_places, tuning_figure, tuning_rows
from engine.heads import Head
from engine.settings import Score, Settings
from engine.tuning.results import Outcome, Seeds, Trial, Tuning, choose

SETTINGS = Settings(score=Score.FLAP, sparsity=0.8, threshold_scale=1.5, min_effect=0.002)


def made(*places: tuple[int, float]) -> Tuning:
    """Trials of these sizes and faithfulnesses; size 0 is pruned."""
    trials = [
        Trial(
            number, SETTINGS, 9, math.nan,
            Outcome(tuple(Head(0, i) for i in range(size)), 3, faithfulness, 90.0, number > 0) if size else None,
            "" if size else "nothing starts", 1.0, 2.0,
        )
        for number, (size, faithfulness) in enumerate(places)
    ]  # fmt: skip
    front, chosen, reason = choose(trials)
    return Tuning(
        tuple(trials), front, chosen, reason, Seeds(0, 2, 1), 8, Ablation.MEAN, len(trials), 0, True, ()
    )


TUNING = made((9, 0.95), (4, 0.5), (6, 0.8), (6, 0.8), (6, 0.7), (0, 0.0))


def trace(figure, name: str):
    return next(trace for trace in traces(figure) if trace.name == name)


def test_trials_at_one_place_share_a_mark():
    assert [[trial.number for trial in place] for place in trial_places(TUNING.trials[:5])] == [[1], [4], [2, 3], [0]]
    figure = tuning_figure(TUNING, enough=0.75, dark=False)
    taken, front, beaten = (trace(figure, name) for name in ("taken", "on the front", "another one beats it"))
    assert (list(taken.x), list(taken.y)) == ([6], [0.8]) and list(taken.customdata[0]) == ["trial", 2]
    assert list(front.x) == [4, 9] and (list(beaten.x), list(beaten.y)) == ([6], [0.7])
    assert "2: FLAP at 0.8" in taken.hovertext[0] and "3: FLAP at 0.8" in taken.hovertext[0]
    assert "6 heads, faithfulness 0.800" in taken.hovertext[0] and "performance 90.0 %" in taken.hovertext[0]


def test_the_front_is_a_stair_and_what_is_enough_is_in_sight():
    figure = tuning_figure(TUNING, enough=0.75, dark=True)
    stair = trace(figure, "Pareto front")
    assert list(stair.y) == [0.5, 0.8, 0.95, 0.95] and stair.line.shape == "hv"
    [corner] = figure.layout.shapes
    assert corner.y0 == 0.75 and figure.layout.yaxis.range[1] > 1 and figure.layout.xaxis.range[1] > 9
    assert not trace(figure, "selected").x


def test_many_trials_at_one_place_are_counted():
    figure = tuning_figure(made(*[(3, 0.9)] * 7), enough=0.75, dark=False)
    assert "and 3 more trials" in trace(figure, "taken").hovertext[0]


def test_settings_are_told_in_words():
    assert settings_words(SETTINGS) == "FLAP at 0.8 · s 1.5 · smallest effect 0.002"
    merged = Settings(score=Score.MERGED, sparsity=0.8, flap_sparsity=0.7)
    assert settings_words(merged) == "FLAP at 0.7 ∪ C-FLAP at 0.8 · s 2 · smallest effect 0.01"
    assert settings_words(Settings(score=Score.MERGED, sparsity=0.8)).startswith("FLAP at 0.8 ∪ C-FLAP at 0.8")
    assert settings_words(Settings()) == "s 2 · smallest effect 0.01"


def test_rows_tell_what_was_tried_and_what_was_not():
    rows = tuning_rows(TUNING)
    assert [row["taken"] for row in rows] == [False, False, True, False, False, False]
    assert [row["on the front"] for row in rows] == [True, True, True, False, False, False]
    assert [row["kind"] for row in rows] == ["exact", *["estimate"] * 4, None]
    assert rows[5]["heads"] is None and rows[5]["faithfulness"] is None
    assert [row["not searched because"] for row in rows] == [None] * 5 + ["nothing starts"]
    assert rows[2]["score"] == "FLAP" and rows[2]["heads"] == 6 and rows[2]["heads in the mask"] == 9
