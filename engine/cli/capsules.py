"""capsule, show, diff, verify-capsule, script: a run as a file, looked at, compared and made again."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from engine.capsule.capsule import Capsule
from engine.capsule.difference import difference, difference_json
from engine.capsule.notebook import notebook_of
from engine.capsule.opening import open_run
from engine.capsule.recompute import recompute
from engine.capsule.script import script_of
from engine.capsule.stored import stored_capsule
from engine.capsule.text import difference_text, run_text
from engine.capsule.verdict import Verdict, recomputation_json, recomputation_text
from engine.capsule.writing import capsule_bytes
from engine.cli.common import load
from engine.cli.console import Console
from engine.errors import HeadlightError
from engine.machine.atomic import write_bytes
from engine.record.json_values import dumps
from engine.store.folder import ID
from engine.store.store import RunStore

NOT_REPRODUCED = 3  # exit code


def capsule(options: argparse.Namespace, console: Console) -> None:
    """Write the run as a capsule."""
    run = opened(options.run)
    content = capsule_bytes(run.record, run.attachments, run.labels)
    _write(content, options.out)
    console.announce(f"{options.out}: {len(content) / 1e6:.2f} MB")


def show(options: argparse.Namespace, console: Console) -> None:
    run = opened(options.run)
    if options.json:
        whole = {"manifest": run.manifest, "record": run.record, "attachments": run.attachments, "labels": run.labels}
        _say(dumps(whole) + "\n")
        return
    _say(run_text(run, max(0, options.edges)))


def diff(options: argparse.Namespace, console: Console) -> None:
    found = difference(opened(options.left), opened(options.right))
    text = dumps(difference_json(found)) + "\n" if options.json else difference_text(found, options.left, options.right)
    _say(text)


def verify_capsule(options: argparse.Namespace, console: Console) -> int:
    """Measure a sample of the run again; the exit code says whether it was reproduced."""
    run = opened(options.run)
    typed = {"model": options.model, "device": options.device, "dtype": options.dtype}
    here = {name: value for name, value in typed.items() if value is not None}
    settings = replace(run.found.settings, memory_budget=None, **here)  # another machine's memory is not this one's
    model = load(settings, console)
    if run.fingerprint not in (None, model.fingerprint):
        console.announce("warning: this is another model than the capsule's; its numbers are compared all the same")
    done = recompute(
        model, replace(run.found, settings=settings), run.fingerprint, console, options.sample, options.seed
    )
    _say(dumps(recomputation_json(done)) + "\n" if options.json else recomputation_text(done))
    return NOT_REPRODUCED if done.verdict is Verdict.DIFFERS else 0


def script(options: argparse.Namespace, console: Console) -> None:
    """Write a script, or a notebook, that makes the run again."""
    record = opened(options.run).record
    text = dumps(notebook_of(record)) + "\n" if options.notebook else script_of(record, options.out.name)
    _write(text.encode(), options.out)


def opened(text: str) -> Capsule:
    """The run in a file, or the kept run of that id."""
    path = Path(text)
    if ID.fullmatch(text) and not path.exists():
        return stored_capsule(RunStore(read_only=True), text)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise HeadlightError(
            f"Cannot read {text}: {error.strerror}. Give a capsule, a run as JSON, or an id from: python -m engine runs"
        ) from error
    return open_run(content)


def _write(content: bytes, out: Path) -> None:
    try:
        write_bytes(content, out)
    except OSError as error:
        raise HeadlightError(f"Cannot write {out}: {error.strerror}. Choose another --out.") from error


def _say(text: str) -> None:
    """On standard output, in letters that it has."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()
