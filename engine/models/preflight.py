"""What is checked about a model folder before any weight is read.

1. config: readable, an architecture whose parts are known or that can be hooked, not quantised
2. tokenizer files
3. weights: safetensors, all there, none cut off
4. memory: parameters (counted from the config) x bytes each, against what is free
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import psutil
import torch

from engine.errors import HeadlightError, NotEnoughMemory
from engine.models import bridge
from engine.models.architectures import SUPPORTED, copied_parameters
from engine.models.devices import free_cuda_bytes
from engine.models.imports import importing
from engine.models.integrity import check_safetensors

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
WEIGHT_NAME = re.compile(r"[\w-][\w.-]{0,200}\.safetensors", re.ASCII)
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")  # any one of them is a vocabulary
LOADING_FACTOR = 1.1  # weights pass through a buffer on their way into the model
WORKING_BYTES = 400_000_000  # torch, transformers and one small forward pass
GIGABYTE = 1e9


def read_config(folder: Path, name: str) -> Any:
    """The Hugging Face config of ``folder``; raises HeadlightError naming an unsupported architecture."""
    path = folder / "config.json"
    try:
        model_type = json.loads(path.read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise HeadlightError(f"The config of {name} ({path}) cannot be read: {error}.") from error
    check_architecture(name, model_type)
    try:
        with importing:
            from transformers import AutoConfig

            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # whatever transformers finds wrong with the values
        raise HeadlightError(f"The config of {name} ({path}) is not valid: {error}") from error
    if getattr(config, "quantization_config", None) is not None:
        raise HeadlightError(
            f"{name} is stored quantised, and path patching needs plain weights. "
            "Use the unquantised version of the model, or a .gguf file, which Headlight unpacks."
        )
    return config


def check_architecture(name: str, model_type: Any) -> None:
    """Raise HeadlightError unless the family is known: asked before transformers is, which may not know it either."""
    if not isinstance(model_type, str) or (model_type not in SUPPORTED and not bridge.knows(model_type)):
        raise HeadlightError(
            f"{name} has the architecture {str(model_type or 'unknown')[:60]}, which is not supported. Headlight runs "
            "causal language models made of attention heads whose parts it knows or TransformerLens can hook. The fast "
            f"path knows: {', '.join(sorted(SUPPORTED))}."
        )


def check_tokenizer(folder: Path, name: str) -> None:
    """Raise HeadlightError if the folder has no vocabulary."""
    if not any((folder / file).is_file() for file in TOKENIZER_FILES):
        raise HeadlightError(
            f"{name} has no tokenizer: expected one of {', '.join(TOKENIZER_FILES)} in {folder}. "
            "Copy the tokenizer's files beside the weights (tokenizer.save_pretrained does)."
        )


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The safetensors files of a folder, whether they exist or not; empty if it has none by the usual names."""
    index = folder / WEIGHTS_INDEX
    if index.is_file():
        try:
            names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            return tuple(folder / _in_folder(name) for name in sorted(names))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise HeadlightError(f"{index} cannot be read: {error!r:.300}. Fetch it again.") from error
    return (folder / WEIGHTS,) if (folder / WEIGHTS).is_file() else ()


def _in_folder(name: str) -> str:
    """The name of a weight file as an index gives it; raises ValueError for a path that leads elsewhere."""
    if WEIGHT_NAME.fullmatch(name) is None:
        raise ValueError(f"expected the name of a safetensors file beside it, got {name[:100]!r}")
    return name


def check_weights(folder: Path, name: str) -> None:
    """Raise HeadlightError unless all weights are there as safetensors, none cut off."""
    paths = weight_files(folder)
    if not paths:
        others = [path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern)]
        found = f" It has {others[0]}, which is not read because such files can run code." if others else ""
        raise HeadlightError(
            f"{name} has no weights as safetensors: expected {WEIGHTS} in {folder}.{found} "
            "Save it again with model.save_pretrained(folder), or choose a model that has them."
        )
    for path in paths:
        if not path.is_file():
            raise HeadlightError(f"{name} is incomplete: {path} is missing. Fetch the model again.")
        check_safetensors(path)


def held_parameters(config: Any) -> int:
    """Parameters in memory once the model is ready: its own, and those its parts must copy."""
    return parameter_count(config) + copied_parameters(config)


def parameter_count(config: Any) -> int:
    """Parameters of the model a config describes, tied ones once; nothing is allocated."""
    with importing, torch.device("meta"):
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    return sum(parameter.numel() for parameter in model.parameters())


def check_memory(name: str, parameters: int, bytes_each: int, device: str = "cpu") -> None:
    """Raise HeadlightError unless ``parameters`` of ``bytes_each`` fit into the device's free memory."""
    needed = parameters * bytes_each * LOADING_FACTOR + WORKING_BYTES
    free = free_bytes(device)
    if needed > free:
        raise NotEnoughMemory(
            f"{name} needs about {needed / GIGABYTE:.1f} GB of memory on {device} "
            f"({parameters / 1e6:,.0f} million parameters of {bytes_each} bytes), but only {free / GIGABYTE:.1f} GB "
            "are free. Close other programs, choose a smaller model, or run on a larger machine."
        )


def free_bytes(device: str) -> int:
    """Memory free for a model on ``device``, in bytes; a container's own limit counts too."""
    if device in ("cuda", "auto"):
        return free_cuda_bytes(device)
    return min(psutil.virtual_memory().available, _container_free_bytes())


def _container_free_bytes() -> int:
    """What a cgroup (v2) still allows, file cache counted as free; huge where there is no limit."""
    root = Path("/sys/fs/cgroup")
    try:
        limit = int((root / "memory.max").read_text())  # "max" is no number: no limit
        used = int((root / "memory.current").read_text())
        statistics = dict(line.split() for line in (root / "memory.stat").read_text().splitlines())
        return limit - used + int(statistics.get("inactive_file", 0))
    except (OSError, ValueError):
        return 2**63
