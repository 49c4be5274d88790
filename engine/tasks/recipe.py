"""What a task file is made of: pairs as text, templates that write them, and the task itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from engine.tasks.prompts import Metric
from engine.tasks.vocabulary import Vocabulary


@dataclass(frozen=True)
class Draft:
    """One pair as text, before it is tokenised.

    Answers and distractors are written as they continue the clean prompt, leading space included
    where running text has one. With ``distractors_follow_corrupted`` the distractors continue the
    corrupted prompt instead (Induction, where the two prompts end in different words).
    """

    clean: str
    corrupted: str
    answers: tuple[str, ...]
    distractors: tuple[str, ...]
    distractors_follow_corrupted: bool = False


Template = Callable[[Random], Draft]
"""Draws one pair; every pair it draws has the same token length."""


@dataclass(frozen=True)
class Plan:
    """A task fitted to one tokenizer.

    ``kinds`` holds its templates by kind (IOI: ABBA, BABA); prompts are drawn evenly from the kinds.
    ``note`` says in a sentence what this tokenizer changed in the task; empty if nothing.
    """

    kinds: tuple[tuple[Template, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Task:
    """A task: what people read about it, its metrics, and how it is fitted to a tokenizer.

    ``description`` is one line for a list; ``instruction`` says what the model must do.
    ``build`` filters the word lists and raises HeadlightError if too few words survive.
    """

    name: str
    title: str
    description: str
    instruction: str
    metric: Metric
    metrics: tuple[Metric, ...]
    build: Callable[[Vocabulary, Metric], Plan]
