"""``python -m benchmarks``: measure on this machine and write ``benchmarks/RESULTS.md``.

Parts are measured alone or one after the other. Each keeps its rows in ``benchmarks/results/``, written anew after
every measurement, so a run that is stopped loses one at most; ``RESULTS.md`` shows whatever parts are there.

Not part of CI: machines are noisy, so what is quoted are ratios of one run.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from benchmarks.report import PARTS, RESULTS, save
from engine.models.loading import configure_threads
from engine.models.quiet import quiet_libraries


def main() -> None:
    options = _options()
    configure_threads()
    for name in PARTS if options.part == "all" else [options.part]:
        _measure(name, options)
    if not options.quick:
        print(f"\nWritten to {RESULTS}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    defaults = ", ".join(f"{part.repeats} for {name}" for name, part in PARTS.items())
    parser.add_argument("--part", choices=[*PARTS, "all"], default="all", help="what to measure (default: all)")
    parser.add_argument("--repeats", type=_positive, help=f"of every measurement (default: {defaults})")
    parser.add_argument("--minutes", type=_positive, help="a part starts no new measurement after so many")
    parser.add_argument("--quick", action="store_true", help="toy sizes, to try the code: shown, not written")
    return parser.parse_args()


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return int(text)


def _measure(name: str, options: argparse.Namespace) -> None:
    """All rows of one part, each shown and written as soon as it is there."""
    part, quick = PARTS[name], options.quick
    repeats = options.repeats or (1 if quick else part.repeats)
    rows, began, finished = [], time.perf_counter(), True
    with quiet_libraries():
        for row in part.measure(repeats, quick):
            rows.append(row)
            elapsed = time.perf_counter() - began
            print(f"{elapsed:6.0f} s  {name}: {_brief(row)}", flush=True)
            if not quick:
                save(name, rows, repeats, finished=False)
            if options.minutes and elapsed > 60 * options.minutes:
                finished = False
                break
    if quick:
        print("\n".join(part.sections(rows)))
    else:
        save(name, rows, repeats, finished)


def _brief(row: Any) -> str:
    """The row in one line."""
    return "  ".join(f"{name} {_value(value)}" for name, value in vars(row).items() if value not in (None, []))


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "/".join(map(_value, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
