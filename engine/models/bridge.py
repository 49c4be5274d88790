"""The only module that imports transformer_lens.

``TransformerBridge`` wraps the Hugging Face model it is given: named hook points for the reference
path patching and for whoever wants to look inside. No compatibility mode: it folds biases and
would move z.
"""

from __future__ import annotations

from typing import Any


def boot(hf_model: Any, tokenizer: Any, folder: str) -> Any:
    """A TransformerBridge over ``hf_model``; importing transformer_lens takes seconds."""
    from transformer_lens.model_bridge import TransformerBridge

    if not hf_model.config.architectures:  # a config.json may lack it, and the bridge goes by it
        hf_model.config.architectures = [type(hf_model).__name__]
    return TransformerBridge.boot_transformers(folder, hf_model=hf_model, tokenizer=tokenizer)


def hook_name(layer: int, point: str) -> str:
    """Full name of an attention hook point: ``point`` is one of q, k, v (before rotary) or z."""
    return f"blocks.{layer}.attn.hook_{point}"
