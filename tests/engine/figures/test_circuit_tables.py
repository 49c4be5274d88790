"""Heads and roles as rows."""

from __future__ import annotations

import torch

from engine.behaviour.roles import Behaviour, Role, Target, findings, roles_of
from engine.figures.circuit_tables import circuit_head_rows, rule_rows
from engine.figures.export import rows_csv
from engine.heads import Head
from tests.engine.figures.made_up import A_CIRCUIT

LOOKED = {target: torch.zeros(6, 4) for target in Target}
LOOKED[Target.BEFORE] = torch.zeros(6, 4)
LOOKED[Target.BEFORE][0, 1] = 0.75
WRITES = torch.zeros(6, 4)
WRITES[4, 2] = 0.5
COUNTED = {target: 0 if target is Target.DISTRACTOR else 20 for target in Target}
FOUND = findings(Behaviour(LOOKED, COUNTED, WRITES, 5), A_CIRCUIT)


def test_a_row_has_a_heads_name_roles_edges_and_numbers():
    rows = circuit_head_rows(
        A_CIRCUIT, {Head(0, 1): "mine"}, roles_of(FOUND), FOUND, {Head(4, 2): "name mover", Head(2, 0): ""}
    )
    assert [row["head"] for row in rows] == ["0.1", "2.0", "2.3", "4.2"]
    first, second, _, last = rows
    assert (first["name"], first["behaves like"], first["looks one back"]) == ("mine", "previous token", 0.75)
    assert (first["edges out"], first["edges in"], first["effect sent"]) == (1, 0, -0.4)
    assert (last["edges in"], last["writes answer %"], last["answer key"]) == (3, 50.0, "name mover")
    assert (second["edges out"], second["answer key"], first["answer key"]) == (2, "yes", "")
    assert first["end looks at distractor"] is None
    assert len({tuple(row) for row in rows}) == 1 and rows_csv(rows).count("\n") == 5


def test_without_measurements_or_key_the_columns_stay():
    [row, *_] = circuit_head_rows(A_CIRCUIT, {}, {}, {})
    assert "answer key" not in row and row["behaves like"] == "" and row["looks one back"] is None


def test_each_role_says_its_threshold_n_and_heads():
    rows = {row["role"]: row for row in rule_rows(FOUND)}
    assert list(rows) == [role.value for role in Role]
    assert (rows["previous token"]["at least"], rows["previous token"]["n positions"]) == (0.4, 20)
    assert rows["previous token"]["heads"] == "0.1"
    assert rows["induction"]["heads"] == "none"
    assert rows["S-inhibition-like"]["heads"] == "unknown"
