"""From a spec to a Model: ``load_model("gpt2")``.

1. device and dtype make sense here
2. the spec is resolved to a folder: downloaded or unpacked first if need be
3. the folder is checked: architecture, tokenizer, weights, memory (engine/models/preflight.py)
4. only then weights and tokenizer are read, never running code that comes with a model; of two models loaded at once
   the second is counted again against what the first left free
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from engine.errors import HeadlightError
from engine.machine.allocator import keep_freed_memory
from engine.models.devices import check_device, check_dtype
from engine.models.gguf import prepared_folder
from engine.models.imports import importing
from engine.models.model import Model
from engine.models.preflight import check_memory, check_tokenizer, check_weights, held_parameters, read_config
from engine.models.quiet import quiet_libraries
from engine.models.registry import Kind
from engine.models.sources import ModelSource, resolve

THREADS_VARIABLE = "HEADLIGHT_THREADS"

Announce = Callable[[str], None]


def load_model(
    spec: str, device: str = "cpu", dtype: str = "auto", announce: Announce = lambda text: None
) -> Model:
    """Load a registry name, a Hugging Face id, a folder or a .gguf file.

    ``announce`` gets a sentence before each slow step (a download, the one-time unpacking). Raises
    HeadlightError, before anything heavy, for whatever cannot work, with what to do about it.
    """
    device = check_device(device)
    torch_dtype = check_dtype(dtype, device)
    source = resolve(spec)
    configure_threads()
    keep_freed_memory()
    with quiet_libraries():
        check = partial(_check_config, source.name, device, torch_dtype)
        folder = _folder_of(source, check, announce)
        config, parameters = check(folder)
        check_tokenizer(folder, source.name)
        check_weights(folder, source.name)
        tokenizer = _read_tokenizer(folder, source.name, config)
        announce(f"Loading {source.name} …")
        with importing:  # one model after the other: what is free now is not promised to another one
            check_memory(source.name, parameters, torch_dtype.itemsize, device)
            hf_model = _read_weights(folder, source.name, torch_dtype, device)
            return Model(source.name, hf_model, tokenizer)


def configure_threads() -> int:
    """Give torch the cores this process may use; returns their number.

    HEADLIGHT_THREADS overrides. Without it, OMP_NUM_THREADS is respected as torch already does.
    """
    wanted = os.environ.get(THREADS_VARIABLE, "").strip()
    if wanted:
        if not (wanted.isascii() and wanted.isdigit() and int(wanted) > 0):
            raise HeadlightError(f"Expected a number of threads above 0 in {THREADS_VARIABLE}, got {wanted!r}.")
        torch.set_num_threads(int(wanted))
    elif "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(usable_cores())
    return torch.get_num_threads()


def usable_cores() -> int:
    """Cores this process is allowed: its affinity, and a container's quota where there is one (cgroup v2)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, or "max": no quota
        return cores


def _folder_of(source: ModelSource, check_config: Callable[[Path], Any], announce: Announce) -> Path:
    """The folder with the model's files, made or fetched now if it is not there yet."""
    if source.kind in (Kind.BUNDLED, Kind.GGUF):
        return prepared_folder(Path(source.location), announce)
    if source.kind is Kind.HUB:
        from engine.models.hub import cached_folder, fetched_folder

        return cached_folder(source.location) or fetched_folder(source.location, check_config, announce)
    return Path(source.location)


def _check_config(name: str, device: str, dtype: torch.dtype, folder: Path) -> tuple[Any, int]:
    """Architecture and memory, from the config alone; returns it, and the parameters that memory will hold."""
    config = read_config(folder, name)
    parameters = held_parameters(config)
    check_memory(name, parameters, dtype.itemsize, device)
    return config, parameters


def _read_tokenizer(folder: Path, name: str, config: Any) -> Any:
    """The tokenizer of ``folder``; read from files because the bridge asks it for their place."""
    try:
        with importing:
            from transformers import AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # its readers raise all kinds
        raise HeadlightError(f"The tokenizer of {name} in {folder} cannot be read: {error}") from error
    if not len(tokenizer) or _words_without_embedding(tokenizer, config.vocab_size):
        raise HeadlightError(
            f"The tokenizer of {name} has {len(tokenizer):,} tokens but the model has {config.vocab_size:,}: "
            "they do not belong together. Copy the model's own tokenizer files into its folder."
        )
    return tokenizer


def _words_without_embedding(tokenizer: Any, vocab_size: int) -> bool:
    """True if the model lacks tokens of the tokenizer's, markers apart.

    Text models that share the tokenizer of a multimodal one (Gemma 3) have no row for its image marker.
    """
    if len(tokenizer) <= vocab_size:
        return False
    markers = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    return any(index >= vocab_size and index not in markers for index in tokenizer.get_vocab().values())


def _read_weights(folder: Path, name: str, dtype: torch.dtype, device: str) -> Any:
    """The causal LM of ``folder`` on ``device``; raises HeadlightError rather than filling gaps with random numbers."""
    placement = {"device_map": "auto"} if device == "auto" else {}
    try:
        with importing:
            from transformers import AutoModelForCausalLM

            loader: Any = AutoModelForCausalLM  # its stubs do not know that two values come back
            hf_model, report = loader.from_pretrained(
                folder, dtype=dtype, use_safetensors=True, local_files_only=True, trust_remote_code=False,
                output_loading_info=True, **placement,
            )
    except Exception as error:  # shapes that do not fit, unreadable tensors
        raise HeadlightError(f"The weights of {name} in {folder} do not fit its config: {error}") from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise HeadlightError(
            f"{name} is no complete causal language model: its files lack {len(missing)} weights, "
            f"{missing[0]} among them. Fetch it again, or choose a causal LM."
        )
    if device != "auto":
        return hf_model.to(device)
    check_placement(name, hf_model)
    return hf_model


def check_placement(name: str, hf_model: Any) -> None:
    """Raise HeadlightError if parts of a model spread over GPUs lie elsewhere, for lack of memory."""
    elsewhere = sorted(part for part, place in hf_model.hf_device_map.items() if place in ("cpu", "disk"))
    if elsewhere:
        raise HeadlightError(
            f"{name} does not fit into the memory of this machine's GPUs: {len(elsewhere)} of its parts, "
            f"{elsewhere[0]} among them, found no place. Close other programs that use a GPU, choose a smaller model, "
            "or use cpu."
        )
