"""The architectures whose parts are known, and how each is read from a Hugging Face model.

One file a family. What a config of a known family asks for and the parts do not do is refused by name:
results are exact or there are none. Only architectures that TransformerLens' bridge hooks correctly are
here, because the hooked reference is what the fast path is checked against.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.errors import HeadlightError
from engine.models.architectures import gemma, gpt2, gptj, llama, neox, opt, phi
from engine.models.parts import Parts

# The others rescale with the prompt's length or swap frequencies past a limit; a head recomputed alone
# would not see that.
ROPE_TYPES = frozenset({"default", "linear", "llama3", "yarn"})
LAYER_TYPES = frozenset({"full_attention", "sliding_attention"})


@dataclass(frozen=True)
class Family:
    """``parts`` reads them without copying a weight; ``unknown_part`` names what a config has beyond them."""

    parts: Callable[[Any], Parts]
    unknown_part: Callable[[Any], str | None]
    copied_parameters: Callable[[Any], int] = lambda config: 0  # where reading without copying is impossible


_FAMILIES = {
    "gemma": Family(gemma.parts, gemma.unknown_part),
    "gemma2": Family(gemma.parts, gemma.unknown_part),
    "gemma3_text": Family(gemma.parts, gemma.unknown_part),
    "gpt2": Family(gpt2.parts, gpt2.unknown_part),
    "gpt_neox": Family(neox.parts, neox.unknown_part, neox.copied_parameters),
    "gptj": Family(gptj.parts, gptj.unknown_part),
    "llama": Family(llama.parts, llama.unknown_part),
    "mistral": Family(llama.parts, llama.unknown_part),
    "opt": Family(opt.parts, opt.unknown_part),
    "phi": Family(phi.parts, phi.unknown_part),
    "qwen2": Family(llama.parts, llama.unknown_part),
    "qwen3": Family(llama.parts, llama.unknown_part),
}
SUPPORTED = frozenset(_FAMILIES)


def check_supported(config: Any) -> None:
    """Raise HeadlightError, by name, unless the parts of this Hugging Face config are known."""
    kind = config.model_type
    if kind not in SUPPORTED:
        raise HeadlightError(
            f"The architecture {kind!r} is not supported. Headlight patches paths exactly, so it runs only "
            f"architectures whose parts it knows: {', '.join(sorted(SUPPORTED))}. Choose a model of one of them."
        )
    reason = _unknown_part(config) or _FAMILIES[kind].unknown_part(config)
    if reason:
        raise HeadlightError(f"This {kind} model uses {reason}, which Headlight's exact path patching does not know.")


def known_parts(config: Any) -> bool:
    """Whether all parts of this config are known; if not, only hooks can serve it."""
    try:
        check_supported(config)
    except HeadlightError:
        return False
    return True


def parts_of(hf_model: Any) -> Parts:
    """The parts of a supported Hugging Face causal LM; raises HeadlightError otherwise."""
    check_supported(hf_model.config)
    return _FAMILIES[hf_model.config.model_type].parts(hf_model)


def copied_parameters(config: Any) -> int:
    """Parameters that the known parts of a config hold a second time, beside the model's own."""
    return _FAMILIES[config.model_type].copied_parameters(config) if known_parts(config) else 0


def _unknown_part(config: Any) -> str | None:
    """What a config of any family may ask for that no part does."""
    unknown_rope = sorted(_rope_types(getattr(config, "rope_parameters", None) or {}) - ROPE_TYPES)
    if unknown_rope:
        return f"rotary scaling of type {unknown_rope[0]!r}"
    unknown_layers = sorted(set(getattr(config, "layer_types", None) or ()) - LAYER_TYPES)
    if unknown_layers:
        return f"layers of type {unknown_layers[0]!r}"
    if getattr(config, "add_cross_attention", False):
        return "cross attention"
    if getattr(config, "use_bidirectional_attention", False):
        return "bidirectional attention"
    return None


def _rope_types(parameters: dict[str, Any]) -> set[str]:
    """Of all layers alike, or of each type of layer where ``parameters`` maps types to their own."""
    sets = [value for value in parameters.values() if isinstance(value, dict)] or [parameters]
    return {rope.get("rope_type") or "default" for rope in sets}
