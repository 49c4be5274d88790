"""Step 1: does the model do the task? Asked, and answered, before anything is run on it."""

from __future__ import annotations

import streamlit as st

from engine.prepare import Prepared
from engine.settings import Settings
from engine.tasks.build import describe_task
from engine.tasks.prompts import PromptPair, Prompts
from engine.tasks.vocabulary import Vocabulary
from pages.shared import frame, look, tokens
from pages.shared.metric_words import METRIC_WORDS

SHOWN_PAIRS = 2
LEAD = (
    "A circuit can only be found for something the model does. Both prompts of a pair have the same length; the tokens "
    "that differ are marked. The model should prefer the answer after the clean prompt, and lose it after the "
    "corrupted one."
)


def show(settings: Settings) -> Prepared | None:
    """Draw the step; None while there is nothing to go on with."""
    look.step(1, "Does the model do the task?", LEAD)
    prepared = frame.ready(settings)
    if prepared is not None:
        _draw(prepared)
    return prepared


def _draw(prepared: Prepared) -> None:
    baseline, prompts = prepared.baseline, prepared.prompts
    name, unit, direction, digits = METRIC_WORDS[prompts.metric]
    vocabulary = Vocabulary(prepared.model.tokenizer)
    for index in _examples(prompts):
        _pair(vocabulary, prompts.pairs[index], f"Prompt pair {index + 1}")
    look.facts(
        [
            look.Fact(
                f"{name}, clean",
                look.signed(baseline.clean_logit_diff, digits),
                unit,
                f"{direction}, mean of {baseline.n}",
            ),
            look.Fact(
                f"{name}, corrupted",
                look.signed(baseline.corrupted_logit_diff, digits),
                unit,
                f"same tokens, mean of {baseline.n}",
            ),
            look.Fact(
                "Accuracy", f"{100 * baseline.accuracy:.0f}", "%", f"answer preferred, of {baseline.n} clean prompts"
            ),
        ]
    )
    look.verdict("Yes." if baseline.capable else "No.", baseline.verdict, "yes" if baseline.capable else "no")
    with st.expander(f"All {len(prompts)} pairs as a table", key="twin_pairs"):
        if prompts.task and not prepared.custom:
            look.note(describe_task(prompts.task, prepared.model.tokenizer))
        _table(prepared, vocabulary)


def _examples(prompts: Prompts) -> list[int]:
    """Two pairs, of different templates where there are two."""
    first = prompts.pairs[0].template_group
    others = [i for i, pair in enumerate(prompts.pairs) if pair.template_group != first]
    return ([0, *others] if others else list(range(len(prompts))))[:SHOWN_PAIRS]


def _pair(vocabulary: Vocabulary, pair: PromptPair, title: str) -> None:
    ids = (pair.clean_tokens, pair.corrupted_tokens, pair.answer_tokens, pair.distractor_tokens)
    tokens.pair_card(pair, [vocabulary.pieces(row) for row in ids], title)


def _table(prepared: Prepared, vocabulary: Vocabulary) -> None:
    baseline = prepared.baseline
    rows = [
        {
            "clean": pair.clean,
            "corrupted": pair.corrupted,
            "answer": " ".join(map(tokens.visible, vocabulary.pieces(pair.answer_tokens[:3]))),
            "distractor": " ".join(map(tokens.visible, vocabulary.pieces(pair.distractor_tokens[:3]))),
            "clean metric": float(clean),
            "corrupted metric": float(corrupted),
        }
        for pair, clean, corrupted in zip(
            prepared.prompts.pairs, baseline.clean_by_pair, baseline.corrupted_by_pair, strict=True
        )
    ]
    number = st.column_config.NumberColumn(format="%.3f")
    st.dataframe(rows, hide_index=True, column_config={"clean metric": number, "corrupted metric": number})
