"""What drawing a page may load: transformers' parts are imported by the thread that loads a model, and no other."""

import subprocess
import sys

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
