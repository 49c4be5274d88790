"""Own tasks: rows checked against the model's tokenizer, then prompt pairs like those of a built-in task.

Checked in every row, all problems reported: no empty cell, prompts of equal token length that differ
and fit the model, answer and distractors of one known token each, an answer that is no distractor and
is not already the prompt's last token.

An answer is put after a space, as a word in running text. Without one where the cell brings its own
space, after a line break or an opening bracket, where a number goes on (17 + 32), or where only that
makes it one token (Beat + rix).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import HeadlightError
from engine.tasks.alignment import visible
from engine.tasks.build import bos_tokens
from engine.tasks.prompts import Metric, PromptPair, Prompts
from engine.tasks.table import Row, RowProblem, Table
from engine.tasks.vocabulary import Vocabulary

if TYPE_CHECKING:  # transformers' parts are imported by the thread that loads a model, and no other
    from transformers import PreTrainedTokenizerBase

CUSTOM = "custom"
OPENING = ("(", "[", "{")
SHOWN_PROBLEMS = 5


@dataclass(frozen=True)
class Checked:
    """Prompts if the whole table is valid, else None and every problem."""

    prompts: Prompts | None
    problems: tuple[RowProblem, ...]


def check_table(
    table: Table,
    tokenizer: PreTrainedTokenizerBase,
    max_tokens: int,
    metric: Metric = Metric.LOGIT_DIFF,
    prepend_bos: bool = False,
) -> Checked:
    """Check every row; ``max_tokens`` is the longest prompt the model takes. A template group is a token
    length, and a value of the column ``template`` if there is one. Raises HeadlightError for a missing BOS token."""
    vocabulary = Vocabulary(tokenizer)
    bos = bos_tokens(vocabulary, prepend_bos)
    vocabulary.encode_all([text for row in table.rows for text in (row.clean, row.corrupted)])
    problems = list(table.problems)
    for row in table.rows:
        problems.extend(row_problems(row, vocabulary, max_tokens - len(bos)))
    if problems:
        return Checked(None, tuple(sorted(problems, key=lambda problem: problem.row)))
    return Checked(Prompts(CUSTOM, metric, _pairs(table.rows, vocabulary, bos)), ())


def custom_prompts(
    table: Table,
    tokenizer: PreTrainedTokenizerBase,
    max_tokens: int,
    metric: Metric = Metric.LOGIT_DIFF,
    prepend_bos: bool = False,
) -> Prompts:
    """The prompts of a valid table; raises HeadlightError that lists the first problems of any other."""
    checked = check_table(table, tokenizer, max_tokens, metric, prepend_bos)
    if checked.prompts is not None:
        return checked.prompts
    lines = [
        f"row {p.row}, {p.column or 'whole row'}: {p.reason} {p.repair}" for p in checked.problems[:SHOWN_PROBLEMS]
    ]
    rest = len(checked.problems) - len(lines)
    more = [f"... and {rest} more."] if rest else []
    raise HeadlightError("\n".join(["The rows cannot be used:", *lines, *more]))


def _pairs(rows: tuple[Row, ...], vocabulary: Vocabulary, bos: tuple[int, ...]) -> tuple[PromptPair, ...]:
    groups: dict[tuple[str, int], int] = {}
    return tuple(
        PromptPair(
            clean=row.clean,
            corrupted=row.corrupted,
            clean_tokens=bos + vocabulary.encode(row.clean),
            corrupted_tokens=bos + vocabulary.encode(row.corrupted),
            answer_tokens=joined(vocabulary, row.clean, row.answer),
            distractor_tokens=tuple(
                dict.fromkeys(joined(vocabulary, row.clean, text)[0] for text in distractors(row))
            ),
            template_group=groups.setdefault((row.template, len(vocabulary.encode(row.clean))), len(groups)),
        )
        for row in rows
    )


def distractors(row: Row) -> list[str]:
    """The distractors of a row, one or several."""
    return row.distractor.split("|")


def joined(vocabulary: Vocabulary, prompt: str, text: str) -> tuple[int, ...]:
    """Tokens that ``text`` adds to ``prompt``: the first way of joining them that makes it one token,
    else what the first way adds (nothing if it changes the prompt's own tokens)."""
    number_goes_on = prompt[-1:].isdigit() and text[:1].isdigit()
    no_space = text[:1].isspace() or prompt[-1:].isspace() or prompt.endswith(OPENING) or number_goes_on
    joins = (text,) if no_space else (f" {text}", text)
    added = [vocabulary.continuation(prompt, join) or () for join in joins]
    return next((tokens for tokens in added if len(tokens) == 1), added[0])


def row_problems(row: Row, vocabulary: Vocabulary, max_tokens: int) -> Iterator[RowProblem]:
    """Everything that keeps a row from being used with this tokenizer."""
    empty = [name for name in ("clean", "corrupted", "answer") if not getattr(row, name).strip()]
    empty += [] if all(text.strip() for text in distractors(row)) else ["distractor"]
    for name in empty:
        yield RowProblem(row.number, name, f"The cell {name} is empty.", "Fill it in, or remove the row.")
    if not {"clean", "corrupted"} & set(empty):
        yield from _prompt_problems(row, vocabulary, max_tokens)
    if not empty:
        yield from _answer_problems(row, vocabulary)


def _prompt_problems(row: Row, vocabulary: Vocabulary, max_tokens: int) -> Iterator[RowProblem]:
    clean, corrupted = vocabulary.encode(row.clean), vocabulary.encode(row.corrupted)
    if row.clean == row.corrupted:
        reason = "Clean and corrupted prompts are the same, so nothing could be traced."
        yield RowProblem(row.number, "corrupted", reason, "Change the words that decide the answer.")
    if len(clean) != len(corrupted):
        reason = (
            f"The prompts have unequal lengths: clean has {len(clean)} tokens ({_shown(vocabulary, clean)}), "
            f"corrupted has {len(corrupted)} ({_shown(vocabulary, corrupted)})."
        )
        yield RowProblem(row.number, "corrupted", reason, "Replace words by others of as many tokens.")
    for name, text, tokens in (("clean", row.clean, clean), ("corrupted", row.corrupted, corrupted)):
        if len(tokens) > max_tokens:
            reason = f"The prompt has {len(tokens)} tokens; this model takes {max_tokens}."
            yield RowProblem(row.number, name, reason, "Shorten it.")
        if not vocabulary.knows(tokens):
            reason = f"Part of the prompt is unknown to the tokenizer or a control token: {_shown(vocabulary, tokens)}."
            yield RowProblem(row.number, name, reason, "Use words that the model knows.")
        if text.endswith(" "):
            reason = "The prompt ends in a space, which would belong to the answer's token."
            yield RowProblem(row.number, name, reason, "Remove the space at the end.")


def _answer_problems(row: Row, vocabulary: Vocabulary) -> Iterator[RowProblem]:
    answer = joined(vocabulary, row.clean, row.answer)
    cells = [("answer", row.answer, answer)]
    cells += [("distractor", text, joined(vocabulary, row.clean, text)) for text in distractors(row)]
    for name, text, tokens in cells:
        if len(tokens) != 1 or not vocabulary.knows(tokens):
            reason = _not_single(vocabulary, text, tokens)
            yield RowProblem(row.number, name, reason, "Choose a word that is one token, or its first token alone.")
        elif name == "distractor" and tokens == answer:
            reason = f"The distractor {text!r} is the answer itself, so their difference is always 0."
            yield RowProblem(row.number, name, reason, "Choose another word.")
    last = vocabulary.encode(row.clean)[-1:]
    repeats = answer == last or _last_word(row.clean) == row.answer.strip()
    if len(answer) == 1 and repeats and not row.answer.strip().isdigit():  # 11 may go on with another 1
        reason = f"The answer {row.answer!r} is already the last word of the clean prompt."
        yield RowProblem(row.number, "answer", reason, "End the prompt just before the answer.")


def _last_word(text: str) -> str:
    return text.split()[-1]


def _not_single(vocabulary: Vocabulary, text: str, tokens: tuple[int, ...]) -> str:
    if not tokens:
        return f"{text!r} cannot follow the clean prompt: it changes how the prompt's last word is written in tokens."
    if len(tokens) == 1:
        return f"The tokenizer does not know {text!r}."
    return f"{text!r} is {len(tokens)} tokens ({_shown(vocabulary, tokens)}); one is needed."


def _shown(vocabulary: Vocabulary, tokens: tuple[int, ...]) -> str:
    return "|".join(visible(piece) for piece in vocabulary.pieces(tokens))
