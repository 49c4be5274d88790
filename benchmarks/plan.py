"""``python -m benchmarks.plan``: what Qwen2.5-7B would take, on paper, at the end of ``benchmarks/README.md``.

1. The model is built from its config alone on torch's meta device: shapes without memory, no network.
2. Tensors are counted in the code that makes them, run on that device: activations, streams, gradients.
3. FLOPs come from the functions that predict a run before its button is pressed.

Nothing is measured here. Seconds appear once, for a rate that is assumed and named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.paper import FIRST_DIFFERENCE, TOKENS, Paper, on_paper, paper_model, qwen_config
from benchmarks.tables import table
from engine.ablation import masked_flops
from engine.cost.estimate import LIKELY_MOST, LIKELY_SHARE, likely_recomputed
from engine.cost.ledger import Ledger, hooked_flops
from engine.heads import Head
from engine.machine.memory import ROWS, gradient_row_bytes, kept_bytes, row_bytes
from engine.models.model import Model
from engine.models.preflight import parameter_count
from engine.patching.flops import hooked_passes, path_patching_flops
from engine.patching.gradients import z_gradients
from engine.patching.sweep import Window, stream_bytes
from engine.pruning.masks import SWEEP_SPARSITIES
from engine.settings import Mode, Settings

README = Path(__file__).parent / "README.md"
MARK = "<!-- From here on made by python -m benchmarks.plan. -->\n"
PAIRS = (16, 100)
APP_SHARE = 0.25  # of all heads that APP searches among: sparsity .75
SCORES = 2  # curves of the sparsity sweep
PAPER_CIRCUIT = 221  # heads of the dense circuit on IOI in table 2 of arXiv 2511.05442
STRIDES = (1, 2, 4, 7, 14, 28)
ASSUMED_RATE = 20e12  # FLOPs a second
RECOMPUTED = likely_recomputed(Settings())  # of the estimated paths, at the thresholds a run has by default
BYTES = {"float32": 4, "bfloat16": 2}
GIGA, TERA = 1e9, 1e12


@dataclass(frozen=True)
class Search:
    """``receivers``: how likely each head is visited."""

    name: str
    senders: tuple[Head, ...]
    receivers: Mapping[Head, float]


def main() -> None:
    text = plan()
    by_hand, mark, _ = README.read_text(encoding="utf-8").partition(MARK)
    if not mark:
        raise SystemExit(f"{README} has lost the line that says where the plan goes: {MARK}")
    README.write_text(f"{by_hand}{MARK}\n{text}", encoding="utf-8")
    print(text)


def plan() -> str:
    config = qwen_config()
    model = paper_model(config)
    lines = _introduction(model)
    for pairs in PAIRS:
        paper = on_paper(model, pairs)
        lines += [f"### {pairs} pairs", "", *_memory(paper, parameter_count(config)), *_streams(paper), *_flops(paper)]
    return "\n".join(lines)


def searches(model: Model) -> tuple[Search, Search]:
    """Dense among all heads; APP among a quarter of them, evenly in all layers."""
    everyone = [Head(layer, index) for layer in range(model.n_layers) for index in range(model.n_heads)]
    kept = everyone[:: round(1 / APP_SHARE)]
    return _search("dense", everyone, len(everyone)), _search("APP", kept, len(everyone))


def _search(name: str, senders: list[Head], total: int) -> Search:
    share = min(LIKELY_SHARE, LIKELY_MOST * total / len(senders))  # as the estimate before a run assumes
    return Search(name, tuple(senders), dict.fromkeys(senders, share))


def activation_values(paper: Paper) -> int:
    """Numbers a capture keeps."""
    return sum(_values(vars(item.clean).values()) + item.corrupted_z.numel() for item in paper.items)


def _values(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors)


def memory_values(paper: Paper, parameters: int) -> dict[str, float]:
    """Numbers held, by what for: the bounds a run's memory is planned with, and below them what was counted."""
    model, positions = paper.model, len(paper.prompts) * TOKENS
    size = model.dtype.itemsize
    rows, backward = _chunk(paper), min(ROWS, positions)
    return {
        "weights": parameters,
        "kept throughout, at most": kept_bytes(model, positions) / size,
        "of these, both runs for the search, counted": activation_values(paper),
        f"one chunk of {rows:,} rows, at most": rows * row_bytes(model, TOKENS) / size,
        f"one backward pass of {backward:,} rows, at most": backward * gradient_row_bytes(model, TOKENS) / size,
        "of these, what autograd saves, counted": graph_values(paper),
    }


