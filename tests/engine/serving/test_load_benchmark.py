"""What the load script counts as the same, as an error, and as growth."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks.load.lone import _differing
from benchmarks.load.report import errors_in, growth, spread
from benchmarks.load.tally import requests, steady
from benchmarks.models import TOY


def test_time_and_who_came_first_are_left_out_and_nothing_else() -> None:
    def record(seconds: float) -> dict:
        steps = [{"spent": {"seconds": seconds}, "effects": [0.2]}]
        return {"circuit": {"edges": [{"effect": 0.1}]}, "cost": [seconds], "steps": steps}

    other = {"circuit": {"edges": [{"effect": 0.1}]}, "steps": [{"effects": [math.nextafter(0.2, 1)]}]}
    assert steady(record(1.0)) == steady(record(9.0)) != steady(other)
    assert _differing({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}) == ["b", "c"]


def test_errors_are_told_from_the_rest_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    lines = ['{"level": "info", "event": "job done"}', "  You can now view your app", "", '{"level": "error"}']
    log.write_text("\n".join([*lines, "Traceback (most recent call last):", "3"]), "utf-8")
    assert errors_in(log) == ['{"level": "error"}', "Traceback (most recent call last):"]


def test_growth_is_the_slope_after_the_warm_up() -> None:
    # 100 MB come within the first 4 of 10 minutes, then 2 MB a minute
    memory = [(60.0 * minute, 25.0 * minute if minute < 4 else 100 + 2.0 * (minute - 4)) for minute in range(11)]
    assert growth(memory) == pytest.approx(2.0)
    assert math.isnan(growth(memory[:2])) and math.isnan(growth([]))


def test_a_spread_is_median_95th_percentile_and_most() -> None:
    assert spread([float(value) for value in range(101)]) == {"n": 101, "median": 50.0, "p95": 95.0, "most": 100.0}
    assert spread([]) is None


def test_there_are_few_different_requests_so_that_many_ask_for_the_same() -> None:
    assert len(set(requests(TOY))) == 8 and len(set(requests("smollm2-135m"))) == 4
