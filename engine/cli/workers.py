"""--ray: who does the work of a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.cli.console import Console
from engine.executor.choice import executor_for
from engine.executor.executor import Executor


@contextmanager
def workers(address: str | None, console: Console) -> Iterator[Executor | None]:
    """Those of Ray at ``address``, ended with the command; None without one."""
    if address is None:
        yield None
        return
    executor = executor_for(address)
    try:
        console.announce(f"Ray: {executor.workers} workers")
        yield executor
    finally:
        executor.close()
