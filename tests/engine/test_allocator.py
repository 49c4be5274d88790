"""Freed blocks stay with the process, so that the next ones need no fresh pages."""

import platform
import subprocess
import sys

import pytest

COUNT = """
import resource, torch
from engine.allocator import keep_freed_memory
torch.set_num_threads(1)
assert keep_freed_memory()
def work():
    for _ in range(20):
        blocks = [torch.full((5_000_000,), 1.0) for _ in range(6)]  # freed together: more than glibc keeps by itself
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked")
def test_the_same_blocks_are_used_again():
    counted = subprocess.run([sys.executable, "-c", COUNT], check=True, capture_output=True, text=True)
    assert int(counted.stdout) < 1000  # of 30 000 pages a round, twenty rounds
