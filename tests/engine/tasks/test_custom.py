"""Own tasks: valid rows become prompts, every fault of the others is reported."""

from __future__ import annotations

import pytest

from engine.errors import HeadlightError
from engine.tasks.alignment import AlignedToken, align, visible
from engine.tasks.custom import check_table, custom_prompts
from engine.tasks.prompts import Metric
from engine.tasks.table import RowProblem, read_table, table_of

GOOD = {
    "clean": "When Mary and John went home, John gave a book to",
    "corrupted": "When Alice and Bob went home, Paul gave a book to",
    "answer": "Mary",
    "distractor": "John",
}


def check(tokenizer, *rows: dict[str, str], max_tokens: int = 100):
    return check_table(table_of([{**GOOD, **row} for row in rows]), tokenizer, max_tokens)


def only_problem(tokenizer, **change: str) -> RowProblem:
    checked = check(tokenizer, change)
    assert checked.prompts is None
    (problem,) = checked.problems
    assert problem.row == 1
    assert problem.repair
    return problem


def test_a_valid_table_is_like_a_built_in_task(smollm2_tokenizer):
    rows = [GOOD, {**GOOD, "distractor": "John| Alice|John", "template": "second"}]
    prompts = custom_prompts(table_of(rows), smollm2_tokenizer, 100, Metric.LOGIT_DIFF_MAX)
    assert (prompts.task, prompts.metric, len(prompts)) == ("custom", Metric.LOGIT_DIFF_MAX, 2)
    first, second = prompts.pairs
    assert list(first.clean_tokens) == smollm2_tokenizer(GOOD["clean"], add_special_tokens=False)["input_ids"]
    assert smollm2_tokenizer.decode(first.answer_tokens) == " Mary"
    assert smollm2_tokenizer.decode(first.distractor_tokens) == " John"
    assert smollm2_tokenizer.decode(second.distractor_tokens) == " John Alice"
    assert (first.template_group, second.template_group) == (0, 1)


def test_groups_are_lengths_where_no_template_is_given(smollm2_tokenizer):
    longer = {"clean": "So " + GOOD["clean"], "corrupted": "So " + GOOD["corrupted"]}
    prompts = check(smollm2_tokenizer, {}, longer, {}).prompts
    assert [pair.template_group for pair in prompts.pairs] == [0, 1, 0]


@pytest.mark.parametrize(
    ("end", "answer", "token"),
    [
        ("to", "Mary", " Mary"),
        ("to", " Mary", " Mary"),
        ("of 17", "3", "3"),
        ("Beat", "rix", "rix"),
        ("(", "self", "self"),
        ("name\n", "The", "The"),
    ],
)
def test_answers_are_joined_as_they_would_be_written(smollm2_tokenizer, end, answer, token):
    row = {"clean": f"A cat {end}", "corrupted": f"A dog {end}", "answer": answer, "distractor": " the"}
    prompts = check(smollm2_tokenizer, row).prompts
    assert smollm2_tokenizer.decode(prompts.pairs[0].answer_tokens) == token


def test_a_number_goes_on_without_a_space_even_if_it_could_have_one(pairs_tokenizer):
    assert [len(pairs_tokenizer(text)["input_ids"]) for text in ("32", " 32")] == [1, 1]
    row = {"clean": "war 17", "corrupted": "plan 17", "answer": "32", "distractor": "01"}
    (pair,) = check(pairs_tokenizer, row).prompts.pairs
    assert pairs_tokenizer.decode(pair.answer_tokens) == "32"


def test_bos_counts_towards_the_length(smollm2_tokenizer):
    table = table_of([GOOD])
    length = len(custom_prompts(table, smollm2_tokenizer, 100).pairs[0].clean_tokens)
    assert check_table(table, smollm2_tokenizer, length).prompts
    pairs = custom_prompts(table, smollm2_tokenizer, length + 1, prepend_bos=True).pairs
    assert pairs[0].clean_tokens[0] == smollm2_tokenizer.bos_token_id
    too_long = check_table(table, smollm2_tokenizer, length, prepend_bos=True).problems
    assert [problem.column for problem in too_long] == ["clean", "corrupted"]
    assert f"has {length} tokens; this model takes {length - 1}" in too_long[0].reason


@pytest.mark.parametrize("column", ["clean", "corrupted", "answer", "distractor"])
def test_empty_cells(smollm2_tokenizer, column):
    problem = only_problem(smollm2_tokenizer, **{column: " "})
    assert (problem.column, problem.reason) == (column, f"The cell {column} is empty.")


def test_an_empty_distractor_between_bars(smollm2_tokenizer):
    assert only_problem(smollm2_tokenizer, distractor="John|").column == "distractor"


