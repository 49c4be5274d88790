"""One-click repairs of rows that were refused: each turns a row into one with fewer problems, or says nothing.

1. Remove spaces at the end; end the prompts just before the answer.
2. Drop those of several distractors that cannot be used.
3. Swap in a word of a single token for an answer or distractor of several: a synonym, or another word of its kind.
   Where the prompts hold the word, it is swapped there too. An answer they do not hold is a fact about them: only a
   synonym may stand for it.
4. Make both prompts equally long, so that tokens stand one above the other again: swap the differing word of the
   corrupted prompt for one of as many tokens (or that of the clean one, for a synonym), or put filler words before
   the shorter one.
5. Drop the row, which always helps.

Every repair is tried out with the tokenizer, and offered only if the row then has fewer problems. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import islice

from engine.tasks.custom import distractors, joined, row_problems
from engine.tasks.synonyms import SYNONYM, alternatives
from engine.tasks.table import Row
from engine.tasks.vocabulary import Vocabulary

WORD = re.compile(r"\w+(?:['’]\w+)*")
FILLERS = ("good", "old", "dear", "young", "little", "nice")  # stand before names and nouns alike
FIRST_FILLERS = ("So", "Then", "Now")
MOST_FILLERS = 2
MOST_TRIED = 60  # candidates for one word
ROUNDS = 4  # of repairs on one row


@dataclass(frozen=True)
class Repair:
    """``row`` as it would be, None if it is dropped; ``label`` says in a few words what is done."""

    label: str
    row: Row | None


@dataclass(frozen=True)
class Bench:
    """What repairs are tried out with."""

    vocabulary: Vocabulary
    max_tokens: int

    def faults(self, row: Row) -> int:
        return sum(1 for _ in row_problems(row, self.vocabulary, self.max_tokens))

    def better(self, row: Row, than: Row) -> bool:
        return self.faults(row) < self.faults(than)


Mend = Callable[[Row, Bench], Repair | None]


def repairs(row: Row, bench: Bench) -> tuple[Repair, ...]:
    """What can be offered for a row, dropping it last; nothing for a row without problems."""
    if not bench.faults(row):
        return ()
    found = [repair for mend in MENDS if (repair := mend(row, bench)) is not None]
    return (*found, Repair("Drop the row", None))


def repaired(row: Row, bench: Bench) -> Row:
    """The row after all repairs that help, one after the other; it may still have problems."""
    for _ in range(ROUNDS):
        better = next((repair.row for mend in MENDS if (repair := mend(row, bench)) is not None), None)
        if better is None:
            break
        row = better
    return row


def without_end_space(row: Row, bench: Bench) -> Repair | None:
    """Blanks at the end would belong to the answer's token."""
    mended = replace(row, clean=row.clean.rstrip(" "), corrupted=row.corrupted.rstrip(" "))
    return Repair("Remove the space at the end", mended) if bench.better(mended, row) else None


def cut_before_answer(row: Row, bench: Bench) -> Repair | None:
    """Take the answer off the end of the clean prompt, and the last word off the corrupted one."""
    clean, corrupted = (re.sub(r"\s+\S+\s*$", "", text) for text in (row.clean, row.corrupted))
    if not row.clean.rstrip().endswith(row.answer.strip()):
        return None
    mended = replace(row, clean=clean, corrupted=corrupted)
    return Repair("End the prompts before the answer", mended) if bench.better(mended, row) else None


def without_bad_distractors(row: Row, bench: Bench) -> Repair | None:
    """Keep those of several distractors that are single tokens other than the answer."""
    known, answer = distractors(row), joined(bench.vocabulary, row.clean, row.answer)
    good = [text for text in known if text.strip() and _single(text, row.clean, bench) not in (None, answer)]
    if not good or len(good) == len(known):
        return None
    mended = replace(row, distractor="|".join(good))
    return Repair(f"Keep {_several(good)} only", mended) if bench.better(mended, row) else None


def with_single_tokens(row: Row, bench: Bench) -> Repair | None:
    """Swap the first answer or distractor of several tokens for a word of one, in the prompts too."""
    for text in (row.answer, *distractors(row)):
        word = text.strip()
        if word and _single(text, row.clean, bench) is None:
            return next(_swaps(row, word, bench), None)
    return None


def with_equal_lengths(row: Row, bench: Bench) -> Repair | None:
    """Make the prompts equally long in tokens."""
    encode = bench.vocabulary.encode
    if not row.clean.strip() or not row.corrupted.strip() or len(encode(row.clean)) == len(encode(row.corrupted)):
        return None
    tries = (_another_word(row, bench), _fillers(row, bench))
    return next((repair for offered in tries for repair in offered), None)


MENDS: tuple[Mend, ...] = (
    without_end_space, cut_before_answer, without_bad_distractors, with_single_tokens, with_equal_lengths,
)  # fmt: skip


