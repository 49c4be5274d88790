"""What each task's prompts say: who is named where, what the corruption touches, what is scored."""

from __future__ import annotations

import re
from collections import Counter

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from engine.errors import HeadlightError
from engine.tasks import induction
from engine.tasks.build import build_prompts
from engine.tasks.greater_than import DIGIT_NOTE, NOUNS, build
from engine.tasks.ioi import NAMES
from engine.tasks.prompts import Metric, PromptPair
from engine.tasks.vocabulary import Vocabulary


@pytest.fixture(params=("smollm2_tokenizer", "pairs_tokenizer"))
def tokenizer(request):
    return request.getfixturevalue(request.param)


def differing(pair: PromptPair) -> list[int]:
    return [i for i, (a, b) in enumerate(zip(pair.clean_tokens, pair.corrupted_tokens, strict=True)) if a != b]


def people(text: str) -> list[str]:
    return [word for word in re.findall(r"\w+", text) if word in NAMES.split()]


def test_ioi_names_three_times_two_people_and_corrupts_just_them(tokenizer):
    orders = Counter()
    for pair in build_prompts("ioi", tokenizer, 56, seed=0).pairs:
        first, second, giver = people(pair.clean)
        (receiver,) = {first, second} - {giver}
        assert tokenizer.decode(pair.answer_tokens) == f" {receiver}"
        assert tokenizer.decode(pair.distractor_tokens) == f" {giver}"
        assert len({*people(pair.clean), *people(pair.corrupted)}) == 5
        assert re.sub(r"\b[A-Z]\w+\b", "", pair.clean) == re.sub(r"\b[A-Z]\w+\b", "", pair.corrupted)
        assert len(differing(pair)) == 3
        orders["ABBA" if giver == second else "BABA"] += 1
    assert orders == {"ABBA": 28, "BABA": 28}


def test_ioi_orders_alternate_when_few_templates_are_drawn(pairs_tokenizer):
    for seed in range(8):
        pairs = build_prompts("ioi", pairs_tokenizer, 16, seed).pairs
        abba = [people(pair.clean)[1] == people(pair.clean)[2] for pair in pairs]
        assert (len({pair.template_group for pair in pairs}), sum(abba)) == (4, 8)


def test_pronouns_go_with_the_name_and_the_corrupted_prompt_has_none(tokenizer):
    answers = set()
    for pair in build_prompts("pronouns", tokenizer, 60, seed=0).pairs:
        woman = re.match(r"So (Mary|Sarah|Anna|Emma|Lisa|Susan|Linda|Jennifer|Karen|Elizabeth) is", pair.clean)
        expected = (" she", " he") if woman else (" he", " she")
        assert (tokenizer.decode(pair.answer_tokens), tokenizer.decode(pair.distractor_tokens)) == expected
        assert pair.corrupted == re.sub(r"^So \w+", "That person", pair.clean)
        assert pair.clean.endswith(", isn't")
        assert differing(pair) == [0, 1]
        answers.add(expected[0])
    assert answers == {" he", " she"}


def test_digit_by_digit_years_are_decided_by_the_tens_digit(smollm2_tokenizer):
    for pair in build_prompts("greater-than", smollm2_tokenizer, 60, seed=0).pairs:
        clean = re.fullmatch(r"The \w+ lasted from the year (1[1-7])([1-8])9 to the year \1", pair.clean)
        assert clean
        tens = int(clean[2])
        assert smollm2_tokenizer.decode(pair.answer_tokens) == "".join(map(str, range(tens + 1, 10)))
        assert smollm2_tokenizer.decode(pair.distractor_tokens) == "".join(map(str, range(tens + 1)))
        assert pair.corrupted == pair.clean.replace(f"{tens}9 ", "01 ")
        assert len(differing(pair)) == 2


def test_digit_note_is_only_for_digits(smollm2_tokenizer, pairs_tokenizer):
    assert build(Vocabulary(smollm2_tokenizer), Metric.LOGIT_DIFF).note == DIGIT_NOTE
    assert build(Vocabulary(pairs_tokenizer), Metric.LOGIT_DIFF).note == ""


