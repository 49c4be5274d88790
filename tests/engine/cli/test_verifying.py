"""verify, evaluate, agreement, stability, receipt: from a saved run on."""

import json

import pytest

from engine.cli.main import main
from tests.engine.cli.toy import TOY, run_json


def test_discover_then_verify(capsys, tmp_path):
    out = tmp_path / "run.json"
    assert main(["discover", *TOY, "--sparsity", "0.5", "--out", str(out)]) == 0
    run = json.loads(out.read_text(encoding="utf-8"))
    assert run["circuit"]["heads"] == ["0.1", "1.2"] and run["complete"]
    assert {edge["input"] for edge in run["circuit"]["edges"]} == {"logits", "k"}
    assert list(run["predicted"]) == list(run["cost"])
    capsys.readouterr()
    again = run_json(capsys, "verify", "--circuit", str(out))
    for name in ("performance", "faithfulness", "sparsity", "n", "seed", "ablation", "faithfulness_interval"):
        assert again["verification"][name] == pytest.approx(run["verification"][name])
    other = run_json(capsys, "verify", *TOY, "--heads", "0.1", "--ablation", "zero")
    assert other["verification"]["performance"] < again["verification"]["performance"]
    assert other["verification"]["ablation"] == "zero"


def test_discover_then_evaluate(capsys, tmp_path):
    out = tmp_path / "run.json"
    assert main(["discover", *TOY, "--sparsity", "0.5", "--out", str(out)]) == 0
    run = json.loads(out.read_text(encoding="utf-8"))
    capsys.readouterr()
    options = ["evaluate", "--circuit", str(out), "--draws", "100", "--random-circuits", "2"]
    assert main([*options, "--out", "-"]) == 0
    captured = capsys.readouterr()
    record, found = json.loads(captured.out), json.loads(captured.out)["evaluation"]
    assert record["circuit"] == run["circuit"] and record["settings"]["seed"] == run["settings"]["seed"]
    assert found["seed"] == 1 and found["fresh"] and found["n"] == 8 and found["ablation"] == "mean"
    mean = found["faithfulness"][0]
    assert mean["ablation"] == "mean" and mean["faithfulness"]["draws"] == 100
    assert mean["faithfulness"]["value"] == pytest.approx(run["verification"]["faithfulness"])
    assert found["performance"][0]["performance"]["value"] == pytest.approx(run["verification"]["performance"])
    assert found["held_out"]["selection_seed"] == 0 and len(found["random"]) == 2
    assert [each["member"] for each in found["head_minimality"]["contributions"]] == ["1.2", "0.1"]
    edges = record["edge_evaluation"]
    assert edges["heads"]["faithfulness"]["value"] == pytest.approx(mean["faithfulness"]["value"])
    assert edges["listed"] == len(run["circuit"]["edges"]) and edges["edges"]["faithfulness"]["draws"] == 100
    first = edges["minimality"]["contributions"][0]["member"]
    assert first == {"sender": "1.2", "receiver": "logits", "input": "logits"} and edges["words"] in captured.err
    fresh = sum(part["cost"]["fresh prompts"]["flops"] for part in (found, edges))
    assert record["cost"]["fresh prompts"]["flops"] == pytest.approx(fresh)
    assert set(found["cost"]) < set(record["cost"]) and "faithfulness by size" in found["cost"]
    assert "2 heads, mean ablation, 8 pairs of seed 1: faithfulness 1.0" in captured.err
    other = run_json(capsys, *options, "--ablation", "resample", "--seed", "5")["evaluation"]
    assert other["ablation"] == "resample" and other["seed"] == 5
    own = run_json(capsys, *options, "--seed", "0")["evaluation"]
    assert not own["fresh"] and own["held_out"] is None and "seed 0" in own["notes"][0]


def test_evaluate_refuses_a_circuit_of_another_model(capsys, tmp_path):
    record = {
        "schema": "headlight/1", "model": "toy-induction", "task": "induction-random", "settings": {"pairs": 2},
        "model_shape": {"n_layers": 3, "n_heads": 12}, "circuit": {"heads": ["2.1"], "edges": []},
    }  # fmt: skip
    path = tmp_path / "circuit.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    assert main(["evaluate", "--circuit", str(path)]) == 1
    assert "3 layers of 12 heads, but toy-induction has 2 layers of 12" in capsys.readouterr().err


def test_agreement_needs_no_model_and_takes_keys_and_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path / "cache"))
    app, dense, key = tmp_path / "app.json", tmp_path / "dense.json", tmp_path / "key.json"
    assert main(["discover", *TOY, "--sparsity", "0.5", "--out", str(app)]) == 0
    assert main(["discover", *TOY, "--method", "dense", "--out", str(dense)]) == 0
    entry = {"schema": "headlight-key/1", "model": "toy-induction", "task": "induction-random", "title": "Mine"}
    key.write_text(json.dumps(entry | {"source": "guessed", "heads": ["0.1", "1.7"]}), encoding="utf-8")
    capsys.readouterr()
    asked = ["agreement", "--circuit", str(app), "--against", str(dense), "--key", str(key)]
    run = run_json(capsys, *asked, "--keep-key")
    by_dense, mine, published = run["agreement"]
    assert (by_dense["title"], mine["title"]) == ("the run in dense.json", "Mine")
    for part in (by_dense["heads"], by_dense["edges"], published["heads"]):
        assert (part["precision"], part["recall"], part["jaccard"]) == (1, 1, 1)
    assert published["edges"] is None and mine["heads"]["precision"] == mine["heads"]["recall"] == 0.5
    assert mine["heads"]["missing"] == ["1.7"] and mine["heads"]["only_found"] == ["1.2"]
    flap = by_dense["scores"]["contrastive_flap"]
    assert flap["roc"]["auc"] > 0.8 and flap["rank_correlation_with_effects"] is not None
    assert len(flap["recall_curve"]["recall"]) == 100 and flap["heads_needed"]["heads"] <= 24
    assert run["rank_correlations"][0]["scores"] == ["contrastive_flap", "flap"]
    again = run_json(capsys, "agreement", "--circuit", str(app))
    assert [part["title"] for part in again["agreement"]] == [published["title"], "Mine"]


