"""The only module that imports transformer_lens.

``TransformerBridge`` wraps the Hugging Face model it is given: named hook points for the reference
path patching and for whoever wants to look inside. No compatibility mode: it folds biases and
would move z.
"""

from __future__ import annotations

from typing import Any

from engine.models.imports import importing

EMBEDDING = "embed.hook_out"  # full name of the hook point behind the token embedding


def boot(hf_model: Any, tokenizer: Any, folder: str) -> Any:
    """A TransformerBridge over ``hf_model``; importing transformer_lens takes seconds."""
    with importing:
        from transformer_lens.model_bridge import TransformerBridge

    if not getattr(hf_model.config, "architectures", None):  # a config made in memory; the bridge asks for it
        hf_model.config.architectures = [type(hf_model).__name__]
    return TransformerBridge.boot_transformers(folder, hf_model=hf_model, tokenizer=tokenizer)


def knows(model_type: str) -> bool:
    """Whether the bridge has an adapter for the causal models of this type, and they have attention heads.

    Asked of names alone, so a yes is not yet a promise: see ``engine/models/hooks.py``.
    """
    with importing:
        from transformer_lens.factories.architecture_adapter_factory import SUPPORTED_ARCHITECTURES
        from transformers import CONFIG_MAPPING
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    causal_classes: dict[str, Any] = dict(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    adapter = SUPPORTED_ARCHITECTURES.get(causal_classes.get(model_type, ""))
    if adapter is None or not adapter.supports_generation:  # an encoder has a causal class too
        return False
    return hasattr(CONFIG_MAPPING[model_type](), "num_attention_heads")


def hook_name(layer: int, point: str) -> str:
    """Full name of an attention hook point: ``point`` is one of q, k, v (before rotary), z or pattern."""
    return f"blocks.{layer}.attn.hook_{point}"


def mlp_name(layer: int, point: str) -> str:
    """Full name of an MLP's hook point: ``in`` is its normed input, ``out`` what it adds to the stream."""
    return f"blocks.{layer}.mlp.hook_in" if point == "in" else f"blocks.{layer}.hook_mlp_out"


def written_name(layer: int) -> str:
    """Full name of the hook point behind a layer's output projection."""
    return f"blocks.{layer}.attn.o.hook_out"


def stream_name(layer: int) -> str:
    """Full name of the hook point on the stream into a layer."""
    return f"blocks.{layer}.hook_in"


def stream_out_name(layer: int) -> str:
    """Full name of the hook point on the stream out of a layer."""
    return f"blocks.{layer}.hook_out"
