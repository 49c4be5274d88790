"""The view in the URL: what is written is read back, and nonsense is refused with a word about it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.settings import Method, Mode, Score, Settings
from pages.shared.link import read_view, write_view
from pages.shared.view import DEFAULT, View

TASKS = {"task": ("ioi", "induction-random")}
FULL = View(
    model="some/model-1.5", task="induction-random", pairs=8, seed=42, score="merged", sparsity=0.93, among="ringed",
    mode="exact", grid=True, threshold_scale=1.5, min_effect=0.002, head="23.3", edge="5.5-9.6.q", weakest=0.05,
    inputs=("q", "logits"), prompt=7, hide_first=True, sign="raises", span="3-9", connected=True, strongest=50,
    pins=("9.6", "10.0"), names=("9.6~name mover", "10.0~é <b>"), drawn="layers", opened=("3", "7"), fill="effect",
    answer_key=2, union="first+biggest", maps="one", versus="score",
    colour="layer", find="9.", kept_by=("both", "neither"), layers="3-9", top=20, order="difference",
    subject="key2", ablation="resample", comparing="searches", dense_too=True,
    top_edges=40, tolerance=0.05, step=12, left="0123abcd", right="file-89efcdab", flap_sparsity=0.71, trials=60,
    trial=17, reference="key3", resamples=7, seeds=0, templates=False, runs_of="template", present=0.5,
    receipt_of="edge",
)  # fmt: skip


@pytest.mark.parametrize(
    "view", [DEFAULT, FULL, replace(FULL, edge="9.6-logits", inputs=(), head=None), View(algorithm="acdc")]
)
def test_a_written_view_is_read_back(view: View) -> None:
    assert read_view(write_view(view), TASKS) == (view, ())


def test_a_link_names_the_data_even_where_it_is_the_default() -> None:
    assert write_view(DEFAULT) == {
        "model": "smollm2-135m", "task": "ioi", "pairs": "16", "seed": "0", "score": "contrastive_flap",
    }  # fmt: skip


def test_foreign_parameters_are_no_problem() -> None:
    assert read_view({"utm_source": "mail", "embed": "true"}, TASKS) == (DEFAULT, ())


@pytest.mark.parametrize(
    ("field", "raw"),
    [
        ("model", ""),
        ("model", "x" * 301),
        ("model", "a\x00b"),
        ("task", "no-such-task"),
        ("step", "0"),
        ("step", "last"),
        ("left", "0123abc"),
        ("comparing", "models"),
        ("dense_too", "yes"),
        ("right", "file-0123ABCD"),
        ("right", "../../etc"),
        ("pairs", "0"),
        ("pairs", "257"),
        ("pairs", "-1"),
        ("pairs", "٣"),
        ("pairs", "1e2"),
        ("pairs", "9" * 5000),
        ("seed", "2147483648"),
        ("score", "difference!"),
        ("sparsity", "1"),
        ("sparsity", "nan"),
        ("sparsity", "-0.1"),
        ("sparsity", "a lot"),
        ("flap_sparsity", "1"),
        ("flap_sparsity", ""),
        ("trials", "0"),
        ("trials", "1001"),
        ("trial", "-1"),
        ("among", "some"),
        ("mode", "guessed"),
        ("mode", "Exact"),
        ("algorithm", "edge_pruning"),
        ("top_edges", "0"),
        ("top_edges", "100001"),
        ("tolerance", "-0.1"),
        ("tolerance", "nan"),
        ("grid", "yes"),
        ("threshold_scale", "inf"),
        ("min_effect", "2"),
        ("head", "9"),
        ("head", "9.6.q"),
        ("head", "<b>.1"),
        ("head", "1234567890.1"),
        ("edge", "9.6"),
        ("edge", "9.6-9.7"),
        ("edge", "9.6-9.7.x"),
        ("inputs", "q,z"),
        ("prompt", "-1"),
        ("hide_first", "2"),
        ("sign", "plus"),
        ("span", "9-3"),
        ("span", "3"),
        ("connected", "yes"),
        ("strongest", "-1"),
        ("pins", "9.6,x"),
        ("pins", ",".join(f"{layer}.0" for layer in range(61))),
        ("names", "9.6"),
        ("names", "9.6~" + "x" * 25),
        ("names", "9.6~\x00"),
        ("drawn", "circles"),
        ("opened", "3,b"),
        ("fill", "red"),
        ("answer_key", "one"),
        ("union", "first"),
        ("union", "first+last"),
        ("maps", "three"),
        ("versus", "ranks"),
        ("colour", "red"),
        ("find", "x" * 41),
        ("kept_by", "both,none"),
        ("layers", "3"),
        ("layers", "a-b"),
        ("top", "-1"),
        ("order", "size"),
        ("subject", "key0"),
        ("subject", "a file"),
        ("ablation", "none"),
    ],
)
def test_a_malformed_value_falls_back_and_is_named(field: str, raw: str) -> None:
    view, problems = read_view({**write_view(FULL), field: raw}, TASKS)
    assert view == replace(FULL, **{field: getattr(DEFAULT, field)})
    (problem,) = problems
    assert field.replace("_", " ") in problem and "Expected" in problem
    assert len(problem) < 400 and problem.isprintable()


def test_a_ringed_search_is_asked_for_with_its_score_and_sparsity() -> None:
    settings = FULL.settings()
    assert (settings.method, settings.sparsity, settings.score) == (Method.APP, 0.93, Score.MERGED)
    assert (settings.mode, settings.grid) == (Mode.EXACT, True)
    assert settings.flap_sparsity == 0.71 and replace(FULL, score="flap").settings().flap_sparsity is None
    own = replace(FULL, grid=False).settings()
    assert (own.threshold_scale, own.min_effect) == (1.5, 0.002)
    assert replace(FULL, score="difference").settings().score is Score.CONTRASTIVE_FLAP


@pytest.mark.parametrize(("among", "method"), [("auto", Method.APP), ("all", Method.DENSE)])
def test_the_slider_is_no_part_of_other_searches(among: str, method: Method) -> None:
    here, there = replace(FULL, among=among), replace(FULL, among=among, sparsity=0.1, score="flap", head="1.1")
    assert here.settings() == there.settings()
    assert (here.settings().method, here.settings().sparsity) == (method, None)
    assert here.settings().score is Settings.score


def test_a_chosen_union_reaches_the_automatic_search_only() -> None:
    asked = replace(DEFAULT, union="first+biggest")
    assert asked.settings() == replace(DEFAULT.settings(), union="first+biggest")
    for among in ("ringed", "all"):
        assert replace(asked, among=among).settings() == replace(DEFAULT, among=among).settings()
    assert asked.settings().densely() == replace(DEFAULT, among="all").settings()


def test_a_union_typed_into_the_address_with_a_plus_is_read() -> None:
    assert read_view({"union": "first biggest"}, TASKS) == (replace(DEFAULT, union="first+biggest"), ())


def test_with_the_grid_the_same_run_is_asked_for_whatever_the_two_thresholds_say() -> None:
    asked = replace(DEFAULT, grid=True, threshold_scale=1.5, min_effect=0.002).settings()
    assert asked == replace(DEFAULT, grid=True).settings() and asked.grid
    assert replace(DEFAULT, mode="exact").settings() != DEFAULT.settings()
