"""Indirect Object Identification (Wang et al. 2022; METHOD section 3).

Two people are named, one of them again as the giver; the receiver must be the other one.
Answer: the indirect object (IO), named once. Distractor: the subject (S), named twice.
Corrupted: all three names are replaced by three other names, so nothing tells IO from S.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from random import Random

from engine.tasks.prompts import Metric
from engine.tasks.recipe import Draft, Plan, Task
from engine.tasks.vocabulary import Vocabulary

# Seven frames of the same length for tokenizers that keep common words whole: then all pairs of a
# task run as one batch. {giver} never starts the text, where a name would be another token.
FRAMES = (
    "When {first} and {second} went to the {place}, {giver} gave a {thing} to",
    "After {first} and {second} came to the {place}, {giver} handed a {thing} to",
    "While {first} and {second} were at the {place}, {giver} passed a {thing} to",
    "Then {first} and {second} met at the {place}, {giver} offered a {thing} to",
    "Since {first} and {second} worked at the {place}, {giver} sold a {thing} to",
    "As {first} and {second} walked to the {place}, {giver} showed a {thing} to",
    "Before {first} and {second} left for the {place}, {giver} lent a {thing} to",
)
PLACES = ("store", "park", "school", "library", "market", "office", "garden", "museum")
THINGS = ("drink", "book", "ball", "ring", "letter", "gift", "card", "coin")
NAMES = """
Aaron Adam Alan Alex Alice Amy Andrew Angela Ann Anna Anthony Arthur Barbara Ben Bill Bob Brian Carl Carol Charles
Charlie Chris Christine Claire Craig Daniel David Diana Donald Dylan Edward Elizabeth Ellen Emily Emma Eric Ethan
Frank Fred Gary George Grace Graham Greg Hannah Harry Helen Henry Howard Ian Jack Jacob James Jane Jason Jeff Jennifer
Jessica Jim Joe John Jonathan Joseph Julia Julie Karen Kate Keith Kelly Ken Kevin Kim Kyle Laura Lee Lewis Linda Lisa
Louis Lucy Luke Marcus Maria Mark Martin Mary Matt Matthew Michael Michelle Mike Nancy Neil Nick Oliver Pat Patrick
Paul Peter Philip Rachel Ralph Rebecca Richard Robert Roger Rose Ruth Ryan Sam Samuel Sara Sarah Scott Sean Simon
Stephen Steve Steven Susan Thomas Tim Tom Tony Victoria Walter William
"""


@dataclass(frozen=True)
class Words:
    """The fillers this tokenizer writes as single tokens."""

    names: tuple[str, ...]
    places: tuple[str, ...]
    things: tuple[str, ...]


def build(vocabulary: Vocabulary, metric: Metric) -> Plan:
    words = Words(
        names=vocabulary.select(NAMES.split(), "first names", least=6),
        places=vocabulary.select(PLACES, "places", least=2),
        things=vocabulary.select(THINGS, "objects", least=2),
    )
    return Plan(
        kinds=(
            tuple(partial(_write, frame, words, True) for frame in FRAMES),  # ABBA: "A and B ..., B gave ... to" A
            tuple(partial(_write, frame, words, False) for frame in FRAMES),  # BABA: "B and A ..., B gave ... to" A
        )
    )


def _write(frame: str, words: Words, io_first: bool, rng: Random) -> Draft:
    io, subject, *others = rng.sample(words.names, 5)
    place, thing = rng.choice(words.places), rng.choice(words.things)

    def fill(first: str, second: str, giver: str) -> str:
        return frame.format(first=first, second=second, giver=giver, place=place, thing=thing)

    first, second = (io, subject) if io_first else (subject, io)
    return Draft(fill(first, second, subject), fill(*others), answers=(f" {io}",), distractors=(f" {subject}",))


TASK = Task(
    name="ioi",
    title="Indirect object identification",
    description="When Mary and John went to the store, John gave a drink to ... Mary",
    instruction="Two people are named and one of them gives something: name the other one.",
    metric=Metric.LOGIT_DIFF,
    metrics=(Metric.LOGIT_DIFF, Metric.PROB_DIFF),
    build=build,
)