def _chunk(paper: Paper) -> int:
    """Rows (sender x pair x position) of one chunk of the sweep: whole senders."""
    (item,) = paper.items
    per_sender = Window(item.first).of(item.batch.clean).numel()
    return per_sender * max(1, ROWS // per_sender)


def stream_values(paper: Paper, search: Search, stride: int) -> float:
    """Numbers in the streams of the shared sweep when every ``stride``-th layer's are kept."""
    windows = [Window(item.first) for item in paper.items]
    total = stream_bytes(paper.model.n_layers, paper.items, search.senders, windows, stride)
    return total / paper.model.dtype.itemsize


def graph_values(paper: Paper) -> int:
    """Numbers autograd holds for the gradients of every z, weights apart: counted as it saves them."""
    weights = {_storage(parameter) for parameter in paper.model.hf_model.parameters()}
    saved: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if _storage(tensor) not in weights:
            saved[_storage(tensor)] = tensor.untyped_storage().nbytes() // tensor.element_size()
        return tensor

    ledger = Ledger(1.0)
    with ledger.stage("gradients"), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        for item in paper.items:
            z_gradients(paper.model.parts, item, ROWS, ledger)
    return sum(saved.values())


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata  # a meta tensor has no address


def stages(paper: Paper, search: Search) -> dict[str, float]:
    """FLOPs of a screened run by stage."""
    nobody = dict.fromkeys(search.receivers, 0.0)
    logits = _path_patching(paper, search, {}, Mode.EXACT, 0)
    sweep = _path_patching(paper, search, nobody, Mode.EXACT, 0) - logits
    gradients = _path_patching(paper, search, nobody, Mode.SCREENED, 0) - logits - sweep
    estimates = _path_patching(paper, search, search.receivers, Mode.SCREENED, 0) - logits - sweep - gradients
    recomputed = exact_flops(paper, search) - logits - sweep
    everyone = torch.ones(paper.model.n_layers, paper.model.n_heads, dtype=torch.bool)
    masks = 0.0 if search.name == "dense" else SCORES * len(SWEEP_SPARSITIES)
    return {
        "calibration": 2 * paper.pass_flops,
        "sparsity sweep, at most": masks * masked_flops(paper.model, paper.activations, everyone, None),
        "logits stage": logits,
        "shared sweep of the senders": sweep,
        "gradients": gradients,
        "estimates": estimates,
        f"recomputed exactly, {RECOMPUTED:.1%} assumed": RECOMPUTED * recomputed,
        "verification": 3 * paper.pass_flops,
    }


def exact_flops(paper: Paper, search: Search) -> float:
    """The search alone when every path is measured exactly."""
    return _path_patching(paper, search, search.receivers, Mode.EXACT, 1)


def _path_patching(
    paper: Paper, search: Search, receivers: Mapping[Head, float], mode: Mode, recomputed: float
) -> float:
    return sum(path_patching_flops(paper.model, paper.items, search.senders, receivers, mode, recomputed).values())


def _introduction(model: Model) -> list[str]:
    dense, app = searches(model)
    visited = [f"{sum(search.receivers.values()):.0f} of {len(search.senders)}" for search in (dense, app)]
    return [
        "Made by `python -m benchmarks.plan`: calculated from shapes, nothing here was run or measured. "
        f"{model.n_layers} layers, {model.n_heads} query and {model.n_kv_heads} KV heads, IOI-like prompts of {TOKENS} "
        f"tokens that differ from position {FIRST_DIFFERENCE} on, all of one length.",
        "",
        "Assumed, as by the estimate before every run: of the candidates a search visits "
        f"{visited[0]} heads when dense and {visited[1]} in an APP mask of a quarter of all heads, each on q, k and v; "
        f"of the estimated paths {RECOMPUTED:.1%} are recomputed, a share fitted to the bundled model. A forward pass "
        f"is all pairs through the whole model. Seconds assume {ASSUMED_RATE / TERA:.0f} TFLOP/s, which no one has "
        "measured here.",
        "",
    ]


def _memory(paper: Paper, parameters: int) -> list[str]:
    values = memory_values(paper, parameters)
    return [
        "Memory in GB:",
        "",
        *table("what | " + " | ".join(BYTES), ([what, *_gigabytes(count)] for what, count in values.items())),
    ]


def _streams(paper: Paper) -> list[str]:
    both = searches(paper.model)
    body = [
        [str(stride), *(cell for search in both for cell in _gigabytes(stream_values(paper, search, stride)))]
        for stride in STRIDES
    ]
    header = " | ".join(f"{search.name}, {kind}" for search in both for kind in BYTES)
    return [
        "Streams of the shared sweep in GB, kept every so many layers; a run takes the smallest stride that fits its "
        "memory budget, and a layer between is reached from the kept one below each time it is read (the FLOPs further "
        "down leave that out):",
        "",
        *table(f"stride | {header}", body),
    ]


def _gigabytes(values: float) -> list[str]:
    return [f"{values * size / GIGA:,.2f}" for size in BYTES.values()]


def _flops(paper: Paper) -> list[str]:
    dense, app = searches(paper.model)
    columns = [stages(paper, search) for search in (dense, app)]
    body = [[stage, *_cells(paper, *(column[stage] for column in columns))] for stage in columns[0]]
    totals = [sum(column.values()) for column in columns]
    exact = [exact_flops(paper, search) for search in (dense, app)]
    passes = [hooked_passes(paper.model, search.senders, search.receivers) for search in (dense, app)]
    hooked = [count * hooked_flops(paper.model, paper.prompts) for count in passes]
    body += [
        ["**whole run, screened**", *_cells(paper, *totals)],
        ["search alone, every path exactly", *_cells(paper, *exact)],
        [f"search alone by hooked forwards ({passes[0]:,.0f} and {passes[1]:,.0f} of them)", *_cells(paper, *hooked)],
    ]
    return [
        "FLOPs by stage:",
        "",
        *table("stage | dense TFLOP | passes | at the assumed rate | APP TFLOP | passes | at the assumed rate", body),
        _as_in_the_paper(paper, dense),
        "",
    ]


def _cells(paper: Paper, *flops: float) -> list[str]:
    return [
        cell
        for value in flops
        for cell in (f"{value / TERA:,.1f}", f"{value / paper.pass_flops:,.1f}", _duration(value / ASSUMED_RATE))
    ]


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:,.1f} h"


def _as_in_the_paper(paper: Paper, dense: Search) -> str:
    """The dense search when it visits as many heads as the published circuit has."""
    share = PAPER_CIRCUIT / len(dense.senders)
    larger = Search("dense", dense.senders, dict.fromkeys(dense.senders, share))
    screened = _path_patching(paper, larger, larger.receivers, Mode.SCREENED, RECOMPUTED)
    passes = hooked_passes(paper.model, larger.senders, larger.receivers)
    return (
        f"If the dense search visited as many heads as the published dense circuit has ({PAPER_CIRCUIT}): "
        f"{screened / TERA:,.0f} TFLOP screened, {exact_flops(paper, larger) / TERA:,.0f} exactly, "
        f"{passes * hooked_flops(paper.model, paper.prompts) / TERA:,.0f} in {passes:,.0f} hooked forwards."
    )


if __name__ == "__main__":
    main()
