"""Gendered pronouns (Mathwin et al. 2023; METHOD section 3).

Clean: "So Mary is such a good friend, isn't" asks for " she".
Corrupted: "That person is such a good friend, isn't", which says nothing of gender.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from random import Random

from engine.tasks.prompts import Metric
from engine.tasks.recipe import Draft, Plan, Task
from engine.tasks.vocabulary import Vocabulary

CLAUSES = tuple(
    f" is {degree} a {{trait}} {{role}}, isn't"
    for degree in (
        "such", "really", "quite", "truly", "clearly", "still", "also", "always", "surely", "certainly",
        "obviously", "indeed", "definitely", "already", "rather",
    )
)  # fmt: skip
TRAITS = ("good", "great", "kind", "nice", "smart", "strong", "brave", "fine", "funny", "careful")
ROLES = ("friend", "student", "teacher", "doctor", "writer", "singer", "leader", "player", "driver", "worker")
MEN = ("John", "David", "Michael", "James", "Robert", "Paul", "Mark", "Peter", "Tom", "Richard")
WOMEN = ("Mary", "Sarah", "Anna", "Emma", "Lisa", "Susan", "Linda", "Jennifer", "Karen", "Elizabeth")
HE, SHE = " he", " she"


@dataclass(frozen=True)
class Words:
    """The fillers this tokenizer writes as single tokens."""

    men: tuple[str, ...]
    women: tuple[str, ...]
    traits: tuple[str, ...]
    roles: tuple[str, ...]


def build(vocabulary: Vocabulary, metric: Metric) -> Plan:
    words = Words(
        men=vocabulary.select(MEN, "male first names", least=2),
        women=vocabulary.select(WOMEN, "female first names", least=2),
        traits=vocabulary.select(TRAITS, "adjectives", least=2),
        roles=vocabulary.select(ROLES, "nouns for people", least=2),
    )
    return Plan(kinds=(tuple(partial(_write, clause, words) for clause in CLAUSES),))


def _write(clause: str, words: Words, rng: Random) -> Draft:
    male = rng.random() < 0.5
    name = rng.choice(words.men if male else words.women)
    rest = clause.format(trait=rng.choice(words.traits), role=rng.choice(words.roles))
    answer, distractor = (HE, SHE) if male else (SHE, HE)
    return Draft(f"So {name}{rest}", f"That person{rest}", answers=(answer,), distractors=(distractor,))


TASK = Task(
    name="pronouns",
    title="Gendered pronouns",
    description="So Mary is such a good friend, isn't ... she",
    instruction="A person is called by a first name: choose the pronoun that goes with the name.",
    metric=Metric.LOGIT_DIFF,
    metrics=(Metric.LOGIT_DIFF, Metric.PROB_DIFF),
    build=build,
)
