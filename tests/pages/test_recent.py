"""So many entries and no more, those used last."""

from __future__ import annotations

from pages.shared.recent import Recent


def test_the_least_recently_used_goes_and_asking_is_a_use() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.note("a", 1)
    recent.note("b", 2)
    assert recent.get("a") == 1
    recent.note("c", 3)
    assert (recent.get("a"), recent.get("b"), recent.get("c")) == (1, None, 3)
    recent.note("a", 4)  # noted again: the one entry, now the latest
    recent.note("d", 5)
    assert (recent.get("a"), recent.get("c"), recent.get("d")) == (4, None, 5)


def test_what_is_forgotten_is_gone_and_what_is_not_there_may_be() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.note("a", 1)
    recent.forget("a")
    recent.forget("b")
    assert recent.get("a") is None
