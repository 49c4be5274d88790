"""Fast against reference on a few paths, before a run relies on the fast one (SPEED, rules)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from engine.activations import Activations, capture
from engine.circuit import Input
from engine.cost.ledger import Ledger, forward_flops, hooked_flops
from engine.errors import HeadlightError
from engine.heads import Head
from engine.models.model import Model
from engine.nodes import Mlp, Node, heads_among
from engine.patching.effects import PathPatching
from engine.patching.mlp_nodes import NodePatching
from engine.patching.mlp_reference import reference_node_effects
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.reference import reference_effects, reference_passes
from engine.record.reader import Reader
from engine.subset import clearest_pairs

STAGE = "self-check"
TOLERANCE = 1e-4  # in f
PAIRS = 2  # a code path that is wrong is wrong on two pairs too, and hooked forwards are slow


@dataclass(frozen=True)
class SelfCheck:
    """``largest``: largest |f_fast - f_reference| over ``paths`` paths and ``pairs`` prompt pairs.

    ``flops`` of all it did, fast and hooked.
    """

    paths: int
    pairs: int
    passes: int  # hooked forwards of those pairs
    largest: float
    flops: float


def read_self_check(part: Reader) -> SelfCheck:
    """The check that a record holds, as ``asdict`` gives it; raises HeadlightError for anything else."""
    return SelfCheck(
        part.whole("paths"), part.whole("pairs"), part.whole("passes"), part.number("largest"), part.number("flops")
    )


# Models checked in this process: their later runs need not open with another check.
_checked: WeakKeyDictionary[Model, SelfCheck] = WeakKeyDictionary()
_checked_with_mlps: WeakKeyDictionary[Model, SelfCheck] = WeakKeyDictionary()


def known_check(model: Model, mlps: bool = False) -> SelfCheck | None:
    """The check this very model has passed already, None if it has not been seen."""
    return (_checked_with_mlps if mlps else _checked).get(model)


def forget_check(model: Model) -> None:
    """The next run checks this model anew, and so does not depend on what ran before it."""
    for known in (_checked, _checked_with_mlps):
        known.pop(model, None)


def self_check(
    model: Model, activations: Activations, on_work: Callable[[], None] = lambda: None, mlps: bool = False
) -> SelfCheck:
    """Patch a few heads into the logits and into a late head's q, k and v both ways.

    ``mlps``: where MLPs are nodes, a few of them too, and into the last one.
    ``on_work`` is called between forwards, and may raise Cancelled.
    Raises HeadlightError if they disagree by more than ``TOLERANCE``: results would not be exact.
    """
    activations = capture(model, clearest_pairs(activations, PAIRS), mlps=mlps)
    receivers, senders = few_receivers(model, mlps), few_nodes(model, mlps)
    ledger = Ledger(1.0, lambda flops: on_work())
    with ledger.stage(STAGE):
        patching = (NodePatching if mlps else PathPatching)(model, activations, senders, ledger)
        largest = max(_difference(activations, patching, receiver, on_work) for receiver in receivers)
    # A NaN compares false with everything, so ask for agreement rather than for disagreement.
    if not largest <= TOLERANCE:
        raise HeadlightError(
            f"Fast path patching disagrees with the hooked reference on {model.name} by {largest:.2g} (allowed "
            f"{TOLERANCE:g}), so it is not used. Run the reference instead (--reference), or report the model."
        )
    passes, prompts = check_passes(model, receivers, mlps), activations.prompts
    fast = 2 * forward_flops(model.parts, prompts) + sum(row.flops for row in ledger.rows())
    flops = fast + passes * hooked_flops(model, prompts)
    check = SelfCheck(len(receivers) * len(senders), len(prompts), passes, largest, flops)
    (_checked_with_mlps if mlps else _checked)[model] = check
    return check


def check_flops(model: Model, activations: Activations, mlps: bool = False) -> float:
    """What the check will take if this model needs one: its hooked passes, and the two runs of its pairs."""
    if known_check(model, mlps) is not None:
        return 0.0
    prompts = activations.prompts
    share = min(PAIRS, len(prompts)) / len(prompts)
    passes = check_passes(model, few_receivers(model, mlps), mlps)
    return share * (2 * forward_flops(model.parts, prompts) + passes * hooked_flops(model, prompts))


def few_receivers(model: Model, mlps: bool = False) -> list[Receiver]:
    top = model.n_layers - 1
    late = Head(top, model.n_heads - 1)
    inputs = [Receiver(letter, late) for letter in (Input.Q, Input.K, Input.V)]
    return [LOGITS, *([*inputs, *([Receiver(Input.MLP, Mlp(top))] if mlps else [])] if top > 0 else [])]


def few_senders(model: Model) -> tuple[Head, ...]:
    """One head of an early, a middle and the last layer below the receivers; each index another."""
    layers = sorted({0, (model.n_layers - 1) // 2, max(0, model.n_layers - 2)})
    return tuple(Head(layer, i % model.n_heads) for i, layer in enumerate(layers))


def few_nodes(model: Model, mlps: bool) -> tuple[Node, ...]:
    """The few senders, and the MLPs of their layers if they are nodes."""
    heads = few_senders(model)
    return (*heads, *(Mlp(head.layer) for head in heads if mlps))


def check_passes(model: Model, receivers: Sequence[Receiver], mlps: bool = False) -> int:
    """Hooked forwards of all pairs that the few senders take to ``receivers``, all in the last layer or the logits."""
    return sum(reference_passes(receiver, len(few_nodes(model, mlps))) for receiver in receivers)


def _difference(
    activations: Activations, patching: PathPatching, receiver: Receiver, on_work: Callable[[], None]
) -> float:
    fast = patching.effects(receiver)
    model, senders = patching.model, patching.senders
    if isinstance(patching, NodePatching):
        slow = reference_node_effects(model, activations, receiver, senders, lambda share: on_work())
    else:
        slow = reference_effects(model, activations, receiver, heads_among(senders), lambda share: on_work())
    return max(abs(float(fast[s.layer, s.index] - slow[s.layer, s.index])) for s in patching.senders)
