"""Greater-than (Hanna et al. 2023; METHOD section 3).

"The war lasted from the year 1732 to the year 17": the years that may follow are those after 32.
Corrupted: the first year ends in 01, so that (almost) every year may follow.

What is scored depends on how the tokenizer writes years:

* two-digit pairs (GPT-2: 17|32): answers are the tokens of all YY' > YY. Distractors are those of
  YY' < YY for the logit difference, of YY' <= YY for the probability difference (as in their sources).
  Years that the tokenizer writes otherwise (1600 is one token) are left out;
* single digits (Llama, SmolLM2, Qwen: 1|7|3|2): the next token is the tens digit alone. YY ends in 9,
  so that the tens digit decides: answers are the tens digits above YY's own, distractors the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random

from engine.errors import HeadlightError
from engine.tasks.prompts import Metric
from engine.tasks.recipe import Draft, Plan, Task
from engine.tasks.vocabulary import Vocabulary

NOUNS = (
    "war", "peace", "conflict", "crisis", "strike", "reign", "rule", "trial", "journey", "voyage", "trip", "expedition",
    "project", "program", "experiment", "study", "survey", "search", "tour", "campaign", "battle", "rebellion",
    "revolution", "struggle", "dispute", "debate", "drought", "plague", "epidemic", "construction", "partnership",
    "marriage", "contract", "plan",
)  # fmt: skip
CENTURIES = range(11, 18)
YEARS = range(3, 97)  # YY; some years remain below and above
TENS = range(1, 9)
CORRUPTED_YEAR = "01"
DIGIT_NOTE = (
    "This tokenizer writes years digit by digit, so the tens digit is what is scored: first years end in 9, answers "
    "are the tens digits above the first year's, distractors the others."
)


def build(vocabulary: Vocabulary, metric: Metric) -> Plan:
    nouns = vocabulary.select(NOUNS, "nouns that last", least=2)
    if _by_digit(vocabulary):
        return Plan(kinds=((partial(_write_tens, nouns),),), note=DIGIT_NOTE)
    pairs = {str(century): _paired_years(vocabulary, str(century)) for century in CENTURIES}
    return Plan(kinds=((partial(_write_pairs, nouns, _first_years(pairs), pairs, metric),),))


def _by_digit(vocabulary: Vocabulary) -> bool:
    """Whether the tokenizer writes every digit of a year as its own token."""
    added = [vocabulary.continuation(_stem("war", "1732"), text) or () for text in ("3", "32")]
    return [len(tokens) for tokens in added] == [1, 2]


def _paired_years(vocabulary: Vocabulary, century: str) -> tuple[str, ...]:
    """The YY that the tokenizer writes as one token after the century's; some years it writes otherwise (1600)."""
    before = vocabulary.in_context(century)
    written = {f"{year:02d}": vocabulary.in_context(f"{century}{year:02d}") for year in range(100)}
    return tuple(year for year, tokens in written.items() if len(tokens) == 2 and tokens[:1] == before)


def _first_years(pairs: dict[str, tuple[str, ...]]) -> tuple[tuple[str, str], ...]:
    """First years (century, YY) to draw from: those with a later year, in centuries where 01 can replace YY.

    Raises HeadlightError if there are none.
    """
    found = tuple(
        (century, year)
        for century, years in pairs.items()
        if CORRUPTED_YEAR in years
        for year in years[:-1]
        if int(year) in YEARS
    )
    if not found:
        raise HeadlightError(
            "Expected a tokenizer that writes years as two-digit pairs (17|32) or digit by digit (1|7|3|2), but only "
            f"{sum(map(len, pairs.values()))} of {100 * len(pairs)} years are. "
            "Choose another task or model, or bring prompts of your own."
        )
    return found


def _stem(noun: str, year: str) -> str:
    return f"The {noun} lasted from the year {year} to the year {year[:2]}"


def _write_pairs(
    nouns: Sequence[str],
    first_years: Sequence[tuple[str, str]],
    pairs: dict[str, tuple[str, ...]],
    metric: Metric,
    rng: Random,
) -> Draft:
    noun, (century, year) = rng.choice(nouns), rng.choice(first_years)
    without = year if metric is Metric.LOGIT_DIFF else ""
    return Draft(
        clean=_stem(noun, century + year),
        corrupted=_stem(noun, century + CORRUPTED_YEAR),
        answers=tuple(other for other in pairs[century] if other > year),
        distractors=tuple(other for other in pairs[century] if other <= year and other != without),
    )


def _write_tens(nouns: Sequence[str], rng: Random) -> Draft:
    noun, century, tens = rng.choice(nouns), rng.choice(CENTURIES), rng.choice(TENS)
    return Draft(
        clean=_stem(noun, f"{century}{tens}9"),
        corrupted=_stem(noun, f"{century}{CORRUPTED_YEAR}"),
        answers=tuple(str(later) for later in range(tens + 1, 10)),
        distractors=tuple(str(earlier) for earlier in range(tens + 1)),
    )


TASK = Task(
    name="greater-than",
    title="Greater-than",
    description="The war lasted from the year 1732 to the year 17 ... any year after 32",
    instruction="A period starts in a given year: complete the last year so that it comes later.",
    metric=Metric.LOGIT_DIFF,
    metrics=(Metric.LOGIT_DIFF, Metric.PROB_DIFF),
    build=build,
)
