"""How a run measures the effects of paths: by the model's parts or by hooks, all of them exactly or screened."""

from __future__ import annotations

from torch import Tensor

from engine.cost.ledger import Ledger
from engine.nodes import heads_among, nodes_of
from engine.patching.effects import PathPatching
from engine.patching.mlp_nodes import NodePatching, ScreenedNodes
from engine.patching.reference import ReferencePatching
from engine.patching.screening import ScreenedPatching
from engine.prepare import Prepared
from engine.settings import Mode, Settings

Patching = PathPatching | ScreenedPatching | ReferencePatching


def patching_of(prepared: Prepared, keep: Tensor, settings: Settings, ledger: Ledger) -> Patching:
    """How a run measures effects of the nodes of ``keep``: a model whose parts are not known has one way only."""
    model, activations = prepared.model, prepared.activations
    senders = nodes_of(keep, model.n_heads)
    if settings.mlps:
        nodes = NodePatching(model, activations, senders, ledger, prepared.memory)
        return ScreenedNodes(nodes) if settings.mode is Mode.SCREENED else nodes
    if not model.fast:
        return ReferencePatching(model, activations, heads_among(senders), ledger)
    exact = PathPatching(model, activations, senders, ledger, prepared.memory)
    return ScreenedPatching(exact) if settings.mode is Mode.SCREENED else exact
