"""Memory that runs out in a chunk: the chunk is halved and tried once more; what runs out anywhere else is told."""


import pytest
import torch

from engine.cli.main import main
from engine.cost.ledger import Ledger
from engine.errors import HeadlightError
from engine.jobs.manager import JobManager
from engine.machine.chunks import chunked, halved, halved_grid
from engine.machine.out_of_memory import is_out_of_memory, told_when_memory_runs_out
from tests.engine.cli.toy import TOY
from tests.engine.failing import CPU_WORDS, Failing


def test_a_chunk_that_does_not_fit_is_run_as_two_halves():
    seen = []

    def work(rows):
        seen.append((rows.start, rows.stop))
        if rows.stop - rows.start > 3:
            raise RuntimeError(CPU_WORDS)
        return rows.stop - rows.start

    assert chunked(work, 12, 5) == [3, 2, 3, 2, 2]
    assert seen == [(0, 5), (0, 3), (3, 5), (5, 10), (5, 8), (8, 10), (10, 12)]


def test_halves_are_put_together_along_their_axis():
    table = torch.arange(12.0).reshape(2, 6)
    failing = Failing(lambda rows: 2 * table[:, rows])
    torch.testing.assert_close(halved(failing, 6, dim=1), 2 * table)
    assert failing.calls == 3


@pytest.mark.parametrize(("count", "says"), [(5, "5 rows at once, and again by halves"), (1, "a single row, twice")])
def test_memory_that_runs_out_again_is_told_with_the_way_on(count, says):
    failing = Failing(torch.ones, at=(1, 2))
    with pytest.raises(HeadlightError) as told:
        halved(lambda rows: failing(rows.stop - rows.start), count)
    assert says in str(told.value) and "--memory-budget" in str(told.value) and "fewer or shorter" in str(told.value)
    assert "4096 bytes" in str(told.value) and failing.calls == 2


def test_a_single_row_is_tried_once_more():
    assert halved(Failing(lambda rows: torch.ones(1)), 1).tolist() == [1.0]


def test_pairs_are_halved_where_a_sender_is_alone():
    table = torch.arange(12.0).reshape(1, 6, 2)
    failing = Failing(lambda senders, pairs: 2 * table[senders, pairs])
    torch.testing.assert_close(halved_grid(failing, (1, 6)), 2 * table)
    failing = Failing(lambda senders, pairs: table[senders, pairs].flatten(1).sum(dim=1))
    assert halved_grid(failing, (1, 6), summed=True).tolist() == [66.0]


def test_other_errors_are_not_tried_again():
    failing = Failing(torch.ones, error=RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes"):
        halved(lambda rows: failing(3), 3)
    assert failing.calls == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (MemoryError(), True),
        (RuntimeError(CPU_WORDS), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("expected scalar type Float"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_running_out_of_memory_looks_like(error, expected):
    assert is_out_of_memory(error) is expected


def test_torch_really_says_so_when_it_cannot_allocate():
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(refused.value)


def test_what_a_failed_attempt_booked_is_taken_back():
    ledger = Ledger(1.0)

    def work(rows):
        ledger.add(10.0 * (rows.stop - rows.start))
        if rows.stop - rows.start == 4:
            raise MemoryError
        return torch.zeros(rows.stop - rows.start)

    with ledger.stage("before"):
        ledger.add(1.0)
    with ledger.stage("work"):
        ledger.add(5.0)
        halved(work, 4, ledger)
    assert [(row.stage, row.flops) for row in ledger.rows()] == [("before", 1.0), ("work", 45.0)]


def test_anywhere_else_in_a_run_it_is_told_too():
    says = r"Memory ran out \(MemoryError\)\. Give a smaller memory budget"
    with pytest.raises(HeadlightError, match=says), told_when_memory_runs_out():
        raise MemoryError
    with pytest.raises(RuntimeError, match="shapes"), told_when_memory_runs_out():
        raise RuntimeError("shapes")


def test_a_job_out_of_memory_says_what_to_lower(manager: JobManager):
    def work(watcher):
        raise RuntimeError(CPU_WORDS)

    job = manager.submit("key", work)
    assert job.wait(10)
    assert job.snapshot().error.startswith("Memory ran out (DefaultCPUAllocator") and job.snapshot().log is None


def test_the_command_line_out_of_memory_says_what_to_lower(monkeypatch, capsys):
    monkeypatch.setattr("engine.prepare.measure_baseline", Failing(None, error=MemoryError()))
    assert main(["score", *TOY]) == 1
    assert "error: Memory ran out" in capsys.readouterr().err
