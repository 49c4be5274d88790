"""``python -m benchmarks.faults``: full disks, read-only folders, clocks set back and damaged files, many times each.

Every fault is done to everything that is kept: own tasks, answer keys, tuning journals, runs, capsules. Counted are
writes that went through, writes that were refused with words, and what was lost: that must be nothing. Exit code 1
if anything was. With ``--write`` the counts go to ``benchmarks/results/faults.json``.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from random import Random

os.environ["HF_HUB_OFFLINE"] = "1"

from benchmarks.faults.injections import DONE, FAULTS, REFUSED
from benchmarks.faults.subjects import Subject, subjects
from benchmarks.report import PARTS_FOLDER, machine

RESULTS = PARTS_FOLDER / "faults.json"
TIMES = 50


@dataclass
class Count:
    """One fault done to one subject so many times. ``crashed``: what came was neither done nor refused."""

    fault: str
    subject: str
    seed: int
    injected: int = 0
    done: int = 0
    refused: int = 0
    crashed: int = 0
    lost: int = 0
    details: list[str] = field(default_factory=list)


def injected(fault: str, subject: Subject, seed: int, times: int) -> Count:
    count = Count(fault, subject.name, seed)
    for number in range(times):
        with tempfile.TemporaryDirectory(prefix="headlight-fault-") as folder:
            Path(folder).chmod(0o755)
            outcome = FAULTS[fault](subject, Path(folder), Random(f"{fault} {subject.name} {seed} {number}"))
        count.injected += 1
        count.done += outcome.said == DONE
        count.refused += outcome.said == REFUSED
        crashed = outcome.said not in (DONE, REFUSED)
        count.crashed += crashed
        count.lost += bool(outcome.lost)
        if crashed or outcome.lost:
            count.details.append(f"number {number}: {outcome.said}; lost {', '.join(outcome.lost) or 'nothing'}")
    return count


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=TIMES, help=f"each fault, to each subject (default: {TIMES})")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fault", choices=["all", *FAULTS], default="all")
    parser.add_argument("--write", action="store_true", help=f"write the counts to {RESULTS.name}")
    options = parser.parse_args()
    logging.disable()  # the store tells of the damage it meets
    counts: list[Count] = []
    for fault in FAULTS if options.fault == "all" else [options.fault]:
        for subject in subjects():
            began = time.monotonic()
            counts.append(injected(fault, subject, options.seed, options.times))
            _tell(counts[-1], time.monotonic() - began)
            if options.write:
                _save(counts)
    return int(any(count.lost or count.crashed for count in counts))


def _tell(count: Count, seconds: float) -> None:
    print(
        f"{count.fault}, {count.subject}: {count.injected} times in {seconds:.0f} s, {count.done} done, "
        f"{count.refused} refused, {count.crashed} crashed, {count.lost} lost something", flush=True,
    )  # fmt: skip
    for detail in count.details[:5]:
        print(f"  {detail}", file=sys.stderr, flush=True)


def _save(counts: list[Count]) -> None:
    record = {"date": str(date.today()), "machine": machine(), "rows": [asdict(count) for count in counts]}
    PARTS_FOLDER.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
