"""Words to put in the place of others: of the same meaning first, then of the same kind.

Which words are single tokens depends on the tokenizer, so nothing is said about that here: whoever takes a word
checks it. The plainest words come first in each group, as those are likeliest to be whole.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.tasks import greater_than, induction, induction_random, ioi, pronouns

MEANINGS = tuple(
    tuple(line.split())
    for line in """
car vehicle automobile motorcar
boat ship vessel yacht rowboat
plane aircraft aeroplane airplane
train railway locomotive
bike cycle bicycle motorbike
store shop supermarket bookshop bookstore
school college academy kindergarten
library archive athenaeum
market bazaar marketplace
office bureau workplace
garden yard orchard backyard
park meadow playground
museum gallery planetarium
station stop terminus
hospital clinic infirmary
house home cottage bungalow
hotel inn guesthouse
church temple chapel cathedral
beach shore seaside
restaurant cafe bistro canteen
street road avenue boulevard
drink juice lemonade beverage
coffee tea espresso cappuccino
book novel paperback hardback
letter note postcard telegram
gift present souvenir keepsake
ring jewel necklace bracelet
ball toy football basketball
coin penny farthing
card ticket postcard
phone telephone smartphone cellphone
computer machine laptop
picture photo photograph snapshot
lamp light lantern chandelier
bag sack suitcase backpack rucksack
coat jacket overcoat raincoat
hat cap bonnet sombrero
dog puppy hound poodle
cat kitten tomcat
bird sparrow nightingale
horse pony stallion
fish trout mackerel
man gentleman bloke
woman lady gentlewoman
boy lad youngster
girl daughter lass
child kid toddler
friend companion pal comrade
doctor physician surgeon
teacher professor schoolmaster
student pupil schoolboy schoolgirl
writer author novelist
big large huge enormous gigantic
small little tiny minuscule
good great excellent marvellous
bad poor awful dreadful
happy glad cheerful joyful
sad unhappy sorrowful
fast quick rapid speedy
old ancient antiquated
new fresh novel
gave handed presented
said told remarked
went walked strolled wandered
saw noticed spotted glimpsed
bought got purchased
made built constructed
""".splitlines()
    if line
)

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
NUMBERS = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
COLOURS = (
    "red", "blue", "green", "black", "white", "brown", "yellow", "pink", "grey", "purple", "orange", "turquoise",
    "crimson", "magenta",
)  # fmt: skip
COUNTRIES = (
    "France", "Germany", "Italy", "Spain", "China", "Japan", "India", "Canada", "Russia", "Brazil", "Egypt", "Greece",
    "Poland", "Mexico", "Sweden", "Norway", "Portugal", "Liechtenstein", "Kyrgyzstan", "Azerbaijan",
)  # fmt: skip
CITIES = (
    "London", "Paris", "Berlin", "Rome", "Madrid", "Moscow", "Tokyo", "Boston", "Chicago", "Vienna", "Dublin", "Oslo",
    "Athens", "Prague", "Lisbon", "Budapest", "Reykjavik", "Ljubljana",
)  # fmt: skip
PRONOUNS = ("he", "she", "they", "we", "you", "it")

KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("name", (*pronouns.MEN, *pronouns.WOMEN, *ioi.NAMES.split(), *induction.NAMES.split())),
    ("weekday", WEEKDAYS),
    ("month", MONTHS),
    ("number", NUMBERS),
    ("colour", COLOURS),
    ("country", COUNTRIES),
    ("city", CITIES),
    ("pronoun", PRONOUNS),
    ("place", tuple(dict.fromkeys((*ioi.PLACES, *induction.PLACES)))),
    ("object", tuple(dict.fromkeys((*ioi.THINGS, *induction.THINGS)))),
    ("trait", pronouns.TRAITS),
    ("role", pronouns.ROLES),
    ("event", greater_than.NOUNS),
    ("noun", tuple(induction_random.WORDS.split())),
)
SYNONYM = "synonym"
OTHER_NAME = "name"  # what a capitalised word that is in no list most likely is


def alternatives(word: str) -> Iterator[tuple[str, str]]:
    """Words for ``word`` and what they are to it (SYNONYM, or another of a kind), the nearest first.

    A capital letter is kept. An unknown word with one counts as a name.
    """
    lowered = word.lower()
    for group in MEANINGS:
        if lowered in group:
            yield from ((_cased(other, word), SYNONYM) for other in group if other != lowered)
    known = False
    for kind, words in KINDS:
        if word in words or lowered in words:
            known = True
            yield from ((_cased(other, word), f"another {kind}") for other in words if other.lower() != lowered)
    if word.isdigit():
        yield from ((other, "another number") for other in _numbers_as_long(word))
    elif word[:1].isupper() and not known:
        yield from ((other, f"another {OTHER_NAME}") for other in dict(KINDS)[OTHER_NAME])


def _cased(other: str, like: str) -> str:
    return other[:1].upper() + other[1:] if like[:1].isupper() else other


def _numbers_as_long(word: str) -> list[str]:
    """A few numbers of as many digits, near the word's own."""
    start = int(word)
    near = (str(start + step) for step in (1, -1, 2, -2, 3, -3, 10, -10) if start + step >= 0)
    return [other for other in near if len(other) == len(word)]
