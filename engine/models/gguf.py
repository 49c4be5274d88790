"""A .gguf file unpacked once into a folder that loads in a second.

transformers needs about half a minute to dequantise the bundled file and build its tokenizer. So:

1. the header is checked: whole, a known architecture, enough memory
2. the folder is named by the hash of the file; if it is there and intact, done
3. otherwise, one process at a time: convert into a temporary folder beside it, write a manifest
   of sizes and hashes, rename
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
from safetensors import SafetensorError

from engine.errors import HeadlightError
from engine.models.cache import cache_root, unwritable, writable_cache
from engine.models.gguf_header import read_header
from engine.models.integrity import is_intact, sha256_of, write_manifest
from engine.models.quiet import quiet_libraries

SUBFOLDER = "gguf"
LAYOUT = "1"  # of the prepared folders: a new number prepares them afresh
ARCHITECTURES = ("gpt2", "llama", "qwen2")  # as these files name them
KEY_LENGTH = 20  # hex digits of the hash: 80 bits tell files apart
UNPACKING_BYTES = 6  # a parameter: float32, and half as much again for what is being converted and written


def prepared_path(gguf_path: Path) -> Path:
    """Where the unpacked model of this file belongs, whether it is there or not."""
    return cache_root() / SUBFOLDER / f"{sha256_of(gguf_path)[:KEY_LENGTH]}-{LAYOUT}"


def is_prepared(gguf_path: Path) -> bool:
    """True if preparing this file would be instant."""
    return is_intact(prepared_path(gguf_path))


def prepared_folder(gguf_path: Path, announce: Callable[[str], None] = lambda text: None) -> Path:
    """The unpacked model of a .gguf file, converted now if need be.

    ``announce`` gets a sentence before anything slow. Raises HeadlightError for a file that is damaged
    or of an unsupported architecture, too little memory, or a cache that cannot be written.
    """
    from engine.models.preflight import check_architecture, check_memory

    header = read_header(gguf_path)
    check_architecture(gguf_path.name, header.architecture)
    if header.architecture not in ARCHITECTURES:
        raise HeadlightError(
            f"{gguf_path.name} is a {header.architecture} model, which Headlight reads from Hugging Face files only; "
            f"as .gguf it reads {', '.join(ARCHITECTURES)}. Use the model's Hugging Face id or folder."
        )
    folder = prepared_path(gguf_path)
    if is_intact(folder):
        return folder
    root = writable_cache(SUBFOLDER)
    check_memory(gguf_path.name, header.parameters, UNPACKING_BYTES)
    with _one_process_at_a_time(folder, announce), quiet_libraries():
        if not is_intact(folder):
            announce(f"Preparing {gguf_path.stem}, once, about half a minute for a small model …")
            _remove_leftovers(root, folder)
            _convert_into(folder, gguf_path)
    return folder


@contextlib.contextmanager
def _one_process_at_a_time(folder: Path, announce: Callable[[str], None]):
    """The lock of one prepared folder; the system frees it when its holder dies."""
    lock = filelock.FileLock(folder.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        announce("Waiting for another process that is preparing the same model …")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _remove_leftovers(root: Path, folder: Path) -> None:
    """What interrupted conversions left behind: with the lock held, nobody is writing there."""
    for leftover in root.glob(f"{folder.name}.*.part"):
        shutil.rmtree(leftover, ignore_errors=True)


def _convert_into(folder: Path, gguf_path: Path) -> None:
    """Convert beside ``folder``, then move into its place: it is never seen half-written."""
    part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        _convert(gguf_path, part)
        write_manifest(part, gguf_path.name, sha256_of(gguf_path))
        if folder.exists():  # damaged, or we would not be here
            shutil.rmtree(folder)
        part.rename(folder)
    except (OSError, SafetensorError) as error:
        raise unwritable(folder.parent, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _convert(gguf_path: Path, folder: Path) -> None:
    """Write weights (float32 safetensors), config and tokenizer of a .gguf file into ``folder``."""
    model, tokenizer = _read(gguf_path)
    settings = model.config.to_dict()
    settings.pop("quantization_config", None)  # else the plain weights would be read as quantised ones
    model.config = type(model.config)(**settings)
    model.hf_quantizer = None
    model.save_pretrained(folder)
    tokenizer.save_pretrained(str(folder))


def _read(gguf_path: Path) -> tuple[Any, Any]:
    """Model and tokenizer as transformers reads them; raises HeadlightError for whatever it stumbles over."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    loader: Any = AutoModelForCausalLM  # its stubs do not know that two values come back
    where = {"gguf_file": gguf_path.name, "local_files_only": True}
    try:
        model, report = loader.from_pretrained(
            gguf_path.parent, dtype=torch.float32, trust_remote_code=False, output_loading_info=True, **where
        )
        tokenizer = AutoTokenizer.from_pretrained(gguf_path.parent, trust_remote_code=False, **where)
    except Exception as error:  # its GGUF readers raise all kinds
        raise HeadlightError(
            f"{gguf_path} could not be unpacked: {error}. Expected a complete GGUF file of a llama, qwen2 or gpt2 "
            "model with its tokenizer; fetch it again, or pass the model's Hugging Face folder."
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise HeadlightError(f"{gguf_path} lacks weights the model needs, {missing[0]} among them. Fetch it again.")
    return model, tokenizer
