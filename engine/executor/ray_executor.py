"""Units done by workers of Ray: processes of this machine, or of a cluster that runs already.

1. ``auto`` takes the cluster that RAY_ADDRESS names; without one, workers are started here, a process for each core,
   reachable from this machine alone, and ended with ``close``. An address is that of a running cluster.
2. A unit goes out as JSON and comes back as safetensors bytes (engine/executor/wire.py). Workers import Headlight
   themselves: on a cluster it is installed on every machine, in the same version.
3. A unit whose worker died is done again, at most ``RETRIES`` times; then that unit has an error and the others go on.
4. No more units are out than workers can soon take, so that a stop has little to call back.

The only module that imports ray, which is optional (requirements-cluster.txt).
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from typing import Any

from engine.errors import HeadlightError
from engine.executor.address import AUTO, check_address
from engine.executor.executor import STAGE, Outcome, attempt
from engine.executor.units import Unit, plain, unit_of
from engine.executor.wire import from_bytes, to_bytes
from engine.notes.journal import Chunk
from engine.progress import Watcher
from engine.record.json_values import dumps

ADDRESS_VARIABLE = "RAY_ADDRESS"
RETRIES = 3
OUT_FOR_EACH = 2  # units out at once for each worker: one in work, one waiting for it
POLL_SECONDS = 0.2
STORE_BYTES = 100 * 2**20  # results are small; Ray would take a third of the memory


class RayExecutor:
    """Connected from the first moment; ``close`` it, or use it in a ``with`` block."""

    def __init__(self, address: str = AUTO, workers: int | None = None) -> None:
        """``workers`` started here, where no cluster is named; as many as cores if None.

        Raises HeadlightError if ray is not installed or the cluster cannot be reached.
        """
        self._ray = _connected(_checked(address), workers)
        self._task = self._ray.remote(_perform)

    def __enter__(self) -> RayExecutor:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def workers(self) -> int:
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def close(self) -> None:
        """Disconnect; workers started here end."""
        self._ray.shutdown()

    def run(self, units: Sequence[Unit], watcher: Watcher) -> Iterator[Outcome]:
        waiting, out, done = list(reversed(units)), {}, 0
        watcher.step(STAGE, 0, len(units))
        try:
            while waiting or out:
                while waiting and len(out) < OUT_FOR_EACH * self.workers:
                    unit = waiting.pop()
                    out[self._submit(unit)] = unit
                ready, _ = self._ray.wait(list(out), num_returns=1, timeout=POLL_SECONDS)
                for reference in ready:
                    yield self._outcome(out.pop(reference), reference)
                    done += 1
                watcher.step(STAGE, done, len(units))
        finally:
            for reference in out:
                self._ray.cancel(reference, force=True)

    def _submit(self, unit: Unit) -> Any:
        """Asked for more than any machine has, Ray would wait for ever: a worker without a GPU says so itself."""
        cpus = min(unit.threads, self._most("CPU"))
        wanted = {"cuda": 1, "auto": self._most("GPU")}.get(unit.settings.device.partition(":")[0], 0)
        gpus = min(wanted, self._most("GPU"))
        task = self._task.options(num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES, retry_exceptions=False)
        return task.remote(dumps(plain(unit)))

    def _most(self, resource: str) -> int:
        """Of it on one machine."""
        return max(int(node["Resources"].get(resource, 0)) for node in self._ray.nodes())

    def _outcome(self, unit: Unit, reference: Any) -> Outcome:
        errors = self._ray.exceptions
        try:
            answer = from_bytes(self._ray.get(reference))
        except errors.RayTaskError as error:  # not the unit's work, which tells its own errors: the worker itself
            last = str(error).strip().splitlines()[-1]
            return Outcome(unit, None, f"A worker could not begin ({last}). Install Headlight there as it is here.")
        except errors.RayError as error:  # its workers died, or their machines did
            return Outcome(unit, None, _lost(error), lost=True)
        error = answer.values.get("error")
        if error is not None:
            return Outcome(unit, None, error)
        return Outcome(unit, Chunk(answer.values["values"], answer.tensors))


def _perform(text: str) -> bytes:
    """In the worker: the unit's result, or its error in words."""
    from engine.executor.perform import process_bench

    outcome = attempt(unit_of(json.loads(text)), process_bench().perform, Watcher())
    if outcome.result is None:
        return to_bytes(Chunk({"error": outcome.error}))
    return to_bytes(Chunk({"values": outcome.result.values}, outcome.result.tensors))


def _lost(error: Exception) -> str:
    return (
        f"The worker of this unit died {RETRIES + 1} times ({type(error).__name__}), perhaps for lack of memory. Give "
        "a memory budget, or fewer workers, and run it again."
    )


def _checked(address: str) -> str | None:
    """The cluster's address; None where workers are to be started here."""
    if check_address(address) == AUTO:
        address = check_address(os.environ.get(ADDRESS_VARIABLE, "").strip() or AUTO)
    return None if address == AUTO else address


def _connected(address: str | None, workers: int | None) -> Any:
    """The module ray, connected. Its variables are set first: it reads them when it is imported."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None:
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # on any system: loopback only
    try:
        import ray  # pyright: ignore[reportMissingImports] - optional
    except ImportError as error:
        raise HeadlightError(
            "Ray is not installed. Install it with\n    python -m pip install -r requirements-cluster.txt\nor leave "
            "--ray out: this process then does the work alone."
        ) from error
    logging.getLogger("ray").setLevel(logging.ERROR)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    try:
        if address is None:
            quiet |= {"include_dashboard": False, "object_store_memory": STORE_BYTES}
            ray.init(address="local", num_cpus=workers, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = "started here" if address is None else f"reached at {address}"
        raise HeadlightError(f"Ray could not be {where}: {error}. Check that it runs, or leave --ray out.") from error
    return ray
