"""export, and other tools' graphs in verify and evaluate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.capsule.writing import write_capsule
from engine.cli.main import main
from engine.interchange.reading import read_any
from engine.store.store import RunStore
from tests.engine.cli.toy import TOY, run_json

NAMED = ("--model", "toy-induction", "--task", "induction-random")
CFG = {"n_layers": 2, "n_heads": 12, "parallel_attn_mlp": False, "d_model": 240}
MIB = {
    "cfg": CFG,
    "nodes": {"input": {"in_graph": True}, "m0": {"in_graph": True}},
    "edges": {
        "input->a0.h1<q>": {"score": 0.5, "in_graph": True}, "a0.h1->a1.h2<k>": {"score": 0.5, "in_graph": True},
        "a0.h1->m0": {"score": 0.1, "in_graph": True}, "a1.h2->logits": {"score": 0.75, "in_graph": True},
    },
}  # fmt: skip
GRAPHML = """<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><key id="w" attr.name="weight" attr.type="double"/>
<graph edgedefault="directed"><node id="0.1"/><node id="1.2"/><node id="logits"/>
<edge id="k" source="0.1" target="1.2"><data key="w">0.5</data></edge></graph></graphml>"""


@pytest.fixture(scope="module")
def saved_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export") / "run.json"
    assert main(["discover", *TOY, "--sparsity", "0.5", "--no-store", "--out", str(out)]) == 0
    return out


@pytest.fixture
def mib(tmp_path: Path) -> Path:
    path = tmp_path / "mib.json"
    path.write_text(json.dumps(MIB), encoding="utf-8")
    return path


@pytest.mark.parametrize("format_", ["mib", "graphml", "node-link", "json"])
def test_a_run_leaves_in_every_format_and_is_verified_from_it(capsys, tmp_path, saved_run: Path, format_: str):
    out = tmp_path / "circuit"
    assert main(["export", str(saved_run), "--format", format_, "--out", str(out)]) == 0
    run = read_any(saved_run.read_bytes())
    file = read_any(out.read_bytes())
    assert file.circuit == run.circuit and (file.model, file.task, file.seed) == (run.model, run.task, 0)
    assert (file.d_model, file.parallel_mlps, file.notes) == (240, False, ())
    capsys.readouterr()
    asked = ["verify", "--circuit", str(out), "--pairs", "8"]
    first, again = run_json(capsys, *asked), run_json(capsys, *asked[:2], str(saved_run))
    assert first["verification"] == again["verification"] and first["verification"]["seed"] == 1
    assert first["circuit"]["heads"] == ["0.1", "1.2"]


def test_a_kept_run_and_a_capsule_leave_too(capsys, tmp_path, monkeypatch, saved_run: Path):
    monkeypatch.setenv("HEADLIGHT_HOME", str(tmp_path / "home"))
    record = json.loads(saved_run.read_text(encoding="utf-8"))
    kept = RunStore().add(record)
    assert main(["export", kept, "--format", "graphml"]) == 0
    assert read_any(capsys.readouterr().out.encode()).circuit == read_any(saved_run.read_bytes()).circuit
    capsule = tmp_path / "run.headlight"
    write_capsule(record, capsule, labels={"names": {"1.2": "mine", "m0": "an MLP"}})
    assert main(["export", str(capsule), "--format", "node-link"]) == 0
    file = read_any(capsys.readouterr().out.encode())
    assert {str(head): name for head, name in file.names.items()} == {"1.2": "mine"}
    assert main(["export", "0123456789ab", "--format", "mib"]) == 1
    assert "is no file, and no run is kept by this id" in capsys.readouterr().err


def test_one_tools_graph_becomes_another_ones(capsys, tmp_path, mib: Path):
    assert main(["export", str(mib), "--format", "graphml", "--heads-only", *NAMED]) == 0
    said = capsys.readouterr()
    file = read_any(said.out.encode())
    assert (file.model, file.task, file.d_model) == ("toy-induction", "induction-random", 240)
    assert [str(node) for node in file.circuit.nodes] == ["0.1", "1.2"] and len(file.circuit.edges) == 2
    assert "note: The node input (the embedding) is left out" in said.err
    assert "note: Left out: MLPs as nodes (1) and their edges (1)" in said.err
    assert main(["export", str(mib), "--format", "json"]) == 1
    assert "does not say which model" in capsys.readouterr().err
    gephi = tmp_path / "gephi.graphml"
    gephi.write_text(GRAPHML, encoding="utf-8")
    assert main(["export", str(gephi), "--format", "mib"]) == 1
    assert "how many layers and heads its model has" in capsys.readouterr().err
    assert main(["export", str(gephi), "--format", "mib", "--model", "gpt2", "--out", str(mib)]) == 0
    assert json.loads(mib.read_text(encoding="utf-8"))["cfg"]["d_model"] == 768


def test_the_width_is_asked_for_where_nobody_knows_it(capsys, tmp_path):
    path = tmp_path / "old.json"
    path.write_text(json.dumps({"cfg": {"n_layers": 2, "n_heads": 3}, "edges": {}, "nodes": {"a0.h1": True}}))
    assert main(["export", str(path), "--format", "mib", "--model", "somebody/model"]) == 1
    assert "d_model" in capsys.readouterr().err
    assert main(["export", str(path), "--format", "mib", "--model", "gpt2"]) == 1  # of another shape
    assert "d_model" in capsys.readouterr().err
    assert main(["export", str(path), "--format", "mib", "--d-model", "12"]) == 0
    assert json.loads(capsys.readouterr().out)["cfg"]["d_model"] == 12


def test_a_graph_with_mlps_is_verified_with_them_and_evaluated_without(capsys, mib: Path):
    assert main(["verify", "--circuit", str(mib)]) == 1
    assert "does not say which model and task it is of. Give them with --model and --task" in capsys.readouterr().err
    whole = run_json(capsys, "verify", "--circuit", str(mib), *NAMED, "--pairs", "4")
    assert whole["circuit"]["mlps"] == ["m0"] and len(whole["keep"][0]) == 13 and whole["settings"]["seed"] == 1
    heads = run_json(capsys, "verify", "--circuit", str(mib), *NAMED, "--pairs", "4", "--heads-only")
    assert "mlps" not in heads["circuit"] and len(heads["keep"][0]) == 12
    asked = ["evaluate", "--circuit", str(mib), *NAMED, "--pairs", "4", "--draws", "100", "--random-circuits", "2"]
    assert main(asked) == 1
    assert "Add --heads-only to leave them out" in capsys.readouterr().err
    found = run_json(capsys, *asked, "--heads-only")
    assert found["circuit"]["heads"] == ["0.1", "1.2"] and found["edge_evaluation"]["listed"] == 2


def test_a_run_that_found_no_mlp_ablates_all_of_them(capsys, tmp_path, saved_run: Path):
    record = json.loads(saved_run.read_text(encoding="utf-8"))
    record["settings"]["mlps"] = True
    path = tmp_path / "mlps.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    assert len(run_json(capsys, "verify", "--circuit", str(path))["keep"][0]) == 13
    assert len(run_json(capsys, "verify", "--circuit", str(path), "--heads-only")["keep"][0]) == 12


def test_a_graph_without_a_shape_takes_that_of_the_model(capsys, tmp_path):
    path = tmp_path / "gephi.graphml"
    path.write_text(GRAPHML, encoding="utf-8")
    assert main(["verify", "--circuit", str(path), "--task", "induction-random"]) == 1
    assert "Name the model it is of" in capsys.readouterr().err
    verified = run_json(capsys, "verify", "--circuit", str(path), *NAMED, "--pairs", "4")
    assert verified["circuit"]["heads"] == ["0.1", "1.2"]


def test_the_strongest_edges_are_as_many_as_asked_for(capsys, tmp_path):
    path = tmp_path / "scores.json"
    edges = {"a1.h2->logits": {"score": 1.0}, "a1.h3->logits": {"score": -2.0}, "a0.h1->a1.h2<k>": {"score": 0.5}}
    path.write_text(json.dumps({"cfg": CFG, "edges": edges}), encoding="utf-8")
    assert main(["export", str(path), "--format", "json", *NAMED, "--strongest", "2"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["circuit"]["heads"] == ["1.2", "1.3"]
    assert "note: No edge is marked as in the graph. Taken are the 2 strongest by |score|" in said.err
    assert main(["export", str(path), "--format", "json", *NAMED, "--strongest", "0"]) == 1
