"""Scores of MLPs, for runs in which they are nodes: FLAP and Contrastive-FLAP of the down projection.

As for heads (engine/scores), x is the input of the projection that writes to the stream, here the hidden
activations of the MLP, W is the down projection's weight, and s_j the score of one of its input channels.

1. s_j by FLAP (clean alone) or Contrastive-FLAP (clean against corrupted), for every channel of every layer.
2. Average s_j over the channels of the MLP.
3. z-score over the layers (unbiased std).

The order of 2 and 3 is not that of heads. z-scored over its own layer first, every MLP would score exactly 0: it is
all channels of its layer. So a head's score says how it stands among the heads of its layer, an MLP's how it stands
among the MLPs of other layers, and the two are ranked apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.activations import Activations, BatchActivations
from engine.cost.ledger import Ledger, mlp_flops
from engine.models.model import Model
from engine.models.parts import Layer
from engine.pruning.masks import keep_mask
from engine.scores.channels import head_means
from engine.scores.contrastive_flap import contrastive_weight, prompt_energies
from engine.scores.flap import flap_channels
from engine.scores.kinds import Score


@dataclass(frozen=True, eq=False)
class MlpScores:
    """Importance before any patching, in standard deviations over the layers: ``[layer]``."""

    flap: Tensor
    contrastive_flap: Tensor

    def keep(self, score: Score, sparsity: float) -> Tensor:
        """Keep mask ``[layer]`` at a sparsity, by the rule for heads; for merged, MLPs that either score keeps.

        Scores of heads that have no form for MLPs keep those of Contrastive-FLAP.
        """
        if score is Score.MERGED:
            return self.keep_either(sparsity, sparsity)
        return keep_mask(self.flap if score is Score.FLAP else self.contrastive_flap, sparsity)

    def keep_either(self, flap_sparsity: float, contrastive_sparsity: float) -> Tensor:
        """Keep mask ``[layer]`` of the MLPs that FLAP or Contrastive-FLAP keeps, each at its sparsity."""
        return keep_mask(self.flap, flap_sparsity) | keep_mask(self.contrastive_flap, contrastive_sparsity)


@torch.no_grad()
def score_mlps(model: Model, activations: Activations, ledger: Ledger) -> MlpScores:
    """Both scores of every MLP; ``activations`` captured with ``mlps=True``."""
    flap, contrastive = [], []
    for index, layer in enumerate(model.parts.layers):
        hidden = [_clean_hidden(layer, index, item) for item in activations.batches]
        rows = sum(each[..., 0].numel() for each in hidden)
        ledger.add(mlp_flops(layer, rows) - 2 * rows * layer.mlp.down.weight.numel())
        flap.append(flap_channels(hidden, layer.mlp.down.weight).mean())
        clean = torch.cat([prompt_energies(each) for each in hidden]).mean(dim=0)
        corrupted = torch.cat([item.mlp_runs.corrupted_energy[index] for item in activations.batches]).mean(dim=0)
        contrastive.append((contrastive_weight(layer.mlp.down.weight) * (clean - corrupted).abs()).mean())
    return MlpScores(over_layers(torch.stack(flap)), over_layers(torch.stack(contrastive)))


def over_layers(means: Tensor) -> Tensor:
    """z-score ``[layer]`` over the layers; all 0 where they are all equal, or where there is one."""
    return head_means(means, len(means))


def _clean_hidden(layer: Layer, index: int, item: BatchActivations) -> Tensor:
    """Input of the down projection in the clean run, ``[batch pos channel]``: one layer's at a time, as it is wide."""
    return layer.mlp_hidden(layer.mlp_reads(item.clean.resid_pre[index], item.clean.attn_out[index]))
