"""The order in which jobs begin: owners take turns, and nobody is held up by what another has queued."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from engine.jobs.fair_queue import FairQueue


@dataclass(frozen=True)
class Request:
    number: int
    owners: tuple[str, ...]


def queue_of(*owners: str) -> FairQueue[Request]:
    """One request for each word: its letters are the owners."""
    queue = FairQueue[Request](lambda request: request.owners)
    for number, letters in enumerate(owners):
        queue.put(Request(number, tuple(letters)))
    return queue


def numbers(queue: FairQueue[Request]) -> list[int]:
    return [request.number for request in queue.order()]


def test_owners_take_turns_and_each_gets_his_own_in_order() -> None:
    queue = queue_of("a", "a", "a", "b", "b", "c")
    assert numbers(queue) == [0, 3, 5, 1, 4, 2]  # a b c, a b, a


def test_who_was_served_waits_for_those_who_were_not_even_if_he_asks_again() -> None:
    queue = queue_of("a", "a")
    assert queue.take().number == 0
    queue.put(Request(2, ("b",)))
    queue.put(Request(3, ("b",)))
    queue.put(Request(4, ("c",)))
    assert numbers(queue) == [2, 4, 1, 3]
    assert queue.take().number == 2
    queue.put(Request(5, ("d",)))  # never served: before a, who was
    assert numbers(queue) == [4, 5, 1, 3]


def test_a_shared_request_comes_at_the_best_place_of_its_owners_and_is_a_turn_of_each() -> None:
    queue = queue_of("a", "a", "a")
    queue.take()
    shared = queue.order()[0]
    queue.discard(lambda request: request is shared)
    queue.put(Request(9, ("a", "b")))
    queue.put(Request(10, ("b",)))
    assert numbers(queue) == [9, 2, 10]  # b's turn; then both have had one, and a's has waited longer


def test_what_is_let_go_is_nobodys_turn() -> None:
    queue = queue_of("a", "a", "b")
    queue.discard(lambda request: request.number == 0)
    assert numbers(queue) == [1, 2] and len(queue) == 2


def test_owners_that_change_change_the_order() -> None:
    owners: dict[int, tuple[str, ...]] = {0: ("a",), 1: ("a",), 2: ("a",)}
    queue = FairQueue[int](lambda number: owners[number])
    for number in owners:
        queue.put(number)
    queue.take()
    assert queue.order() == [1, 2]
    owners[2] = ("a", "b")
    assert queue.order() == [1, 2]  # not told yet
    queue.changed()
    assert queue.order() == [2, 1]


steps = st.lists(st.one_of(st.sampled_from("abcd"), st.just("take")), max_size=60)


@given(steps)
def test_nobody_waits_for_more_than_one_request_of_each_other_owner(steps: list[str]) -> None:
    queue, taken, number = queue_of(), [], 0
    for step in steps:
        if step == "take" and len(queue):
            foreseen = queue.order()[0]
            taken.append(queue.take())
            assert taken[-1] == foreseen
        elif step != "take":
            queue.put(Request(number, (step,)))
            number += 1
    for owner in "abcd":
        first = next((request for request in queue.order() if request.owners == (owner,)), None)
        if first is not None:  # the oldest of his that waits
            ahead = queue.order()[: queue.order().index(first)]
            assert all(sum(request.owners == (other,) for request in ahead) <= 1 for other in "abcd")
            assert first.number == min(r.number for r in queue.order() if r.owners == (owner,))
    rest = queue.order()
    assert [queue.take() for _ in rest] == rest  # what was foreseen is what happens
    everything = [request.number for request in (*taken, *rest)]
    assert sorted(everything) == list(range(number))  # none lost, none twice
