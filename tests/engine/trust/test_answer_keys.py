import json

import pytest

from engine.heads import Head
from engine.models.registry import find_card
from engine.models.sources import TOY_FOLDER
from engine.tasks.task import TASKS
from engine.trust.answer_keys import against_key, answer_keys, models_with_keys


@pytest.mark.parametrize(
    ("task", "sizes"), [("ioi", [26, 21]), ("greater-than", [9, 8]), ("pronouns", [9]), ("induction", [5])]
)
def test_published_circuits_of_gpt2_have_their_size_and_fit_the_model(task, sizes):
    keys = answer_keys("gpt2", task)
    assert [len(key.heads) for key in keys] == sizes
    card = find_card("gpt2")
    assert all(head.layer < card.n_layers and head.index < card.n_heads for key in keys for head in key.heads)
    assert all(key.source for key in keys) and task in {known.name for known in TASKS}


def test_roles_are_kept():
    wang = answer_keys("gpt2", "ioi")[0]
    assert wang.roles[Head(9, 9)] == "name mover" and wang.roles[Head(11, 10)] == "negative name mover"


def test_the_toy_key_is_the_toy_models_circuit():
    (key,) = answer_keys("toy-induction", "induction-random")
    known = json.loads((TOY_FOLDER / "circuit.json").read_text(encoding="utf-8"))
    assert [str(head) for head in key.heads] == known["heads"]


def test_most_models_have_no_key():
    assert answer_keys("smollm2-135m", "ioi") == ()


def test_overlap_sorts_heads_into_three():
    [key] = answer_keys("toy-induction", "induction-random")
    same = against_key([Head(1, 2), Head(0, 5)], key)
    assert (same.common, same.only_first, same.only_second) == ((Head(1, 2),), (Head(0, 5),), (Head(0, 1),))
    assert (same.precision, same.recall) == (0.5, 0.5)


def test_models_with_keys_are_listed_once():
    pairs = models_with_keys()
    assert ("gpt2", "ioi") in pairs and len(pairs) == len(set(pairs))
