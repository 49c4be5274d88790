"""What can be typed about runs as files: capsules, their text, their difference, and making them again."""

from __future__ import annotations

import argparse
from pathlib import Path

RUN = "a capsule, a run as JSON, or the id of a kept run"


def add_capsules(commands) -> None:
    capsule = _on_run(commands, "capsule", "a run as one file (.headlight) that opens anywhere, without the model")
    capsule.add_argument("--out", type=Path, required=True, metavar="FILE", help="such as run.headlight")
    show = _on_run(commands, "show", "what a run was asked and what it found, as text; runs no model")
    show.add_argument("--edges", type=int, default=20, metavar="N", help="the strongest edges shown (default: 20)")
    _json_option(show)
    difference = _command(commands, "diff", "what two runs have in common and where they differ; runs no model")
    difference.add_argument("left", metavar="LEFT", help=RUN)
    difference.add_argument("right", metavar="RIGHT", help=RUN)
    _json_option(difference)
    _add_verify(commands)
    script = _on_run(commands, "script", "a Python file that makes a run again and compares the numbers")
    script.add_argument("--notebook", action="store_true", help="a Jupyter notebook instead")
    script.add_argument("--out", type=Path, required=True, metavar="FILE", help="such as run.py or run.ipynb")


def _add_verify(commands) -> None:
    verify = _on_run(
        commands, "verify-capsule",
        "measure a run again with its model: which digits agree. Exit code 3 if it is not reproduced",
    )  # fmt: skip
    verify.add_argument(
        "--sample", type=int, default=5, metavar="N", help="receivers whose effects are measured again (default: 5)"
    )
    verify.add_argument("--seed", type=int, default=0, metavar="S", help="by which they are drawn (default: 0)")
    verify.add_argument("--model", help="where the model is here: name, Hugging Face id, folder or .gguf file")
    verify.add_argument("--device", help="cpu, cuda, mps, or auto: all GPUs (default: the run's)")
    verify.add_argument("--dtype", help="auto, float32, bfloat16 or float16 (default: the run's)")
    _json_option(verify)


def _on_run(commands, name: str, words: str) -> argparse.ArgumentParser:
    command = _command(commands, name, words)
    command.add_argument("run", metavar="RUN", help=RUN)
    return command


def _command(commands, name: str, words: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=words, description=words)


def _json_option(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="as JSON instead of text")
