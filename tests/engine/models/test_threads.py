"""How many cores torch is given."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.errors import HeadlightError
from engine.models import loading
from engine.models.loading import configure_threads, usable_cores


@pytest.fixture
def threads_restored():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads_restored")
class TestThreads:
    def test_the_variable_decides(self, monkeypatch):
        monkeypatch.setenv("HEADLIGHT_THREADS", "3")
        assert configure_threads() == torch.get_num_threads() == 3

    def test_usable_cores_otherwise(self, monkeypatch):
        monkeypatch.delenv("HEADLIGHT_THREADS", raising=False)
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        monkeypatch.setattr(loading, "usable_cores", lambda: 5)
        assert configure_threads() == 5

    def test_omp_setting_is_left_alone(self, monkeypatch):
        monkeypatch.delenv("HEADLIGHT_THREADS", raising=False)
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        torch.set_num_threads(2)
        monkeypatch.setattr(loading, "usable_cores", lambda: 5)
        assert configure_threads() == 2

    @pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "²"])
    def test_nonsense_is_refused(self, monkeypatch, value):
        monkeypatch.setenv("HEADLIGHT_THREADS", value)
        with pytest.raises(HeadlightError, match="Expected a number of threads above 0 in HEADLIGHT_THREADS"):
            configure_threads()

    def test_a_container_quota_limits_the_cores(self, monkeypatch):
        monkeypatch.setattr(loading.os, "sched_getaffinity", lambda pid: range(16), raising=False)
        monkeypatch.setattr(Path, "read_text", lambda self: "250000 100000\n")
        assert usable_cores() == 2
        monkeypatch.setattr(Path, "read_text", lambda self: "max 100000\n")
        assert usable_cores() == 16
