"""A unit of work: what one worker does alone, from plain values, and what it is called.

1. model      which model a name means there: its fingerprint and shape
2. search     a whole run: model x task x settings, the seed among them
3. draw       a run's circuit found again on one draw of its prompts (engine/trust/draws.py)
4. receivers  effects on some receivers of one stop of a search (engine/search/stops.py)

Units hold plain values only, so that they can be sent as JSON; no object of ours is ever pickled. How work is cut into
units follows from settings alone, never from how many workers there are, and a worker computes with as many
threads as the unit says: sums depend on both, and so results are the same bits wherever the units are done.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from engine.errors import HeadlightError
from engine.machine.memory import MemoryPlan
from engine.record.json_values import Json
from engine.record.reader import Reader
from engine.record.settings_reading import read_settings
from engine.settings import Settings
from engine.tasks.prompts import Metric, PromptPair, Prompts
from engine.trust.draws import Kind

ID_DIGITS = 16


@dataclass(frozen=True)
class Unit:
    """What every unit has. ``threads`` of torch; ``fingerprint`` of the model it must be done with, None for any.

    ``prompts``: rows of a person's own, which a worker cannot make again; None for those of the settings.
    """

    kind: ClassVar[str]
    settings: Settings
    threads: int = 1
    fingerprint: str | None = None
    prompts: Prompts | None = None


@dataclass(frozen=True)
class ModelUnit(Unit):
    kind = "model"


@dataclass(frozen=True)
class SearchUnit(Unit):
    kind = "search"


@dataclass(frozen=True)
class DrawUnit(Unit):
    """``seed``, ``left_out``: see engine/trust/draws.py. ``memory``: how work is cut; None as the settings plan it."""

    kind = "draw"
    draw: Kind = Kind.RESAMPLE
    label: str = ""
    seed: int = 0
    left_out: int | None = None
    memory: MemoryPlan | None = None


@dataclass(frozen=True)
class Asked:
    """One receiver such as ``23.3.q``, and the (scale, smallest effect) of the walks that reach it, none if its
    estimates are enough."""

    receiver: str
    rules: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class ReceiversUnit(Unit):
    """``senders``: all nodes that may send, by name."""

    kind = "receivers"
    senders: tuple[str, ...] = ()
    asked: tuple[Asked, ...] = ()
    memory: MemoryPlan | None = None


UNITS = {unit.kind: unit for unit in (ModelUnit, SearchUnit, DrawUnit, ReceiversUnit)}


def plain(unit: Unit) -> Json:
    """The unit as JSON; ``unit_of`` is the inverse."""
    return {"kind": unit.kind} | json.loads(json.dumps(asdict(unit), allow_nan=False))


def unit_of(values: Json) -> Unit:
    """Raises HeadlightError for what is no unit of this version."""
    try:
        rest = dict(values)
        kind = UNITS[rest.pop("kind")]
        read = {name: READERS[name](value) if name in READERS else value for name, value in rest.items()}
        return kind(**read)
    except (KeyError, TypeError, ValueError) as error:
        raise HeadlightError(
            f"Expected a unit of work, got one that cannot be read ({error}). Install the same version of Headlight "
            "on every machine."
        ) from error


def unit_id(unit: Unit) -> str:
    """16 hex digits of all that it says; of two models of one name the fingerprint differs."""
    text = json.dumps(plain(unit), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS]


def _settings(values: Json) -> Settings:
    return read_settings(Reader(values, "settings"))


def _memory(values: Json | None) -> MemoryPlan | None:
    return None if values is None else MemoryPlan(**values)


def _prompts(values: Json | None) -> Prompts | None:
    if values is None:
        return None
    return Prompts(values["task"], Metric(values["metric"]), tuple(_pair(pair) for pair in values["pairs"]))


def _pair(values: Json) -> PromptPair:
    read: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in values.items()}
    return PromptPair(**read)


def _asked(rows: list[Json]) -> tuple[Asked, ...]:
    return tuple(Asked(row["receiver"], tuple((scale, least) for scale, least in row["rules"])) for row in rows)


READERS: dict[str, Any] = {
    "settings": _settings, "memory": _memory, "prompts": _prompts, "asked": _asked, "draw": Kind, "senders": tuple,
}  # fmt: skip
