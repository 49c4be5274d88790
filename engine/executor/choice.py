"""Which executor: this process, or Ray where an address is given. Nothing imports ray before that."""

from __future__ import annotations

from engine.executor.executor import Executor, LocalExecutor


def executor_for(address: str | None, workers: int | None = None) -> Executor:
    """``address``: None for this process, else as ``--ray`` takes it. Raises HeadlightError if it cannot be used."""
    if address is None:
        from engine.executor.perform import Bench

        return LocalExecutor(Bench().perform)
    from engine.executor.ray_executor import RayExecutor

    return RayExecutor(address, workers)
