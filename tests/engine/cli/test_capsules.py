"""Capsules on the command line: written, shown, compared, measured again, and made into scripts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.capsule.reading import read_capsule
from engine.cli.main import main
from engine.store.store import RunStore
from tests.engine.cli.toy import TOY

ROOT = Path(__file__).parents[3]
ROWS = """clean,corrupted,answer,distractor
cat dog bird cat,cow dog bird cow,dog,bird
dog cat cow dog,bird cat cow bird,cat,cow
"""


@pytest.fixture
def run_file(tmp_path):
    out = tmp_path / "run.json"
    assert main(["discover", *TOY, "--sparsity", "0.5", "--out", str(out)]) == 0
    return out


@pytest.fixture
def capsule_file(run_file, tmp_path):
    out = tmp_path / "run.headlight"
    assert main(["capsule", str(run_file), "--out", str(out)]) == 0
    return out


def said(capsys, *arguments, code=0):
    capsys.readouterr()
    assert main([*map(str, arguments)]) == code
    return capsys.readouterr().out


def test_a_run_becomes_a_capsule_and_both_say_the_same(capsys, run_file, capsule_file):
    assert read_capsule(capsule_file).record == json.loads(run_file.read_text(encoding="utf-8"))
    text = said(capsys, "show", capsule_file)
    assert "2 of 24 heads, 2 edges" in text and "0.1 → 1.2.k" in text and text.startswith("capsule ")
    assert said(capsys, "show", run_file) == text.partition("\n")[2]
    whole = json.loads(said(capsys, "show", capsule_file, "--json"))
    assert whole["manifest"]["schema"] == "headlight-capsule/1"
    assert whole["record"]["circuit"]["heads"] == ["0.1", "1.2"]
    assert "to the last digit" in said(capsys, "diff", run_file, capsule_file)
    assert json.loads(said(capsys, "diff", run_file, capsule_file, "--json"))["bitwise_equal"] is True


def test_a_kept_run_is_named_by_its_id_and_brings_what_was_kept_with_it(capsys, run_file, tmp_path):
    store, out = RunStore(), tmp_path / "kept.headlight"
    [run] = store.all()
    store.rename(run.id, "first")
    store.tag(run.id, ["a", "b"])
    store.attach(run.id, "evaluation", "mean of 8 / seed 1", {"x": 1})
    store.attach(run.id, "evaluation", "mean of 8 * seed 1", {"x": 2})
    store.attach(run.id, "receipts", "ä", {})
    store.attach(run.id, "labels", "labels", {"names": {"1.2": "mover", "0.1": 7}})
    assert "2 of 24 heads" in said(capsys, "show", run.id)
    said(capsys, "capsule", run.id, "--out", out)
    read = read_capsule(out)
    assert read.labels == {"name": "first", "tags": ["a", "b"], "names": {"1.2": "mover"}}
    named = read.attachments["evaluation"]
    assert sorted(named) == ["mean-of-8---seed-1", "mean-of-8---seed-1-2"]
    assert sorted(each["x"] for each in named.values()) == [1, 2] and list(read.attachments["receipts"]) == ["x-"]
    assert "to the last digit" in said(capsys, "diff", run.id, run_file)


def test_a_capsule_is_measured_again(capsys, capsule_file):
    text = said(capsys, "verify-capsule", capsule_file)
    assert "model: the same" in text and "reproduced: every number" in text
    found = json.loads(said(capsys, "verify-capsule", capsule_file, "--sample", "2", "--seed", "4", "--json"))
    assert found["verdict"] == "reproduced" and len(found["receivers"]["measured"]) == 2


def test_numbers_that_are_not_reproduced_are_exit_code_three(capsys, run_file):
    run = json.loads(run_file.read_text(encoding="utf-8"))
    run["baseline"]["clean_logit_diff"] *= 1.5
    run["fingerprint"] = "0" * 16
    run_file.write_text(json.dumps(run), encoding="utf-8")
    capsys.readouterr()
    assert main(["verify-capsule", str(run_file), "--sample", "1"]) == 3
    captured = capsys.readouterr()
    assert "ANOTHER ONE: fingerprint" in captured.out and "differs: metric, clean and corrupted" in captured.out
    assert "warning: this is another model" in captured.err


def test_rows_of_ones_own_need_not_be_given_again(capsys, tmp_path):
    """The capsule holds their tokens."""
    rows, out = tmp_path / "rows.csv", tmp_path / "run.json"
    rows.write_text(ROWS, encoding="utf-8")
    own = ["--model", "toy-induction", "--rows", str(rows)]
    assert main(["discover", *own, "--sparsity", "0.5", "--out", str(out)]) == 0
    rows.unlink()
    text = said(capsys, "verify-capsule", out)
    assert "tokens: the same" in text and "reproduced" in text


def test_an_unfinished_run_is_shown_and_measured_as_far_as_it_came(capsys, run_file):
    run = json.loads(run_file.read_text(encoding="utf-8"))
    run |= {"complete": False, "steps": run["steps"][:1], "circuit": {"heads": [], "edges": []}}
    del run["verification"]
    run_file.write_text(json.dumps(run), encoding="utf-8")
    assert "stopped before the end" in said(capsys, "show", run_file)
    assert "reproduced" in said(capsys, "verify-capsule", run_file)
    run |= {"steps": [], "effects": None}
    run_file.write_text(json.dumps(run), encoding="utf-8")
    assert "receivers measured again: none (0 of 0)" in said(capsys, "verify-capsule", run_file)


def test_scripts_and_notebooks_are_written(capsys, run_file, tmp_path):
    script, notebook = tmp_path / "again.py", tmp_path / "again.ipynb"
    said(capsys, "script", run_file, "--out", script)
    said(capsys, "script", run_file, "--notebook", "--out", notebook)
    assert "python again.py" in script.read_text(encoding="utf-8")
    assert json.loads(notebook.read_text(encoding="utf-8"))["nbformat"] == 4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "no-such-file"], "Cannot read no-such-file"),
        (["show", "0123456789ab"], "0123456789ab"),
        (["show", "."], "Cannot read"),
        (["show", str(ROOT / "README.md")], "not JSON"),
        (["show", str(ROOT / "docs" / "circuit.png")], "a PNG picture"),
        (["diff", str(ROOT / "README.md"), "x"], "not JSON"),
        (["verify-capsule", "no-such-file"], "Cannot read"),
        (["script", "no-such-file", "--out", "x.py"], "Cannot read"),
        (["capsule", "no-such-file", "--out", "x"], "Cannot read"),
    ],
)
def test_what_is_no_run_is_one_clear_line(capsys, arguments, says):
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("error: ") and says in captured.err


def test_a_place_that_cannot_be_written_is_said(capsys, run_file):
    for command in (["capsule"], ["script"], ["script", "--notebook"]):
        assert main([*command, str(run_file), "--out", "/no/such/folder/x"]) == 1
        assert "Cannot write /no/such/folder/x" in capsys.readouterr().err


def test_another_model_than_the_runs_can_be_named_and_must_fit(capsys, capsule_file, tiny_model_folder):
    capsys.readouterr()
    assert main(["verify-capsule", str(capsule_file), "--model", str(tiny_model_folder("gpt2"))]) == 1
    assert "2 layers x 12 heads" in capsys.readouterr().err


def test_showing_and_comparing_need_no_model_code(capsule_file):
    code = (
        "import sys; from engine.cli.main import main\n"
        "assert main(['show', sys.argv[1]]) == main(['diff', sys.argv[1], sys.argv[1]]) == 0\n"
        "heavy = {name.split('.')[0] for name in sys.modules} & {'transformers', 'transformer_lens', 'accelerate'}\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, capsule_file], cwd=ROOT, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},  # a terminal without our arrows
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "0.1 ? 1.2.k" in done.stdout
