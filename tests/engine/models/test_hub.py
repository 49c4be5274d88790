"""Fetching from a hub that runs in this process: a small HTTP server that answers as huggingface.co does."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub.constants
import pytest
from huggingface_hub.utils import close_session

from engine.errors import HeadlightError
from engine.models.hub import cached_folder
from engine.models.loading import load_model
from engine.models.registry import find_card
from engine.models.sources import is_ready_offline

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves the folders in ``repos`` by their id; ``fetched`` lists the files that were downloaded."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos: dict[str, Path] = {}
        self.fetched: list[str] = []
        self.gated = False


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._file(body=False)

    def do_GET(self) -> None:
        if not self.path.startswith("/api/models/"):
            self._file(body=True)
            return
        repo_id = self.path.removeprefix("/api/models/").split("?")[0]
        if repo_id not in self.server.repos:
            self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        else:
            files = sorted(path for path in self.server.repos[repo_id].rglob("*") if path.is_file())
            names = [
                {"rfilename": str(path.relative_to(self.server.repos[repo_id])), "size": path.stat().st_size}
                for path in files
            ]
            self._answer(200, json.dumps({"id": repo_id, "sha": COMMIT, "siblings": names}).encode(), {})

    def _file(self, body: bool) -> None:
        repo_id, _, name = self.path.lstrip("/").partition("/resolve/main/")
        if not name:  # by commit once the branch is known
            repo_id, _, name = self.path.lstrip("/").partition(f"/resolve/{COMMIT}/")
        path = self.server.repos[repo_id] / name
        if self.server.gated:  # the listing is public, the files are not
            self._answer(403, b"", {"X-Error-Code": "GatedRepo"})
            return
        if not path.is_file():
            self._answer(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
            return
        content = path.read_bytes()
        if body:
            self.server.fetched.append(name)
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
        self._answer(200, content, headers, body)

    def _answer(self, status: int, content: bytes, headers: dict[str, str], body: bool = True) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *args) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def empty_hub_cache(monkeypatch, tmp_path):
    """No model was ever downloaded here."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def hub(monkeypatch, empty_hub_cache):
    """A reachable hub; its client keeps connections, so they are closed before and after."""
    server = Hub()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(
        huggingface_hub.constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        huggingface_hub.constants.ENDPOINT + "/{repo_id}/resolve/{revision}/{filename}",
    )
    close_session()
    yield server
    close_session()
    server.shutdown()
    server.server_close()


@pytest.fixture
def tiny_copy(tiny_model_folder, tmp_path):
    return Path(shutil.copytree(tiny_model_folder("gpt2"), tmp_path / "copy"))


def test_downloads_what_is_needed_and_loads_from_the_cache_afterwards(hub, tiny_copy):
    (tiny_copy / "pytorch_model.bin").write_bytes(b"never asked for")
    (tiny_copy / "onnx").mkdir()
    (tiny_copy / "onnx" / "model.safetensors").write_bytes(b"not at the top: another format")
    (tiny_copy / "tokenizer_old").mkdir()
    (tiny_copy / "tokenizer_old" / "vocab.json").write_text("{}")
    hub.repos["acme/tiny"] = tiny_copy
    said: list[str] = []
    model = load_model("acme/tiny", announce=said.append)
    assert model.name == "acme/tiny"
    assert model.n_layers == 2
    assert "model.safetensors" in hub.fetched
    assert not {"pytorch_model.bin", "onnx/model.safetensors", "tokenizer_old/vocab.json"} & set(hub.fetched)
    assert any("Downloading acme/tiny" in text for text in said)

    hub.repos.clear()  # the second time nobody is asked
    hub.fetched.clear()
    assert load_model("acme/tiny").n_heads == 4
    assert hub.fetched == []


def test_sharded_weights_are_fetched_whole(hub, tiny_copy):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_copy)
    (tiny_copy / "model.safetensors").unlink()
    model.save_pretrained(tiny_copy, max_shard_size="50KB")
    shards = {path.name for path in tiny_copy.glob("model-*.safetensors")}
    assert len(shards) > 1
    hub.repos["acme/tiny"] = tiny_copy
    load_model("acme/tiny")
    assert shards < set(hub.fetched)
    folder = cached_folder("acme/tiny")
    assert folder is not None
    (folder / min(shards)).unlink()
    assert cached_folder("acme/tiny") is None


def test_unknown_model_says_so_and_suggests_a_name(hub):
    with pytest.raises(HeadlightError, match=r"There is no model 'smollm2-135'.*Did you mean smollm2-135m"):
        load_model("smollm2-135")


def test_unsupported_architecture_is_refused_before_the_weights_are_fetched(hub, tiny_copy):
    (tiny_copy / "config.json").write_text(json.dumps({"model_type": "mamba"}))
    hub.repos["acme/other"] = tiny_copy
    with pytest.raises(HeadlightError, match="mamba"):
        load_model("acme/other")
    assert hub.fetched == ["config.json"]


def test_too_little_memory_is_noticed_before_the_weights_are_fetched(hub, tiny_copy, monkeypatch):
    hub.repos["acme/tiny"] = tiny_copy
    monkeypatch.setattr("engine.models.preflight.free_bytes", lambda device: 1000)
    with pytest.raises(HeadlightError, match="needs about"):
        load_model("acme/tiny")
    assert hub.fetched == ["config.json"]


def test_weights_in_another_format_are_refused(hub, tiny_copy):
    (tiny_copy / "model.safetensors").rename(tiny_copy / "pytorch_model.bin")
    hub.repos["acme/old"] = tiny_copy
    with pytest.raises(HeadlightError, match="no weights as safetensors"):
        load_model("acme/old")


def test_repository_without_a_config_is_refused(hub, tiny_copy):
    (tiny_copy / "config.json").unlink()
    hub.repos["acme/data"] = tiny_copy
    with pytest.raises(HeadlightError, match=r"no config\.json"):
        load_model("acme/data")


def test_gated_model_says_how_to_get_access(hub, tiny_copy):
    hub.repos["acme/gated"] = tiny_copy
    hub.gated = True
    with pytest.raises(HeadlightError, match=r"accept its terms.*HF_TOKEN"):
        load_model("acme/gated")


@pytest.mark.parametrize("spec", ["gpt2", "acme/tiny"])
def test_unreachable_hub_names_three_ways_out(empty_hub_cache, spec):
    with pytest.raises(HeadlightError) as caught:
        load_model(spec)
    text = str(caught.value)
    assert f"'{spec}'" in text
    assert "could not be reached" in text
    for way_out in ("connect to the internet once", "local folder", "smollm2-135m or toy-induction"):
        assert way_out in text


def test_refused_connection_is_unreachable(hub, monkeypatch):
    hub.shutdown()
    hub.server_close()
    with pytest.raises(HeadlightError, match="could not be reached"):
        load_model("acme/tiny")


def test_partly_downloaded_model_does_not_count_as_cached(hub, tiny_copy):
    hub.repos["acme/tiny"] = tiny_copy
    load_model("acme/tiny")
    folder = cached_folder("acme/tiny")
    assert folder is not None
    (folder / "model.safetensors").resolve().unlink()  # the blob; the folder holds links
    assert cached_folder("acme/tiny") is None
    hub.fetched.clear()
    load_model("acme/tiny")
    assert hub.fetched == ["model.safetensors"]


def test_hub_models_say_whether_they_are_ready_offline(empty_hub_cache):
    card = find_card("gpt2")
    assert card is not None
    assert is_ready_offline(card) == (False, "downloaded at first use")
