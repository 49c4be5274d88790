"""A circuit as a file of its own, and any file a person may offer as one.

``circuit_record`` writes what ``read_circuit`` reads: schema ``headlight/1`` with the keys of a whole run that
matter for a circuit (engine/record/writing.py), so that either file can be looked at and verified. What comes in is not
trusted: every value is checked, and every refusal is a HeadlightError that names the place and the way on.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeGuard

from engine.circuit import LOGITS_NODE, Circuit, Edge, Input
from engine.errors import HeadlightError
from engine.heads import Head
from engine.nodes import Mlp, Node, depth_of
from engine.record.writing import SCHEMA, circuit_json
from engine.settings import Settings

MAX_BYTES = 20_000_000
MAX_LAYERS, MAX_HEADS_A_LAYER = 1000, 1000
MAX_EDGES = 100_000
MAX_WIDTH = 1_000_000
MAX_NAME = 60
WAY_ON = (
    "Give a file that Headlight wrote, or a circuit as EAP-IG or MIB circuit-track JSON, GraphML, or networkx "
    "node-link JSON."
)
BINARY = {b"\x89PNG": "a PNG picture", b"\xff\xd8\xff": "a JPEG picture", b"PK\x03\x04": "a ZIP archive",
          b"%PDF": "a PDF", b"GIF8": "a GIF picture", b"GGUF": "a GGUF model"}  # fmt: skip
Json = dict[str, Any]


@dataclass(frozen=True)
class CircuitFile:
    """What a file says; None where it does not.

    ``seed`` is that of the prompts the circuit was found on. ``notes`` are sentences about what the file holds and
    this does not. ``parallel_mlps``: the model's MLPs read what its attention reads, not what it wrote. ``settings``:
    those of a run of Headlight, as they stand in its file, unchecked.
    """

    model: str | None
    task: str | None
    seed: int | None
    circuit: Circuit
    names: Mapping[Head, str]
    roles: Mapping[Head, str]
    notes: tuple[str, ...] = ()
    d_model: int | None = None
    parallel_mlps: bool = False
    settings: Json | None = None


def circuit_record(settings: Settings, circuit: Circuit, names: Mapping[Head, str], roles: Mapping[Head, str]) -> Json:
    """The circuit alone, with the reader's names for heads and the roles they were given."""
    own = asdict(settings)
    return file_record(
        CircuitFile(settings.model, settings.task, settings.seed, circuit, names, roles, settings=own)
    )


def file_record(file: CircuitFile) -> Json:
    """What ``circuit_in`` reads; raises HeadlightError for a circuit of no known model or task."""
    for name, value in (("model", file.model), ("task", file.task)):
        if value is None:
            raise HeadlightError(f"The circuit's file does not say which {name} it is of. Name it.")
    circuit = file.circuit
    shape: Json = {"n_layers": circuit.n_layers, "n_heads": circuit.n_heads}
    if file.d_model is not None:
        shape |= {"d_model": file.d_model, "parallel_mlps": file.parallel_mlps}
    return {
        "schema": SCHEMA,
        "model": file.model,
        "model_shape": shape,
        "task": file.task,
        "settings": {"seed": file.seed} if file.settings is None else file.settings,
        "circuit": circuit_json(circuit),
        "names": {str(head): name for head, name in sorted(file.names.items())},
        "roles": {str(head): role for head, role in sorted(file.roles.items())},
    }


def read_circuit(data: bytes) -> CircuitFile:
    """The circuit in a file's bytes; raises HeadlightError for anything that is none."""
    return circuit_in(read_record(data))