def _swaps(row: Row, word: str, bench: Bench) -> Iterator[Repair]:
    """The row with ``word`` swapped everywhere, for each word that mends it.

    A swap that leaves the prompts of unequal lengths is followed by making them equal.
    """
    is_fact = word == row.answer.strip() and word not in WORD.findall(row.clean)
    for other, relation in islice(alternatives(word), MOST_TRIED):
        if _appears(other, row) or len(bench.vocabulary.in_context(other)) != 1:
            continue
        if is_fact and relation != SYNONYM:
            continue
        swapped = _swapped_everywhere(row, word, other)
        if not bench.better(swapped, row) and (level := with_equal_lengths(swapped, bench)) is not None:
            swapped = level.row or swapped
        if bench.better(swapped, row):
            yield Repair(f"“{word}” → “{other}” ({relation})", swapped)


def _another_word(row: Row, bench: Bench) -> Iterator[Repair]:
    """Differing words of unequal lengths swapped until the prompts are equally long, the corrupted prompt's first."""
    for side in ("corrupted", "clean"):
        mended, said = row, []
        for pair in _unequal_words(row, bench):
            word, goal = (pair[1], pair[0]) if side == "corrupted" else pair
            other = _as_long(word, goal, mended, side, bench)
            if other is None:
                continue
            mended = replace(mended, **{side: _swapped(getattr(mended, side), word, other)})
            said.append(f"“{word}” → “{other}”")
        if said and bench.better(mended, row):
            yield Repair(f"Equal lengths: {', '.join(said)} in the {side} prompt", mended)


def _unequal_words(row: Row, bench: Bench) -> list[tuple[str, str]]:
    """Words (clean, corrupted) that stand at the same place and have unequal numbers of tokens."""
    clean, corrupted = WORD.findall(row.clean), WORD.findall(row.corrupted)
    if len(clean) != len(corrupted):
        return []
    pairs = dict.fromkeys((a, b) for a, b in zip(clean, corrupted, strict=True) if a != b)
    return [(a, b) for a, b in pairs if _tokens(a, bench) != _tokens(b, bench)]


def _as_long(word: str, goal: str, row: Row, side: str, bench: Bench) -> str | None:
    """A word in the place of ``word`` with as many tokens as ``goal``; of its kind, or else of the goal's."""
    cells = (row.answer.strip(), *(text.strip() for text in distractors(row)))
    if side == "clean" and word in cells:  # it must go on standing in the prompt
        return None
    candidates = [
        other
        for other, relation in islice((*alternatives(word), *alternatives(goal)), MOST_TRIED)
        if side == "corrupted" or relation == SYNONYM  # another word of its kind may call for another answer
    ]
    length = _tokens(goal, bench)
    return next((other for other in candidates if not _appears(other, row) and _tokens(other, bench) == length), None)


def _fillers(row: Row, bench: Bench) -> Iterator[Repair]:
    """Filler words before the first differing word of the shorter prompt, one or two of them."""
    encode = bench.vocabulary.encode
    missing = len(encode(row.clean)) - len(encode(row.corrupted))
    side = "clean" if missing < 0 else "corrupted"
    text = getattr(row, side)
    for at in _differences(row, side):
        for words in _filler_words(at, min(MOST_FILLERS, abs(missing))):
            mended = replace(row, **{side: f"{text[:at]}{' '.join(words)} {text[at:]}"})
            if bench.better(mended, row):
                yield Repair(f"Equal lengths: add “{' '.join(words)}” to the {side} prompt", mended)


def _differences(row: Row, side: str) -> list[int]:
    """Where in that prompt's text the words that differ begin."""
    clean, corrupted = list(WORD.finditer(row.clean)), list(WORD.finditer(row.corrupted))
    words = [[match.group() for match in matches] for matches in (clean, corrupted)]
    blocks = [code for code in SequenceMatcher(None, *words, autojunk=False).get_opcodes() if code[0] != "equal"]
    own = clean if side == "clean" else corrupted
    first = [block[1] if side == "clean" else block[3] for block in blocks]
    return [own[index].start() for index in first if index < len(own)]


def _filler_words(at: int, most: int) -> Iterable[tuple[str, ...]]:
    fillers = FILLERS if at else FIRST_FILLERS
    return [tuple(fillers[start : start + count]) for count in range(1, most + 1) for start in (0, 1)]


def _single(text: str, prompt: str, bench: Bench) -> tuple[int, ...] | None:
    """The one known token that ``text`` adds to the prompt, or None."""
    tokens = joined(bench.vocabulary, prompt, text)
    return tokens if len(tokens) == 1 and bench.vocabulary.knows(tokens) else None


def _tokens(word: str, bench: Bench) -> int:
    return len(bench.vocabulary.in_context(word))


def _appears(word: str, row: Row) -> bool:
    """Whether a word stands anywhere in the row already: swapped in, it would mix up who is who."""
    cells = (row.clean, row.corrupted, row.answer, row.distractor)
    return any(word.lower() in (found.lower() for found in WORD.findall(cell)) for cell in cells)


def _swapped_everywhere(row: Row, word: str, other: str) -> Row:
    cells = {name: _swapped(getattr(row, name), word, other) for name in ("clean", "corrupted", "answer", "distractor")}
    return replace(row, **cells)


def _swapped(text: str, word: str, other: str) -> str:
    """``other`` wherever ``word`` stands as a whole."""
    return re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", lambda match: other, text)


def _several(words: list[str]) -> str:
    return ", ".join(f"“{word.strip()}”" for word in words)
