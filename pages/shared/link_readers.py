"""What may stand in a link: one reader for each field of a view. Each raises HeadlightError for what makes no sense."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from engine.errors import HeadlightError
from engine.heads import Head
from engine.nodes import Mlp
from engine.pruning.masks import KEEPERS
from engine.pruning.merge import UNION_NAMES
from engine.serving.limits import check_model, limits
from engine.tasks.own import is_own
from pages.shared.view import (
    ABLATIONS,
    ALGORITHMS,
    AMONG,
    COLOURS,
    COMPARING,
    DRAWN,
    FILLS,
    INPUTS,
    MAPS,
    MAX_EDGES,
    MAX_SEED,
    MEASURES,
    MODES,
    MOST_DRAWS,
    MOST_PAIRS,
    ORDERS,
    PAIR_FILTERS,
    RECEIPTS_OF,
    REFERENCES,
    RUN_ORDERS,
    RUN_STATES,
    RUNS_OF,
    SCORES,
    SHELVES,
    SIGNS,
    SUBJECTS,
    SWEEP_NUMBERS,
)

MAX_TEXT = 300
MAX_PINS = 60
MAX_NAMES, MAX_NAME = 30, 24  # so that all of them fit into a link
MAX_SEARCH = 40
MAX_TOP = 10_000
MAX_TRIALS = 1000  # as engine/tuning/tune.py has it, which takes its time to import
MAX_PICKED = 40
RUN = re.compile(r"(file-)?[0-9a-f]{8}|[0-9a-f]{12}")  # of this server or a file; of the store
KEPT = re.compile(r"[0-9a-f]{12}|file-[0-9a-f]{8}")
SWEEP = re.compile(r"[0-9a-f]{12}")


def most_trials() -> int:
    """Of automatic settings, that may be asked for."""
    return min(MAX_TRIALS, limits().trials)


def check_known(value: Any, choices: tuple[str, ...] | None) -> None:
    if choices is not None and value not in choices:
        if isinstance(value, str) and is_own(value):
            if not limits().keeps:
                raise HeadlightError(
                    f"This demonstration has no own task {value}, and takes none: the link works where Headlight runs "
                    "on your own machine, with the same rows."
                )
            raise HeadlightError(
                f"There is no own task {value} on this machine. It was deleted, or is kept on another machine: with "
                "the same rows, brought on the page Prompts, the link works here too."
            )
        raise HeadlightError(f"Expected one of {', '.join(choices)}, got {_short(value)}.")


def _text(raw: str) -> str:
    if not raw or len(raw) > MAX_TEXT or not raw.isprintable():
        raise HeadlightError(f"Expected a name of 1 to {MAX_TEXT} characters, got {_short(raw)}.")
    return raw


def _model(raw: str) -> str:
    model = _text(raw)
    check_model(model, limits())
    return model


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def read(raw: str) -> str:
        check_known(raw, choices)
        return raw

    return read


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(raw: str) -> int:
        if not (raw.isascii() and raw.isdigit() and len(raw) <= 10 and low <= int(raw) <= high):
            raise HeadlightError(f"Expected a whole number from {low} to {high}, got {_short(raw)}.")
        return int(raw)

    return read


def _number(low: float, high: float) -> Callable[[str], float]:
    def read(raw: str) -> float:
        try:
            value = float(raw)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise HeadlightError(f"Expected a number from {low:g} to {high:g}, got {_short(raw)}.")
        return value

    return read


def _head(raw: str) -> str:
    if len(raw) > 9:
        raise HeadlightError(f"Expected a head written layer.index such as 9.6, got {_short(raw)}.")
    return str(Head.parse(raw))


def _node(raw: str) -> str:
    """A head, or an MLP such as m9."""
    return str(Mlp.parse(raw)) if raw.startswith("m") and len(raw) < 9 else _head(raw)


def _edge(raw: str) -> str:
    sender, arrow, entry = raw.partition("-")
    receiver, _, letter = entry.rpartition(".")
    if arrow and entry == "logits":
        return f"{_node(sender)}-logits"
    letters = ("mlp",) if receiver.startswith("m") else ("q", "k", "v")
    if not arrow or letter not in letters:
        raise HeadlightError(f"Expected an edge such as 9.6-logits, 5.5-9.6.q or 5.5-m6.mlp, got {_short(raw)}.")
    return f"{_node(sender)}-{_node(receiver)}.{letter}"


def _some_of(choices: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def read(raw: str) -> tuple[str, ...]:
        chosen = tuple(raw.split(",")) if raw else ()
        if not set(chosen) <= set(choices):
            raise HeadlightError(f"Expected some of {', '.join(choices)}, got {_short(raw)}.")
        return tuple(choice for choice in choices if choice in chosen)

    return read


def _search(raw: str) -> str:
    if len(raw) > MAX_SEARCH or not raw.isprintable():
        raise HeadlightError(f"Expected at most {MAX_SEARCH} characters to search for, got {_short(raw)}.")
    return raw


def _pair_filter(raw: str) -> str:
    if raw not in PAIR_FILTERS:
        _whole(1, MOST_PAIRS)(raw)
    return raw


def _span(raw: str) -> str:
    low, dash, high = raw.partition("-")
    if not dash or _whole(0, 999)(low) > _whole(0, 999)(high):
        raise HeadlightError(f"Expected a range of layers such as 3-9, got {_short(raw)}.")
    return f"{int(low)}-{int(high)}"


def _several(read: Callable[[str], str], most: int) -> Callable[[str], tuple[str, ...]]:
    def read_all(raw: str) -> tuple[str, ...]:
        parts = raw.split(",") if raw else []
        if len(parts) > most:
            raise HeadlightError(f"Expected at most {most} of them, got {len(parts)}.")
        return tuple(dict.fromkeys(read(part) for part in parts))

    return read_all


def _name(raw: str) -> str:
    head, mark, text = raw.partition("~")
    if not mark or not text.strip() or len(text) > MAX_NAME or not text.isprintable():
        raise HeadlightError(f"Expected names such as 9.6~mover of at most {MAX_NAME} letters, got {_short(raw)}.")
    return f"{_head(head)}~{text.strip()}"


def _named(pattern: re.Pattern[str], expected: str) -> Callable[[str], str]:
    def read(raw: str) -> str:
        if not pattern.fullmatch(raw):
            raise HeadlightError(f"Expected {expected}, got {_short(raw)}.")
        return raw

    return read


_run = _named(RUN, "the short name of a run, eight or twelve digits or letters a to f")
_kept = _named(KEPT, "the name of a run that is kept, twelve digits or letters a to f")


def _short(raw: object) -> str:
    """A quoted, printable, short form of whatever stood in the link."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(raw))
    return f"“{text[:40]}…”" if len(text) > 40 else f"“{text}”"


