"""What may be asked for: read from the environment, each refused with its sentence, a demonstration's promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import HeadlightError
from engine.serving import limits as module
from engine.serving.limits import DEMO, VARIABLES, Limits, limits
from engine.settings import Settings
from engine.tasks import own
from engine.tasks.table import Row
from engine.trust import own_keys

TWO = ("smollm2-135m", "toy-induction")


def test_without_variables_there_are_the_defaults_and_any_model() -> None:
    assert limits({}) == Limits() and not limits({}).demo and limits({}).keeps
    assert limits({"HEADLIGHT_DEMO": "0", "HEADLIGHT_MAX_PAIRS": ""}) == Limits()


@pytest.mark.parametrize(("variable", "field"), VARIABLES.items())
def test_each_variable_sets_its_limit(variable: str, field: str) -> None:
    found = limits({variable: " 7 "})
    assert getattr(found, field) == 7 and found == Limits(**{field: 7})


@pytest.mark.parametrize("text", ["-1", "0", "many", "1.5", "٣", "1e3"])
def test_a_limit_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(HeadlightError, match="whole number above 0 in HEADLIGHT_MAX_PAIRS, got “"):
        limits({"HEADLIGHT_MAX_PAIRS": text})


def test_a_demonstration_lowers_the_limits_and_variables_lower_them_further_only() -> None:
    assert limits({"HEADLIGHT_DEMO": "1"}) == DEMO
    assert DEMO.pairs == 16 and DEMO.demo and not DEMO.keeps and DEMO.allowed == TWO
    assert all(getattr(DEMO, field) <= getattr(Limits, field) for field in VARIABLES.values())
    assert limits({"HEADLIGHT_DEMO": "1", "HEADLIGHT_MAX_PAIRS": "1000"}).pairs == 16
    assert limits({"HEADLIGHT_DEMO": "1", "HEADLIGHT_MAX_PAIRS": "4"}).pairs == 4
    with pytest.raises(HeadlightError, match="1 or 0 in HEADLIGHT_DEMO, got “yes”"):
        limits({"HEADLIGHT_DEMO": "yes"})


def test_the_models_of_a_demonstration_are_named_and_never_paths() -> None:
    named = limits({"HEADLIGHT_DEMO": "1", "HEADLIGHT_DEMO_MODELS": " gpt2, Qwen/Qwen2.5-0.5B ,gpt2,"})
    assert named.allowed == ("gpt2", "Qwen/Qwen2.5-0.5B")
    for path in ("/etc", "./model", "~/model", "a/b/c", "..\\x", "model.GGUF"):
        with pytest.raises(HeadlightError, match="a path"):
            limits({"HEADLIGHT_DEMO": "1", "HEADLIGHT_DEMO_MODELS": path})


@pytest.mark.parametrize("model", ["/etc/passwd", "gpt2", "someone/else", "./toy-induction", "x.gguf", "smollm2-135M"])
def test_a_demonstration_offers_its_models_alone(model: str) -> None:
    with pytest.raises(HeadlightError) as refused:
        module.check_request(model, 4, DEMO)
    assert str(refused.value).startswith(
        f"This demonstration offers smollm2-135m and toy-induction, and no other model; got “{model}”. Choose one"
    )
    module.check_request(" toy-induction ", 16, DEMO)
    module.check_request(model, 4, Limits())


def test_what_is_quoted_is_printable_and_short() -> None:
    with pytest.raises(HeadlightError) as refused:
        module.check_model("a\nb\x1b" + "c" * 100, DEMO)
    assert f"“a?b?{'c' * 56}…”" in str(refused.value)


def test_too_many_pairs_tokens_heads_and_trials_are_refused_each_with_its_number() -> None:
    few = Limits(pairs=8, tokens=100, heads=24, trials=3)
    module.check_request("any", 8, few)
    with pytest.raises(HeadlightError, match="at most 8 prompt pairs on this server, got 9"):
        module.check_request("any", 9, few)
    module.check_prompts(25, 4, few)
    with pytest.raises(HeadlightError, match=r"5 pairs of up to 25 tokens make 125\. Ask for at most 4 pairs"):
        module.check_prompts(25, 5, few)
    with pytest.raises(HeadlightError, match="at most 1 pairs, or use shorter prompts"):
        module.check_prompts(101, 1, few)
    module.check_size("toy-induction", 2, 12, few)
    with pytest.raises(HeadlightError, match="at most 24 heads on this server, and “big” has 30"):
        module.check_size("big", 3, 10, few)
    module.check_trials(3, few)
    with pytest.raises(HeadlightError, match="at most 3 trials on this server, got 4"):
        module.check_trials(4, few)
    with pytest.raises(HeadlightError, match="in this demonstration, got 17"):
        module.check_request(TWO[0], 17, DEMO)


def test_the_usual_settings_are_within_every_limit() -> None:
    for each in (Limits(), DEMO):
        module.check_request(Settings.model, Settings.pairs, each)
        module.check_size(Settings.model, 30, 9, each)


def test_a_demonstration_writes_no_task_and_no_key(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    from engine.trust.answer_key_file import key_of

    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path))
    task = own.own_task([Row(1, "a b", "a c", "x", "y", "")])
    key = key_of({"model": "gpt2", "task": "ioi", "title": "t", "source": "s", "heads": ["9.9"]})
    own.keep(task)
    kept = own_keys.keep(key)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setenv("HEADLIGHT_DEMO", "1")
    for attempt in (
        lambda: own.keep(own.own_task([Row(1, "d b", "d c", "x", "y", "")])),
        lambda: own.rename(task.name, "another"),
        lambda: own.forget(task.name),
        lambda: own_keys.keep(key),
        lambda: own_keys.forget(kept.name),
    ):
        with pytest.raises(HeadlightError, match="This demonstration keeps nothing that visitors bring"):
            attempt()
    assert sorted(tmp_path.rglob("*")) == before
    assert own.find_own(task.name).title == task.title  # what its keeper had kept is offered


def test_the_table_of_the_docs_says_what_is_so() -> None:
    text = (Path(__file__).parents[3] / "docs" / "SERVER.md").read_text("utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in text.splitlines() if line.startswith("| `HEAD")]
    assert rows == [
        [f"`{variable}`", str(getattr(Limits(), field)), str(getattr(DEMO, field))]
        for variable, field in VARIABLES.items()
    ]
