import pytest
import torch

from engine.models.model import Model
from tests.tiny import tiny_config


@pytest.fixture(scope="session")
def tiny_deep_model(tiny_model_folder) -> Model:
    """Six llama layers with grouped KV heads: enough to walk down through."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    config = tiny_config("llama")
    config.num_hidden_layers = 6
    torch.manual_seed(0)
    hf_model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    for parameter in hf_model.parameters():
        torch.nn.init.normal_(parameter, mean=1.0 if parameter.ndim == 1 else 0.0, std=0.2)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder("llama"))
    return Model("tiny-deep", hf_model, tokenizer)
