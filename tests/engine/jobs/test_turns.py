"""Threads that take turns: who works when, whose clock runs, and that nobody waits forever."""

from __future__ import annotations

import threading
import time

import pytest

from engine.jobs.turns import Turn, take_turns

PATIENCE = 10.0  # seconds until a test that hangs is given up


def run(*works) -> None:
    """Each work in a thread of its own; fails if one hangs or raises."""
    errors: list[BaseException] = []

    def guarded(work) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "a thread waits forever"
    if errors:
        raise errors[0]


def work_for(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_one_at_a_time_and_never_more_than_a_slice_and_a_chunk_ahead() -> None:
    chunk, turns = 0.004, take_turns(2, slice_seconds=0.01)
    at_work: set[str] = set()
    lead: list[float] = []

    def contestant(name: str, turn: Turn, other: Turn, chunks: int) -> None:
        with turn:
            for _ in range(chunks):
                at_work.add(name)
                assert at_work == {name}
                work_for(chunk)
                at_work.remove(name)
                turn.pass_on()
            lead.append(turn.now() - other.now())

    run(lambda: contestant("a", *turns, 25), lambda: contestant("b", *reversed(turns), 25))
    # Whoever comes last has at most what the first had left it plus its own last chunk: both worked as long.
    assert all(abs(ahead) < 0.1 for ahead in lead)


def test_whoever_worked_least_goes_next() -> None:
    order: list[str] = []
    turns = take_turns(3, slice_seconds=0)

    def contestant(name: str, turn: Turn) -> None:
        with turn:
            for _ in range(3):
                order.append(name)
                work_for(0.002)
                turn.pass_on()

    run(*(lambda name=name, turn=turn: contestant(name, turn) for name, turn in zip("abc", turns, strict=True)))
    assert order[0] == "a" and sorted(order[:3]) == ["a", "b", "c"]  # whoever has not worked yet comes before
    assert sorted(order) == sorted(3 * "abc")


def test_a_clock_stands_while_the_other_works() -> None:
    first, second = take_turns(2, slice_seconds=0)
    seen = {}

    def one() -> None:
        with first:
            first.pass_on()
            seen["standing"] = first.now()

    def two() -> None:
        with second:
            seen["before"] = first.now()
            work_for(0.05)
            seen["after"], seen["own"] = first.now(), second.now()

    run(one, two)
    assert seen["before"] == seen["after"]  # exactly: it stood
    assert seen["own"] - seen["before"] >= 0.04
    assert seen["standing"] - seen["before"] < 0.04


def test_nothing_is_handed_on_within_alone() -> None:
    first, second = take_turns(2, slice_seconds=0)
    lock, order = threading.Lock(), []

    def holder(turn: Turn) -> None:
        with turn:
            with turn.alone(), turn.alone(), lock:  # nested: the outer one counts too
                for _ in range(5):
                    work_for(0.001)
                    turn.pass_on()
                    order.append(turn)
            turn.pass_on()

    run(lambda: holder(first), lambda: holder(second))
    assert order == [first] * 5 + [second] * 5


def test_who_leaves_or_fails_leaves_the_other_alone() -> None:
    first, second = take_turns(2, slice_seconds=0)

    def fails() -> None:
        with first:
            raise ZeroDivisionError

    def goes_on() -> None:
        with second:
            for _ in range(100):
                second.pass_on()

    with pytest.raises(ZeroDivisionError):
        run(fails, goes_on)


def test_aside_the_other_works_on_and_nobody_waits_but_for_the_way_back() -> None:
    first, second = take_turns(2, slice_seconds=0)
    went, came = threading.Event(), threading.Event()
    seen: list[str] = []

    def steps_aside() -> None:
        with first:
            with first.aside(), first.aside():  # nested: one way back
                went.set()
                work_for(0.02)
                first.pass_on()  # takes no part, so it hands nothing on
                seen.append("aside")
                came.set()
            seen.append("back")

    def works_on() -> None:
        with second:
            assert went.wait(PATIENCE) and came.wait(PATIENCE)  # never hands on, yet the other gets on
            before = second.now()
            work_for(0.01)
            seen.append("worked")
            assert second.now() - before >= 0.01

    run(steps_aside, works_on)
    assert seen == ["aside", "worked", "back"]


def test_within_alone_nobody_steps_aside() -> None:
    first, second = take_turns(2, slice_seconds=0)
    order: list[str] = []

    def holder() -> None:
        with first, first.alone():
            with first.aside():
                work_for(0.02)
                order.append("first")
            order.append("first")

    def other() -> None:
        with second:
            order.append("second")

    run(holder, other)
    assert order == ["first", "first", "second"]


def test_alone_there_is_nobody_to_wait_for() -> None:
    turn = Turn()
    before = turn.now()
    with turn, turn.alone():
        turn.pass_on()
    assert turn.now() >= before
