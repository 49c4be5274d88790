"""The command line on the toy model, for tests of every command."""

from __future__ import annotations

import json

from engine.cli.main import main

TOY = ["--model", "toy-induction", "--task", "induction-random", "--pairs", "8"]


def run_json(capsys, *arguments):
    assert main([*arguments, "--out", "-"]) == 0
    return json.loads(capsys.readouterr().out)


def shape(matrix):
    return [len(row) for row in matrix]
