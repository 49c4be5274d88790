"""How much memory a run may take beside the weights, and how its work is cut to stay within.

1. Kept throughout: both runs of all pairs, once for the search and once more for verification; the
   gradients of screening; what an ablation puts in the place of z.
2. One chunk of rows (sender x pair x position) on its way through a layer, or of pairs on its way
   backwards through all of them.
3. What is left keeps the shared sweep's streams, so that they need not be computed again.
   Runs that take turns on the same activations share it.

Cutting never changes a result beyond rounding. Sizes are upper bounds, not what torch reports.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.errors import HeadlightError
from engine.models.model import Model
from engine.models.preflight import free_bytes
from engine.tasks.prompts import Prompts

# Of the memory that is free, what a run takes if nothing is asked for.
SHARE = 0.5
# Rows of one matmul: enough to fill a few cores, small enough for their caches.
ROWS = 2048


@dataclass(frozen=True)
class MemoryPlan:
    """``rows`` of one chunk; ``gradient_rows`` (pair x position) of one backward pass; bytes for kept ``streams``."""

    rows: int
    gradient_rows: int
    streams: float


def plan_memory(
    model: Model, prompts: Prompts, budget: float | None = None, rows: int = ROWS, mlps: bool = False
) -> MemoryPlan:
    """Cut the work on ``prompts`` to ``budget`` bytes (None: a share of what is free).

    ``mlps``: they are nodes, so what they write is kept too.
    Raises HeadlightError, with the smallest budget that works, if not even one sender of one pair fits.
    A model that runs by hooks alone cannot be cut, and takes what its forward passes take.
    """
    free = SHARE * free_bytes(model.device.type)
    total = free if budget is None else budget
    if not model.fast:
        return MemoryPlan(rows, rows, 0.0)
    longest = max(len(pair.clean_tokens) for pair in prompts.pairs)
    row, gradient_row = row_bytes(model, longest), gradient_row_bytes(model, longest)
    positions = sum(len(pair.clean_tokens) for pair in prompts.pairs)
    kept = kept_bytes(model, positions) + (mlp_bytes(model, positions) if mlps else 0.0)
    smallest = kept + longest * max(row, gradient_row)
    if total < smallest:
        raise HeadlightError(
            f"A memory budget of {in_words(total)} is too small for {len(prompts)} pairs of up to {longest} tokens on "
            f"{model.name}: the smallest that works is {in_words(smallest, up=True)}. "
            + ("Give that, or fewer pairs." if budget is not None else "Close other programs, or use fewer pairs.")
        )
    work = max(smallest - kept, (total - kept) / 2)
    rows = max(longest, min(rows, int(work / row)))
    gradient_rows = max(longest, min(rows, int(work / gradient_row)))
    return MemoryPlan(rows, gradient_rows, streams=total - kept - max(rows * row, gradient_rows * gradient_row))


def plan_of_each(plan: MemoryPlan, model: Model, prompts: Prompts, runs: int) -> MemoryPlan:
    """The plan of each of ``runs`` that take turns on one set of activations, together within what ``plan`` may take.

    Chunks stay as they are, and so do results: only fewer streams may be kept.
    """
    if not model.fast:
        return plan
    longest = max(len(pair.clean_tokens) for pair in prompts.pairs)
    positions = sum(len(pair.clean_tokens) for pair in prompts.pairs)
    chunk = max(plan.rows * row_bytes(model, longest), plan.gradient_rows * gradient_row_bytes(model, longest))
    another = kept_bytes(model, positions) - activation_bytes(model, positions) + chunk
    return replace(plan, streams=max(0.0, (plan.streams - (runs - 1) * another) / runs))


def kept_bytes(model: Model, positions: int) -> float:
    """What stays in memory for ``positions`` of clean prompts (pair x position)."""
    z = model.n_heads * model.d_head
    ablation = 1.5 * z + model.d_model  # what replaces z, made of group means; streams into each layer
    own = model.dtype.itemsize * positions * model.n_layers * (ablation + z)  # and gradients of z
    return own + 2 * activation_bytes(model, positions)


def mlp_bytes(model: Model, positions: int) -> float:
    """What MLPs as nodes add to ``kept_bytes``: their outputs, clean and corrupted, in both captures; what replaces
    them, made of group means; the gradients of the streams they write to."""
    return model.dtype.itemsize * positions * model.n_layers * model.d_model * (2 * 2 + 1.5 + 1)


def activation_bytes(model: Model, positions: int) -> float:
    """Both runs of ``positions`` of clean prompts (pair x position), as ``capture`` keeps them."""
    z, kv = model.n_heads * model.d_head, model.n_kv_heads * model.d_head
    runs = 2 * model.d_model + 3 * z + 2 * kv  # resid_pre, attn_out; q, clean z, corrupted z; k, v
    final = model.d_model  # the stream after the last layer
    return model.dtype.itemsize * positions * (model.n_layers * runs + final)


def row_bytes(model: Model, length: int) -> float:
    """One row's share of the largest layer's work: streams, q, k, v, z, scores, the MLP's hidden layer."""
    streams = 8 * model.d_model
    attention = (4 * model.n_heads + 4 * model.n_kv_heads) * model.d_head + 3 * model.n_heads * length
    return model.dtype.itemsize * (streams + attention + 2 * _hidden(model))


def gradient_row_bytes(model: Model, length: int) -> float:
    """One row (pair x position) of a forward pass that remembers what its backward pass needs."""
    layer = 8 * model.d_model + (4 * model.n_heads + 4 * model.n_kv_heads) * model.d_head + 3 * model.n_heads * length
    return model.dtype.itemsize * model.n_layers * (layer + 2 * _hidden(model))


def in_words(size: float, up: bool = False) -> str:
    """``size`` in bytes as the command line takes it; ``up`` never says less than it is."""
    for unit, scale in (("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if size >= scale:
            digits = size / scale
            return f"{digits + 0.05:.1f}{unit}" if up else f"{digits:.1f}{unit}"
    return f"{size:.0f}"


def _hidden(model: Model) -> float:
    """Width of the widest MLP's hidden layer, all its matrices' outputs together."""
    return max(layer.mlp_parameters for layer in model.parts.layers) / model.d_model
