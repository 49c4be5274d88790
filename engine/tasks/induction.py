"""Induction on names (METHOD section 3, first variant).

A name of two tokens A B occurs in running text; the text stops at the second A, where B is next.
Corrupted: another two-token name in the first place and the first token of a third name in the
last, so that nothing says what follows. Distractor: the second token of that third name.

Which names have two tokens depends on the tokenizer, so the list is long and mostly of rare names.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from random import Random

from engine.errors import HeadlightError
from engine.tasks.prompts import Metric
from engine.tasks.recipe import Draft, Plan, Task
from engine.tasks.vocabulary import Vocabulary

# {name} is the whole name, {start} its first token: it ends the prompt. Names follow a space.
TEXTS = (
    "Recently, {name} walked to the {place}. Then, {start}",
    "Earlier, {name} drove to the {place}. Later, {start}",
    "Once, {name} went to the {place}. Today, {start}",
    "First, {name} came to the {place}. Now, {start}",
    "Today, {name} stayed at the {place}. Soon, {start}",
    "Later, {name} ran to the {place}. There, {start}",
    "Then, {name} waited at the {place}. Again, {start}",
    "Sometimes, {name} sat in the {place}. Often, {start}",
    "Usually, {name} worked at the {place}. However, {start}",
    "Originally, {name} lived near the {place}. Still, {start}",
    "Suddenly, {name} left for the {place}. Meanwhile, {start}",
    "Finally, {name} returned to the {place}. So, {start}",
    "Recently, {name} bought a new {thing}. Then, {start}",
    "Earlier, {name} lost an old {thing}. Later, {start}",
    "Once, {name} found a small {thing}. Today, {start}",
    "First, {name} made a big {thing}. Now, {start}",
    "Later, {name} saw a red {thing}. There, {start}",
    "Finally, {name} sold the old {thing}. So, {start}",
)
PLACES = ("store", "park", "school", "library", "market", "office", "garden", "museum", "station", "hospital")
FEWEST_NAMES = 6
THINGS = ("car", "book", "ball", "ring", "table", "box", "chair", "boat", "coat", "lamp")
NAMES = """
Abner Adela Adelaide Adolf Agatha Agnes Alaric Alastair Alberta Alden Aldous Alfredo Algernon Alina Alistair Alma
Almira Alonzo Amara Ambrose Amelie Amos Anatole Ansel Anselm Antonia Araminta Archibald Ariadne Arlene Armand Arno
Astrid Atticus Aurelia Barnaby Bartholomew Basil Beatrix Benedict Bernice Bertha Bianca Blanche Boris Bronwyn Bruno
Calista Calvin Camilla Carlotta Casimir Caspar Cassandra Cecil Cedric Celeste Celia Chester Clarissa Claudia Clement
Clive Constance Cordelia Cornelius Cosima Cyril Cyrus Dagmar Dahlia Damian Daphne Darius Delia Delphine Demetrius
Desmond Dexter Dimitri Dorian Dorothea Edgar Edith Edmund Edna Edwin Elmer Elsa Elvira Emeric Enid Erica Ernest Esmond
Estelle Ethel Eudora Eunice Evangeline Fabian Felicity Felix Fergus Fiona Flora Florian Floyd Frida Galen Gareth
Genevieve Gerda Gertrude Gideon Gilbert Gladys Godfrey Greta Griselda Gunther Gustav Gwendolyn Hamish Harriet Hector
Hedwig Heloise Henrietta Hermione Hilda Horace Hortense Hugo Ignatius Imelda Imogen Ingrid Irma Isadora Isolde Ivan
Ivor Jarvis Jerome Joaquin Jocelyn Josephine Judith Julius Juno Katinka Klara Klaus Konrad Lambert Lavinia Leander
Leila Lenora Leopold Lionel Lisbeth Loretta Lorna Lucinda Ludwig Lydia Mabel Magda Malcolm Marcella Marina Marius
Matilda Maude Maurice Maximilian Melvin Mildred Millicent Minerva Miranda Monica Montague Mortimer Muriel Myrtle Nadia
Nestor Neville Nigel Octavia Odette Olga Ophelia Orson Oswald Ottilie Otto Percival Perdita Philippa Phineas Phoebe
Phyllis Priscilla Quentin Ramona Raphael Regina Reginald Roderick Roland Rosalind Rowena Rufus Rupert Sabina Salome
Saskia Selma Seraphina Sidney Sigmund Sigrid Silvester Sybil Sylvia Tabitha Thaddeus Thelma Theodora Thora Tobias
Ulrich Ursula Vera Verena Vernon Vesper Viola Virgil Vivienne Waldo Wallace Wilbur Wilfred Wilhelmina Winifred Winston
Xenia Yolanda Yvette Yvonne Zelda Zenobia
"""


@dataclass(frozen=True)
class Name:
    """A name split where its first token ends: the texts of A and B."""

    start: str
    end: str


@dataclass(frozen=True)
class Words:
    """Two-token names and single-token fillers."""

    names: tuple[Name, ...]
    places: tuple[str, ...]
    things: tuple[str, ...]


def build(vocabulary: Vocabulary, metric: Metric) -> Plan:
    words = Words(
        names=_split_names(vocabulary),
        places=vocabulary.select(PLACES, "places", least=2),
        things=vocabulary.select(THINGS, "objects", least=2),
    )
    return Plan(kinds=(tuple(partial(_write, text, words) for text in TEXTS),))


def _split_names(vocabulary: Vocabulary) -> tuple[Name, ...]:
    """The two-token names, no two with the same first or the same second token."""
    names: list[Name] = []
    for text in vocabulary.select(NAMES.split(), "names", n_tokens=2, least=FEWEST_NAMES):
        name = _split(vocabulary, text)
        if name and all(name.start != other.start and name.end != other.end for other in names):
            names.append(name)
    if len(names) < FEWEST_NAMES:
        raise HeadlightError(
            f"Expected at least {FEWEST_NAMES} two-token names that share no token with another, but with this model's "
            f"tokenizer there are {len(names)} among {len(NAMES.split())}. Choose another task or model, or bring "
            "prompts of your own."
        )
    return tuple(names)


def _split(vocabulary: Vocabulary, text: str) -> Name | None:
    """``text`` cut after its first token; None if that token is not what the cut text alone would be."""
    first = vocabulary.in_context(text)[:1]
    for cut in range(1, len(text)):
        if vocabulary.in_context(text[:cut]) == first:
            return Name(text[:cut], text[cut:])
    return None


def _write(text: str, words: Words, rng: Random) -> Draft:
    own, other, last = rng.sample(words.names, 3)
    place, thing = rng.choice(words.places), rng.choice(words.things)

    def fill(name: Name, start: str) -> str:
        return text.format(name=name.start + name.end, start=start, place=place, thing=thing)

    return Draft(
        clean=fill(own, own.start),
        corrupted=fill(other, last.start),
        answers=(own.end,),
        distractors=(last.end,),
        distractors_follow_corrupted=True,
    )


TASK = Task(
    name="induction",
    title="Induction, names",
    description="Recently, Beatrix walked to the park. Then, Beat ... rix",
    instruction="A rare name of two tokens comes a second time: after its first token, complete it.",
    metric=Metric.LOGIT_DIFF,
    metrics=(Metric.LOGIT_DIFF, Metric.PROB_DIFF),
    build=build,
)
