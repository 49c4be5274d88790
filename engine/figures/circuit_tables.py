"""The twin of the circuit's map as rows: its heads with roles and names, and the rules behind the roles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from engine.behaviour.roles import RULES, Finding, Role
from engine.circuit import Circuit
from engine.figures.graph import sent_effects
from engine.figures.tables import Row
from engine.heads import Head

LOOKS = {  # column of the heads' table: the role whose finding holds the number
    "looks one back": Role.PREVIOUS,
    "looks at copy": Role.DUPLICATE,
    "looks after copy": Role.INDUCTION,
    "end looks at answer": Role.NAME_MOVER,
    "end looks at distractor": Role.S_INHIBITION,
}


def circuit_head_rows(
    circuit: Circuit,
    names: Mapping[Head, str],
    roles: Mapping[Head, tuple[Role, ...]],
    found: Mapping[Head, tuple[Finding, ...]],
    key_roles: Mapping[Head, str] | None = None,
) -> list[Row]:
    """One row a head; ``found`` are the numbers behind its ``roles``, ``key_roles`` adds what an answer key says.

    None is what was not measured.
    """
    out, into = Counter(edge.sender for edge in circuit.edges), Counter(edge.receiver for edge in circuit.edges)
    sent = sent_effects(circuit)
    rows: list[Row] = []
    for head in circuit.heads:
        row: Row = {
            "head": str(head), "layer": head.layer, "name": names.get(head, ""),
            "behaves like": ", ".join(roles.get(head, ())),
            "effect sent": sent[head], "edges out": out[head], "edges in": into[head],
        }  # fmt: skip
        if key_roles is not None:
            row["answer key"] = (key_roles[head] or "yes") if head in key_roles else ""
        rows.append(row | _behaviour(found.get(head, ())))
    return rows


def _behaviour(findings: tuple[Finding, ...]) -> Row:
    by_role = {each.role: each for each in findings}
    row: Row = {}
    for column, role in LOOKS.items():
        row[column] = by_role[role].attention if role in by_role else None
    row["writes answer %"] = None
    if findings and findings[0].writes is not None:
        row["writes answer %"] = 100 * findings[0].writes
    return row


def rule_rows(found: Mapping[Head, tuple[Finding, ...]]) -> list[Row]:
    """One row a role: what it asks for, on how many query positions it was measured, which heads have it."""
    rows: list[Row] = []
    for number, role in enumerate(Role):
        rule, of_role = RULES[role], [(head, findings[number]) for head, findings in sorted(found.items())]
        unknown = sum(each.holds is None for _, each in of_role)
        rows.append(
            {
                "role": role.value,
                "mean attention to": rule.target.value,
                "at least": rule.least,
                "and": rule.also,
                "n positions": of_role[0][1].n if of_role else 0,
                "heads": _heads([head for head, each in of_role if each.holds], unknown == len(of_role)),
            }
        )
    return rows


def _heads(heads: list[Head], nothing_known: bool) -> str:
    if heads:
        return ", ".join(map(str, heads))
    return "unknown" if nothing_known else "none"
