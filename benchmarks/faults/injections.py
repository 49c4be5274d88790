"""Faults done to what is kept, each once; what came of it as one word, and what was lost by it.

Writes happen in a child process (fork), so that a limit, another user or another clock ends with it.

* full disk   a small file system of its own (tmpfs, as root), filled but for some bytes; else a limit of the system
              on the size of files
* read-only   no right to write, as a user who is not root
* clock       every look at the clock gives an earlier time
* damage      a file of the subject changed, cut, emptied, taken away, or a folder in its place
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from unittest.mock import patch

from benchmarks.faults.subjects import Subject
from benchmarks.fuzz import mutations
from engine.errors import HeadlightError
from engine.version import made_with

DONE, REFUSED = "done", "refused"
DISK = 4_000_000  # bytes of the small file system
FEW, SOME, MANY = 8_000, 60_000, 400_000  # bytes left: of pages, for a part of a run, for all of it
NOBODY = 65534


@dataclass(frozen=True)
class Outcome:
    """``said``: done, refused (a HeadlightError), or the error that came instead. ``lost``: what is not as it was."""

    said: str
    lost: tuple[str, ...]


def full_disk(subject: Subject, folder: Path, rng: Random) -> Outcome:
    """The write with a random number of bytes free."""
    free = rng.choice((0, rng.randrange(FEW), rng.randrange(SOME), rng.randrange(MANY)))
    number = rng.randrange(1000)
    with _small_disk(folder) as is_mounted, _home(folder):
        subject.begin(folder)
        filler = folder / "filler"
        if is_mounted:
            _fill(filler, free)
            said = _in_child(lambda: subject.act(folder, number))
            filler.unlink()
        else:
            said = _in_child(lambda: subject.act(folder, number), lambda: _limit_files(free))
        return Outcome(said, _after(subject, folder, number, said))


def read_only(subject: Subject, folder: Path, rng: Random) -> Outcome:
    """The write, and all reading, as a user who may only read."""
    number = rng.randrange(1000)
    with _home(folder):
        subject.begin(folder)
        _may_write(folder, False)
        user = NOBODY if os.getuid() == 0 else os.getuid()
        made_with()  # this installation may lie where that user cannot read
        said = _in_child(lambda: subject.act(folder, number), lambda: os.setuid(user))
        _may_write(folder, True)
        return Outcome(said, _after(subject, folder, number, said))


def clock_back(subject: Subject, folder: Path, rng: Random) -> Outcome:
    """The write while each look at the clock is an hour before the last."""
    number = rng.randrange(1000)
    now = [time.time()]

    def earlier() -> float:
        now[0] -= 3600.0
        return now[0]

    def act() -> None:
        with patch("time.time", earlier), patch("time.time_ns", lambda: int(earlier() * 1e9)):
            subject.act(folder, number)

    with _home(folder):
        subject.begin(folder)
        said = _in_child(act)
        return Outcome(said, _after(subject, folder, number, said))


def damage(subject: Subject, folder: Path, rng: Random) -> Outcome:
    """One file damaged: whatever is asked afterwards is an answer or a refusal, and one write more works or is refused.

    What the damaged file held is not counted as lost; everything else is.
    """
    with _home(folder):
        subject.begin(folder)
        files = sorted(path for path in (folder / subject.files).rglob("*") if path.is_file())
        _damage(rng, rng.choice(files))
        said = [_answer(lambda: subject.lost(folder)), _answer(lambda: subject.act(folder, 0))]
        lost = subject.lost(folder) if said == [DONE, DONE] else []
        bad = [word for word in said if word not in (DONE, REFUSED)]
        together = bad[0] if bad else (DONE if said == [DONE, DONE] else REFUSED)
        most = 3 if subject.name == "tuning journals" else 1  # all trials of a study lie in one file
        return Outcome(together, tuple(lost[most:]))


FAULTS: dict[str, Callable[[Subject, Path, Random], Outcome]] = {
    "full disk": full_disk, "read-only folder": read_only, "clock set back": clock_back, "damaged file": damage,
}  # fmt: skip


def _after(subject: Subject, folder: Path, number: int, said: str) -> tuple[str, ...]:
    """What was lost: of what was there, and of what the write said it had done; and what is there by half."""
    lost = list(subject.lost(folder))
    if subject.half(folder, number):
        lost.append("a half-written one")
    again = _answer(lambda: subject.act(folder, number + 1000))
    if again != DONE:
        lost.append(f"the next write: {again}")
    return tuple(lost)


def _answer(ask: Callable[[], object]) -> str:
    try:
        ask()
    except HeadlightError:
        return REFUSED
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200]
    return DONE


def _in_child(act: Callable[[], None], before: Callable[[], object] = lambda: None) -> str:
    """What ``act`` says in a forked process, in which ``before`` may change what it is allowed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        before()
        os.write(writing, _answer(act).encode("utf-8", "replace"))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode("utf-8", "replace")
    _, status = os.waitpid(child, 0)
    return said if status == 0 and said else f"the process ended with status {status}"


@contextlib.contextmanager
def _home(folder: Path) -> Iterator[None]:
    with patch.dict(os.environ, {"HEADLIGHT_CACHE": str(folder / "cache"), "HEADLIGHT_HOME": str(folder / "home")}):
        yield


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[bool]:
    """Mounts one at ``folder`` where that is allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    mounted = os.getuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(path: Path, free: int) -> None:
    """A file that leaves about ``free`` bytes of the file system."""
    left = shutil.disk_usage(path.parent).free - free
    with path.open("wb") as file, contextlib.suppress(OSError):
        file.write(bytes(max(0, left)))
        file.flush()


def _limit_files(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def _may_write(folder: Path, allowed: bool) -> None:
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755 if allowed else 0o555)
        else:
            path.chmod(0o644 if allowed else 0o444)


def _damage(rng: Random, path: Path) -> None:
    kind = rng.choice(("changed", "changed", "changed", "empty", "gone", "folder"))
    if kind == "changed":
        path.write_bytes(mutations.mutated_bytes(rng, path.read_bytes()))
    elif kind == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
        if kind == "folder":
            path.mkdir()
