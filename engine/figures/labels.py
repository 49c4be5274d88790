"""Text that Plotly can show as it is: visible blanks, no markup."""

from __future__ import annotations

import html

VISIBLE = str.maketrans({" ": "␣", "\n": "↵", "\t": "⇥", "\r": "␍"})


def token_label(token: str) -> str:
    """A token as a label: ``␣to``, ``↵``. Escaped, because Plotly reads tags in labels and hover texts.

    Quotes stay as they are: Plotly would print their entities.
    """
    return html.escape(token.translate(VISIBLE), quote=False) or "∅"