@pytest.mark.parametrize(("metric", "own_year_counts"), [(Metric.LOGIT_DIFF, False), (Metric.PROB_DIFF, True)])
def test_paired_years_score_all_years_of_the_century(pairs_tokenizer, metric, own_year_counts):
    centuries = set()
    for pair in build_prompts("greater-than", pairs_tokenizer, 60, 0, metric).pairs:
        clean = re.fullmatch(r"The \w+ lasted from the year (1[1-7])(\d\d) to the year \1", pair.clean)
        assert clean
        century, own = clean[1], int(clean[2])
        scored = [year for year in range(100) if (century, year) != ("16", 0)]  # 1600 is one token
        text = "".join(pairs_tokenizer.decode(pair.answer_tokens + pair.distractor_tokens).split())
        later, earlier = scored[scored.index(own) + 1 :], scored[: scored.index(own) + own_year_counts]
        assert 3 <= own <= 96
        assert text == "".join(f"{year:02d}" for year in later + earlier)
        assert len(pair.answer_tokens) == len(later)
        assert pair.corrupted == pair.clean.replace(f"{century}{own:02d} ", f"{century}01 ")
        assert len(differing(pair)) == 1
        centuries.add(century)
    assert "16" in centuries


def test_years_of_other_tokenizers_are_refused():
    years = [str(year) for year in range(1, 1800)]
    vocabulary = {word: i for i, word in enumerate(["[UNK]", "and", *years, *NOUNS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    whole = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]")
    with pytest.raises(HeadlightError, match=r"two-digit pairs \(17\|32\) or digit by digit.*only 0 of 700"):
        build_prompts("greater-than", whole, 8, seed=0)


def test_a_two_token_name_comes_back_by_its_first_token(tokenizer):
    for pair in build_prompts("induction", tokenizer, 72, seed=0).pairs:
        *_, start = pair.clean_tokens
        position = pair.clean_tokens.index(start)
        assert pair.clean_tokens[position + 1] == pair.answer_tokens[0]
        assert pair.clean_tokens.count(start) == 2
        name = tokenizer.decode(pair.clean_tokens[position : position + 2]).strip()
        assert name in induction.NAMES.split()
        assert differing(pair) == [position, position + 1, len(pair.clean_tokens) - 1]
        other = tokenizer.decode(pair.corrupted_tokens[position : position + 2]).strip()
        last = tokenizer.decode([pair.corrupted_tokens[-1], pair.distractor_tokens[0]]).strip()
        assert len({name, other, last} & set(induction.NAMES.split())) == 3


@pytest.mark.parametrize("source", ["smollm2_tokenizer", "pairs_tokenizer", "toy_tokenizer"])
def test_random_words_repeat_and_the_corrupted_pair_asks_for_another(source, request):
    tokenizer = request.getfixturevalue(source)
    for pair in build_prompts("induction-random", tokenizer, 24, seed=0).pairs:
        tokens, corrupted, length = pair.clean_tokens, pair.corrupted_tokens, len(pair.clean_tokens)
        period = next(p for p in range(1, length) if tokens[p] == tokens[0])
        assert tokens == (tokens[:period] * 2)[:length]
        assert len(set(tokens)) == period
        a = length - 1 - period
        assert tokens[a] == tokens[-1]
        assert pair.answer_tokens == (tokens[a + 1],)
        assert differing(pair) == [a, a + 1, length - 1]
        assert corrupted[a] == corrupted[-1]
        assert pair.distractor_tokens == (corrupted[a + 1],)
        assert {corrupted[a], corrupted[a + 1]}.isdisjoint(tokens)


def test_random_words_of_one_seed_run_as_one_batch(smollm2_tokenizer):
    assert len(list(build_prompts("induction-random", smollm2_tokenizer, 48, seed=0).batches())) == 1


def test_the_toy_model_continues_random_words(toy_model):
    (batch,) = build_prompts("induction-random", toy_model.tokenizer, 16, seed=0).batches()
    for tokens, expected in ((batch.clean, "answer_tokens"), (batch.corrupted, "distractor_tokens")):
        with torch.no_grad():
            best = toy_model.hf_model(tokens).logits[:, -1].argmax(dim=-1)
        assert [(token,) for token in best.tolist()] == [getattr(pair, expected) for pair in batch.pairs]


def test_docstring_describes_the_arguments_in_order(tokenizer):
    for pair in build_prompts("docstring", tokenizer, 40, seed=0).pairs:
        signature = arguments(pair.clean)
        assert len(set(signature)) == 6
        assert re.findall(r":param (\w+):", pair.clean) == signature[1:3]
        assert tokenizer.decode(pair.answer_tokens) == f" {signature[3]}"
        assert tokenizer.decode(pair.distractor_tokens).split() == signature[:3] + signature[4:]
        others = arguments(pair.corrupted) + re.findall(r":param (\w+):", pair.corrupted)
        assert len({*signature, *others}) == 14
        assert len(differing(pair)) == 8
        assert pair.clean.endswith(":param")


def arguments(text: str) -> list[str]:
    signature = re.search(r"\(self, (.*)\)", text)
    assert signature
    return signature[1].split(", ")
