"""Freed blocks stay with the process, so that the next ones need few fresh pages."""

import platform
import subprocess
import sys

import pytest

COUNT = """
import resource, sys, torch
from engine.allocator import keep_freed_memory
torch.set_num_threads(1)
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def work():
    for _ in range(20):
        blocks = [torch.full((5_000_000,), 1.0) for _ in range(6)]  # freed together: more than glibc keeps by itself
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages_asked_for(mode: str) -> int:
    counted = subprocess.run([sys.executable, "-c", COUNT, mode], check=True, capture_output=True, text=True)
    return int(counted.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked")
def test_the_same_blocks_are_used_again():
    # Mostly none is asked for; where the heap cannot grow in one piece, a block or two of a round is.
    assert pages_asked_for("kept") < pages_asked_for("given back") / 3
