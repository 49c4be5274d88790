from collections.abc import Callable, Iterator

import pytest
import torch

from engine.jobs.manager import JobManager
from engine.models.model import Model
from tests.tiny import random_model, tiny_config


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


@pytest.fixture(scope="session")
def tiny_deep_models(tiny_model_folder) -> Callable[[str], Model]:
    """``tiny_deep_models(kind)``: six layers of any tiny kind, made once a session."""
    from transformers import AutoTokenizer

    made: dict[str, Model] = {}

    def model_of(kind: str) -> Model:
        if kind not in made:
            tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder(kind))
            made[kind] = Model(f"deep-{kind}", random_model(tiny_config(kind, n_layers=6)), tokenizer)
        return made[kind]

    return model_of


@pytest.fixture
def manager() -> Iterator[JobManager]:
    """Keeps three finished jobs of a kind."""
    manager = JobManager(keep=3)
    yield manager
    manager.close()
