"""What drawing a page may load: transformers' parts are imported by the thread that loads a model, and no other."""

import subprocess
import sys
from pathlib import Path

from streamlit.runtime.scriptrunner.exec_code import modified_sys_path

import pages

MAIN = Path(pages.__file__).with_name("main.py")

LISTED = """
import importlib, pkgutil, sys
import pages
for module in pkgutil.walk_packages(pages.__path__, "pages."):
    if module.name != "pages.main" and not module.name.endswith(".page"):  # those are scripts
        importlib.import_module(module.name)
print(*[name for name in sys.modules if name.partition(".")[0] in ("transformers", "transformer_lens")])
"""


def test_drawing_a_page_does_not_import_what_loads_models():
    run = subprocess.run([sys.executable, "-c", LISTED], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_a_run_of_the_script_leaves_alone_where_modules_are_looked_for():
    """Streamlit's own way to put the script's folder there and take it off: other threads are importing meanwhile."""
    before = list(sys.path)
    with modified_sys_path(str(MAIN)):
        assert sys.path == before
    assert sys.path == before and sys.path[0] != str(MAIN.parent)
