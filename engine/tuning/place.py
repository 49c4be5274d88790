"""What a kept study is called, and where it lies. Knows nothing of Optuna, which takes its time to import.

It is named by all that its numbers depend on: model, prompts, how effects are measured, search space.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from engine.models.cache import cache_root
from engine.prepare import Prepared
from engine.settings import Settings
from engine.tuning.space import VERSION, Space

SUBFOLDER = "tuning"


def study_name(prepared: Prepared, settings: Settings, space: Space) -> str:
    """24 hex digits of everything that a trial's numbers depend on."""
    prompts = prepared.prompts
    pairs = [[p.clean_tokens, p.corrupted_tokens, p.answer_tokens, p.distractor_tokens] for p in prompts.pairs]
    parts = [
        VERSION, prepared.model.name, prepared.model.fingerprint, settings.task, settings.pairs, settings.seed,
        settings.prepend_bos, prompts.metric.value, settings.mode.value, repr(space), pairs,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def study_path(name: str) -> Path:
    """Where a study is kept, whether or not it is there."""
    return cache_root() / SUBFOLDER / f"{name}.jsonl"
