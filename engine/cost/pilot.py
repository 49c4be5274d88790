"""A look ahead on three pairs, so that a run's cost is known before it starts.

How many heads a search visits, and how many of its estimates it recomputes, depends on what it finds.
The same search on the three clearest pairs alone, screened and with nothing recomputed, finds nearly the
same: its receivers and the share it would have recomputed stand for those of the whole run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from engine.activations import capture
from engine.cost.ledger import CostRow, Ledger, pass_flops, together
from engine.nodes import Node, nodes_of
from engine.patching.effects import Decides, Effects, PathPatching, Tick
from engine.patching.mlp_nodes import NodePatching, ScreenedNodes, depths_of
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.screening import ScreenedPatching
from engine.prepare import Prepared
from engine.progress import Preliminary, Watcher
from engine.search.grid import thresholds_of
from engine.search.path_patching import Thresholds, deciding_senders, search_all
from engine.settings import Algorithm, Settings
from engine.subset import clearest_pairs

STAGE = "look ahead"
PAIRS = 3  # of two, one task of the bundled model was predicted half too high
WORTHWHILE = 8  # pairs: with fewer, looking ahead is a large part of the run itself


@dataclass(frozen=True)
class Pilot:
    """Nodes a search will probably visit, the share of its estimated paths it will probably recompute, and
    the circuits it will come to: one, or the different ones of a grid."""

    receivers: tuple[Node, ...]
    recomputed: float
    circuits: tuple[tuple[Node, ...], ...]
    cost: CostRow


def is_worthwhile(prepared: Prepared, settings: Settings) -> bool:
    """Whether looking ahead is possible, tells something about this search, and is cheap beside it."""
    if settings.algorithm is not Algorithm.PATH_PATCHING:
        return False
    return prepared.model.fast and len(prepared.prompts) >= WORTHWHILE


def look_ahead(prepared: Prepared, keep: Tensor, settings: Settings, watcher: Watcher) -> Pilot:
    """Search among the nodes of ``keep`` (pipeline's ``keep_of``) on the clearest pairs; raises Cancelled."""
    model = prepared.model
    ledger = Ledger(pass_flops(model, prepared.prompts), watcher.spend, watcher.now)
    with ledger.stage(STAGE):
        prompts = clearest_pairs(prepared.activations, PAIRS)
        activations = capture(model, prompts, prepared.memory.rows, settings.mlps)
        ledger.add(2 * pass_flops(model, prompts))
        senders = nodes_of(keep, model.n_heads)
        if settings.mlps:
            screened = ScreenedNodes(NodePatching(model, activations, senders, ledger, prepared.memory))
        else:
            screened = ScreenedPatching(PathPatching(model, activations, senders, ledger, prepared.memory))
        counted = _Counting(screened, settings)
        shape = (model.n_layers, model.n_heads, model.group)
        depths = depths_of(model.parts) if settings.mlps else None
        results = search_all(
            counted.measure, *shape, thresholds_of(settings), Preliminary(watcher, STAGE), mlp_depths=depths
        )
    watcher.check()  # a search that was stopped returns what it had
    cost = together(ledger.rows(), STAGE, [row.stage for row in ledger.rows()])
    visited = {node for result in results for node in result.circuit.nodes}
    return Pilot(
        receivers=tuple(sorted(visited)),
        recomputed=counted.deciding / max(1, screened.screening.estimated),
        circuits=tuple(dict.fromkeys(result.circuit.nodes for result in results)),
        cost=cost,
    )


class _Counting:
    """Estimates alone; counts those that would have been recomputed."""

    def __init__(self, screened: ScreenedPatching, settings: Settings) -> None:
        self._screened, self._settings, self.deciding = screened, settings, 0

    def measure(self, receivers: Sequence[Receiver], decides: Decides, tick: Tick) -> list[Effects]:
        effects = self._screened.estimates(receivers, decides, tick)
        if list(receivers) != [LOGITS]:
            for receiver, found in zip(receivers, effects, strict=True):
                self.deciding += int(self._decides(receiver, found.f, decides).sum())
        return effects

    def _decides(self, receiver: Receiver, f: Tensor, decides: Decides) -> Tensor:
        """A grid recomputes for the one pair of thresholds it takes; which is not known, so for the usual one."""
        if not self._settings.grid:
            return decides(receiver, f)
        usual = Thresholds(Settings.threshold_scale, Settings.min_effect)
        return deciding_senders(f, self._screened.depth([receiver]), usual)
