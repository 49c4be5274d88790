"""Induction on random words (METHOD section 3, second variant).

1. ``period`` distinct random words are written once, then again from the start.
2. The text stops in the second round after a word A; the word B that followed A the first time is next.
3. Corrupted: A and B of the first round and the final A become two other words A' and B', so the
   prompt asks for B' instead. Distractor: B'.

All prompts have LENGTH tokens and differ in their period, so that they run as one batch while the
positions of A and B stay fixed within a template group. Each word but those repeated occurs once.
"""

from __future__ import annotations

from functools import partial
from random import Random

from engine.tasks.prompts import Metric
from engine.tasks.recipe import Draft, Plan, Task
from engine.tasks.vocabulary import Vocabulary

LENGTH = 23
PERIODS = (12, 13, 14, 15)  # LENGTH < 2 * period: the answer has been seen exactly once
ENOUGH_WORDS = 60
WORDS = """
apple arm army arrow baby bag bank bar bear bed bell bird black blood blue board boat body bone book bottle box boy
brain branch bread bridge brother brown bus butter button cake camera camp car card carpet case cat chain chair chest
chicken child church circle city class clock cloth cloud coat coffee color copper corn cotton country cow cream crown
cup curtain dance desk dinner doctor dog door dream dress drink driver drum dust eagle ear earth egg engine evening
eye face family farm father feather field finger fire fish flag floor flower fog food foot forest fork fox frame
friend fruit garden gate gift girl glass gold grape grass green guitar hair hammer hand hat head heart hill holiday
honey hook horse hospital hotel hour house husband ice iron island jacket jewel judge juice key king kitchen knee
knife lady lake lamp leaf leg lemon letter light line lion lip lock machine map market meal meat metal milk mirror
money monkey month moon morning mother mountain mouse mouth music nail neck needle nest night north nose nurse ocean
office oil orange oven page paint palace paper party pencil pepper phone piano picture pilot pipe planet plant plate
pocket poet police pool prince queen rabbit radio rain rice ring river road rock roof room root rope rose sailor salt
sand school sea seed shadow sheep ship shirt shoe shop silk silver sister skin sky smoke snake snow soap soldier song
soup south spoon spring square star station steam stone storm street sugar summer sun table tail tea teacher tent
thumb tiger tongue tooth tower toy train tree truck uncle village voice wall water wave west wheel white wife window
wine wing winter wolf woman wood wool writer yard year
"""


def build(vocabulary: Vocabulary, metric: Metric) -> Plan:
    words = _words(vocabulary)
    return Plan(kinds=(tuple(partial(_write, period, words) for period in PERIODS),))


def _words(vocabulary: Vocabulary) -> tuple[str, ...]:
    """Words of the list above; for a tokenizer that knows few of them, words of its own vocabulary."""
    known = vocabulary.select(WORDS.split(), "words", least=0)
    if len(known) >= ENOUGH_WORDS:
        return known
    return vocabulary.select(vocabulary.ordinary_words(), "ordinary words", least=max(PERIODS) + 2)


def _write(period: int, words: tuple[str, ...], rng: Random) -> Draft:
    *first_round, other_a, other_b = rng.sample(words, period + 2)
    a, b = (LENGTH - 1) % period, LENGTH % period
    changed = list(first_round)
    changed[a], changed[b] = other_a, other_b
    return Draft(
        clean=_text(first_round),
        corrupted=_text(changed),
        answers=(f" {first_round[b]}",),
        distractors=(f" {other_b}",),
        distractors_follow_corrupted=True,
    )


def _text(first_round: list[str]) -> str:
    return "".join(f" {word}" for word in (first_round * 2)[:LENGTH])


TASK = Task(
    name="induction-random",
    title="Induction, random words",
    description="Random words, then the same words again: cup road sing ... cup road ... sing",
    instruction="A row of random words repeats: continue it with the word that followed the first time.",
    metric=Metric.LOGIT_DIFF,
    metrics=(Metric.LOGIT_DIFF, Metric.PROB_DIFF),
    build=build,
)
