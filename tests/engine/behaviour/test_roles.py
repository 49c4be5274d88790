"""Thresholds and what comes on top of them, on numbers set by hand."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from engine.behaviour.roles import Behaviour, Role, Target, findings, roles_of
from engine.circuit import Circuit, Edge, Input
from engine.heads import Head

CIRCUIT = Circuit(
    (Head(0, 0), Head(0, 1), Head(1, 0), Head(1, 1)), (Edge(Head(0, 1), Head(1, 0), Input.Q, -0.4),), 2, 2
)


def behaviour(writes: Tensor | None, n: int = 10, **attention: dict[tuple[int, int], float]) -> Behaviour:
    looked = {target: torch.zeros(2, 2) for target in Target}
    for name, values in attention.items():
        for (layer, index), value in values.items():
            looked[Target[name]][layer, index] = value
    return Behaviour(looked, dict.fromkeys(Target, n), writes, 5)


def held(measured: Behaviour, circuit: Circuit = CIRCUIT) -> dict[str, list[str]]:
    return {str(head): [role.name for role in roles] for head, roles in roles_of(findings(measured, circuit)).items()}


def test_attention_above_its_threshold_alone_makes_the_early_roles():
    measured = behaviour(
        None,
        BEFORE={(0, 0): 0.41, (0, 1): 0.39},
        COPY={(0, 1): 0.31},
        AFTER_COPY={(1, 0): 0.9, (0, 0): 0.35},
    )
    assert held(measured) == {"0.0": ["PREVIOUS", "INDUCTION"], "0.1": ["DUPLICATE"], "1.0": ["INDUCTION"]}


def test_a_name_mover_also_writes_the_answer_and_a_negative_one_against_it():
    writes = torch.tensor([[0.0, 0.0], [0.06, -0.06]])
    assert held(behaviour(writes, ANSWER={(1, 0): 0.5, (1, 1): 0.5})) == {
        "1.0": ["NAME_MOVER"], "1.1": ["NEGATIVE_MOVER"],
    }  # fmt: skip
    assert held(behaviour(writes, ANSWER={(1, 0): 0.2, (1, 1): 0.2})) == {}
    assert held(behaviour(writes * 0.5, ANSWER={(1, 0): 0.5, (1, 1): 0.5})) == {}


def test_s_inhibition_feeds_the_query_of_a_name_mover_or_writes_against_the_answer():
    looks = {(0, 0): 0.5, (0, 1): 0.5}
    mover = torch.tensor([[0.0, 0.0], [0.5, 0.0]])
    # 0.1 has an edge into 1.0's query; it counts only while 1.0 is a name mover.
    assert held(behaviour(mover, ANSWER={(1, 0): 0.5}, DISTRACTOR=looks))["0.1"] == ["S_INHIBITION"]
    assert "0.1" not in held(behaviour(mover, DISTRACTOR=looks))
    direct = torch.tensor([[-0.2, 0.0], [0.0, 0.0]])
    assert held(behaviour(direct, DISTRACTOR=looks)) == {"0.0": ["S_INHIBITION"]}


def test_what_was_not_measured_is_unknown_not_no():
    nothing = {target: torch.full((2, 2), math.nan) for target in Target}
    found = findings(Behaviour(nothing, dict.fromkeys(Target, 0), None, 5), CIRCUIT)
    assert {each.holds for findings_ in found.values() for each in findings_} == {None}
    # No parts, so nothing is known of what a head writes: where attention is enough, that leaves it open.
    looks = behaviour(None, ANSWER={(1, 0): 0.5})
    by_role = {each.role: each for each in findings(looks, CIRCUIT)[Head(1, 0)]}
    assert by_role[Role.NAME_MOVER].holds is None and by_role[Role.PREVIOUS].holds is False
    assert {each.role: each.holds for each in findings(looks, CIRCUIT)[Head(1, 1)]}[Role.NAME_MOVER] is False


def test_heads_the_measured_model_lacks_are_left_out():
    larger = Circuit((Head(0, 0), Head(5, 0)), (), 6, 2)
    assert set(findings(behaviour(None), larger)) == {Head(0, 0)}
