"""Command lines as people mistype them, run in this process; the model is loaded only for what is quickly done."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from unittest.mock import patch

from benchmarks.fuzz import inputs, mutations
from engine.cli.main import main
from engine.errors import HeadlightError
from engine.models.model import Model

ANSWERS = (0, 1, 2, 130)
COMMANDS = (
    "models", "tasks", "score", "effects", "discover", "tune", "verify", "evaluate", "agreement", "stability",
    "receipt", "runs",
)  # fmt: skip
OPTIONS = (
    "--model", "--task", "--pairs", "--seed", "--metric", "--bos", "--device", "--dtype", "--out", "--sparsity",
    "--score", "--union", "--algorithm", "--top-edges", "--tolerance", "--threshold-scale", "--min-effect", "--mlps",
    "--grid", "--tune", "--scores", "--memory-budget", "--receiver", "--senders", "--reference", "--circuit", "--heads",
    "--rows", "--key", "--against", "--draws", "--random-circuits", "--ablation", "--resamples", "--seeds",
    "--no-templates", "--of", "--trials", "--mode", "--method", "--keep-key", "--help", "--json", "--all", "--no-store",
)  # fmt: skip
VALUES = (
    "0", "1", "4", "-1", "1e400", "nan", "inf", "0.5", "auto", "cpu", "cuda", "float16", "ioi", "induction-random",
    "toy-induction", "gpt2", "9.6", "0.1,1.2", "0.1:1.2.q", "logits", "1.2.q", "m1", "all", "exact", "acdc", "eap",
    "mean", "first+fixed", "500M", "G", "flap", "prob_diff", "99999999999999999999", "1" * 5000,
)  # fmt: skip
QUICK = ("score", "effects", "verify")
FILES = ("run.json", "circuit.json", "rows.csv", "key.json", "none.json", ".", "/dev/null")


def command_line(rng: Random) -> tuple[list[str], dict[str, bytes]]:
    """Arguments, and the files they may name."""
    arguments = [rng.choice(COMMANDS)] if rng.random() < 0.95 else []
    if arguments and arguments[0] in QUICK and rng.random() < 0.5:
        arguments += ["--model", "toy-induction", "--task", "induction-random", "--pairs", str(rng.randint(1, 4))]
    for _ in range(rng.randint(0, 5)):
        arguments.append(rng.choice(OPTIONS) if rng.random() < 0.95 else mutations.text(rng))
        kind = rng.random()
        if kind < 0.85:
            arguments.append(rng.choice((*VALUES, *FILES)) if kind < 0.7 else mutations.text(rng))
    return arguments, _files(rng)


def run_command_line(given: tuple[list[str], dict[str, bytes]], folder: Path) -> None:
    """Raises AssertionError for an exit code nobody promised, and HeadlightError where the answer is a refusal."""
    arguments, files = given
    for name, content in files.items():
        (folder / name).write_bytes(content)
    said, written = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder), contextlib.redirect_stderr(said), contextlib.redirect_stdout(written),
        patch("engine.cli.common.load_model", _loaded(arguments)),
    ):  # fmt: skip
        code = _code(arguments)
    assert code in ANSWERS, f"exit code {code}"
    assert "Traceback" not in said.getvalue()
    if code == 0 and "--help" not in arguments and arguments[0] in QUICK and "--out" not in arguments:
        json.loads(written.getvalue())
    if code:
        assert said.getvalue().strip(), f"exit code {code} without a word"
        raise HeadlightError(said.getvalue())


def _code(arguments: Sequence[str]) -> int | str | None:
    try:
        return main(arguments)
    except SystemExit as ended:  # argparse's way: usage, or --help
        return ended.code if ended.code is not None else 0


def _loaded(arguments: Sequence[str]):
    """The toy model for what is quickly done; nothing else is loaded, downloaded or unpacked."""

    def load(spec: str, *others: object) -> Model:
        if spec == "toy-induction" and arguments[0] in QUICK and arguments.count("--pairs") == 1 and _few(arguments):
            return inputs.toy()
        raise HeadlightError(f"{spec} is not loaded here.")

    return load


def _few(arguments: Sequence[str]) -> bool:
    return arguments[arguments.index("--pairs") + 1] in ("1", "2", "3", "4")


def _files(rng: Random) -> dict[str, bytes]:
    whole = {
        "run.json": json.dumps(inputs.record()).encode(), "circuit.json": json.dumps(inputs.circuit()).encode(),
        "key.json": json.dumps(inputs.key()).encode(), "rows.csv": inputs.csv(),
    }  # fmt: skip
    if rng.random() < 0.5:
        name = rng.choice(list(whole))
        as_json = name != "rows.csv" and rng.random() < 0.7
        whole[name] = (
            mutations.json_bytes(rng, mutations.mutated_json(rng, json.loads(whole[name])))
            if as_json
            else mutations.mutated_bytes(rng, whole[name])
        )
    return whole
