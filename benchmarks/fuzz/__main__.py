"""``python -m benchmarks.fuzz``: nearly right inputs for every entrance, and what came of them.

Whatever is neither an answer nor a HeadlightError is a finding, shown at once with its traceback; exit code 1 if
there was any. Counts by part go to ``benchmarks/results/fuzz.json`` (not with ``--inputs``, ``--seconds`` or
``--part``, unless ``--write``). Input number i of a seed is always the same, so a finding comes again.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
from dataclasses import asdict
from datetime import date
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything is imported that could ask

from benchmarks.fuzz.loop import Count, fuzzed
from benchmarks.fuzz.targets import targets
from benchmarks.report import PARTS_FOLDER, machine

RESULTS = PARTS_FOLDER / "fuzz.json"
SECONDS = 30.0


def main() -> int:
    options = _options()
    logging.disable()  # the store tells of the damage it meets
    wanted = [target for target in targets() if options.part in ("all", target.name)]
    counts = []
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"HEADLIGHT_CACHE": f"{home}/cache", "HEADLIGHT_HOME": f"{home}/home"}
        for target in wanted:
            folder = Path(home) / target.name.replace(" ", "-")
            folder.mkdir()
            count = fuzzed(target, options.seed, options.seconds, folder, options.inputs)
            counts.append(count)
            _tell(count)
            if options.write:
                _save(counts, options, finished=len(counts) == len(wanted))
    return int(any(count.findings for count in counts))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of each part (default: {SECONDS:g})")
    parser.add_argument("--inputs", type=int, help="of each part at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=["all", *(target.name for target in targets())], default="all")
    parser.add_argument("--write", action="store_true", help=f"write the counts to {RESULTS.name}")
    return parser.parse_args()


def _tell(count: Count) -> None:
    print(
        f"{count.part}: {count.inputs:,} inputs in {count.seconds:.0f} s, {count.refused:,} refused, "
        f"{len(count.findings)} kinds of finding, slowest {count.slowest:.2f} s", flush=True,
    )  # fmt: skip
    for finding, (kind, times) in zip(count.findings, count.kinds.items(), strict=True):
        print(f"  {times} x {kind}\n{finding}", file=sys.stderr, flush=True)


def _save(counts: list[Count], options: argparse.Namespace, finished: bool) -> None:
    rows = [{name: value for name, value in asdict(count).items() if name != "kinds"} for count in counts]
    record = {
        "date": str(date.today()), "machine": machine(), "seconds": options.seconds, "finished": finished, "rows": rows,
    }  # fmt: skip
    PARTS_FOLDER.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