def test_unequal_lengths_show_both_token_lists(smollm2_tokenizer):
    problem = only_problem(smollm2_tokenizer, clean="I am at", corrupted="I am not at")
    assert problem.column == "corrupted"
    assert "clean has 3 tokens (I|␣am|␣at), corrupted has 4 (I|␣am|␣not|␣at)" in problem.reason


def test_identical_prompts(smollm2_tokenizer):
    assert "are the same" in only_problem(smollm2_tokenizer, corrupted=GOOD["clean"]).reason


def test_answers_of_several_tokens(smollm2_tokenizer):
    problem = only_problem(smollm2_tokenizer, answer="Beatrix")
    assert (problem.column, "'Beatrix' is 2 tokens (␣Beat|rix)" in problem.reason) == ("answer", True)
    assert only_problem(smollm2_tokenizer, distractor="John|Beatrix").column == "distractor"


def test_the_answer_is_no_distractor(smollm2_tokenizer):
    problem = only_problem(smollm2_tokenizer, distractor="John| Mary")
    assert problem.column == "distractor"
    assert "is the answer itself" in problem.reason


def test_the_answer_must_not_end_the_prompt(smollm2_tokenizer):
    problem = only_problem(smollm2_tokenizer, clean=GOOD["clean"] + " Mary", corrupted=GOOD["corrupted"] + " Bob")
    assert (problem.column, "already the last word" in problem.reason) == ("answer", True)


def test_nor_may_its_token(smollm2_tokenizer):
    row = {"clean": "A cat Beatrix", "corrupted": "A dog Beatrix", "answer": "rix", "distractor": "the"}
    (problem,) = check(smollm2_tokenizer, row).problems
    assert (problem.column, "already the last word" in problem.reason) == ("answer", True)


def test_a_number_may_go_on_with_the_same_digit(smollm2_tokenizer):
    row = {"clean": "From 1109 to 11", "corrupted": "From 1101 to 11", "answer": "1", "distractor": "0"}
    assert check(smollm2_tokenizer, row).prompts


def test_a_space_at_the_end(smollm2_tokenizer):
    checked = check(smollm2_tokenizer, {"clean": GOOD["clean"] + " ", "corrupted": GOOD["corrupted"] + " "})
    reasons = {(problem.column, "ends in a space" in problem.reason) for problem in checked.problems}
    assert {("clean", True), ("corrupted", True)} <= reasons


def test_control_tokens(smollm2_tokenizer):
    problem = only_problem(smollm2_tokenizer, clean="A<|im_start|>to", corrupted="A cup to")
    assert problem.column == "clean"
    assert "control token: A|<|im_start|>|to" in problem.reason


def test_unknown_words(toy_tokenizer):
    row = {"clean": "cup quay dog", "corrupted": "cup dog quay", "answer": "bus", "distractor": "quay"}
    problems = check(toy_tokenizer, row).problems
    assert [problem.column for problem in problems] == ["clean", "corrupted", "distractor"]
    assert all("[UNK]" in problem.reason for problem in problems[:2])


def test_all_problems_of_all_rows_come_back_in_order(smollm2_tokenizer):
    data = b"clean,corrupted,answer,distractor\nI am at,I am not at,Beatrix,\na,b\n,,x,y\n"
    problems = check_table(read_table(data), smollm2_tokenizer, 100).problems
    assert [(problem.row, problem.column) for problem in problems] == [
        (1, "distractor"),
        (1, "corrupted"),
        (2, ""),
        (3, "clean"),
        (3, "corrupted"),
    ]


def test_the_error_lists_the_first_problems(smollm2_tokenizer):
    rows = [{**GOOD, "answer": ""}] * 7
    with pytest.raises(HeadlightError, match=r"row 1, answer: The cell answer is empty(.|\n)*row 5(.|\n)*and 2 more"):
        custom_prompts(table_of(rows), smollm2_tokenizer, 100)


def test_align_marks_what_differs_and_shows_a_missing_end(smollm2_tokenizer):
    clean, corrupted = (smollm2_tokenizer(text)["input_ids"] for text in ("I am at\nhome", "I was at"))
    assert align(clean, corrupted, smollm2_tokenizer) == (
        AlignedToken("I", "I", differs=False),
        AlignedToken(" am", " was", differs=True),
        AlignedToken(" at", " at", differs=False),
        AlignedToken("\n", "", differs=True),
        AlignedToken("home", "", differs=True),
    )


def test_visible_shows_spaces_and_breaks():
    assert [visible(text) for text in (" to", "\n\n ", "a\tb", "<b>")] == ["␣to", "↵↵␣", "a⇥b", "<b>"]
