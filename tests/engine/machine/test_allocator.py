"""Freed blocks stay with the process, for the next ones, until they are given back."""

import platform
import subprocess
import sys

import pytest

BLOCKS = """
import psutil, torch
from engine.machine.allocator import give_back_freed_memory, keep_freed_memory
used_bytes = lambda: psutil.Process().memory_info().rss
assert {ask}
before = used_bytes()
blocks = [torch.full((5_000_000,), 1.0) for _ in range(10)]
between = [torch.ones(64) for _ in range(1000)]
full = used_bytes()
del blocks
freed = used_bytes()
give_back_freed_memory()
print(full - before, freed - before, used_bytes() - before)
"""
ALL = 10 * 5_000_000 * 4


def in_use(ask: str) -> tuple[int, ...]:
    """Bytes with all blocks in use, after they are freed, and after they are given back."""
    script = BLOCKS.format(ask=ask)
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    return tuple(int(part) for part in told.split())


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked")
def test_freed_blocks_are_kept_until_they_are_given_back():
    full, freed, given_back = in_use("keep_freed_memory()")
    assert full > 0.9 * ALL
    assert freed > 0.9 * ALL
    assert given_back < 0.3 * ALL


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked")
def test_nobody_keeps_them_who_was_not_asked():
    full, freed, _ = in_use("True")
    assert full > 0.9 * ALL
    assert freed < 0.3 * ALL
