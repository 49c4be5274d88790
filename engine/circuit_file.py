"""A circuit as a file of its own, and any file a person may offer as one.

``circuit_record`` writes what ``read_circuit`` reads: schema ``headlight/1`` with the keys of a whole run that
matter for a circuit (engine/record.py), so that either file can be looked at and verified. What comes in is not
trusted: every value is checked, and every refusal is a HeadlightError that names the place and the way on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeGuard

from engine.circuit import LOGITS_NODE, Circuit, Edge, Input
from engine.errors import HeadlightError
from engine.heads import Head
from engine.nodes import Mlp, Node, depth_of
from engine.record import SCHEMA, circuit_json
from engine.settings import Settings

MAX_BYTES = 20_000_000
MAX_LAYERS, MAX_HEADS_A_LAYER = 1000, 1000
MAX_EDGES = 100_000
MAX_NAME = 60
LARGEST = 10**300  # whole numbers beyond this may be none as a float
WAY_ON = "Give a JSON file that Headlight wrote: a whole run or a circuit."
BINARY = {b"\x89PNG": "a PNG picture", b"\xff\xd8\xff": "a JPEG picture", b"PK\x03\x04": "a ZIP archive",
          b"%PDF": "a PDF", b"GIF8": "a GIF picture", b"GGUF": "a GGUF model"}  # fmt: skip
Json = dict[str, Any]


@dataclass(frozen=True)
class CircuitFile:
    """What a file says. ``seed`` is that of the prompts the circuit was found on, None where it does not say."""

    model: str
    task: str
    seed: int | None
    circuit: Circuit
    names: Mapping[Head, str]
    roles: Mapping[Head, str]


def circuit_record(settings: Settings, circuit: Circuit, names: Mapping[Head, str], roles: Mapping[Head, str]) -> Json:
    """The circuit alone, with the reader's names for heads and the roles they were given."""
    return {
        "schema": SCHEMA,
        "model": settings.model,
        "model_shape": {"n_layers": circuit.n_layers, "n_heads": circuit.n_heads},
        "task": settings.task,
        "settings": asdict(settings),
        "circuit": circuit_json(circuit),
        "names": {str(head): name for head, name in sorted(names.items())},
        "roles": {str(head): role for head, role in sorted(roles.items())},
    }


def read_circuit(data: bytes) -> CircuitFile:
    """The circuit in a file's bytes; raises HeadlightError for anything that is none."""
    return circuit_in(read_record(data))


def circuit_in(record: Json) -> CircuitFile:
    """The circuit of a record as ``read_record`` gives it."""
    if not isinstance(record.get("circuit"), dict):
        raise HeadlightError(f"The file holds no circuit. {WAY_ON}")
    circuit = parse_circuit(record["circuit"], *_shape(record))
    known, shape = frozenset(circuit.heads), (circuit.n_layers, circuit.n_heads)
    return CircuitFile(
        model=_text(record, "model"),
        task=_text(record, "task"),
        seed=_seed(record.get("settings")),
        circuit=circuit,
        names=_names(record.get("names"), known, *shape),
        roles=_names(record.get("roles"), known, *shape),
    )


def parse_circuit(circuit: Json, n_layers: int, n_heads: int) -> Circuit:
    """The inverse of ``circuit_json``."""
    heads = tuple(sorted({_head(name, n_layers, n_heads) for name in _list(circuit, "heads")}))
    mlps = tuple(sorted({_mlp(name, n_layers) for name in _list(circuit, "mlps")})) if "mlps" in circuit else ()
    edges = _list(circuit, "edges")
    if len(edges) > MAX_EDGES:
        raise HeadlightError(f"The file has {len(edges):,} edges; at most {MAX_EDGES:,} can be read.")
    nodes = frozenset((*heads, *mlps))
    read = tuple(_edge(edge, i, nodes, n_layers, n_heads) for i, edge in enumerate(edges, 1))
    return Circuit(heads, read, n_layers, n_heads, mlps)


