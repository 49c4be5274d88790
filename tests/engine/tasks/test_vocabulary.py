"""Words seen through a tokenizer small enough to check by hand."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from engine.errors import HeadlightError
from engine.tasks.vocabulary import Vocabulary

WORDS = {"[UNK]": 0, "and": 1, "cup": 2, "road": 3, "The": 4, "of": 5}


@pytest.fixture
def words():
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return Vocabulary(PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]"))


def test_continuation_is_what_the_text_adds(words):
    assert words.continuation("The", " cup road") == (2, 3)
    assert words.continuation("The cup", "road") is None  # "cuproad" is another word


def test_tokens_a_tokenizer_adds_by_itself_are_left_out():
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="The $A", special_tokens=[("The", 4)])
    adding = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]")
    assert adding("cup")["input_ids"] == [4, 2]
    assert Vocabulary(adding).encode("cup") == (2,)


def test_select_leaves_out_unknown_words_and_keeps_the_order(words):
    assert words.select(("road", "lamp", "cup", "road"), "things") == ("road", "cup")


def test_select_says_which_list_and_how_many_survived(words):
    with pytest.raises(HeadlightError, match=r"at least 3 things .* a single token, but only 2 of 4 are"):
        words.select(("road", "lamp", "cup", "hill"), "things", least=3)


def test_ordinary_words_are_lower_case_and_not_short(words):
    assert words.ordinary_words() == ("and", "cup", "road")
    assert words.ordinary_words(most=2) == ("and", "cup")


def test_a_token_is_shown_with_the_space_sentencepiece_hides():
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "▁cup": 1, "cup": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    vocabulary = Vocabulary(PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]"))
    assert [piece.replace("▁", " ") for piece in vocabulary.pieces((1, 2))][1] == "cup"
    assert vocabulary.pieces((1,))[0].startswith(" ")
