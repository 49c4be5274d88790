"""Loading: what comes out, and a clear error for everything that cannot work."""

from __future__ import annotations

import json
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.errors import HeadlightError, NotEnoughMemory
from engine.models import loading, preflight
from engine.models.loading import load_model
from engine.models.preflight import free_bytes, parameter_count, read_config
from tests.tiny import TINY_KINDS, TINY_POSITIONS, TINY_VOCAB, tiny_config, tiny_kv_heads


@pytest.fixture
def folder(tiny_model_folder, tmp_path) -> Path:
    """A tiny gpt2 that a test may damage."""
    return Path(shutil.copytree(tiny_model_folder("gpt2"), tmp_path / "my-model"))


@pytest.fixture
def weights_never_read(monkeypatch):
    """Fails the test if weights are read: refusals must come first."""

    def refuse(*args, **kwargs):
        raise AssertionError("weights were read")

    monkeypatch.setattr(loading, "_read_weights", refuse)


def edit_config(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("kind", TINY_KINDS)
def test_loaded_model_computes_what_transformers_does(tiny_model_folder, kind):
    model = load_model(str(tiny_model_folder(kind)))  # its own: the shared one may have been wrapped by a bridge
    reference = AutoModelForCausalLM.from_pretrained(tiny_model_folder(kind))
    tokens = torch.randint(300, (2, 7), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model.hf_model(tokens).logits, reference(tokens).logits, rtol=0, atol=1e-6)
    assert (model.n_layers, model.n_heads, model.d_model) == (2, 4, 32)
    assert (model.n_kv_heads, model.d_head, model.max_positions) == (tiny_kv_heads(kind), 8, TINY_POSITIONS)
    assert model.dtype == torch.float32
    assert not model.hf_model.training


def test_half_precision_files_are_computed_in_float32(folder):
    AutoModelForCausalLM.from_pretrained(folder).half().save_pretrained(folder)
    assert load_model(str(folder)).dtype == torch.float32


def test_model_is_named_by_its_folder_and_knows_where_its_tokenizer_lies(folder):
    model = load_model(str(folder))
    assert model.name == "my-model"
    assert model.tokenizer.name_or_path == str(folder)


def test_the_hub_is_not_asked_about_local_folders(folder, monkeypatch):
    import huggingface_hub.constants

    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    assert load_model(str(folder)).n_layers == 2


def test_code_that_comes_with_a_model_never_runs(folder):
    ran = folder / "it-ran"
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w').close()\nclass Evil: ...\n")
    edit_config(folder, auto_map={"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.Evil"})
    load_model(str(folder))
    edit_config(folder, model_type="evil")
    with pytest.raises(HeadlightError, match="architecture evil"):
        load_model(str(folder))
    assert not ran.exists()


def test_truncated_weights_are_refused(folder, weights_never_read):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(HeadlightError, match="is damaged"):
        load_model(str(folder))


def test_missing_shard_is_named(folder, weights_never_read):
    (folder / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {"transformer.wte.weight": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(HeadlightError, match=r"model-00002-of-00002\.safetensors is missing"):
        load_model(str(folder))
    (folder / "model.safetensors.index.json").write_text("{")
    with pytest.raises(HeadlightError, match=r"index\.json cannot be read"):
        load_model(str(folder))


def test_pickled_weights_are_refused(folder, weights_never_read):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(HeadlightError, match=r"pytorch_model\.bin, which is not read because such files can run code"):
        load_model(str(folder))


def test_missing_tokenizer_is_said(folder, weights_never_read):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(HeadlightError, match=r"my-model has no tokenizer: expected one of tokenizer\.json"):
        load_model(str(folder))


def test_damaged_tokenizer_is_said(folder, weights_never_read):
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(HeadlightError, match=r"The tokenizer of my-model in .* cannot be read"):
        load_model(str(folder))


def test_tokenizer_of_another_model_is_refused(folder, weights_never_read):
    edit_config(folder, vocab_size=300)
    with pytest.raises(HeadlightError, match="has 357 tokens but the model has 300: they do not belong together"):
        load_model(str(folder))


def test_a_marker_without_an_embedding_is_no_mismatch(folder):
    """Gemma 3's text models have one token less than the tokenizer they share with the multimodal ones."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"<word{i}>" for i in range(TINY_VOCAB - len(tokenizer))])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    tokenizer.save_pretrained(folder)
    assert len(load_model(str(folder)).tokenizer) == TINY_VOCAB + 1
    tokenizer.add_tokens(["<one word more>"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(HeadlightError, match=f"has {TINY_VOCAB + 2} tokens but the model has {TINY_VOCAB}"):
        load_model(str(folder))


@pytest.mark.parametrize("kind", ["bert", "mamba", "helium", "something-new", None])
def test_unsupported_architecture_is_named(folder, weights_never_read, kind):
    edit_config(folder, model_type=kind)
    known = "gpt2, gpt_neox, gptj, llama, .* qwen2"
    with pytest.raises(HeadlightError, match=f"architecture {kind or 'unknown'}, .* {known}"):
        load_model(str(folder))


def test_quantised_checkpoint_is_refused(folder, weights_never_read):
    edit_config(folder, quantization_config={"quant_method": "gptq", "bits": 4})
    with pytest.raises(HeadlightError, match="is stored quantised"):
        load_model(str(folder))


@pytest.mark.parametrize("text", ["{", "[]", '"gpt2"', '{"model_type": "gpt2", "n_layer": "many"}'])
def test_unreadable_config_is_said(folder, weights_never_read, text):
    (folder / "config.json").write_text(text)
    with pytest.raises(HeadlightError, match=r"The config of my-model .*(cannot be read|is not valid)"):
        load_model(str(folder))


def test_weights_that_do_not_fit_the_config_are_refused(folder):
    edit_config(folder, n_inner=20)
    with pytest.raises(HeadlightError, match="do not fit its config"):
        load_model(str(folder))


def test_incomplete_weights_are_refused_instead_of_made_up(folder):
    edit_config(folder, n_layer=3)
    with pytest.raises(HeadlightError, match=r"files lack 12 weights, transformer\.h\.2"):
        load_model(str(folder))


def test_too_little_memory_is_said_with_both_numbers(folder, monkeypatch, weights_never_read):
    monkeypatch.setattr(preflight, "free_bytes", lambda device: 200_000_000)
    with pytest.raises(HeadlightError, match=r"my-model needs about 0\.4 GB .* only 0\.2 GB are free"):
        load_model(str(folder))


def test_of_two_loads_at_once_each_counts_what_the_other_took(folder, monkeypatch):
    """Room for one and a half: both pass the first look, and the second is refused once the first is there."""
    free, both_looked, read = [600_000_000], threading.Barrier(2), loading._read_weights
    monkeypatch.setattr(preflight, "free_bytes", lambda device: free[0])
    tokenizer = loading._read_tokenizer

    def after_the_first_look(*arguments):
        both_looked.wait(30)
        return tokenizer(*arguments)

    def taking(*arguments):
        time.sleep(0.2)  # time for the other to look meanwhile
        weights = read(*arguments)
        free[0] -= 400_000_000
        return weights

    monkeypatch.setattr(loading, "_read_tokenizer", after_the_first_look)
    monkeypatch.setattr(loading, "_read_weights", taking)
    with ThreadPoolExecutor(2) as pool:
        loads = [pool.submit(load_model, str(folder)) for _ in range(2)]
        ends = [load.exception() for load in loads]
    assert [type(end) for end in ends if end is not None] == [NotEnoughMemory] and free == [200_000_000]


def test_memory_is_counted_from_the_config_alone(folder, monkeypatch, weights_never_read):
    """7.6 billion parameters of 4 bytes, a tenth more, 0.4 GB to work in: 33.9 GB."""
    shape = {
        "model_type": "qwen2", "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944,
        "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4, "tie_word_embeddings": False,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(shape))
    assert parameter_count(read_config(folder, "x")) == 7_615_616_512
    monkeypatch.setattr(preflight, "free_bytes", lambda device: 33_800_000_000)
    with pytest.raises(HeadlightError, match=r"needs about 33\.9 GB .* only 33\.8 GB"):
        load_model(str(folder))


def test_parameters_shared_by_embedding_and_unembedding_count_once():
    model = AutoModelForCausalLM.from_config(tiny_config("gpt2"))
    assert parameter_count(tiny_config("gpt2")) == sum(p.numel() for p in model.parameters())


def test_free_memory_is_the_smaller_of_machine_and_container(monkeypatch):
    monkeypatch.setattr(preflight, "_container_free_bytes", lambda: 12345)
    assert free_bytes("cpu") == 12345
    monkeypatch.setattr(preflight, "_container_free_bytes", lambda: 2**63)
    assert 0 < free_bytes("cpu") < 2**63


@pytest.mark.parametrize("device", ["gpu", "", "cuda:0", "CPU"])
def test_unknown_device_is_refused(device):
    with pytest.raises(HeadlightError, match="Expected a device out of cpu, cuda, mps"):
        load_model("toy-induction", device=device)


def test_devices_that_are_not_there_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(HeadlightError, match="no CUDA device"):
        load_model("toy-induction", device="cuda")
    with pytest.raises(HeadlightError, match="no Apple GPU"):
        load_model("toy-induction", device="mps")


def test_unknown_dtype_and_half_precision_on_a_cpu_are_refused():
    with pytest.raises(HeadlightError, match="Expected a dtype out of auto, float32, bfloat16, float16, got 'int8'"):
        load_model("toy-induction", dtype="int8")
    with pytest.raises(HeadlightError, match="slower than float32 on a CPU"):
        load_model("toy-induction", dtype="bfloat16")


def test_half_precision_is_allowed_on_a_gpu():
    assert loading.check_dtype("bfloat16", "cuda") == torch.bfloat16
    assert loading.check_dtype("auto", "cuda") == torch.float32


def test_weights_of_two_models_are_never_read_at_the_same_time(tiny_model_folder, monkeypatch) -> None:
    """transformers ties no weights of any model while it reads one: the other would lack its own."""
    import threading
    import time

    from transformers import AutoModelForCausalLM

    read, reading, most = AutoModelForCausalLM.from_pretrained, [], []

    def watched(*given, **named):
        reading.append(1)
        most.append(len(reading))
        time.sleep(0.05)
        try:
            return read(*given, **named)
        finally:
            reading.pop()

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", watched)
    folders, failed = [str(tiny_model_folder(kind)) for kind in ("gpt2", "llama")], []

    def load(folder: str) -> None:
        try:
            load_model(folder)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=load, args=(folder,)) for folder in folders * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed and most == [1] * 4