READERS: dict[str, Callable[[str], Any]] = {
    "model": _model,
    "task": _text,
    "pairs": lambda raw: _whole(1, limits().pairs)(raw),
    "seed": _whole(0, MAX_SEED),
    "score": _one_of(SCORES),
    "sparsity": _number(0, 0.99),
    "flap_sparsity": _number(0, 0.99),
    "among": _one_of(AMONG),
    "algorithm": _one_of(ALGORITHMS),
    "top_edges": _whole(1, MAX_EDGES),
    "tolerance": _number(0, 10),
    "mode": _one_of(MODES),
    "grid": lambda raw: bool(_whole(0, 1)(raw)),
    "threshold_scale": _number(0, 10),
    "min_effect": _number(0, 1),
    "mlps": lambda raw: bool(_whole(0, 1)(raw)),
    "head": _head,
    "edge": _edge,
    "weakest": _number(0, 1),
    "inputs": _some_of(INPUTS),
    "prompt": _whole(0, MOST_PAIRS - 1),
    "hide_first": lambda raw: bool(_whole(0, 1)(raw)),
    "sign": _one_of(SIGNS),
    "span": _span,
    "connected": lambda raw: bool(_whole(0, 1)(raw)),
    "strongest": _whole(0, 100_000),
    "pins": _several(_head, MAX_PINS),
    "names": _several(_name, MAX_NAMES),
    "drawn": _one_of(DRAWN),
    "opened": _several(lambda part: str(_whole(0, 999)(part)), 1000),
    "fill": _one_of(FILLS),
    "answer_key": _whole(0, 9),
    "union": lambda raw: _one_of(("", *UNION_NAMES))(raw.replace(" ", "+")),  # a plus typed in an address is a blank
    "maps": _one_of(MAPS),
    "versus": _one_of(MEASURES),
    "colour": _one_of(COLOURS),
    "find": _search,
    "kept_by": _some_of(KEEPERS),
    "layers": lambda raw: _span(raw) if raw else "",
    "top": _whole(0, MAX_TOP),
    "order": _one_of(ORDERS),
    "own": lambda raw: bool(_whole(0, 1)(raw)),
    "pair_filter": _pair_filter,
    "pair_page": _whole(1, MOST_PAIRS),
    "subject": _one_of(SUBJECTS),
    "ablation": _one_of(ABLATIONS),
    "comparing": _one_of(COMPARING),
    "dense_too": lambda raw: bool(_whole(0, 1)(raw)),
    "reference": _one_of(REFERENCES),
    "resamples": _whole(0, MOST_DRAWS),
    "seeds": _whole(0, MOST_DRAWS),
    "templates": lambda raw: bool(_whole(0, 1)(raw)),
    "runs_of": _one_of(RUNS_OF),
    "present": _number(0, 1),
    "receipt_of": _one_of(RECEIPTS_OF),
    "step": _whole(1, 99_999),
    "left": _run,
    "right": _run,
    "trials": lambda raw: _whole(1, most_trials())(raw),
    "trial": _whole(0, MAX_TRIALS - 1),
    "shelf": _one_of(SHELVES),
    "run_find": _search,
    "run_model": lambda raw: _text(raw) if raw else "",
    "run_task": lambda raw: _text(raw) if raw else "",
    "run_state": _one_of(RUN_STATES),
    "run_tag": _search,
    "run_order": _one_of(RUN_ORDERS),
    "picked": _several(_kept, MAX_PICKED),
    "run": _kept,
    "sweep": _named(SWEEP, "the name of a sweep, twelve digits or letters a to f"),
    "sweep_shows": _one_of(SWEEP_NUMBERS),
}
