"""Establishes the circuit of toy-induction: ``python -m engine.models.assets.measure_toy_circuit [folder]``.

Exhaustive exact path patching (METHOD section 2.7) with plain hooks on the Hugging Face model, sharing no
code with the engine's own, so that it can serve as ground truth: every sender to every receiver it can
reach, through q, k, v and straight to the logits. Writes circuit.json and prints the largest effects.

* Pass 1: clean prompt, every head's z held at its clean value but the sender's, which is corrupted;
  MLPs and norms run. What the receiver reads is recorded.
* Pass 2: clean prompt with only that input of the receiver replaced.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GPT2LMHeadModel

from engine.models.assets.make_toy_induction import END_OF_TEXT, FOLDER, N_CODES, UNKNOWN

PAIRS, LENGTH, PERIODS, SEED = 32, 23, (12, 13, 14, 15), 0
GENUINE = 0.01  # |f| from which a path counts
LETTERS = "qkv"
FIRST_WORD = len((END_OF_TEXT, UNKNOWN))


@dataclass(frozen=True, eq=False)
class Pairs:
    """``clean, corrupted [batch pos]``; ``answers, distractors [batch]``: token ids."""

    clean: Tensor
    corrupted: Tensor
    answers: Tensor
    distractors: Tensor


@dataclass(frozen=True)
class Effect:
    """f of one path, averaged over the pairs; ``receiver`` is a head or "logits"."""

    sender: str
    receiver: str
    input: str
    effect: float


def make_pairs(n: int) -> Pairs:
    """``n`` random sequences, each twice, stopped before B of the second round; corrupted: A and B are others."""
    rng, rows = Random(SEED), []
    for number in range(n):
        period = PERIODS[number % len(PERIODS)]
        *round_, other_a, other_b = rng.sample(range(FIRST_WORD, N_CODES), period + 2)
        a, b = (LENGTH - 1) % period, LENGTH % period
        changed = list(round_)
        changed[a], changed[b] = other_a, other_b
        rows.append(((round_ * 2)[:LENGTH], (changed * 2)[:LENGTH], round_[b], other_b))
    return Pairs(*(torch.tensor(column) for column in zip(*rows, strict=True)))


def measure(model: Any, pairs: Pairs) -> list[Effect]:
    """f = (LD_patched - LD_clean) / (LD_clean - LD_corrupted) of every path."""
    n_layers, n_heads = model.config.n_layer, model.config.n_head
    clean, clean_z = _run(model, pairs.clean)
    corrupted, corrupted_z = _run(model, pairs.corrupted)
    ld_clean, ld_corrupted = _logit_diff(clean, pairs), _logit_diff(corrupted, pairs)

    def effect_of(logits: Tensor) -> float:
        return (_logit_diff(logits, pairs) - ld_clean) / (ld_clean - ld_corrupted)

    effects = []
    for layer in range(n_layers):
        for head in range(n_heads):
            z = [value.clone() for value in clean_z]
            z[layer][..., _columns(model, head)] = corrupted_z[layer][..., _columns(model, head)]
            logits, qkv = _run_frozen(model, pairs.clean, z)
            effects.append(Effect(f"{layer}.{head}", "logits", "logits", effect_of(logits)))
            for number in range((n_layers - layer - 1) * n_heads * len(LETTERS)):
                rest, letter = divmod(number, len(LETTERS))
                later, receiver = divmod(rest, n_heads)
                to = layer + 1 + later
                columns = _columns(model, letter * n_heads + receiver)
                patched = _run_with_input(model, pairs.clean, to, columns, qkv[to][..., columns])
                effects.append(Effect(f"{layer}.{head}", f"{to}.{receiver}", LETTERS[letter], effect_of(patched)))
    return effects


def _columns(model: Any, head: int) -> slice:
    """Channels of one head in z; ``head`` counts on through q, k and v in their joint projection."""
    d_head = model.config.n_embd // model.config.n_head
    return slice(head * d_head, (head + 1) * d_head)


def _logit_diff(logits: Tensor, pairs: Pairs) -> float:
    rows = torch.arange(len(pairs.answers))
    return float((logits[rows, pairs.answers] - logits[rows, pairs.distractors]).mean())


def _run(model: Any, tokens: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Logits at the end ``[batch token]`` and each layer's z ``[batch pos d_model]``."""
    z: list[Tensor] = []

    def keep(module: nn.Module, args: tuple[Tensor]) -> None:
        z.append(args[0].clone())

    with _hooked([block.attn.c_proj.register_forward_pre_hook(keep) for block in model.transformer.h]):
        return model(tokens).logits[:, -1], z


def _run_frozen(model: Any, tokens: Tensor, z: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Pass 1: every layer's z given; logits at the end and each layer's joint q, k, v ``[batch pos 3 d_model]``."""
    qkv: list[Tensor] = []

    def replace(value: Tensor) -> Callable:
        return lambda module, args: (value,)

    def keep(module: nn.Module, args: tuple, output: Tensor) -> None:
        qkv.append(output.clone())

    handles = [
        block.attn.c_proj.register_forward_pre_hook(replace(value))
        for block, value in zip(model.transformer.h, z, strict=True)
    ]
    handles += [block.attn.c_attn.register_forward_hook(keep) for block in model.transformer.h]
    with _hooked(handles):
        return model(tokens).logits[:, -1], qkv


def _run_with_input(model: Any, tokens: Tensor, layer: int, columns: slice, value: Tensor) -> Tensor:
    """Pass 2: one head's q, k or v replaced; logits at the end."""

    def replace(module: nn.Module, args: tuple, output: Tensor) -> Tensor:
        output = output.clone()
        output[..., columns] = value
        return output

    with _hooked([model.transformer.h[layer].attn.c_attn.register_forward_hook(replace)]):
        return model(tokens).logits[:, -1]


@contextlib.contextmanager
def _hooked(handles: list) -> Iterator[None]:
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def circuit_of(effects: list[Effect]) -> dict:
    """The genuine paths, and how far below them the rest stays."""
    genuine = [effect for effect in effects if abs(effect.effect) >= GENUINE]
    heads = {effect.sender for effect in genuine} | {effect.receiver for effect in genuine} - {"logits"}
    rest = max(abs(effect.effect) for effect in effects if effect not in genuine)
    return {
        "heads": sorted(heads),
        "edges": [
            {"sender": e.sender, "receiver": e.receiver, "input": e.input, "effect": round(e.effect, 3)}
            for e in sorted(genuine, key=lambda effect: effect.effect)
        ],
        "largest_other_effect": round(rest, 5),
        "how": "Set by hand in make_toy_induction.py; confirmed by exhaustive exact path patching of all "
        f"{len(effects)} paths on {PAIRS} random repeated sequences in measure_toy_circuit.py.",
    }


def main(folder: Path) -> None:
    """Measure the model in ``folder`` and write its circuit.json."""
    model: Any = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    with torch.no_grad():
        effects = measure(model, make_pairs(PAIRS))
    for effect in sorted(effects, key=lambda effect: -abs(effect.effect))[:8]:
        print(f"{effect.sender} -> {effect.receiver} through {effect.input}: {effect.effect:+.5f}")
    (folder / "circuit.json").write_text(json.dumps(circuit_of(effects), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
