"""Docstring (Heimersheim and Janiak 2023; METHOD section 3).

A method takes self and six arguments: one to begin with, three that its ReST docstring describes in
order, two at the end. The docstring stops at the third ":param", where the third of the three is next.
Distractors: the other five arguments, of which the strongest counts (metric logit_diff_max).
Corrupted: every argument in signature and docstring becomes another name, all of them different, so
that the docstring no longer follows the signature. Everything else stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from engine.tasks.prompts import Metric
from engine.tasks.recipe import Draft, Plan, Task
from engine.tasks.vocabulary import Vocabulary

TEXT = '''class Machine:
    def {method}(self, {signature}):
        """Return the {words[0]} {words[1]}.

        :param {described[0]}: {words[2]} {words[3]} {words[4]}
        :param {described[1]}: {words[5]} {words[6]} {words[7]}
        :param'''
N_ARGUMENTS, N_DESCRIBED, N_WORDS = 6, 2, 8  # the third described argument is the answer
METHODS = """
build call check copy create draw find get load make move open parse play print push read run save search send set
show sort start stop test update visit write
"""
# Left out: keywords and builtins, and names that a small model finds so (un)likely after ":param", whatever the
# signature, that they decide the outcome.
ARGUMENTS = """
address angle array body book box case client code color column content context core count data date depth device
error field file filter frame function group height image index input key label layer length level limit line link
load log message mode network node number offset order output page parent part path pattern position process property
query radius rate result root row score section seed series signal size source space speed stage state step subject
system table target task team term test text thread time title tree user vector version volume weight width window
word zone
"""
WORDS = """
apple bank bird boat bread bridge brother camera cat chair church city coffee cow dance desk doctor dog door dream
egg engine eye family farm fish flag flower forest friend garden girl glass gold grass hand heart horse house island
kitchen lake leaf lion machine market milk moon morning mountain music night ocean oil paper piano planet rain river
road rock school ship snow song spring star stone storm street sugar summer sun tea tower train truck village wall
water wind winter wood
"""


@dataclass(frozen=True)
class Words:
    """The fillers this tokenizer writes as single tokens."""

    methods: tuple[str, ...]
    arguments: tuple[str, ...]
    words: tuple[str, ...]


def build(vocabulary: Vocabulary, metric: Metric) -> Plan:
    words = Words(
        methods=vocabulary.select(METHODS.split(), "method names"),
        arguments=vocabulary.select(ARGUMENTS.split(), "argument names", least=2 * N_ARGUMENTS + N_DESCRIBED),
        words=vocabulary.select(WORDS.split(), "nouns", least=N_WORDS),
    )
    return Plan(kinds=((partial(_write, words),),))


def _write(words: Words, rng: Random) -> Draft:
    method, fillers = rng.choice(words.methods), rng.sample(words.words, N_WORDS)
    usable = [name for name in words.arguments if name != method]
    names = rng.sample(usable, 2 * N_ARGUMENTS + N_DESCRIBED)
    own, other, other_described = names[:N_ARGUMENTS], names[N_ARGUMENTS:-N_DESCRIBED], names[-N_DESCRIBED:]

    def fill(arguments: Sequence[str], described: Sequence[str]) -> str:
        return TEXT.format(method=method, signature=", ".join(arguments), described=described, words=fillers)

    _, first, second, answer, *_ = own
    return Draft(
        clean=fill(own, (first, second)),
        corrupted=fill(other, other_described),
        answers=(f" {answer}",),
        distractors=tuple(f" {name}" for name in own if name != answer),
    )


TASK = Task(
    name="docstring",
    title="Docstring",
    description="def read(self, mode, file, size, key, ...): ... :param file: ... :param size: ... :param ... key",
    instruction="A docstring describes a method's arguments in order: name the next one.",
    metric=Metric.LOGIT_DIFF_MAX,
    metrics=(Metric.LOGIT_DIFF_MAX, Metric.LOGIT_DIFF, Metric.PROB_DIFF),
    build=build,
)
