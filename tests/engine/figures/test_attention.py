"""Attention panels: escaped and visible labels, the first column, the empty future."""

from __future__ import annotations

import torch

from engine.figures.attention import attention_figure, attention_panels, causal
from engine.figures.labels import token_label
from engine.figures.theme import traces

TOKENS = ["When", " <b>", " a", "\n"]
CLEAN = torch.tensor([
    [1.0, 0.0, 0.0, 0.0],
    [0.6, 0.4, 0.0, 0.0],
    [0.5, 0.3, 0.2, 0.0],
    [0.7, 0.1, 0.1, 0.1],
])  # fmt: skip


def test_labels_show_blanks_and_escape_markup():
    assert token_label(" to") == "␣to"
    assert token_label("\n") == "↵"
    assert token_label("<b>&amp;") == "&lt;b&gt;&amp;amp;"
    assert token_label("it's") == "it's"
    assert token_label("") == "∅"


def test_labels_and_hovers_hold_no_markup_of_the_tokens():
    figure = attention_figure(CLEAN, CLEAN, TOKENS, TOKENS, dark=False)
    assert list(figure.layout.xaxis.ticktext) == ["When", "␣&lt;b&gt;", "␣a", "↵"]
    assert traces(figure)[0].text[2][1] == "␣a → ␣&lt;b&gt;"
    assert "<b>" not in "".join(text for row in traces(figure)[0].text for text in row)


def test_the_future_is_empty():
    assert causal(CLEAN, 0)[1] == [0.6, 0.4, None, None]
    assert causal(CLEAN[:, 1:], 1) == [[None] * 3, [0.4, None, None], [0.3, 0.2, None], [0.1, 0.1, 0.1]]


def test_hiding_the_first_column_moves_axis_and_colour_range():
    whole = attention_figure(CLEAN, CLEAN, TOKENS, TOKENS, dark=False)
    rest = attention_figure(CLEAN, CLEAN / 2, TOKENS, TOKENS, dark=False, hide_first=True)
    assert whole.layout.coloraxis.cmax == 1
    assert abs(rest.layout.coloraxis.cmax - 0.4) < 1e-6  # of both panels
    assert list(traces(rest)[0].x) == [1, 2, 3]
    assert list(rest.layout.xaxis2.ticktext) == ["␣&lt;b&gt;", "␣a", "↵"]
    assert traces(rest)[0].text[3][0] == "↵ → ␣&lt;b&gt;"


def test_the_first_query_is_on_top_and_panels_have_their_own_tokens():
    other = ["When", " x", " y", " z"]
    figure = attention_figure(CLEAN, CLEAN, TOKENS, other, dark=True)
    top, bottom = figure.layout.yaxis.range[1], figure.layout.yaxis.range[0]
    assert top < bottom
    assert list(figure.layout.yaxis2.ticktext) == ["When", "␣x", "␣y", "␣z"]


def test_two_figures_show_what_one_does_on_one_colour_range():
    whole = attention_figure(CLEAN, CLEAN / 2, TOKENS, TOKENS, dark=False, hide_first=True)
    clean, corrupted = attention_panels(CLEAN, CLEAN / 2, TOKENS, TOKENS, dark=False, hide_first=True)
    for figure, panel in zip((clean, corrupted), traces(whole), strict=True):
        assert traces(figure)[0].z == panel.z
        assert figure.layout.coloraxis.cmax == whole.layout.coloraxis.cmax
    assert "Corrupted" in corrupted.layout.annotations[0].text