def circuit_in(record: Json) -> CircuitFile:
    """The circuit of a record as ``read_record`` gives it."""
    if not isinstance(record.get("circuit"), dict):
        raise HeadlightError(f"The file holds no circuit. {WAY_ON}")
    circuit = parse_circuit(record["circuit"], *shape_of(record))
    shape, settings = record["model_shape"], record.get("settings")
    return CircuitFile(
        model=text_of(record, "model"),
        task=text_of(record, "task"),
        seed=seed_of(settings),
        circuit=circuit,
        names=names_of(record.get("names"), circuit),
        roles=names_of(record.get("roles"), circuit),
        d_model=width_of(shape),
        parallel_mlps=shape.get("parallel_mlps") is True,
        settings=settings if isinstance(settings, dict) else {},
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
    return checked_record(read_json(data))


def checked_record(record: Any) -> Json:
    """``record`` if it is a JSON object of our schema; raises HeadlightError if not."""
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        found = record.get("schema") if isinstance(record, dict) else None
        said = f"this one says {short(found)}" if found is not None else "this one has none"
        raise HeadlightError(f"Expected a file with schema {SCHEMA}; {said}. {WAY_ON}")
    return record


def read_json(data: bytes, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """A file's bytes as JSON of any kind; ``pairs`` makes its objects, ``dict`` if None. Raises HeadlightError."""
    text = read_text(data)
    try:
        return json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise HeadlightError(f"This is not JSON: {error.msg} at {where}. {WAY_ON}") from error
    except HeadlightError:
        raise
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or brackets without end
        raise HeadlightError(
            f"This is JSON that cannot be read: its values are too large or too deep. {WAY_ON}"
        ) from error


def each_once(pairs: list[tuple[str, Any]]) -> Json:
    """For ``read_json``: objects in which no name may be there twice, where the last would silently win."""
    record = dict(pairs)
    if len(record) != len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise HeadlightError(f"The file has {short(twice)} twice in one place. {WAY_ON}")
    return record


def read_text(data: bytes) -> str:
    """A file's bytes as UTF-8; raises HeadlightError for one too large, or of a kind that is no text."""
    if len(data) > MAX_BYTES:
        raise HeadlightError(f"The file has {len(data) / 1e6:.0f} MB; at most {MAX_BYTES / 1e6:.0f} can be read.")
    for start, kind in BINARY.items():
        if data.startswith(start):
            raise HeadlightError(f"This is {kind}, whatever its name says. {WAY_ON}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise HeadlightError(f"This is not a text file (byte {error.start} is no UTF-8). {WAY_ON}") from error


def shape_of(record: Json) -> tuple[int, int]:
    """Layers and heads a layer, of a record's ``model_shape``; raises HeadlightError for what cannot be one."""
    shape = record.get("model_shape")
    numbers = [shape.get(key) if isinstance(shape, dict) else None for key in ("n_layers", "n_heads")]
    for number, most in zip(numbers, (MAX_LAYERS, MAX_HEADS_A_LAYER), strict=True):
        if type(number) is not int or not 1 <= number <= most:
            raise HeadlightError(
                f"Expected model_shape with n_layers from 1 to {MAX_LAYERS} and n_heads from 1 to {MAX_HEADS_A_LAYER}, "
                f"got {short(shape)}. {WAY_ON}"
            )
    return numbers[0], numbers[1]  # pyright: ignore[reportReturnType]


def _edge(edge: Any, number: int, known: frozenset[Node], n_layers: int, n_heads: int) -> Edge:
    where = f"Edge {number}"
    if not isinstance(edge, dict):
        raise HeadlightError(f"{where} is {short(edge)}; expected sender, receiver, input and effect.")
    sender = _end(edge.get("sender"), where, known, n_layers, n_heads)
    to_logits = edge.get("receiver") == LOGITS_NODE
    receiver = None if to_logits else _end(edge.get("receiver"), where, known, n_layers, n_heads)
    letters = [each.value for each in _inputs_of(receiver)]
    entry, effect = edge.get("input"), edge.get("effect")
    if entry not in letters:
        raise HeadlightError(f"{where} enters its receiver by {short(entry)}; expected {' or '.join(letters)}.")
    if receiver is not None and depth_of(receiver) <= depth_of(sender):
        raise HeadlightError(f"{where} goes from {sender} to {receiver}; expected a receiver in a higher layer.")
    if not is_number(effect):
        raise HeadlightError(f"{where} has the effect {short(effect)}; expected a number.")
    return Edge(sender, receiver, Input(entry), float(effect), edge.get("shared") is True)


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
        raise HeadlightError(f"Expected an MLP written m and its layer such as m9, got {short(name)}.")
    mlp = Mlp.parse(name)
    if mlp.layer >= n_layers:
        raise HeadlightError(f"The file names MLP {mlp}, but its model has layers 0 to {n_layers - 1}.")
    return mlp


def _head(name: Any, n_layers: int, n_heads: int) -> Head:
    if not isinstance(name, str) or len(name) > 9:
        raise HeadlightError(f"Expected a head written layer.index such as 9.6, got {short(name)}.")
    head = Head.parse(name)
    if head.layer >= n_layers or head.index >= n_heads:
        raise HeadlightError(
            f"The file names head {head}, but its model has layers 0 to {n_layers - 1} and heads 0 to {n_heads - 1}."
        )
    return head


def names_of(given: Any, circuit: Circuit) -> dict[Head, str]:
    """Texts by head; what is no text, or of a head not in the circuit, is left out."""
    if not isinstance(given, dict):
        return {}
    n_layers, n_heads, known = circuit.n_layers, circuit.n_heads, frozenset(circuit.heads)
    texts = {_head(name, n_layers, n_heads): text for name, text in given.items() if isinstance(text, str)}
    return {head: _plain(text) for head, text in texts.items() if head in known and _plain(text)}


def width_of(shape: Json) -> int | None:
    """The ``d_model`` of a model's shape, None where it says none; raises HeadlightError for what cannot be one."""
    width = shape.get("d_model")
    if width is not None and (type(width) is not int or not 1 <= width <= MAX_WIDTH):
        raise HeadlightError(f"Expected a d_model from 1 to {MAX_WIDTH:,}, got {short(width)}. {WAY_ON}")
    return width


def _plain(text: str) -> str:
    return (printable(text[:MAX_NAME]) or "").strip()


def printable(text: str | None) -> str | None:
    """What of a text every format can hold; None stays None."""
    return None if text is None else "".join(letter for letter in text if letter.isprintable())


def seed_of(settings: Any) -> int | None:
    """The ``seed`` of settings, None where there is none that prompts can have."""
    seed = settings.get("seed") if isinstance(settings, dict) else None
    return seed if type(seed) is int and 0 <= seed < 2**31 else None


def text_of(record: Json, key: str) -> str:
    """The name of a model or a task; raises HeadlightError where there is none."""
    text = record.get(key)
    if not isinstance(text, str) or not _plain(text[:300]):
        raise HeadlightError(f"Expected the name of a {key}, got {short(text)}. {WAY_ON}")
    return printable(text[:300]) or ""


def _list(record: Json, key: str) -> list[Any]:
    values = record.get(key)
    if not isinstance(values, list):
        raise HeadlightError(f"Expected a list of {key}, got {short(values)}. {WAY_ON}")
    return values


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a JSON value is a number that a float can hold."""
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return is_one and abs(value) <= sys.float_info.max  # false for NaN


def short(value: object) -> str:
    """``value`` for a message: printable, and not long."""
    text = "".join(letter if letter.isprintable() else "?" for letter in repr(value)[:41])
    return f"{text[:40]}…" if len(text) > 40 else text
