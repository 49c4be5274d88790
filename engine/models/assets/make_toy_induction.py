"""Makes the model toy-induction: ``python -m engine.models.assets.make_toy_induction [folder]``.

A GPT-2 of 2 layers x 12 heads whose weights are set by hand, so that its circuit is known:

1. Head 0.1 attends to the previous token and writes which one it was.
2. Head 1.2 looks for the position whose *previous* token is the current one (its keys read what
   0.1 wrote), attends there and writes that position's token as the prediction.
3. The other heads and the MLPs carry small random weights and matter hardly at all.

Twelve heads a layer, because the threshold rule of the search (METHOD section 2.7) compares a sender with
the spread over all candidates: the only important one among fewer than ten can never stand out.

The residual stream has D_MODEL / 2 coordinates that LayerNorm does not disturb: coordinate c is the
difference of two neighbouring channels, so its mean is 0, and all texts give streams of one length.
Blocks of coordinates hold the current token, the previous token, the prediction and the position.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

FOLDER = Path(__file__).parent / "toy_induction"
N_HEADS, D_HEAD, N_POSITIONS, D_MLP = 12, 20, 64, 32
D_MODEL = N_HEADS * D_HEAD
N_CODES, D_CODE = 64, 16
PREVIOUS_HEAD, INDUCTION_HEAD = 1, 2  # 0.1 and 1.2

# Blocks of coordinates of the residual stream.
TOKEN, PREVIOUS, PREDICTION = (slice(first, first + D_CODE) for first in (0, 16, 32))
POSITION = slice(48, 48 + D_HEAD)
START = 68  # 1 at the first position only: there 0.1 has no previous token to find

LENGTH = 4.0  # of token, previous token and position in the stream
PREDICTION_LENGTH = 6.0
PREVIOUS_SHARPNESS, INDUCTION_SHARPNESS = 30.0, 24.0  # attention score of a perfect match
START_PENALTY = 30.0
SPARE_READ, SPARE_WRITE, MLP_SIZE = 0.06, 0.01, 0.02
SPARE_SEED = 1
# Angular frequencies of the position codes, the best of 20 000 random draws: two codes at any distance
# under N_POSITIONS have an inner product of at most 0.29.
OMEGA = (2.5743, 1.0248, 2.4483, 1.7750, 1.1106, 2.7626, 0.4489, 1.5892, 2.3222, 1.8411)

END_OF_TEXT, UNKNOWN = "<|endoftext|>", "[UNK]"
WORDS = """
apple arm baby bag bank bear bed bell bird board boat bone book bottle box bread bridge brother bus butter cake car
cat chair church city cloth cloud coat coffee corn cow cup desk doctor dog door dream ear egg eye farm finger fire
fish flower forest garden glass hand heart horse house key lake lamp lion milk moon river tree window
"""


def token_codes() -> Tensor:
    """64 unit vectors ``[code 16]``, any two at an inner product of 0 or 1/4: four Kerdock bases of R^16.

    Each basis is a Hadamard matrix with its columns signed by a quadratic form over 4 bits; the sum of
    any two forms has full rank, which makes the bases unbiased.
    """
    bits = torch.tensor([[(number >> place) & 1 for place in range(4)] for number in range(D_CODE)])
    hadamard = (-1.0) ** (bits @ bits.T) / 4
    x1, x2, x3, x4 = bits.T
    first, second = x1 * x2 + x3 * x4, x1 * x3 + x2 * x4 + x3 * x4
    forms = (torch.zeros_like(first), first, second, first + second)
    return torch.cat([hadamard * (-1.0) ** form for form in forms])


def position_codes(omega: Tensor) -> Tensor:
    """Unit vectors ``[pos 20]``: cosines and sines of ``omega * pos``."""
    angles = torch.arange(N_POSITIONS)[:, None] * omega
    return torch.cat([angles.cos(), angles.sin()], dim=1) / math.sqrt(len(omega))


def step_back(omega: Tensor) -> Tensor:
    """The rotation ``[20 20]`` that takes every position code (a row) to that of the position before."""
    cos, sin = torch.diag(omega.cos()), torch.diag(omega.sin())
    return torch.cat([torch.cat([cos, -sin], dim=1), torch.cat([sin, cos], dim=1)])


def coordinates(values: Tensor) -> Tensor:
    """Coordinates ``[... D_MODEL/2]`` as channels ``[... D_MODEL]``, of the same length and with mean 0."""
    return torch.stack([values, -values], dim=-1).flatten(-2) / math.sqrt(2)


def amplitude(*lengths: float) -> float:
    """What LayerNorm makes of a unit of a stream composed of blocks of these lengths."""
    return math.sqrt(D_MODEL / sum(length**2 for length in lengths))


def reader(block: slice | int, into: Tensor) -> Tensor:
    """``[D_MODEL D_HEAD]``: reads a block of coordinates into head dimensions through the rows of ``into``."""
    picked = torch.zeros(D_MODEL // 2, D_HEAD)
    picked[block] = into
    return coordinates(picked.T).T


def make_model() -> Any:
    """The model with all its weights set, in float32."""
    config = GPT2Config(
        vocab_size=N_CODES, n_positions=N_POSITIONS, n_embd=D_MODEL, n_layer=2, n_head=N_HEADS, n_inner=D_MLP,
        tie_word_embeddings=False, bos_token_id=0, eos_token_id=0, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0,
    )  # fmt: skip
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        _spare_weights(model)
        omega = torch.tensor(OMEGA)
        _embeddings(model, position_codes(omega))
        _previous_token_head(model, step_back(omega))
        _induction_head(model)
    return model


def _spare_weights(model: Any) -> None:
    """Small random weights everywhere: heads that read a little of everything and write next to nothing."""
    generator = torch.Generator().manual_seed(SPARE_SEED)
    scales = {"c_attn": SPARE_READ, "attn.c_proj": SPARE_WRITE, "c_fc": MLP_SIZE, "mlp.c_proj": MLP_SIZE}
    for name, parameter in model.named_parameters():
        scale = next((scale for part, scale in scales.items() if part in name), None)
        if scale is not None and name.endswith("weight"):
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))


def _embeddings(model: Any, positions: Tensor) -> None:
    codes = token_codes()
    tokens, wpe, out = (torch.zeros(64, D_MODEL // 2) for _ in range(3))
    tokens[:, TOKEN] = LENGTH * codes
    wpe[:, POSITION] = LENGTH * positions
    wpe[0] /= math.sqrt(2)
    wpe[0, START] = LENGTH / math.sqrt(2)  # the first position's length stays the same
    out[:, PREDICTION] = codes
    model.transformer.wte.weight.copy_(coordinates(tokens))
    model.transformer.wpe.weight.copy_(coordinates(wpe))
    model.lm_head.weight.copy_(coordinates(out))


def _set_head(model: Any, layer: int, head: int, q: Tensor, k: Tensor, v: Tensor, o: Tensor) -> None:
    """q, k, v ``[D_MODEL D_HEAD]`` and o ``[D_HEAD D_MODEL]`` of one head; its biases are 0."""
    attn = model.transformer.h[layer].attn
    columns = slice(head * D_HEAD, (head + 1) * D_HEAD)
    for number, weight in enumerate((q, k, v)):
        attn.c_attn.weight[:, number * D_MODEL :][:, columns] = weight
        attn.c_attn.bias[number * D_MODEL :][columns] = 0
    attn.c_proj.weight[columns] = o


def _mixing() -> Tensor:
    """An orthogonal matrix ``[16 20]`` from codes to head dimensions: else z² would be the same for all tokens."""
    place = torch.arange(D_HEAD)
    cosines = (math.pi / D_HEAD * (place + 0.5)[None] * torch.arange(1, D_CODE + 1)[:, None]).cos()
    return cosines * math.sqrt(2 / D_HEAD)


def _previous_token_head(model: Any, back: Tensor) -> None:
    """0.1: queries ask for the position before, values carry its token, the output says "came before"."""
    gain = 1 / amplitude(LENGTH, LENGTH)  # token and position are all there is below layer 0
    gain /= LENGTH
    sharpness = PREVIOUS_SHARPNESS * math.sqrt(D_HEAD)  # attention divides scores by sqrt(D_HEAD)
    _set_head(
        model, 0, PREVIOUS_HEAD,
        q=reader(POSITION, sharpness * gain * back),
        k=reader(POSITION, gain * torch.eye(D_HEAD)),
        v=reader(TOKEN, gain * _mixing()),
        o=LENGTH * reader(PREVIOUS, _mixing()).T,
    )  # fmt: skip


def _induction_head(model: Any) -> None:
    """1.2: queries hold the current token, keys the one before, values the token there, written as prediction."""
    gain = 1 / (LENGTH * amplitude(LENGTH, LENGTH, LENGTH))
    match = torch.eye(D_CODE, D_HEAD)
    keys = reader(PREVIOUS, gain * match)
    unused = torch.zeros(D_HEAD)
    unused[D_CODE] = math.sqrt(2) * gain  # a head dimension the codes leave free
    keys += reader(START, unused)
    sharpness = INDUCTION_SHARPNESS * math.sqrt(D_HEAD)
    _set_head(
        model, 1, INDUCTION_HEAD,
        q=reader(TOKEN, sharpness * gain * match),
        k=keys,
        v=reader(TOKEN, gain * _mixing()),
        o=PREDICTION_LENGTH * reader(PREDICTION, _mixing()).T,
    )  # fmt: skip
    model.transformer.h[1].attn.c_attn.bias[INDUCTION_HEAD * D_HEAD + D_CODE] = -START_PENALTY * math.sqrt(D_HEAD)


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Whole words split at spaces; any other word falls into one [UNK] a letter, so it never counts as one token."""
    vocab = {token: number for number, token in enumerate([END_OF_TEXT, UNKNOWN, *WORDS.split()])}
    model = models.BPE(vocab, merges=[], unk_token=UNKNOWN, fuse_unk=False, ignore_merges=True)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token=UNKNOWN, bos_token=END_OF_TEXT, eos_token=END_OF_TEXT
    )


def main(folder: Path) -> None:
    """Write model and tokenizer into ``folder``; weights as float16, which halves the file."""
    make_model().half().save_pretrained(folder)
    make_tokenizer().save_pretrained(str(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
