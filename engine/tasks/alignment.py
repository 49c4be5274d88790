"""The tokens of a pair side by side, for showing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from engine.tasks.vocabulary import Vocabulary

if TYPE_CHECKING:  # transformers' parts are imported by the thread that loads a model, and no other
    from transformers import PreTrainedTokenizerBase

_MARKS = str.maketrans({" ": "␣", "\n": "↵", "\t": "⇥", "\r": "␍"})


@dataclass(frozen=True)
class AlignedToken:
    """The tokens at one position as raw text; "" where one prompt is shorter. Show them with ``visible``."""

    clean: str
    corrupted: str
    differs: bool


def align(
    clean: Sequence[int], corrupted: Sequence[int], tokenizer: PreTrainedTokenizerBase
) -> tuple[AlignedToken, ...]:
    """Tokens of both prompts position by position; works on a refused row of unequal lengths too."""
    vocabulary = Vocabulary(tokenizer)
    texts = zip_longest(vocabulary.pieces(clean), vocabulary.pieces(corrupted), fillvalue="")
    ids = zip_longest(clean, corrupted)
    return tuple(AlignedToken(*pair, differs=a != b) for pair, (a, b) in zip(texts, ids, strict=True))


def visible(token_text: str) -> str:
    """Token text with its spaces and line breaks to be seen: ``" to"`` becomes ``"␣to"``. Not HTML-escaped."""
    return token_text.translate(_MARKS)
