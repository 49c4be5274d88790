"""The headers of the real server, by its own answers."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest

from benchmarks.app_server import running_app
from engine.errors import HeadlightError
from pages.shared.headers import SecurityHeaders, headers
from tests.loops import in_a_loop

EXPECTED = {
    "x-content-type-options": "nosniff", "referrer-policy": "same-origin",
    "content-security-policy": "frame-ancestors 'self'",
}  # fmt: skip


def test_who_may_frame_the_app_is_configurable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADLIGHT_FRAMES", raising=False)
    assert headers() == EXPECTED
    monkeypatch.setenv("HEADLIGHT_FRAMES", "'self' https://huggingface.co")
    assert headers()["content-security-policy"] == "frame-ancestors 'self' https://huggingface.co"
    for wrong in ("*; script-src *", "https://a.b;x", "javascript:x"):
        monkeypatch.setenv("HEADLIGHT_FRAMES", wrong)
        with pytest.raises(HeadlightError, match="HEADLIGHT_FRAMES"):
            headers()


def test_an_answer_keeps_what_it_says_itself() -> None:
    sent: list[dict] = []

    async def answer(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"referrer-policy", b"no-referrer")]})

    async def send(message) -> None:
        sent.append(message)

    in_a_loop(SecurityHeaders(answer)({"type": "http"}, None, send))
    assert dict(sent[0]["headers"])[b"referrer-policy"] == b"no-referrer"
    assert dict(sent[0]["headers"])[b"x-content-type-options"] == b"nosniff"


@pytest.mark.slow
def test_the_server_sends_them_with_pages_files_and_its_health(tmp_path: Path) -> None:
    with running_app(tmp_path / "log") as address:
        for path in ("", "path-patching", "health", "_stcore/health"):
            with urllib.request.urlopen(f"{address}{path}", timeout=30) as answer:
                said = {name.lower(): value for name, value in answer.headers.items()}
            assert {name: said.get(name) for name in EXPECTED} == EXPECTED, path
