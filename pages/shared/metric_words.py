"""What each metric is called, its unit, its direction, and the digits it is shown with."""

from __future__ import annotations

from engine.tasks.prompts import Metric

METRIC_WORDS = {
    Metric.LOGIT_DIFF: ("Logit difference", "logits", "answer − distractor", 2),
    Metric.LOGIT_DIFF_MAX: ("Logit difference", "logits", "answer − best distractor", 2),
    Metric.PROB_DIFF: ("Probability difference", "", "answers − distractors", 3),
}