def read_record(data: bytes) -> Json:
    """A file's bytes as JSON of our schema, nothing in it checked yet; raises HeadlightError for anything else."""
    if len(data) > MAX_BYTES:
        raise HeadlightError(f"The file has {len(data) / 1e6:.0f} MB; at most {MAX_BYTES / 1e6:.0f} can be read.")
    for start, kind in BINARY.items():
        if data.startswith(start):
            raise HeadlightError(f"This is {kind}, whatever its name says. {WAY_ON}")
    try:
        record = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise HeadlightError(f"This is not a text file (byte {error.start} is no UTF-8). {WAY_ON}") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise HeadlightError(f"This is not JSON: {error.msg} at {where}. {WAY_ON}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or brackets without end
        raise HeadlightError(
            f"This is JSON that cannot be read: its values are too large or too deep. {WAY_ON}"
        ) from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        found = record.get("schema") if isinstance(record, dict) else None
        said = f"this one says {_short(found)}" if found is not None else "this one has none"
        raise HeadlightError(f"Expected a file with schema {SCHEMA}; {said}. {WAY_ON}")
    return record


def _shape(record: Json) -> tuple[int, int]:
    shape = record.get("model_shape")
    numbers = [shape.get(key) if isinstance(shape, dict) else None for key in ("n_layers", "n_heads")]
    for number, most in zip(numbers, (MAX_LAYERS, MAX_HEADS_A_LAYER), strict=True):
        if type(number) is not int or not 1 <= number <= most:
            raise HeadlightError(
                f"Expected model_shape with n_layers from 1 to {MAX_LAYERS} and n_heads from 1 to {MAX_HEADS_A_LAYER}, "
                f"got {_short(shape)}. {WAY_ON}"
            )
    return numbers[0], numbers[1]  # pyright: ignore[reportReturnType]


def _edge(edge: Any, number: int, known: frozenset[Node], n_layers: int, n_heads: int) -> Edge:
    where = f"Edge {number}"
    if not isinstance(edge, dict):
        raise HeadlightError(f"{where} is {_short(edge)}; expected sender, receiver, input and effect.")
    sender = _end(edge.get("sender"), where, known, n_layers, n_heads)
    to_logits = edge.get("receiver") == LOGITS_NODE
    receiver = None if to_logits else _end(edge.get("receiver"), where, known, n_layers, n_heads)
    letters = [each.value for each in _inputs_of(receiver)]
    entry, effect = edge.get("input"), edge.get("effect")
    if entry not in letters:
        raise HeadlightError(f"{where} enters its receiver by {_short(entry)}; expected {' or '.join(letters)}.")
    if receiver is not None and depth_of(receiver) <= depth_of(sender):
        raise HeadlightError(f"{where} goes from {sender} to {receiver}; expected a receiver in a higher layer.")
    if not _is_number(effect):
        raise HeadlightError(f"{where} has the effect {_short(effect)}; expected a number.")
    return Edge(sender, receiver, Input(entry), float(effect), edge.get("shared") is True)


def _is_number(value: Any) -> TypeGuard[int | float]:
    """Whether it is a finite number that a float can hold: a whole number in JSON may have thousands of digits."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) < LARGEST


def _inputs_of(receiver: Node | None) -> tuple[Input, ...]:
    if receiver is None:
        return (Input.LOGITS,)
    return (Input.MLP,) if isinstance(receiver, Mlp) else (Input.Q, Input.K, Input.V)


def _end(name: Any, where: str, known: frozenset[Node], n_layers: int, n_heads: int) -> Node:
    is_mlp = isinstance(name, str) and name.startswith("m")
    node = _mlp(name, n_layers) if is_mlp else _head(name, n_layers, n_heads)
    if node not in known:
        kind, kinds = ("MLP", "MLPs") if is_mlp else ("head", "heads")
        raise HeadlightError(f"{where} names {kind} {node}, which is not among the {kinds} of the circuit.")
    return node


def _mlp(name: Any, n_layers: int) -> Mlp:
    if not isinstance(name, str) or len(name) > 9:
        raise HeadlightError(f"Expected an MLP written m and its layer such as m9, got {_short(name)}.")
    mlp = Mlp.parse(name)
    if mlp.layer >= n_layers:
        raise HeadlightError(f"The file names MLP {mlp}, but its model has layers 0 to {n_layers - 1}.")
    return mlp


def _head(name: Any, n_layers: int, n_heads: int) -> Head:
    if not isinstance(name, str) or len(name) > 9:
        raise HeadlightError(f"Expected a head written layer.index such as 9.6, got {_short(name)}.")
    head = Head.parse(name)
    if head.layer >= n_layers or head.index >= n_heads:
        raise HeadlightError(
            f"The file names head {head}, but its model has layers 0 to {n_layers - 1} and heads 0 to {n_heads - 1}."
        )
    return head


def _names(given: Any, known: frozenset[Head], n_layers: int, n_heads: int) -> dict[Head, str]:
    """Texts by head; what is no text, or of a head not in the circuit, is left out."""
    if not isinstance(given, dict):
        return {}
    texts = {_head(name, n_layers, n_heads): text for name, text in given.items() if isinstance(text, str)}
    return {head: _plain(text) for head, text in texts.items() if head in known and _plain(text)}


def _plain(text: str) -> str:
    return "".join(letter for letter in text[:MAX_NAME] if letter.isprintable()).strip()


def _seed(settings: Any) -> int | None:
    seed = settings.get("seed") if isinstance(settings, dict) else None
    return seed if type(seed) is int and 0 <= seed < 2**31 else None


def _text(record: Json, key: str) -> str:
    text = record.get(key)
    if not isinstance(text, str) or not _plain(text[:300]):
        raise HeadlightError(f"Expected the name of a {key}, got {_short(text)}. {WAY_ON}")
    return "".join(letter for letter in text[:300] if letter.isprintable())


def _list(record: Json, key: str) -> list[Any]:
    values = record.get(key)
    if not isinstance(values, list):
        raise HeadlightError(f"Expected a list of {key}, got {_short(values)}. {WAY_ON}")
    return values


def _short(value: object) -> str:
    text = "".join(letter if letter.isprintable() else "?" for letter in repr(value)[:41])
    return f"{text[:40]}…" if len(text) > 40 else text
