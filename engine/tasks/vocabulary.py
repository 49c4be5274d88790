"""How one tokenizer writes words: the only place that asks it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from engine.errors import HeadlightError

if TYPE_CHECKING:  # transformers' parts are imported by the thread that loads a model, and no other
    from transformers import PreTrainedTokenizerBase

CARRIER = "and"  # words are tokenised after it, never alone: "x" and " x" are different tokens to most tokenizers


class Vocabulary:
    """Cached views of a Hugging Face tokenizer; adds no special tokens anywhere."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase):
        self._tokenizer = tokenizer
        self._encoded: dict[str, tuple[int, ...]] = {}

    def encode_all(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """Token ids of every text; one call to the tokenizer for those not seen before."""
        new = [text for text in dict.fromkeys(texts) if text not in self._encoded]
        if new:
            ids = self._tokenizer(new, add_special_tokens=False, verbose=False)["input_ids"]
            self._encoded.update(zip(new, map(tuple, ids), strict=True))
        return [self._encoded[text] for text in texts]

    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of the whole text."""
        return self.encode_all([text])[0]

    def continuation(self, prompt: str, text: str) -> tuple[int, ...] | None:
        """Tokens that ``text`` adds after ``prompt``; None if it changes the prompt's own tokens."""
        before, whole = self.encode_all([prompt, prompt + text])
        return whole[len(before) :] if whole[: len(before)] == before else None

    def pieces(self, tokens: Sequence[int]) -> tuple[str, ...]:
        """Text of each token on its own, with the space that belongs to it."""
        return tuple(self._piece(token) for token in tokens)

    def _piece(self, token: int) -> str:
        text = str(self._tokenizer.decode([token]))
        written = self._tokenizer.convert_ids_to_tokens(token)
        # SentencePiece writes a space as this mark and drops it when it decodes a token alone.
        hidden_space = isinstance(written, str) and written.startswith("\u2581") and not text.startswith(" ")
        return f" {text}" if hidden_space else text

    def knows(self, tokens: Sequence[int]) -> bool:
        """False if any token stands for an unknown word or is a control token."""
        return self._special.isdisjoint(tokens)

    def in_context(self, word: str) -> tuple[int, ...]:
        """Tokens of ``word`` in running text, after a space; empty if the tokenizer does not know it."""
        tokens = self.continuation(CARRIER, f" {word}")
        return tokens if tokens and self.knows(tokens) else ()

    def select(self, words: Sequence[str], what: str, n_tokens: int = 1, least: int = 1) -> tuple[str, ...]:
        """The ``words`` of exactly ``n_tokens`` tokens in running text, none sharing its tokens with another.

        Raises HeadlightError, naming the list as ``what``, if fewer than ``least`` survive.
        """
        self.encode_all([f"{CARRIER} {word}" for word in words])
        kept: dict[tuple[int, ...], str] = {}
        for word in words:
            tokens = self.in_context(word)
            if len(tokens) == n_tokens:
                kept.setdefault(tokens, word)
        if len(kept) < least:
            size = "a single token" if n_tokens == 1 else f"exactly {n_tokens} tokens"
            raise HeadlightError(
                f"Expected at least {least} {what} that this model's tokenizer writes as {size}, but only "
                f"{len(kept)} of {len(words)} are. Choose another task or model, or bring prompts of your own."
            )
        return tuple(kept.values())

    def ordinary_words(self, most: int = 500, shortest: int = 3) -> tuple[str, ...]:
        """Up to ``most`` lower-case words that are single tokens in running text, lowest token id first."""
        words = []
        for token in range(len(self._tokenizer)):
            word = str(self._tokenizer.decode([token])).strip()
            plain = len(word) >= shortest and word.isascii() and word.isalpha() and word.islower()
            if plain and self.in_context(word) == (token,):
                words.append(word)
                if len(words) == most:
                    break
        return tuple(words)

    @cached_property
    def _special(self) -> frozenset[int]:
        return frozenset(self._tokenizer.all_special_ids)

    @property
    def bos(self) -> int | None:
        """The beginning-of-sequence token, if the tokenizer has one."""
        token = self._tokenizer.bos_token_id
        return token if isinstance(token, int) else None
