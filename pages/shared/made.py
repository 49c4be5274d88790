"""What runs behind the pages, for app.py and health.py, who ask before it is there and must not bring torch in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pages.shared.background import Background

_made: list[Background] = []


def note(behind: Background) -> None:
    _made[:] = [behind]


def latest() -> Background | None:
    """None before the first visit."""
    return _made[0] if _made else None
