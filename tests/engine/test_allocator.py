"""Freed blocks stay with the process, so that the next ones need no fresh pages."""

import platform
import subprocess
import sys

import pytest

COUNT = """
import resource, torch
torch.set_num_threads(1)
{prelude}
def work():
    for _ in range(20):
        blocks = [torch.full((5_000_000,), 1.0) for _ in range(6)]  # freed together: more than glibc keeps by itself
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
KEEPING = "from engine.allocator import keep_freed_memory; assert keep_freed_memory()"


def page_faults(prelude: str) -> int:
    code = COUNT.format(prelude=prelude)
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked")
def test_the_same_blocks_are_used_again():
    assert page_faults(KEEPING) < 0.1 * page_faults("")
