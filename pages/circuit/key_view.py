"""The circuit against a published one: what both have, what only one has, precision and recall."""

from __future__ import annotations

from collections import defaultdict

from engine.circuit import Circuit
from engine.heads import Head
from engine.trust.answer_keys import AnswerKey, against_key, answer_keys, models_with_keys
from engine.trust.overlap import Overlap
from pages.circuit.shown import Shown
from pages.shared import look
from pages.shared.view import View

MOST_LISTED = 26  # as many as the longest key has
LEAD = "Somebody else’s list of heads for the same model and task. Hidden until you choose it above the graph."


def keys_for(shown: Shown) -> tuple[AnswerKey, ...]:
    """The keys that match the circuit’s own model and task."""
    if shown.file is not None:
        model, task = shown.file.model, shown.file.task
        return answer_keys(model, task) if model is not None and task is not None else ()
    return answer_keys(shown.found.settings.model, shown.found.settings.task) if shown.found is not None else ()


def chosen(shown: Shown, view: View) -> AnswerKey | None:
    keys = keys_for(shown)
    return keys[view.answer_key - 1] if 0 < view.answer_key <= len(keys) else None


def show(shown: Shown, view: View) -> None:
    look.step(None, "Against an answer key", LEAD)
    key = chosen(shown, view)
    if key is not None:
        _compare(shown.circuit, key)
    elif keys_for(shown):
        look.empty("Hidden", "Guess first, which heads will a published circuit have? Then choose it above the graph.")
    else:
        pairs = ", ".join(f"{model} · {task}" for model, task in models_with_keys())
        look.empty("No answer key for this model and task", f"There are keys for: {pairs}.")


def _compare(circuit: Circuit, key: AnswerKey) -> None:
    same = against_key(circuit.heads, key)
    found, known = len(circuit.heads), len(key.heads)
    look.facts(
        [
            look.Fact("Precision", _percent(same.precision), "%", f"{len(same.common)} of {found} heads found"),
            look.Fact("Recall", _percent(same.recall), "%", f"{len(same.common)} of {known} heads of the key"),
            look.Fact("Found and in the key", f"{len(same.common)}", "heads", _list(same.common)),
            look.Fact("Found only", f"{len(same.only_first)}", "heads", _list(same.only_first)),
            look.Fact("In the key, not found", f"{len(same.only_second)}", "heads", _list(same.only_second)),
        ]
    )
    _roles(key, same)
    look.note(f"{key.title}. Source: {key.source}. An answer key is one group’s result, not the truth.")


def _percent(share: float) -> str:
    return f"{100 * share:.0f}" if share == share else "–"


def _list(heads: tuple[Head, ...]) -> str:
    more = f" and {len(heads) - MOST_LISTED} more" if len(heads) > MOST_LISTED else ""
    return (", ".join(map(str, heads[:MOST_LISTED])) or "none") + more


def _roles(key: AnswerKey, same: Overlap[Head]) -> None:
    """How much of each role of the key was found."""
    members: defaultdict[str, list[Head]] = defaultdict(list)
    for head in key.heads:
        members[key.roles[head]].append(head)
    parts = [
        f"{role}: {sum(head in same.common for head in heads)} of {len(heads)}"
        for role, heads in members.items()
        if role
    ]
    if parts:
        look.note(f"Found by role of the key. {'; '.join(parts)}.")


def tell(key: AnswerKey | None, head: Head) -> None:
    """On the head's card, once the key is shown."""
    if key is not None and head in key.roles:
        role = key.roles[head]
        look.note(f"In the published circuit “{key.title}”{f' as {role}' if role else ''}.")
