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
from tests.engine.cli.toy import TOY, run_json, shape

ROOT = Path(__file__).parents[3]


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