def test_agreement_refuses_what_does_not_belong_to_the_run(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path / "cache"))
    app, key = tmp_path / "app.json", tmp_path / "key.json"
    assert main(["discover", *TOY, "--sparsity", "0.5", "--out", str(app)]) == 0
    entry = {"schema": "headlight-key/1", "model": "gpt2", "task": "ioi", "title": "Mine", "source": "guessed"}
    for heads, says in ((["0.1"], "is for gpt2 and ioi"), (["2.0"], "names 2.0, but"), ([], "at least one head")):
        key.write_text(json.dumps(entry | {"heads": heads}), encoding="utf-8")
        assert main(["agreement", "--circuit", str(app), "--key", str(key)]) == 1
        assert says in capsys.readouterr().err
    assert main(["agreement", "--circuit", str(app), "--keep-key"]) == 1
    assert main(["agreement", "--circuit", str(tmp_path / "none.json")]) == 1
    assert "Cannot read" in capsys.readouterr().err
    other = json.loads(app.read_text(encoding="utf-8")) | {"task": "ioi"}
    (tmp_path / "other.json").write_text(json.dumps(other), encoding="utf-8")
    assert main(["agreement", "--circuit", str(tmp_path / "other.json")]) == 1
    assert "no answer key for toy-induction and ioi" in capsys.readouterr().err
    assert main(["agreement", "--circuit", str(app), "--against", str(tmp_path / "other.json")]) == 1
    assert "same model and task" in capsys.readouterr().err


@pytest.fixture(scope="module")
def saved_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("saved") / "run.json"
    assert main(["discover", *TOY, "--sparsity", "0.5", "--threshold-scale", "1.5", "--out", str(out)]) == 0
    return out


def test_stability_goes_on_with_a_saved_run(capsys, saved_run):
    asked = ["stability", "--circuit", str(saved_run), "--resamples", "2", "--seeds", "1", "--no-templates"]
    run = run_json(capsys, *asked)
    assert run["settings"] == json.loads(saved_run.read_text(encoding="utf-8"))["settings"]
    found = run["stability"]
    assert [each["label"] for each in found["runs"]] == ["resample 1", "resample 2", "seed 2"] and found["complete"]
    assert found["circuit"]["heads"] == {"0.1": 1.0, "1.2": 1.0} and found["report"]["seed"] == 1
    assert [edge["frequency"] for edge in found["circuit"]["edges"]] == [1.0, 1.0]
    assert found["by_kind"]["seed"]["judged"] is False and len(found["notes"]) == 1
    assert list(run["cost"]) == ["calibration", "stability"]


def test_receipts_go_on_with_a_saved_run(capsys, saved_run):
    run = run_json(capsys, "receipt", "--circuit", str(saved_run))
    assert [(each["of"], each["verdict"]) for each in run["receipts"]["receipts"]] == [
        ("0.1", "confirmed"), ("1.2", "confirmed"),
    ]  # fmt: skip
    asked = run_json(capsys, "receipt", "--circuit", str(saved_run), "--of", "1.7,0.1:1.2.k", "--ablation", "zero")
    idle, edge = asked["receipts"]["receipts"]
    assert idle["claim"]["matters"] is False and asked["receipts"]["report"]["ablation"] == "zero"
    assert edge["of"] == {"sender": "0.1", "receiver": "1.2", "input": "k"} and edge["verdict"] == "confirmed"
    assert edge["effect"]["low"] <= edge["effect"]["value"] <= edge["effect"]["high"] < 0


def test_what_a_saved_run_cannot_give_is_refused(capsys, saved_run, tmp_path):
    saved = json.loads(saved_run.read_text(encoding="utf-8"))
    other = tmp_path / "other.json"
    for change, says in (
        ({"settings": saved["settings"] | {"speed": 3}}, "a setting 'speed'"),
        ({"settings": saved["settings"] | {"mode": "quick"}}, "cannot be used"),
        ({"settings": saved["settings"] | {"pairs": 0}}, "cannot be used"),
        ({"settings": saved["settings"] | {"task": "custom"}}, "--rows"),
        ({"model_shape": {"n_layers": 3, "n_heads": 12}}, "3 layers x 12 heads"),
    ):
        other.write_text(json.dumps(saved | change), encoding="utf-8")
        assert main(["stability", "--circuit", str(other)]) == 1
        assert says in capsys.readouterr().err
    for asked in (["--of", "2.0"], ["--of", "0.1:1.2"], ["--of", "1.2:0.1.k"]):
        assert main(["receipt", "--circuit", str(saved_run), *asked]) == 1
    assert main(["stability", "--circuit", str(saved_run), "--resamples", "-1"]) == 1
    assert "0 to 200 resamples" in capsys.readouterr().err
