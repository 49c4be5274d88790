"""Every fault done once to everything that is kept; ``python -m benchmarks.faults`` does it many times."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.faults.__main__ import injected
from benchmarks.faults.injections import FAULTS, Outcome, full_disk
from benchmarks.faults.subjects import STUDY, Subject, subjects
from engine.errors import HeadlightError
from engine.machine.atomic import write_text
from engine.settings import Settings
from engine.tuning.place import study_path
from engine.tuning.results import Trial
from engine.tuning.space import Space
from engine.tuning.study import kept_trials, opened

SUBJECTS = {subject.name: subject for subject in subjects()}


@pytest.mark.slow
@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost_and_nothing_crashes(fault: str, name: str) -> None:
    count = injected(fault, SUBJECTS[name], seed=1, times=2)
    assert count.details == [] and count.injected == 2 == count.done + count.refused


def test_a_loss_a_crash_and_half_a_file_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counting itself: a subject that writes in place loses what it had when the disk is full."""

    def write(home: Path, size: int) -> None:
        with (home / "kept").open("wb") as file:  # empties it first
            file.write(bytes(size))

    def lost(home: Path) -> list[str]:
        return [] if (home / "kept").stat().st_size == 1_000_000 else ["kept"]

    careless = Subject(
        "careless", ".", lambda home: write(home, 1_000_000), lambda home, number: write(home, 2_000_000), lost,
        lambda home, number: False,
    )  # fmt: skip
    count = injected("full disk", careless, seed=0, times=1)
    assert (count.crashed, count.lost) == (1, 1)
    assert "No space left" in count.details[0] or "File too large" in count.details[0]
    monkeypatch.setitem(FAULTS, "full disk", lambda subject, folder, rng: Outcome("refused", ("a",)))
    assert injected("full disk", careless, seed=0, times=3).lost == 3 and full_disk is not FAULTS["full disk"]


def _trial(number: int, settings: Settings) -> Trial:
    return Trial(number, settings, 9, 0.5, None, "no", 1.0, 2.0)


@pytest.mark.parametrize("damage", [b"\x00" * 10 + b"\n", b'{"op_code": 99}\n', b"{}\n"])
def test_a_damaged_journal_is_moved_aside_and_begun_anew(tmp_path, monkeypatch, damage):
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path))
    with opened(STUDY, Settings(), Space()) as study:
        study.add(0, _trial)
    path = study_path(STUDY)
    content = path.read_bytes()
    path.write_bytes(damage + content)
    assert kept_trials(STUDY) == 0
    with opened(STUDY, Settings(), Space()) as study:
        assert study.trials == ()
        study.add(0, _trial)
    assert kept_trials(STUDY) == 1
    assert path.with_suffix(".damaged-1").read_bytes() == damage + content


def test_a_journal_whose_lock_cannot_be_taken_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path))
    study_path(STUDY).with_suffix(".lock").mkdir(parents=True)
    with pytest.raises(HeadlightError, match="cannot be written"), opened(STUDY, Settings(), Space()):
        pass


def test_a_write_that_fails_leaves_the_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "kept.json"
    write_text(json.dumps("before"), path)
    monkeypatch.setattr("os.fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        write_text(json.dumps("after"), path)
    assert path.read_text() == '"before"' and list(tmp_path.iterdir()) == [path]
