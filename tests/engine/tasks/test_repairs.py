"""Repairs of refused rows, on a tokenizer that writes a word of n letters (a to e aside) as n tokens."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from engine.tasks.custom import row_problems
from engine.tasks.repairs import Bench, Repair, repaired, repairs
from engine.tasks.synonyms import KINDS, MEANINGS, alternatives
from engine.tasks.table import Row
from engine.tasks.vocabulary import Vocabulary

WHOLE = """
When and went home gave a book to Mary John Alice Bob Paul David Tom Lisa car the drove fast The sat on cat dog mat big
old good of is capital France Germany Paris Rome was in to, home, and, red blue He his
"""
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ,.0123456789<>/*"


@pytest.fixture(scope="module")
def bench() -> Bench:
    """WHOLE words are single tokens, with and without a space before them; of all others each letter is one."""
    words = [word.strip(",") for word in WHOLE.split()]
    texts = dict.fromkeys(
        [*words, *(f" {word}" for word in words), *LETTERS, *(f" {letter}" for letter in LETTERS), " "]
    )
    vocabulary = {text: number for number, text in enumerate(["<unk>", *texts])}
    known = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    pattern = Regex(rf" ?\b(?:{known})\b| ?[a-zA-Z,.0-9<>/*]| ")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(pattern, "isolated")  # type: ignore[assignment]
    return Bench(Vocabulary(PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")), 40)


GOOD = Row(
    3, "When Mary and John went home, John gave a book to", "When Alice and Bob went home, Paul gave a book to",
    "Mary", "John", "t",
)  # fmt: skip


def only(row: Row, bench: Bench) -> Repair:
    """The one repair offered besides dropping the row, which mends it wholly."""
    first, drop = repairs(row, bench)
    assert drop == Repair("Drop the row", None)
    assert first.row is not None and not bench.faults(first.row)
    assert (first.row.number, first.row.template) == (row.number, row.template)
    assert repaired(row, bench) == first.row
    return first


def test_the_tokenizer_is_as_said(bench):
    assert [len(bench.vocabulary.encode(text)) for text in ("When Mary went", "When Zed went", "to")] == [3, 5, 1]
    assert not list(row_problems(GOOD, bench.vocabulary, 40))


def test_a_row_without_problems_has_no_repairs(bench):
    assert repairs(GOOD, bench) == () and repaired(GOOD, bench) == GOOD


def test_spaces_at_the_end_go(bench):
    row = replace(GOOD, clean=GOOD.clean + " ", corrupted=GOOD.corrupted + " ")
    assert only(row, bench).row == GOOD


def test_prompts_end_before_the_answer(bench):
    row = replace(GOOD, clean=GOOD.clean + " Mary", corrupted=GOOD.corrupted + " Alice")
    assert only(row, bench).row == GOOD


def test_bad_distractors_go_as_long_as_a_good_one_is_left(bench):
    row = replace(GOOD, distractor="John|Mary|Xyz")
    offered = repairs(row, bench)
    assert offered[0] == Repair("Keep “John” only", replace(row, distractor="John"))


def test_a_name_of_several_tokens_is_swapped_wherever_it_stands(bench):
    row = replace(GOOD, clean=GOOD.clean.replace("Mary", "Bartholomew"), answer="Bartholomew")
    offered = repairs(row, bench)
    assert offered[0].label == "“Bartholomew” → “David” (another name)"
    assert offered[0].row == replace(GOOD, clean=GOOD.clean.replace("Mary", "David"), answer="David")
    assert not bench.faults(offered[0].row)


def test_a_synonym_comes_first(bench):
    row = Row(1, "He drove his automobile, a fast", "He drove his automobile, a red", "automobile", "dog")
    assert only(row, bench).label == "“automobile” → “car” (synonym)"


def test_an_answer_that_is_a_fact_is_not_replaced_by_another_fact(bench):
    row = Row(1, "The capital of Germany is", "The capital of France is", "Ljubljana", "Paris")
    assert [repair.label for repair in repairs(row, bench)] == ["Drop the row"]
    assert repaired(row, bench) == row


def test_the_corrupted_word_gets_as_many_tokens_as_the_clean_one(bench):
    row = replace(GOOD, corrupted=GOOD.corrupted.replace("Alice", "Alexandria"))
    repair = only(row, bench)
    assert repair.label == "Equal lengths: “Alexandria” → “David” in the corrupted prompt"
    assert repair.row == replace(row, corrupted=GOOD.corrupted.replace("Alice", "David"))


def test_a_name_that_comes_twice_is_swapped_twice(bench):
    row = Row(
        1, "When Mary and Tom went, Tom gave a book to", "When Bob and Zed went, Zed gave a book to", "Mary", "Tom"
    )
    mended = only(row, bench).row
    assert mended is not None and mended.corrupted == "When Bob and John went, John gave a book to"


def test_a_missing_word_is_filled_in_where_the_prompts_begin_to_differ(bench):
    row = Row(1, "The big cat sat on the", "The cat sat on the", "mat", "dog")
    repair = only(row, bench)
    assert repair.label == "Equal lengths: add “good” to the corrupted prompt"
    assert repair.row is not None and repair.row.corrupted == "The good cat sat on the"


def test_what_cannot_be_mended_can_be_dropped(bench):
    for row in (
        replace(GOOD, corrupted=GOOD.clean),
        Row(1, "", "", "", ""),
        replace(GOOD, clean=f"{GOOD.clean} a" * 9),
    ):
        assert repairs(row, bench)[-1] == Repair("Drop the row", None)


def test_nothing_in_a_row_is_read_as_a_pattern_or_markup(bench):
    row = replace(GOOD, clean=GOOD.clean.replace("Mary", "<b>*.Mary"), answer="*.(x")
    for repair in repairs(row, bench):
        assert repair.row is None or bench.faults(repair.row) < bench.faults(row)


def test_alternatives_keep_the_capital_and_the_number_of_digits():
    assert ("Shop", "synonym") in list(alternatives("Store"))
    assert all(len(other) == 4 for other, _ in alternatives("1999"))
    assert next(alternatives("Quetzal"))[1] == "another name" and not list(alternatives("quetzal"))
    assert not any(other.lower() == "mary" for other, _ in alternatives("Mary"))


def test_the_lists_hold_no_word_twice():
    for group in (*MEANINGS, *(words for _, words in KINDS if _ != "name")):
        assert len(set(group)) == len(group), group
