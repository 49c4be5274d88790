"""Colours: symmetric about 0, the same hues in light and dark, readable text."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from engine.figures import theme


def alpha(colour: str) -> float:
    return float(colour[colour.index("(") + 1 : -1].split(",")[3])


def test_the_diverging_scale_is_symmetric_and_fades_at_zero():
    scale = theme.diverging()
    assert (scale[0][0], scale[10][0], scale[20][0]) == (0, 0.5, 1)
    assert alpha(scale[10][1]) < 0.2
    for step in range(10):
        assert alpha(scale[step][1]) == alpha(scale[20 - step][1])
        assert alpha(scale[step][1]) > alpha(scale[step + 1][1])
    assert scale[0][1] == "rgba(37,99,235,1)"
    assert scale[20][1] == "rgba(234,88,12,1)"


@pytest.mark.parametrize("dark", [False, True])
def test_solid_colours_end_in_the_same_hues_on_both_pages(dark: bool):
    assert theme.solid_colour(1.0, dark) == "rgb(234,88,12)"
    assert theme.solid_colour(-1.0, dark) == "rgb(37,99,235)"
    assert theme.solid_colour(3.0, dark) == theme.solid_colour(1.0, dark)


def test_text_is_dark_on_bright_colours_and_white_on_dark_ones():
    assert theme.text_on("rgb(250,250,250)") == "#14161f"
    assert theme.text_on("rgb(37,99,235)") == "#ffffff"


def test_a_faint_colour_is_mixed_with_the_page():
    assert theme.on_page("rgb(0,0,0)", 1.0, dark=False) == "rgb(0,0,0)"
    assert theme.on_page("rgb(53,52,49)", 0.5, dark=False) == "rgb(153,152,149)"
    assert theme.on_page("rgb(218,222,230)", 0.2, dark=True) == "rgb(58,62,70)"


def test_the_camera_saves_in_the_format_asked_for():
    options = theme.mode_bar("circuit", "svg")["toImageButtonOptions"]
    assert (options["filename"], options["format"]) == ("circuit", "svg")


@pytest.mark.parametrize(("dark", "name"), [(False, "light"), (True, "dark")])
def test_figures_are_designed_for_the_pages_own_background(dark: bool, name: str):
    config = tomllib.loads((Path(__file__).parents[3] / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    background = config["theme"][name]["backgroundColor"].lstrip("#")
    assert theme.PAGE_COLOURS[dark] == tuple(int(background[i : i + 2], 16) for i in (0, 2, 4))
