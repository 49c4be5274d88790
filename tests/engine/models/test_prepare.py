"""``python -m engine.models.prepare``, the step of ``make install``."""

from __future__ import annotations

import pytest

from engine.models import prepare, sources
from tests.tiny import save_tiny_gguf


@pytest.fixture
def bundled_file(tiny_model_folder, tmp_path, monkeypatch):
    """A tiny file in place of the bundled one, in a package of its own, and an empty cache."""
    package = tmp_path / "tiny_bundle"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('found, never imported')")
    save_tiny_gguf(tiny_model_folder("llama"), package / sources.BUNDLED_FILE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sources, "BUNDLED_MODULE", "tiny_bundle")
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path / "cache"))
    return package / sources.BUNDLED_FILE


def test_prepares_once_and_says_so(bundled_file, capsys):
    assert prepare.main() == 0
    first = capsys.readouterr()
    assert first.out == ""
    assert "Preparing" in first.err
    assert "smollm2-135m is ready in" in first.err
    assert prepare.main() == 0
    assert "Preparing" not in capsys.readouterr().err


def test_absent_package_is_a_note_and_no_failure(monkeypatch, capsys):
    monkeypatch.setattr(sources, "BUNDLED_MODULE", "no_module_of_this_name")
    assert prepare.main() == 0
    said = capsys.readouterr().err
    assert said.startswith("note: ")
    assert "requirements-model.txt" in said


def test_failure_is_a_message_and_exit_code_1(bundled_file, capsys):
    bundled_file.write_bytes(bundled_file.read_bytes()[:-10])
    assert prepare.main() == 1
    assert "error: " in (said := capsys.readouterr().err)
    assert "is cut off" in said
