"""What holds for the prompts of every task with every tokenizer."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from transformers import PreTrainedTokenizerFast

from engine.errors import HeadlightError
from engine.tasks.build import _deal, build_prompts, describe_task
from engine.tasks.prompts import Metric
from engine.tasks.recipe import Draft, Plan
from engine.tasks.task import TASKS, find_task

NAMES = ("ioi", "greater-than", "pronouns", "induction", "induction-random", "docstring")
TOKENIZERS = ("smollm2_tokenizer", "pairs_tokenizer")
every_task = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(params=TOKENIZERS)
def tokenizer(request):
    return request.getfixturevalue(request.param)


def test_the_tasks_are_those_of_the_method():
    assert tuple(task.name for task in TASKS) == NAMES
    assert all(task.metric in task.metrics for task in TASKS)


@every_task
def test_pairs_are_whole_texts_of_equal_length(name, tokenizer):
    prompts = build_prompts(name, tokenizer, 24, seed=3)
    assert len(prompts) == 24
    assert (prompts.task, prompts.metric) == (name, find_task(name).metric)
    for pair in prompts.pairs:
        assert list(pair.clean_tokens) == tokenizer(pair.clean, add_special_tokens=False)["input_ids"]
        assert list(pair.corrupted_tokens) == tokenizer(pair.corrupted, add_special_tokens=False)["input_ids"]
        assert len(pair.clean_tokens) == len(pair.corrupted_tokens)
        assert pair.clean_tokens != pair.corrupted_tokens
        assert tokenizer.decode(pair.clean_tokens) == pair.clean


@every_task
def test_answers_continue_the_prompt_and_are_no_distractors(name, tokenizer):
    for pair in build_prompts(name, tokenizer, 24, seed=3).pairs:
        assert pair.answer_tokens and pair.distractor_tokens
        assert set(pair.answer_tokens).isdisjoint(pair.distractor_tokens)
        for token in pair.answer_tokens:
            continued = pair.clean + tokenizer.decode([token])
            assert tokenizer(continued, add_special_tokens=False)["input_ids"] == [*pair.clean_tokens, token]


@every_task
def test_result_depends_on_the_seed_alone(name, tokenizer):
    first = build_prompts(name, tokenizer, 16, seed=1)
    build_prompts("ioi", tokenizer, 5, seed=9)
    assert build_prompts(name, tokenizer, 16, seed=1) == first
    other = {pair.clean for pair in build_prompts(name, tokenizer, 16, seed=2).pairs}
    assert len(other - {pair.clean for pair in first.pairs}) > 8


@every_task
@pytest.mark.parametrize("n", [1, 3, 8, 11, 16, 48])
def test_template_groups_are_not_tiny(name, n, tokenizer):
    pairs = build_prompts(name, tokenizer, n, seed=0).pairs
    groups = Counter(pair.template_group for pair in pairs)
    assert len(pairs) == n
    assert sorted(groups) == list(range(len(groups)))
    assert len(groups) <= max(1, n // 4)
    assert n < 8 or min(groups.values()) >= 4
    assert max(groups.values()) - min(groups.values()) <= 1
    lengths = {(pair.template_group, len(pair.clean_tokens)) for pair in pairs}
    assert len(lengths) == len(groups)


@every_task
def test_no_clean_prompt_repeats_within_a_group(name, tokenizer):
    pairs = build_prompts(name, tokenizer, 300, seed=0).pairs
    assert len({(pair.template_group, pair.clean) for pair in pairs}) == 300


def test_prompts_repeat_only_once_all_are_used(smollm2_tokenizer):
    counts = Counter(pair.clean for pair in build_prompts("greater-than", smollm2_tokenizer, 2000, seed=0).pairs)
    possible = 34 * 7 * 8  # nouns, centuries, tens digits
    assert len(counts) > 0.99 * possible
    assert max(counts.values()) == 2


def test_a_used_up_template_starts_afresh():
    def template(rng: Random) -> Draft:
        return Draft(rng.choice(("a", "b", "c")), "d", ("x",), ("y",))

    texts = [draft.clean for _, draft in _deal(Plan(kinds=((template,),)), 9, Random(0))]
    assert [sorted(texts[i : i + 3]) for i in (0, 3, 6)] == [["a", "b", "c"]] * 3


def test_bos_is_prepended_only_if_asked(smollm2_tokenizer):
    plain = build_prompts("ioi", smollm2_tokenizer, 4, seed=0)
    with_bos = build_prompts("ioi", smollm2_tokenizer, 4, seed=0, prepend_bos=True)
    for before, after in zip(plain.pairs, with_bos.pairs, strict=True):
        assert after.clean_tokens == (smollm2_tokenizer.bos_token_id, *before.clean_tokens)
        assert after.corrupted_tokens == (smollm2_tokenizer.bos_token_id, *before.corrupted_tokens)
        assert after.answer_tokens == before.answer_tokens


def test_bos_needs_a_tokenizer_that_has_one(pairs_tokenizer):
    without = PreTrainedTokenizerFast(tokenizer_object=pairs_tokenizer.backend_tokenizer)
    assert build_prompts("ioi", without, 4, seed=0)
    with pytest.raises(HeadlightError, match="no beginning-of-sequence token"):
        build_prompts("ioi", without, 4, seed=0, prepend_bos=True)


@pytest.mark.parametrize("n", [0, -1, 2001])
def test_number_of_pairs_out_of_range(n, pairs_tokenizer):
    with pytest.raises(HeadlightError, match=f"1 to 2000 prompt pairs, got {n}"):
        build_prompts("ioi", pairs_tokenizer, n, seed=0)


def test_metric_is_the_tasks_own_or_one_it_offers(pairs_tokenizer):
    assert build_prompts("ioi", pairs_tokenizer, 4, 0, Metric.PROB_DIFF).metric is Metric.PROB_DIFF
    with pytest.raises(HeadlightError, match="ioi has no metric logit_diff_max; choose one of: logit_diff, prob_diff"):
        build_prompts("ioi", pairs_tokenizer, 4, 0, Metric.LOGIT_DIFF_MAX)


def test_unknown_task_is_told_the_near_one():
    with pytest.raises(HeadlightError, match=r"no task 'greater_then'. Did you mean greater-than\?.*ioi, greater-than"):
        find_task("greater_then")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ioi", "at least 6 first names .* a single token, but only 0 of 127"),
        ("greater-than", "nouns that last .* only 0 of 34"),
        ("pronouns", "male first names .* only 0 of 10"),
        ("induction", "names .* exactly 2 tokens, but only 0 of 257"),
        ("docstring", "method names .* only 0 of 30"),
    ],
)
def test_natural_tasks_refuse_a_tokenizer_without_their_words(name, reason, toy_tokenizer):
    with pytest.raises(HeadlightError, match=reason):
        build_prompts(name, toy_tokenizer, 8, seed=0)


def test_description_says_what_the_tokenizer_changes(smollm2_tokenizer, pairs_tokenizer):
    assert "tens digit" in describe_task("greater-than", smollm2_tokenizer)
    assert describe_task("greater-than", pairs_tokenizer) == find_task("greater-than").instruction
