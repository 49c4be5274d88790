"""Who is here, whose jobs are whose, and what those who leave leave behind."""

from __future__ import annotations

from pages.shared.visitors import COOKIE, BrowserCookie, Visitors
from tests.loops import in_a_loop


class Sessions(set):
    """Those that are connected."""

    def visitors(self) -> Visitors:
        return Visitors(lambda session: session in self)


def test_an_owner_is_here_while_one_of_his_sessions_is_connected() -> None:
    connected = Sessions({"s1", "s2", "s3"})
    here = connected.visitors()
    assert here.note("s1", "a") and here.note("s2", "a") and here.note("s3", "b") and not here.note("s1", "a")
    assert here.is_here("a") and here.is_here("b") and not here.is_here("c") and here.count() == 3
    connected.remove("s1")
    assert here.is_here("a") and here.count() == 2
    connected.remove("s2")
    assert not here.is_here("a")


def test_who_moves_on_leaves_what_he_looked_at_and_others_may_stay() -> None:
    here = Sessions({"s1", "s2"}).visitors()
    for session, owner in (("s1", "a"), ("s2", "b")):
        here.note(session, owner)
        here.move(session, "view")
    assert here.left() == []
    here.move("s1", "other")
    assert here.left() == [("view", "a")] and here.is_followed("view")
    here.move("s2", "third")
    assert here.left() == [("view", "b")] and not here.is_followed("view")
    assert here.left() == []  # told once


def test_who_looks_at_it_in_another_tab_has_not_left() -> None:
    here = Sessions({"s1", "s2"}).visitors()
    for session in ("s1", "s2"):
        here.note(session, "a")
        here.move(session, "view")
    here.move("s1", "other")
    assert here.left() == [] and here.is_followed("view")


def test_a_closed_tab_leaves_what_it_looked_at() -> None:
    connected = Sessions({"s1", "s2"})
    here = connected.visitors()
    for session in ("s1", "s2"):
        here.note(session, session)
        here.move(session, session)
    connected.remove("s1")
    assert here.left() == [("s1", "s1")] and not here.is_followed("s1") and here.is_followed("s2")
    assert here.note("s1", "s1")  # back again: a new visit


def responded(kind: str, cookie: str = "") -> list[bytes]:
    """The cookies that a browser is given with a response of that kind."""
    sent = []

    async def app(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind.encode())]})

    async def send(message) -> None:
        sent.append(message)

    async def receive() -> dict:
        return {}

    headers = [(b"cookie", cookie.encode())] if cookie else []
    in_a_loop(BrowserCookie(app)({"type": "http", "headers": headers}, receive, send))
    return [value for name, value in sent[0]["headers"] if name == b"set-cookie"]


def test_a_browser_gets_one_random_number_with_its_first_page() -> None:
    [first], [second] = responded("text/html; charset=utf-8"), responded("text/html", "other=1")
    assert first.startswith(COOKIE.encode() + b"=") and first != second
    assert first.endswith(b"; Path=/; HttpOnly; SameSite=Lax") and len(first.partition(b";")[0]) == len(COOKIE) + 33
    assert responded("text/html", f"other=1; {COOKIE}=abc") == [] and responded("text/javascript") == []
