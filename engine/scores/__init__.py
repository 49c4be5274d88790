"""Head scores before any patching, one file a score: pure functions of activations, weights and gradients."""

from engine.scores.attribution import attribution_scores, position_attribution_scores, token_attributions
from engine.scores.channels import head_means
from engine.scores.combined import equal_union, rank_sum
from engine.scores.contrastive_flap import contrastive_flap_scores, contrastive_weight, prompt_energies
from engine.scores.flap import flap_scores
from engine.scores.output_difference import output_difference_scores

__all__ = [
    "attribution_scores", "contrastive_flap_scores", "contrastive_weight", "equal_union", "flap_scores", "head_means",
    "output_difference_scores", "position_attribution_scores", "prompt_energies", "rank_sum", "token_attributions",
]  # fmt: skip
