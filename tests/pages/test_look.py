"""What is quoted on the page is shown as it is, never read as HTML or Markdown."""

from __future__ import annotations

import pytest

from engine.tasks.prompts import PromptPair
from pages.shared import look, tokens


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("![x](http://e/x.png)", r"\!\[x\]\(http\://e/x\.png\)"),
        (":red[a] $b$ `c` **d**", r"\:red\[a\] \$b\$ \`c\` \*\*d\*\*"),
        (r"C:\models", r"C\:\\models"),
        ("plain words, ␣to", "plain words, ␣to"),
    ],
)
def test_quoted_text_is_no_markdown(text: str, shown: str) -> None:
    assert look.plain(text) == shown


def test_tokens_are_escaped_and_their_blanks_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(tokens.st, "html", drawn.append)
    pair = PromptPair("a b", "a c", (1, 2), (1, 3), (4,), (5, 6, 7, 8, 9), 0)
    pieces = (["<b>", " b\n"], ["<b>", " c"], ["<script>"], ["&", "'", '"', "x", "y"])
    tokens.pair_card(pair, pieces, 'pair "1"')
    (html,) = drawn
    assert html.count("&lt;b&gt;") == 2 and "<b>" not in html and "<script" not in html
    assert '<q class="clean">␣b↵</q>' in html and '<q class="corrupted">␣c</q>' in html
    assert '<q class="">&lt;b&gt;</q>' in html  # the token both prompts share is not marked
    assert "and 2 more" in html and 'aria-label="pair &quot;1&quot;"' in html


def test_numbers_carry_a_real_minus_sign() -> None:
    assert (look.signed(-0.25, 2), look.signed(1.5, 2), look.number(-0.5, 1)) == ("−0.25", "+1.50", "−0.5")


def test_nouns_agree_with_their_number() -> None:
    assert [look.count(n, "head") for n in (0, 1, 2, 1000)] == ["0 heads", "1 head", "2 heads", "1,000 heads"]
