"""What no line of the program may do: run what comes from outside, or load a format that can."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

from engine.record import circuit_file
from engine.tasks import table
from engine.trust import answer_key_file
from pages.runs import bring

ROOT = Path(__file__).parents[2]
FOLDERS = ("engine", "pages", "benchmarks")
CODE = [ROOT / "app.py", *(path for name in FOLDERS for path in sorted((ROOT / name).rglob("*.py")))]
MODULES = ("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle")
BUILT_IN = ("eval", "exec", "compile", "__import__")
METHODS = {  # by the last two names of a call
    "torch.load", "torch.save", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "numpy.load", "np.load", "os.system",
    "os.popen", "pandas.read_pickle", "pd.read_pickle", "torch.jit", "hub.load", "shutil.unpack_archive",
}  # fmt: skip
EXTRACTING = ("extract", "extractall")  # members of archives are read, never unpacked by their names


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of a call's function; "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


def offences(source: str) -> list[str]:
    """What a file does that it must not."""
    found, tree = [], ast.parse(source)
    classes = [each for each in ast.walk(tree) if isinstance(each, ast.ClassDef)]
    safe = [each.name for each in classes if "yaml.SafeLoader" in map(dotted, each.bases)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.partition(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in MODULES:
            found.append(node.module or "")
        elif isinstance(node, ast.Call) and not (dotted(node.func) == "yaml.load" and dotted(node.args[-1]) in safe):
            found += _in_call(node)
    return found


def _in_call(node: ast.Call) -> list[str]:
    name = dotted(node.func)
    short = ".".join(name.split(".")[-2:])
    found = [name] if name in BUILT_IN or short in METHODS or name.rpartition(".")[2] in EXTRACTING else []
    for keyword in node.keywords:
        value = keyword.value.value if isinstance(keyword.value, ast.Constant) else "unknown"
        if keyword.arg in ("shell", "trust_remote_code", "allow_pickle", "unsafe_allow_html") and value is not False:
            found.append(f"{keyword.arg}={value}")
    chooses = name.startswith("Auto") or name[:1].islower()  # a class that is named runs no code but its own
    named = [keyword.arg for keyword in node.keywords]
    if name.endswith("from_pretrained") and chooses and "trust_remote_code" not in named:
        found.append(f"{name} without trust_remote_code=False")
    return found


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_comes_from_outside_is_run(path: Path) -> None:
    assert offences(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from pickle import loads", "eval(x)", "exec('x')", "torch.load(f)", "yaml.load(f)",
        "yaml.load(f, yaml.Loader)", "os.system(x)", "subprocess.run(x, shell=True)", "AutoConfig.from_pretrained(x)",
        "AutoConfig.from_pretrained(x, trust_remote_code=y)", "np.load(f, allow_pickle=True)",
        "archive.extractall(folder)", "st.markdown(x, unsafe_allow_html=True)",
    ],
)  # fmt: skip
def test_each_of_them_would_be_seen(source: str) -> None:
    assert len(offences(source)) >= 1


def test_the_server_is_for_this_machine_and_says_nothing_of_its_errors() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    server, client = config["server"], config["client"]
    assert server["address"] == "127.0.0.1" and server["enableXsrfProtection"] and server["enableCORS"]
    assert client["showErrorDetails"] == "none" and not client["showErrorLinks"]
    assert not config["browser"]["gatherUsageStats"]


def test_the_server_takes_the_largest_file_that_a_page_asks_for_and_no_larger() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    limits = {table.MAX_BYTES, answer_key_file.MAX_BYTES, circuit_file.MAX_BYTES, bring.MOST_BYTES}
    assert limits == {1_000_000, 2_000_000, 20_000_000}
    assert config["server"]["maxUploadSize"] == max(limits) // 1_000_000


def test_every_uploader_has_a_limit_of_its_own() -> None:
    pages = {path: path.read_text(encoding="utf-8") for path in (ROOT / "pages").rglob("*.py")}
    calls = [
        (path.name, {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords})
        for path, text in pages.items() for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("file_uploader")
    ]  # fmt: skip
    assert {name: given.get("max_upload_size") for name, given in calls} == {
        "brought.py": "MAX_BYTES // 1000000", "own_key.py": "MAX_BYTES // 1000000", "choice.py": "MAX_BYTES // 1000000",
        "bring.py": "MOST_BYTES // 1000000", "sources.py": "MEGABYTES",
    }  # fmt: skip
