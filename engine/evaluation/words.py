"""An evaluation in a few sentences."""

from __future__ import annotations

import math

from engine.evaluation.evaluate import Evaluation


def summary(evaluation: Evaluation) -> tuple[str, ...]:
    """What a reader must know first, then what was found."""
    faithfulness, performance = evaluation.main
    heads = len(evaluation.circuit.heads)
    sentences = [
        *evaluation.notes,
        f"{heads} heads, {evaluation.plan.ablation.value} ablation, {evaluation.n} pairs of seed {evaluation.seed}: "
        f"faithfulness {faithfulness.faithfulness.words()}, performance {performance.performance.words('{:.0f} %')}.",
        f"The answer is preferred in {evaluation.accuracy.circuit.words('{:.0%}')} of the pairs by the circuit, in "
        f"{evaluation.accuracy.model.words('{:.0%}')} by the model; KL {evaluation.kl.words('{:.3g}')} nats.",
    ]
    if heads:
        needless = len(evaluation.heads.not_contributing)
        sentences += [evaluation.completeness.words, f"Heads that add nothing above noise: {needless} of {heads}."]
    sentences += [
        f"Its faithfulness beats {each.beaten:.0%} of {len(each.metric)} random circuits of the {each.draw.value}."
        for each in evaluation.random
        if not math.isnan(each.beaten)
    ]
    if evaluation.held_out is not None:
        gap = evaluation.held_out.gap.words()
        sentences.append(f"Faithfulness on the prompts it was found on minus that on these: {gap}.")
    return tuple(dict.fromkeys(sentence for sentence in sentences if sentence))
