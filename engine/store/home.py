"""Where runs are kept: the user's data folder, moved by HEADLIGHT_HOME."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

HOME_VARIABLE = "HEADLIGHT_HOME"


def home() -> Path:
    """The folder of everything Headlight keeps for the user, which need not exist yet."""
    moved = os.environ.get(HOME_VARIABLE, "").strip()
    return Path(moved).expanduser().absolute() if moved else platformdirs.user_data_path("headlight")
