"""Roles of heads by what they were measured to do (engine/behaviour/measured.py), with the thresholds said out loud.

The names are those of the IOI circuit (Wang et al. 2022, arXiv 2211.00593); "-like" because a head that behaves
so on these prompts need not do the same for the same reason. The thresholds are ours: attention above one of them
is most of what such a head has to give on prompts of a dozen tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from engine.circuit import Circuit, Input
from engine.heads import Head

if TYPE_CHECKING:
    from torch import Tensor


class Target(StrEnum):
    """Where a head may look."""

    BEFORE = "the token before"
    COPY = "an earlier copy of the token"
    AFTER_COPY = "the token after an earlier copy"
    ANSWER = "the answer, from the end position"
    DISTRACTOR = "the repeated distractor, from the end position"


@dataclass(frozen=True, eq=False)
class Behaviour:
    """Means over clean prompts, all ``[layer head]``.

    ``attention`` is the probability that goes to each target, ``counted`` the query positions it is the mean of.
    ``writes`` is the share of the direct logit difference; None for a model whose parts are not known.
    """

    attention: Mapping[Target, Tensor]
    counted: Mapping[Target, int]
    writes: Tensor | None
    n: int  # clean prompts


class Role(StrEnum):
    """In the order in which a head with several is named."""

    PREVIOUS = "previous token"
    DUPLICATE = "duplicate token"
    INDUCTION = "induction"
    S_INHIBITION = "S-inhibition-like"
    NAME_MOVER = "name-mover-like"
    NEGATIVE_MOVER = "negative name-mover-like"


@dataclass(frozen=True)
class Rule:
    """What a role asks for: attention of at least ``least`` to ``target``, and what comes on top, in words."""

    target: Target
    least: float
    also: str = ""


WRITES = 0.05  # share of the direct logit difference
RULES: dict[Role, Rule] = {
    Role.PREVIOUS: Rule(Target.BEFORE, 0.4),
    Role.DUPLICATE: Rule(Target.COPY, 0.3),
    Role.INDUCTION: Rule(Target.AFTER_COPY, 0.3),
    Role.S_INHIBITION: Rule(
        Target.DISTRACTOR, 0.2, f"an edge into the query of a name mover, or it writes −{100 * WRITES:g} % or less"
    ),
    Role.NAME_MOVER: Rule(Target.ANSWER, 0.3, f"it writes {100 * WRITES:g} % or more of the logit difference"),
    Role.NEGATIVE_MOVER: Rule(Target.ANSWER, 0.3, f"it writes −{100 * WRITES:g} % or less"),
}


@dataclass(frozen=True)
class Finding:
    """Whether a head has a role; ``holds`` is None where the prompts or the model cannot tell.

    ``attention`` is the mean over ``n`` query positions, ``writes`` a share, either None where not measured.
    """

    role: Role
    holds: bool | None
    attention: float | None
    n: int
    writes: float | None


def findings(behaviour: Behaviour, circuit: Circuit) -> dict[Head, tuple[Finding, ...]]:
    """One finding a role for every head of the circuit that the measured model has."""
    n_layers, n_heads = behaviour.attention[Target.BEFORE].shape
    heads = [head for head in circuit.heads if head.layer < n_layers and head.index < n_heads]
    movers = {head for head in heads if _judge(behaviour, head, Role.NAME_MOVER, False).holds}
    feeding = {edge.sender for edge in circuit.edges if edge.input is Input.Q and edge.receiver in movers}
    return {head: tuple(_judge(behaviour, head, role, head in feeding) for role in Role) for head in heads}


def roles_of(found: Mapping[Head, tuple[Finding, ...]]) -> dict[Head, tuple[Role, ...]]:
    """The roles each head has, the one to name it by first; heads without any are left out."""
    held = {head: tuple(each.role for each in each_role if each.holds) for head, each_role in found.items()}
    return {head: roles for head, roles in held.items() if roles}


def _judge(behaviour: Behaviour, head: Head, role: Role, feeds_mover: bool) -> Finding:
    rule = RULES[role]
    n = behaviour.counted[rule.target]
    attention = float(behaviour.attention[rule.target][head.layer, head.index]) if n else None
    writes = None if behaviour.writes is None else float(behaviour.writes[head.layer, head.index])
    if attention is None:
        holds = None
    elif attention < rule.least:
        holds = False
    else:
        holds = _also(role, writes, feeds_mover)
    return Finding(role, holds, attention, n, writes)


def _also(role: Role, writes: float | None, feeds_mover: bool) -> bool | None:
    """What a role asks for besides attention; None if that was not measured."""
    if role is Role.S_INHIBITION and feeds_mover:
        return True
    if role in (Role.PREVIOUS, Role.DUPLICATE, Role.INDUCTION):
        return True
    if writes is None or writes != writes:
        return None
    return writes >= WRITES if role is Role.NAME_MOVER else writes <= -WRITES
