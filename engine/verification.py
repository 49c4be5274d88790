"""How true a circuit is (METHOD section 2.9): performance and faithfulness with all else ablated."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from engine.ablation import Ablation, Ablator
from engine.activations import Activations
from engine.evaluation.bootstrap import Interval
from engine.evaluation.faithfulness import faithfulness_of
from engine.evaluation.scale import Scale
from engine.metrics import faithfulness, performance

STAGE = "verification"


@dataclass(frozen=True)
class Verification:
    """``performance`` in percent, ``faithfulness`` as a ratio: different numbers, never interchangeable.

    ``interval`` is that of the faithfulness over the pairs (engine/evaluation/bootstrap.py). ``live_mlps`` is how many
    MLPs stayed live where those outside the circuit were ablated too; None where all did, which is another, easier
    test.
    """

    performance: float
    faithfulness: float
    sparsity: float
    n: int  # pairs
    seed: int  # of the prompts it was measured on
    ablation: Ablation
    circuit_logit_diff: float
    clean_logit_diff: float
    corrupted_logit_diff: float
    interval: Interval
    live_mlps: int | None = None


def verify(activations: Activations, ablator: Ablator, keep: Tensor, seed: int) -> Verification:
    """Measure the heads of ``keep [layer head]`` alone on the prompts ``activations`` were captured from.

    With the MLPs' column (engine/nodes.py) all MLPs it does not keep are ablated as well.
    """
    by_pair, scale = ablator.by_pair(keep), Scale.of(activations, seed)
    value = float(by_pair.mean())
    heads, mlps = ablator.split(keep)
    return Verification(
        performance=performance(value, activations.clean),
        faithfulness=faithfulness(value, activations.clean, activations.corrupted),
        sparsity=1 - float(heads.sum()) / heads.numel(),
        n=len(activations.prompts),
        seed=seed,
        ablation=ablator.kind,
        circuit_logit_diff=value,
        clean_logit_diff=activations.clean,
        corrupted_logit_diff=activations.corrupted,
        interval=scale.interval(faithfulness_of, by_pair.double(), scale.clean, scale.corrupted),
        live_mlps=None if mlps is None else int(mlps.sum()),
    )
