"""Any file a circuit may come in, told apart by what is in it, whatever its name says.

1. A text that begins with ``<``: GraphML.
2. JSON with schema ``headlight/1``: a run or a circuit of Headlight. With ``cfg`` and ``edges``: EAP-IG, MIB. With
   lists of nodes and edges: networkx node-link.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from dataclasses import replace

from engine.errors import HeadlightError
from engine.interchange.graphml import read_graphml
from engine.interchange.mib_reading import STRONGEST, is_mib, mib_in
from engine.interchange.node_link import is_node_link, node_link_in
from engine.record.circuit_file import CircuitFile, checked_record, circuit_in, each_once, read_json


def read_any(
    data: bytes, file_name: str = "", shape: tuple[int, int] | None = None, strongest: int = STRONGEST
) -> CircuitFile:
    """The circuit in a file's bytes; raises HeadlightError, which ``file_name`` begins, for anything that is none.

    ``shape`` (layers, heads a layer) is that of the model, for graphs that do not say it; ``strongest`` as of
    ``read_mib``.
    """
    try:
        return _read(data, shape, strongest)
    except HeadlightError as error:
        raise type(error)(f"{file_name}: {error}" if file_name else str(error)) from error


def _read(data: bytes, shape: tuple[int, int] | None, strongest: int) -> CircuitFile:
    if data[:1000].removeprefix(BOM_UTF8).lstrip().startswith(b"<"):
        return read_graphml(data, shape)
    record = read_json(data, each_once)
    if is_mib(record):
        return mib_in(record, strongest)
    if is_node_link(record):
        return node_link_in(record, shape)
    return circuit_in(checked_record(record))


def heads_alone(file: CircuitFile) -> CircuitFile:
    """The same without MLPs as nodes, which are then live in every path; what is left out is said in a note."""
    circuit = file.circuit
    if not circuit.mlps:
        return file
    edges = tuple(edge for edge in circuit.edges if not {edge.sender, edge.receiver} & set(circuit.mlps))
    note = (
        f"Left out: MLPs as nodes ({len(circuit.mlps)}) and their edges ({len(circuit.edges) - len(edges):,}). All "
        "MLPs are live instead, so what heads say to each other through them counts as well."
    )
    return replace(file, circuit=replace(circuit, edges=edges, mlps=()), notes=(*file.notes, note))
