"""The command line on the toy model: what it writes, and how it refuses."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.cli.main import main

ROOT = Path(__file__).parents[3]
TOY = ["--model", "toy-induction", "--task", "induction-random", "--pairs", "8"]


def run_json(capsys, *arguments):
    assert main([*arguments, "--out", "-"]) == 0
    return json.loads(capsys.readouterr().out)


def shape(matrix):
    return [len(row) for row in matrix]


def test_models_and_tasks_are_tables(capsys):
    assert main(["models"]) == 0 and main(["tasks"]) == 0
    text = capsys.readouterr().out
    for name in ("smollm2-135m", "toy-induction", "gpt2-large", "Qwen/Qwen2.5-7B", "greater-than", "docstring"):
        assert name in text


def test_score_writes_scores_and_prompts(capsys):
    run = run_json(capsys, "score", *TOY)
    assert run["schema"] == "headlight/1" and run["model"] == "toy-induction" and run["task"] == "induction-random"
    assert shape(run["scores"]["flap"]) == shape(run["scores"]["contrastive_flap"]) == [12, 12]
    assert "keep" not in run and "sweep" not in run
    prompts = run["prompts"]
    lengths = {name: len(prompts[name]) for name in (
        "clean_tokens", "corrupted_tokens", "answer_tokens", "distractor_tokens", "end_positions", "template_groups",
    )}
    assert set(lengths.values()) == {8}
    assert prompts["end_positions"] == [len(tokens) - 1 for tokens in prompts["clean_tokens"]]
    assert run["baseline"]["accuracy"] == 1.0
    assert run["cost"]["calibration"]["forward_passes"] == pytest.approx(2)


def test_score_with_a_sparsity_adds_the_mask_and_with_auto_the_sweep(capsys):
    fixed = run_json(capsys, "score", *TOY, "--sparsity", "0.5")
    assert sum(map(sum, fixed["keep"])) == 11 and "sweep" not in fixed
    auto = run_json(capsys, "score", *TOY, "--sparsity", "auto")
    assert len(auto["sweep"]["flap"]["performance"]) == 100 and len(auto["sweep"]["merges"]) == 9
    chosen = [merge for merge in auto["sweep"]["merges"] if merge["chosen"]]
    assert len(chosen) == 1 and chosen[0]["size"] == sum(map(sum, auto["keep"]))


def test_a_score_that_takes_a_backward_pass_is_measured_and_booked_when_asked_for(capsys):
    run = run_json(capsys, "score", *TOY, "--score", "rank_sum", "--sparsity", "0.5")
    assert {"attribution", "position_attribution", "output_difference"} < set(run["scores"])
    assert shape(run["scores"]["attribution"]) == [12, 12] and sum(map(sum, run["keep"])) == 11
    assert list(run["cost"]) == ["calibration", "attribution"] and run["settings"]["score"] == "rank_sum"
    plain = run_json(capsys, "score", *TOY, "--score", "output_difference", "--sparsity", "0.5")
    assert list(plain["cost"]) == ["calibration"] and plain["keep"] != run["keep"]


def test_discover_searches_in_the_union_asked_for(capsys):
    run = run_json(capsys, "discover", *TOY, "--union", "fixed+first")
    unions = {(m["flap_cliff"], m["contrastive_flap_cliff"]): m for m in run["sweep"]["merges"]}
    assert sum(map(sum, run["keep"])) == unions["fixed", "first"]["size"] and run["settings"]["union"] == "fixed+first"
    assert run["circuit"]["heads"] == ["0.1", "1.2"]
    assert main(["discover", *TOY, "--union", "first+last"]) == 1
    assert "first+biggest" in capsys.readouterr().err


def test_tune_writes_the_front_and_goes_on_from_what_is_kept(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path))
    run = run_json(capsys, "tune", *TOY, "--trials", "4")
    tuning = run["tuning"]
    assert [trial["number"] for trial in tuning["trials"]] == [0, 1, 2, 3] and tuning["complete"]
    assert tuning["seeds"] == {"search": 0, "held_out": 2, "report": 1, "fresh": True} and tuning["n"] == 8
    [chosen] = [trial for trial in tuning["trials"] if trial["chosen"]]
    assert chosen["front"] and chosen["heads"] == ["0.1", "1.2"] and not chosen["estimated"]
    assert set(run["cost"]) == {"calibration", "tuning"} and run["cost"]["tuning"]["flops"] > 0
    assert main(["tune", *TOY, "--trials", "6", "--out", str(tmp_path / "more.json")]) == 0
    assert "6 trials, 4 of them kept from before" in capsys.readouterr().err
    more = json.loads((tmp_path / "more.json").read_text("utf-8"))["tuning"]["trials"]
    assert [trial["heads"] for trial in more[:4]] == [trial["heads"] for trial in tuning["trials"]]


def test_discover_takes_tuned_settings_and_counts_what_tuning_took(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path))
    run = run_json(capsys, "discover", *TOY, "--tune", "5")
    [chosen] = [trial for trial in run["tuning"]["trials"] if trial["chosen"]]
    names = ("score", "sparsity", "flap_sparsity", "threshold_scale", "min_effect")
    assert {name: run["settings"][name] for name in names} == {name: chosen[name] for name in names}
    assert run["circuit"]["heads"] == chosen["heads"] and run["verification"]["seed"] == 1
    assert list(run["cost"])[:2] == ["calibration", "tuning"]
    attributed = run_json(capsys, "discover", *TOY, "--tune", "3", "--scores", "position_attribution")
    assert attributed["settings"]["score"] == "position_attribution" and attributed["cost"]["attribution"]["flops"] > 0
    for refused, says in ((["--tune", "0"], "got 0"), (["--tune", "5", "--method", "dense"], "Take the method app")):
        assert main(["discover", *TOY, *refused]) == 1
        assert says in capsys.readouterr().err


@pytest.mark.parametrize("receiver", ["logits", "1.2.q", "1.2.k", "1.2.v"])
def test_effects_agree_with_the_reference(capsys, receiver):
    options = ["effects", *TOY, "--receiver", receiver, "--senders", "0.1,0.4"]
    fast, slow = run_json(capsys, *options), run_json(capsys, *options, "--reference")
    for layer in range(2):
        for head in range(12):
            a, b = fast["effects"][layer][head], slow["effects"][layer][head]
            assert (a is None) == (b is None) == ((layer, head) not in {(0, 1), (0, 4)})
            assert a is None or a == pytest.approx(b, abs=1e-4)
    assert fast["settings"]["receiver"] == receiver


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


@pytest.mark.parametrize("mode", ["screened", "exact"])
def test_discover_says_what_it_will_take_and_what_it_took(capsys, tmp_path, mode):
    out = tmp_path / "run.json"
    assert main(["discover", *TOY, "--sparsity", "0.5", "--mode", mode, "--out", str(out)]) == 0
    lines, run = capsys.readouterr().err.splitlines(), json.loads(out.read_text(encoding="utf-8"))
    (before,) = [line for line in lines if line.startswith("estimate: about ")]
    passes = sum(row["forward_passes"] for row in run["predicted"].values())
    assert f"and {passes:,.0f} forward passes over all pairs" in before and "for path patching" in before
    assert lines.index(before) < next(i for i, line in enumerate(lines) if line.startswith("path patching"))
    passes = sum(row["forward_passes"] for row in run["cost"].values())
    assert lines[-1].startswith("took ") and f"and {passes:,.0f} forward passes" in lines[-1]
    if mode == "exact":
        assert "estimated" not in lines[-1]
    else:
        known = run["screening"]
        assert f"{known['recomputed']} of {known['estimated']} estimated paths recomputed" in lines[-1]
        assert lines[-1].endswith(f"largest disagreement {known['largest_disagreement']:.4f}")


def test_the_same_seed_gives_the_same_numbers(capsys):
    first, second = (run_json(capsys, "discover", *TOY, "--sparsity", "0.5") for _ in range(2))
    for run in (first, second):
        del run["cost"], run["predicted"]  # seconds on this machine
        for step in run["steps"]:
            del step["spent"]["seconds"]
    assert first == second


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["score", "--model", "gpt-nine", "--task", "ioi"], "gpt-nine"),
        (["score", "--model", "toy-induction", "--task", "poetry"], "no task 'poetry'"),
        (["score", *TOY[:4], "--pairs", "0"], "at least 1 prompt pair"),
        (["score", *TOY[:4], "--pairs", "999999"], "2000"),
        (["discover", *TOY, "--sparsity", "1"], "sparsity"),
        (["discover", *TOY, "--sparsity", "-0.5"], "sparsity"),
        (["discover", *TOY, "--min-effect", "7"], "smallest effect"),
        (["effects", *TOY, "--receiver", "9.9.q"], "no head 9.9"),
        (["effects", *TOY, "--receiver", "1.2.x"], "logits, 23.3.q"),
        (["effects", *TOY, "--receiver", "1.2"], "logits, 23.3.q"),
        (["effects", *TOY, "--senders", "0.99"], "no head 0.99"),
        (["effects", *TOY, "--senders", "first"], "such as 9.6"),
        (["effects", *TOY, "--receiver", "1.2.q", "--senders", "1.3"], "below the receiver"),
        (["verify", *TOY, "--heads", "5.0"], "no head 5.0"),
        (["verify", "--circuit", "no-such-file.json"], "Cannot read"),
        (["evaluate", "--circuit", "no-such-file.json"], "Cannot read"),
        (["evaluate", "--circuit", "no-such-file.json", "--draws", "0"], "drawings of the pairs"),
        (["score", *TOY, "--out", "no/such/folder/x.json"], "Cannot write"),
        (["score", *TOY, "--device", "abacus"], "device"),
        (["score", "--model", "toy-induction", "--task", "ioi"], "."),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_one(capsys, arguments, says):
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and "Traceback" not in captured.err
    assert "error: " in captured.err and says in captured.err


ROWS = """clean,corrupted,answer,distractor
cat dog bird cat,cow dog bird cow,dog,bird
dog cat cow dog,bird cat cow bird,cat,cow
"""


def test_rows_of_ones_own_run_like_a_task(capsys, tmp_path):
    rows, out = tmp_path / "rows.csv", tmp_path / "run.json"
    rows.write_text(ROWS, encoding="utf-8")
    own = ["--model", "toy-induction", "--rows", str(rows)]
    assert main(["discover", *own, "--sparsity", "0.5", "--out", str(out)]) == 0
    run = json.loads(out.read_text(encoding="utf-8"))
    assert run["task"] == "custom" and run["settings"]["pairs"] == 2 == len(run["prompts"]["clean_tokens"])
    assert run["verification"]["n"] == 2
    assert main(["verify", "--circuit", str(out)]) == 1
    assert "--rows" in capsys.readouterr().err
    assert main(["verify", "--circuit", str(out), "--rows", str(rows)]) == 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (ROWS + "one,two,three\n", "row 3"),
        ("clean,corrupted\na,b\n", "answer"),
        (ROWS.replace("cow dog bird cow", "cow dog bird"), "row 1"),
        ("", "no rows|empty|header"),
        (ROWS + "cat,cat,dog,bird\n" * 2001, "2,?000"),
        ("x" * 2_000_001, "2,000,000"),
    ],
)
def test_malformed_or_oversized_rows_are_refused_with_row_and_reason(capsys, tmp_path, content, says):
    rows = tmp_path / "rows.csv"
    rows.write_text(content, encoding="utf-8")
    assert main(["score", "--model", "toy-induction", "--rows", str(rows)]) == 1
    error = capsys.readouterr().err
    assert re.search(says, error) and "Traceback" not in error


@pytest.mark.parametrize("arguments", [[], ["dance"], ["score", "--pairs", "many"], ["discover", "--sparsity", "most"],
                                       ["verify"], ["verify", "--heads", "0.1", "--circuit", "x"]])
def test_wrong_usage_is_exit_code_two(arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


def test_help_needs_no_torch():
    code = (
        "import sys; from engine.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, timeout=60)


def test_interrupted_is_exit_code_130_and_what_was_found_is_written(tmp_path):
    """Ctrl-C as soon as work has begun, on a run long enough not to be over by then."""
    out = tmp_path / "run.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", "discover", *TOY[:4], "--pairs", "400", "--out", str(out)],
        cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith("sparsity sweep"):
            time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            break
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, "".join(lines) + rest
    assert "Traceback" not in rest and "Interrupted" in rest
    saved = json.loads(out.read_text(encoding="utf-8"))
    assert saved["complete"] is False and saved["circuit"]["heads"] == [] and saved["scores"]["flap"]


def test_a_model_that_has_only_hooks_says_so_and_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("engine.models.model.known_parts", lambda config: False)
    out = tmp_path / "run.json"
    assert main(["discover", *TOY, "--sparsity", "0.5", "--out", str(out)]) == 0
    assert "note: gpt2: its parts are not known to the fast path" in capsys.readouterr().err
    run = json.loads(out.read_text(encoding="utf-8"))
    assert run["path_patching"] == "reference" and run["circuit"]["heads"] == ["0.1", "1.2"]
    below = sum(run["keep"][0])
    expected = (2 + sum(map(sum, run["keep"]))) + 3 * (2 + 2 * below)  # the logits, then q, k and v of 1.2
    passes = sum(run["cost"][stage]["forward_passes"] for stage in ("logits stage", "pass 2"))
    assert passes == pytest.approx(expected)
    effects = run_json(capsys, "effects", *TOY, "--receiver", "1.0.q", "--senders", "0.1")
    assert effects["settings"]["reference"] is True
    assert effects["cost"]["pass 2"]["forward_passes"] == pytest.approx(2 + 2)


def test_the_list_of_models_names_the_architectures_that_run_fast(capsys):
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"architectures .*gpt2.*llama", text) and "hooked forwards: exact, but slow" in text


def test_mlps_as_nodes(capsys, tmp_path):
    path = tmp_path / "run.json"
    settings = ["--method", "dense", "--mlps", "--threshold-scale", "0", "--min-effect", "0"]
    assert main(["discover", *TOY, *settings, "--out", str(path)]) == 0
    capsys.readouterr()
    run = json.loads(path.read_text())
    assert run["settings"]["mlps"] is True and shape(run["keep"]) == shape(run["effects"]) == [13, 13]
    assert {"0.1", "1.2"} <= set(run["circuit"]["heads"]) and run["self_check"]["largest"] < 1e-4
    assert run["verification"]["live_mlps"] == len(run["circuit"].get("mlps", []))
    again = run_json(capsys, "verify", "--circuit", str(path), "--pairs", "8", "--seed", "1")
    assert again["verification"]["performance"] == pytest.approx(run["verification"]["performance"])
    assert again["verification"]["live_mlps"] == run["verification"]["live_mlps"]
    heads = run_json(capsys, "verify", *TOY, "--heads", "0.1,1.2", "--seed", "1")
    assert heads["verification"]["live_mlps"] is None and "mlps" not in heads["circuit"]


def test_effects_on_an_mlp_fast_and_by_the_reference(capsys):
    options = ["effects", *TOY, "--mlps", "--receiver", "m1", "--senders", "0.1,m0,1.2"]
    fast, slow = run_json(capsys, *options), run_json(capsys, *options, "--reference")
    assert shape(fast["effects"]) == [13, 13]
    for (layer, column) in ((0, 1), (0, -1), (1, 2)):
        assert fast["effects"][layer][column] == pytest.approx(slow["effects"][layer][column], abs=1e-4)
    assert fast["effects"][1][-1] is None and fast["effects"][0][0] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--receiver", "m1"], "Add --mlps"),
        (["--senders", "m0"], "Add --mlps"),
        (["--mlps", "--receiver", "m0", "--senders", "m0"], "below the receiver m0, got m0"),
        (["--mlps", "--receiver", "m2"], "no MLP m2: layers go from 0 to 1"),
    ],
)
def test_wrong_mlps_are_refused(capsys, options, message):
    assert main(["effects", *TOY, *options]) == 1
    assert message in capsys.readouterr().err
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
