"""Text from links, rows, keys and files is shown as text: no tag, picture, link or formula of it reaches the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.heads import Head
from engine.tasks import own
from engine.tasks.own import own_task
from engine.tasks.table import Row
from engine.trust import own_keys
from engine.trust.answer_key_file import AnswerKey
from tests.pages.conftest import OpenApp, open_app  # noqa: F401 - a fixture

PAYLOAD = "<img src=x onerror=alert(1)>![p](http://evil.example/x.png)$\\frac{1}{2}$:red[a]</script>"
MARKDOWN = ("markdown", "caption", "error", "warning", "info", "success")
LIVE = ("![p](http", "$\\frac{1}", ":red[a]")  # escaped, a backslash stands before each sign
ROOMS = ("explorer", "prompts", "head_scores", "pruning", "path_patching", "circuit", "verification", "compare", "race")


def live(app: AppTest) -> list[str]:
    """What of the payload a browser would act upon."""
    html = [element.proto.body for element in app.get("html")]
    found = [body for body in html if "<img src=x" in body or "</script>" in body]
    for kind in MARKDOWN:
        found += [each.value for each in app.get(kind) if any(sign in each.value for sign in LIVE)]
    return found


def test_a_live_payload_would_be_seen() -> None:
    def page() -> None:
        import streamlit as st

        from pages.shared import look
        from tests.hardening.test_markup import PAYLOAD

        st.html(f"<p>{PAYLOAD}</p>")
        for show in (st.markdown, st.caption, st.error):
            show(PAYLOAD)
            show(look.plain(PAYLOAD))
        look.note(PAYLOAD)

    app = AppTest.from_function(page, default_timeout=60).run()
    assert len(live(app)) == 4, "one html and three markdowns; escaped ones are not live"


@pytest.mark.parametrize("field", ["model", "task", "find", "names", "edge", "union", "left", "score", "reference"])
def test_links(open_app: OpenApp, field: str) -> None:  # noqa: F811
    app = open_app("circuit" if field in ("names", "edge") else "explorer", **{field: PAYLOAD})
    assert live(app) == [] and not app.exception


@pytest.mark.slow
@pytest.mark.parametrize("room", ROOMS)
def test_rows_titles_and_keys(
    open_app: OpenApp, room: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path))
    rows = [Row(1, f"a {PAYLOAD} b", f"a {PAYLOAD} c", PAYLOAD, "y", PAYLOAD)]
    task = own_task(rows, title=PAYLOAD[:80])
    own.keep(task)
    own_keys.keep(AnswerKey("toy-induction", "induction-random", PAYLOAD, PAYLOAD, {Head(0, 1): PAYLOAD}))
    for task_name in (task.name, "induction-random"):
        app = open_app(room, task=task_name)
        assert live(app) == [] and not app.exception
