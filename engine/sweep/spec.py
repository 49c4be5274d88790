"""What a sweep goes over, from a YAML file: models x tasks x methods x seeds, checked before anything runs.

::

    name: which score prunes best          # optional
    models: [smollm2-135m, gpt2]
    tasks: [ioi, greater-than]
    methods:                               # by a name of your own: settings of a run, all others as usual
      app: {sparsity: auto}
      walk: {sparsity: 0.7, score: walk}
      dense: {method: dense, mode: exact}
    seeds: [0, 1, 2]
    pairs: 16                              # of every run
    resamples: 5                           # also find each run's circuit again on so many resamples
    threads: 1                             # of torch, wherever a run is done: sums depend on it
    device: cpu
    dtype: auto

Only ``models``, ``tasks`` and ``methods`` must be there. Plain YAML alone: no tags, no anchors, no key twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, get_args, get_type_hints

import yaml

from engine.errors import HeadlightError
from engine.record.json_values import Json
from engine.settings import Settings
from engine.store.words import line
from engine.tasks.build import MAX_PAIRS
from engine.tasks.own import is_own
from engine.tasks.task import find_task

MOST_TEXT = 100_000  # characters of a file
MOST_OF_A_KIND, MOST_UNITS = 200, 2000
MOST_RESAMPLES, MOST_THREADS = 200, 256
LONGEST_NAME = 300
LARGEST_NUMBER = 1e18  # bytes of memory are the largest there is to say; NaN is not below it
LARGEST_SEED = 2**31 - 10  # a run also takes the seeds that follow
FIXED = ("model", "task", "pairs", "seed", "device", "dtype")  # of Settings: not for a method to say
METHOD_SETTINGS = {name: kind for name, kind in get_type_hints(Settings).items() if name not in FIXED}
AUTO = "auto"


@dataclass(frozen=True)
class NamedMethod:
    """Settings of a run that differ from the usual ones."""

    name: str
    settings: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class SweepSpec:
    """``read_spec`` checks it."""

    models: tuple[str, ...]
    tasks: tuple[str, ...]
    methods: tuple[NamedMethod, ...]
    name: str = ""
    seeds: tuple[int, ...] = (Settings.seed,)
    pairs: int = Settings.pairs
    resamples: int = 0
    threads: int = 1
    device: str = Settings.device
    dtype: str = Settings.dtype

    @property
    def size(self) -> int:
        """Units of the whole sweep."""
        return len(self.models) * len(self.tasks) * len(self.methods) * len(self.seeds) * (1 + self.resamples)

    @property
    def id(self) -> str:
        """12 hex digits of all that is swept over: the same sweep goes on, whatever it is called."""
        text = json.dumps(spec_json(self) | {"name": ""}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def settings(self, model: str, task: str, method: NamedMethod, seed: int) -> Settings:
        return Settings(
            model=model, task=task, pairs=self.pairs, seed=seed, device=self.device, dtype=self.dtype,
            **dict(method.settings),
        )  # fmt: skip


def read_spec(text: str) -> SweepSpec:
    """Raises HeadlightError that names the place, what was expected there, and what was got."""
    given = _mapping(_loaded(text), "the file", READERS)
    missing = [name for name in ("models", "tasks", "methods") if name not in given]
    if missing:
        raise HeadlightError(f"The sweep lacks {_and(missing)}. See the example in the README.")
    spec = SweepSpec(**{name: READERS[name](value, name) for name, value in given.items()})
    if spec.size > MOST_UNITS:
        raise HeadlightError(f"Expected at most {MOST_UNITS:,} runs, got {spec.size:,}. Make two sweeps of it.")
    for method in spec.methods:
        _check_method(spec, method)
    return spec


def spec_json(spec: SweepSpec) -> Json:
    """As ``read_spec`` reads it, every default written out."""
    values = {name: _plain(getattr(spec, name)) for name in READERS if name != "methods"}
    methods = {method.name: {name: _plain(value) for name, value in method.settings} for method in spec.methods}
    return values | {"methods": methods}


def spec_of(values: Json) -> SweepSpec:
    """The inverse of ``spec_json``."""
    return read_spec(json.dumps(values))  # JSON is YAML


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return value.value if isinstance(value, StrEnum) else value


class _Plain(yaml.SafeLoader):
    """Refuses what would let a small file become a large one, or hide a key behind another of its name."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.MarkedYAMLError(None, None, "anchors are not used here", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.MarkedYAMLError(None, None, f"{key.value[:60]!r} is there twice", key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, deep)


def _loaded(text: str) -> Any:
    if len(text) > MOST_TEXT:
        raise HeadlightError(f"Expected a sweep of at most {MOST_TEXT:,} characters, got {len(text):,}.")
    try:
        return yaml.load(text, _Plain)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = "" if mark is None else f" at line {mark.line + 1}, column {mark.column + 1}"
        raise HeadlightError(f"The sweep is not plain YAML: {error.problem}{where}. Mend that line.") from error
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        raise HeadlightError(f"The sweep is not plain YAML: {_short(error)}. See the example in the README.") from error


