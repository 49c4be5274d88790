"""``python -m benchmarks.kills``: kill -9 a real ``discover`` at random moments, and count what is lost.

1. An uninterrupted run is the reference; other runs lie in the same store.
2. Again and again the same command is started and killed, at a random moment of its life or shortly after it began
   another chunk. After each kill every run in the store is listed as what it is, and the other runs are as they were,
   byte by byte.
3. The last start is left to end. Every record that came to its end equals the reference in all but seconds.

Writes ``benchmarks/results/kills.json``; ends with an error if anything was lost.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.store.home import HOME_VARIABLE
from engine.store.store import RunStore
from engine.store.stored_run import RunState, StoredRun

RESULTS = Path(__file__).parent / "results" / "kills.json"
COMMANDS = (
    ("--method", "dense", "--mode", "exact"),
    ("--sparsity", "auto"),
    ("--method", "dense", "--grid"),
    ("--method", "dense", "--mlps", "--mode", "exact", "--threshold-scale", "0"),
    ("--method", "dense", "--algorithm", "acdc", "--mode", "exact"),
)  # fmt: skip
OTHERS = (("--seed", "101", "--sparsity", "0.5"), ("--seed", "102", "--sparsity", "0.5"))
AT_A_CHUNK = 0.7  # share of kills that wait for a chunk; the others fall anywhere in the life of the process
PATIENCE = 600.0  # seconds a start may take
GOES_ON = "goes on where an earlier one"


@dataclass
class Counts:
    """``states``: what the run was listed as after each kill."""

    kills: int = 0
    states: Counter[str] = field(default_factory=Counter)
    resumed: int = 0  # starts that went on with chunks of an earlier one
    chunks: int = 0  # found on disk after kills
    finished: int = 0  # starts that came to their end, some of them killed just after it
    equal: int = 0  # of their records
    lost: list[str] = field(default_factory=list)


def without_seconds(record: Any) -> Any:
    """A record without what no two runs can share."""
    if isinstance(record, dict):
        return {name: without_seconds(value) for name, value in record.items() if name != "seconds"}
    return [without_seconds(value) for value in record] if isinstance(record, list) else record


class Victim:
    """One command, its store, and what happened to it."""

    def __init__(self, folder: Path, arguments: list[str], rng: random.Random, counts: Counts) -> None:
        """``folder`` has the store; what lies in it already are the other runs."""
        self._folder, self._rng, self._counts = folder, rng, counts
        self._out, self._home = folder / "out.json", folder / "home"
        self._arguments = [*arguments, "--out", str(self._out)]
        self._store = RunStore(self._home)
        before = {run.id for run in self._store.all()}
        began = time.monotonic()
        self.run(["--no-store"])
        self._life = time.monotonic() - began
        self._reference = self._record()
        self._others = {run: self._digest(run) for run in before}

    def run(self, more: list[str]) -> str:
        """To its end; what it said."""
        done = subprocess.run(self._command(more), env=self._environment(), capture_output=True, timeout=PATIENCE)
        if done.returncode:
            raise RuntimeError(done.stderr.decode()[-2000:])
        return done.stderr.decode()

    def kill(self) -> None:
        """Start it, kill it, and look at what is left."""
        chunks = self._chunks()
        with open(self._folder / "said", "wb") as said:
            process = subprocess.Popen(self._command([]), env=self._environment(), stderr=said, stdout=said)
            self._wait(process, chunks)
            process.kill()
            code = process.wait(PATIENCE)
        self._counts.resumed += GOES_ON in (self._folder / "said").read_text("utf-8")
        self._counts.kills += code != 0
        if code == 0 or self._newest() is RunState.DONE:  # killed when all was done, perhaps
            self._ended()
        self._check_others()
        self._look(code)

    def finish(self) -> None:
        """The last start."""
        self._counts.resumed += GOES_ON in self.run([])
        self._ended()
        self._check_others()
        if [run.state for run in self._mine() if run.state is not RunState.DONE]:
            self._counts.lost.append("a run that came to its end is not listed as done")

    def _wait(self, process: subprocess.Popen[bytes], chunks: int) -> None:
        deadline = time.monotonic() + PATIENCE
        if self._rng.random() > AT_A_CHUNK:
            deadline = time.monotonic() + self._rng.random() * self._life
            chunks = sys.maxsize
        chunks += self._rng.randrange(1, 4)
        while process.poll() is None and time.monotonic() < deadline and self._chunks() < chunks:
            time.sleep(0.001)
        time.sleep(self._rng.random() * 0.05)

    def _ended(self) -> None:
        self._counts.finished += 1
        same = without_seconds(self._record()) == without_seconds(self._reference)
        newest = next(run for run in self._mine() if run.state is RunState.DONE)
        kept = without_seconds(self._store.read(newest.id)) == without_seconds(self._reference)
        self._counts.equal += same and kept
        if not (same and kept):
            self._counts.lost.append(f"the record of {newest.id} is not that of the run without a kill")

    def _look(self, code: int) -> None:
        """Only the newest of its runs may be unfinished, and that is listed incomplete."""
        states = [run.state for run in self._mine()]
        if code:
            self._counts.states[states[0].value if states else "not begun"] += 1
            self._counts.chunks += self._chunks()
        if any(state is not RunState.DONE for state in states[1:]):
            self._counts.lost.append(f"runs are listed as {', '.join(states)}")
        if states and states[0] not in (RunState.DONE, RunState.INCOMPLETE):
            self._counts.lost.append(f"a killed run is listed as {states[0]}")

    def _check_others(self) -> None:
        for run, digest in self._others.items():
            if self._digest(run) != digest or self._store.get(run).state is not RunState.DONE:
                self._counts.lost.append(f"another run, {run}, was changed")

    def _mine(self) -> list[StoredRun]:
        return [run for run in self._store.all() if run.id not in self._others]

    def _newest(self) -> RunState | None:
        return next((run.state for run in self._mine()), None)

    def _chunks(self) -> int:
        """Chunks on disk of all its runs."""
        return sum(1 for _ in self._home.glob("runs/*/chunks/*.safetensors"))

    def _digest(self, run: str) -> str:
        digest = hashlib.sha256()
        for path in sorted((self._home / "runs" / run).rglob("*")):
            if path.is_file() and path.name != "lock":
                digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()

    def _record(self) -> Any:
        return json.loads(self._out.read_text("utf-8"))

    def _command(self, more: list[str]) -> list[str]:
        return [sys.executable, "-m", "engine", "discover", *self._arguments, *more]

    def _environment(self) -> dict[str, str]:
        return os.environ | {HOME_VARIABLE: str(self._home)}


def others(folder: Path, arguments: list[str]) -> None:
    """Two finished runs in the store."""
    environment = os.environ | {HOME_VARIABLE: str(folder / "home")}
    for more in OTHERS:
        command = [sys.executable, "-m", "engine", "discover", *arguments, *more, "--out", str(folder / "other.json")]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=PATIENCE)


def main() -> int:
    options = _options()
    shared = ["--model", options.model, "--task", options.task, "--pairs", str(options.pairs)]
    counts, rng, began = Counts(), random.Random(options.seed), time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        others(folder, shared)
        for number, more in enumerate(COMMANDS):
            victim = Victim(folder, [*shared, *more], rng, counts)
            wanted = round(options.kills * (number + 1) / len(COMMANDS))
            while counts.kills < wanted:
                victim.kill()
                _tell(options, counts, f"{time.monotonic() - began:6.0f} s  {' '.join(more)}")
            victim.finish()
            _tell(options, counts, f"{time.monotonic() - began:6.0f} s  {' '.join(more)}")
    print(f"Written to {RESULTS}")
    return 1 if counts.lost else 0


def _tell(options: argparse.Namespace, counts: Counts, where: str) -> None:
    """On the console, and in the file: a script that is stopped has written what it counted by then."""
    asked = {"model": options.model, "task": options.task, "pairs": options.pairs, "seed": options.seed}
    counted = vars(counts) | {"states": dict(counts.states)}
    written = asked | {"commands": [" ".join(more) for more in COMMANDS], "wanted": options.kills} | counted
    RESULTS.write_text(json.dumps(written, indent=1) + "\n", "utf-8")
    print(f"{where}: {_brief(counts)}", flush=True)


def _brief(counts: Counts) -> str:
    return (
        f"{counts.kills} kills, {counts.resumed} resumed, {counts.finished} ended, {counts.equal} equal, "
        f"{len(counts.lost)} lost, {dict(counts.states)}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.kills", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50, help="how many, over all commands (default: 50)")
    parser.add_argument("--model", default="toy-induction", help="default: toy-induction")
    parser.add_argument("--task", default="induction-random", help="default: induction-random")
    parser.add_argument("--pairs", type=int, default=24, help="default: 24")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
