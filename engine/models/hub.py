"""Models of the Hugging Face hub: the local cache first, then the network with a short timeout.

Only what is needed is fetched, smallest first: the config, which may already be reason to refuse, then
tokenizer and safetensors weights. The result is an ordinary folder; after that nothing asks the hub.
"""

from __future__ import annotations

import contextlib
import fnmatch
from collections.abc import Callable, Iterator
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
)

from engine.errors import HeadlightError
from engine.models.preflight import GIGABYTE, TOKENIZER_FILES, weight_files
from engine.models.registry import names_hint

CONNECT_SECONDS = 5  # to wait for an answer before the hub counts as unreachable
SMALL_FILES = (
    "config.json", "generation_config.json", "tokenizer*", "vocab.*", "merges.txt",
    "special_tokens_map.json", "added_tokens.json", "chat_template*",
)  # fmt: skip
WEIGHT_FILES = ("model.safetensors.index.json", "model.safetensors", "model-*-of-*.safetensors")


def cached_folder(repo_id: str) -> Path | None:
    """The folder of a model downloaded before, or None if any part of it is missing; asks no network."""
    try:
        folder = Path(snapshot_download(repo_id, local_files_only=True, allow_patterns=list(WEIGHT_FILES)))
    except LocalEntryNotFoundError:
        return None
    except ValueError:  # not a valid id
        return None
    try:
        weights = weight_files(folder)
    except HeadlightError:  # an unreadable index: fetch it again
        return None
    has_config = (folder / "config.json").is_file()
    has_tokenizer = any((folder / file).is_file() for file in TOKENIZER_FILES)
    complete = has_config and has_tokenizer and bool(weights) and all(path.is_file() for path in weights)
    return folder if complete else None


def fetched_folder(repo_id: str, check_config: Callable[[Path], None], announce: Callable[[str], None]) -> Path:
    """Download a model; ``check_config`` sees a folder with its config before anything large is fetched.

    Raises HeadlightError if there is no such model, it needs permission, lacks safetensors, or the hub is
    unreachable, with the ways out.
    """
    with _translated(repo_id):
        announce(f"Asking the Hugging Face hub for {repo_id} …")
        info = HfApi().model_info(repo_id, timeout=CONNECT_SECONDS, files_metadata=True)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        if "config.json" not in sizes:
            raise HeadlightError(f"{repo_id} on the Hugging Face hub has no config.json: it is no transformers model.")
        folder = _fetch(repo_id, "config.json").parent
    check_config(folder)
    small = [name for name in sizes if _matches(name, SMALL_FILES)]
    weights = _weight_names(repo_id, list(sizes))
    total = sum(sizes[name] for name in weights) / GIGABYTE
    with _translated(repo_id):
        for number, name in enumerate([*small, *weights], start=1):
            announce(f"Downloading {repo_id} ({total:.1f} GB): {name}, file {number} of {len(small) + len(weights)} …")
            _fetch(repo_id, name)
    return folder


def _fetch(repo_id: str, name: str) -> Path:
    return Path(hf_hub_download(repo_id, name, etag_timeout=CONNECT_SECONDS))


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    """True for files at the top of the repository that fit a pattern."""
    return "/" not in name and any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _weight_names(repo_id: str, names: list[str]) -> list[str]:
    """The weights to fetch: one file, or else all shards and their index."""
    if "model.safetensors" in names and "model.safetensors.index.json" not in names:
        return ["model.safetensors"]
    found = [name for name in names if name != "model.safetensors" and _matches(name, WEIGHT_FILES)]
    if not found:
        raise HeadlightError(
            f"{repo_id} has no weights as safetensors, and other formats are not read because they can run code. "
            "Choose a model that has them, or convert it and pass the local folder."
        )
    return found


@contextlib.contextmanager
def _translated(repo_id: str) -> Iterator[None]:
    """The hub's exceptions as errors that say what to do."""
    try:
        yield
    except GatedRepoError as error:
        raise HeadlightError(
            f"{repo_id} asks for permission: accept its terms on huggingface.co, then set HF_TOKEN to an access token."
        ) from error
    except RepositoryNotFoundError as error:
        raise HeadlightError(
            f"There is no model {repo_id!r}: not by name, not as a local folder, and not on the Hugging Face hub "
            f"(or it is private: set HF_TOKEN). {names_hint(repo_id)}"
        ) from error
    except RemoteEntryNotFoundError as error:
        raise HeadlightError(f"{repo_id} on the Hugging Face hub lacks a file: {error}.") from error
    except HeadlightError:
        raise
    except Exception as error:  # connection errors are those of whichever HTTP library the hub's client uses
        raise unreachable(repo_id, error) from error


def unreachable(repo_id: str, error: Exception) -> HeadlightError:
    """The error for a hub that does not answer, with the three ways out."""
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    text = (
        f"{repo_id!r} is not on this machine, and the Hugging Face hub could not be reached ({reason}). "
        "Three ways out:\n"
        "  1. connect to the internet once and try again; the model is kept for later,\n"
        "  2. pass a local folder that holds the model (config.json, tokenizer files, *.safetensors) or a .gguf file,\n"
        "  3. use a model that needs no network: smollm2-135m or toy-induction.\n"
        f"{names_hint(repo_id)}"
    )
    return HeadlightError(text.rstrip())