def _check_method(spec: SweepSpec, method: NamedMethod) -> None:
    """What only settings as a whole can tell, such as a grid beside another algorithm."""
    try:
        spec.settings(spec.models[0], spec.tasks[0], method, spec.seeds[0])
    except HeadlightError as error:
        raise HeadlightError(f"methods.{method.name}: {error}") from error


def _mapping(value: Any, place: str, known: Iterable[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(place, "keys with values", value)
    for name in value:
        if name not in known:
            near = get_close_matches(str(name), known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Expected some of {', '.join(known)}."
            raise HeadlightError(f"There is no key {_short(name)} in {place}. {hint}")
    return value


def _texts(value: Any, place: str) -> tuple[str, ...]:
    return _each(value, place, _text)


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_NAME or not value.isprintable():
        raise _wrong(place, "a name (in quotes if it looks like a number, or like yes or no)", value)
    return value.strip()


def _tasks(value: Any, place: str) -> tuple[str, ...]:
    names = _texts(value, place)
    for name in names:
        if not is_own(name):
            find_task(name)
    return names


def _each(value: Any, place: str, read: Callable[[Any, str], Any]) -> tuple[Any, ...]:
    """A list without repetitions."""
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_OF_A_KIND:
        got = f"{len(value):,} of them" if isinstance(value, list) else value
        raise _wrong(place, f"a list of 1 to {MOST_OF_A_KIND}", got)
    found = tuple(read(each, f"{place}[{index}]") for index, each in enumerate(value, 1))
    twice = [each for each in found if found.count(each) > 1]
    if twice:
        raise HeadlightError(f"{place} lists {_short(twice[0])} twice. Take one out.")
    return found


def _whole(low: int, high: int) -> Callable[[Any, str], int]:
    def read(value: Any, place: str) -> int:
        if type(value) is not int or not low <= value <= high:
            raise _wrong(place, f"a whole number from {low:,} to {high:,}", value)
        return value

    return read


def _seeds(value: Any, place: str) -> tuple[int, ...]:
    return _each(value, place, _whole(0, LARGEST_SEED))


def _methods(value: Any, place: str) -> tuple[NamedMethod, ...]:
    if not isinstance(value, dict) or not 1 <= len(value) <= MOST_OF_A_KIND:
        raise _wrong(place, f"1 to {MOST_OF_A_KIND} methods by name, such as app: {{sparsity: auto}}", value)
    return tuple(_method(name, settings, place) for name, settings in value.items())


def _method(name: Any, settings: Any, place: str) -> NamedMethod:
    name = line(_text(name, f"a name in {place}"), 60)
    where = f"{place}.{name}"
    given = _mapping({} if settings is None else settings, where, METHOD_SETTINGS)
    read = {key: _setting(value, METHOD_SETTINGS[key], f"{where}.{key}") for key, value in given.items()}
    if given.get("sparsity") == AUTO:
        read["sparsity"] = None
    return NamedMethod(name, tuple(sorted(read.items())))


def _setting(value: Any, kind: Any, place: str) -> Any:
    """``value`` as a setting of that type."""
    kinds = get_args(kind) or (kind,)
    if (value is None and type(None) in kinds) or (value == AUTO and place.endswith(".sparsity")):
        return None
    choices = next((each for each in kinds if isinstance(each, type) and issubclass(each, StrEnum)), None)
    if choices is not None:
        return _choice(value, choices, place)
    if int in kinds:
        return _whole(0, LARGEST_SEED)(value, place)
    if float in kinds:
        return _number(value, place)
    for each, called in ((bool, "true or false"), (str, "a text")):
        if each in kinds and type(value) is not each:
            raise _wrong(place, called, value)
    return value


def _number(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= LARGEST_NUMBER:
        raise _wrong(place, "a number", value)
    return float(value)


def _choice(value: Any, choices: type[StrEnum], place: str) -> StrEnum:
    names = [each.value for each in choices]
    if value not in names:
        near = get_close_matches(str(value), names, n=1)
        raise _wrong(place, f"one of {', '.join(names)}", value, f" Did you mean {near[0]}?" if near else "")
    return choices(value)


def _wrong(place: str, expected: str, got: object, hint: str = "") -> HeadlightError:
    return HeadlightError(f"Expected {expected} for {place}, got {_short(got)}.{hint}")


def _short(value: object) -> str:
    text = "".join(letter if letter.isprintable() else " " for letter in str(value)[:61])
    return f"“{text[:60]}…”" if len(text) > 60 else f"“{text}”"


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


READERS: dict[str, Callable[[Any, str], Any]] = {
    "name": lambda value, place: line(_text(value, place)) if value != "" else "",
    "models": _texts,
    "tasks": _tasks,
    "methods": _methods,
    "seeds": _seeds,
    "pairs": _whole(1, MAX_PAIRS),
    "resamples": _whole(0, MOST_RESAMPLES),
    "threads": _whole(1, MOST_THREADS),
    "device": _text,
    "dtype": _text,
}
