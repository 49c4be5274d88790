"""The runs there are to look at: searches this server remembers, files this session was given, runs kept on disk.

A run is called in an address by eight letters, a hash of its settings or of the file it stood in; one on disk by its
name there, which has twelve.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from engine.capsule.opening import ZIP
from engine.capsule.reading import read_capsule
from engine.discovery import Discovery
from engine.jobs.job import Job
from engine.record.circuit_file import read_record
from engine.record.json_values import Json
from engine.record.run_file import read_run
from engine.record.run_summary import Plain, RunSummary, summary_of
from engine.settings import Algorithm, Settings
from engine.store.store import RunStore
from engine.store.stored_run import RunState, StoredRun
from pages.shared import algorithm_words, background, privacy, score_views
from pages.shared.job_names import model_title, task_title

FROM_FILES = "headlight_runs_from_files"
WITH_RECORD = (RunState.DONE, RunState.CANCELLED)


@dataclass(frozen=True, eq=False)
class Run:
    """``settings`` and ``found`` are None for a run from a file; ``started`` is in seconds since 1970, 0 for a file.

    ``record`` reads what is kept of it, all of it; None where it is in memory alone.
    """

    id: str
    name: str
    summary: RunSummary
    settings: Settings | None
    found: Discovery | None
    started: float
    record: Callable[[], Json] | None = None


def known() -> dict[str, Run]:
    """The runs to choose from, by id: those found here (privacy.py), newest first, then those from files."""
    found = [run for job in _searches() if (run := _of_job(job)) is not None]
    found.sort(key=lambda run: -run.started)
    files: dict[str, Run] = st.session_state.get(FROM_FILES, {})
    return {run.id: run for run in found} | files


def kept() -> dict[str, str]:
    """The names, by id, of runs in the store that are to be read first; those known otherwise stand in ``known``."""
    behind = background.background()
    here = {behind.kept.id_of(settings) for settings in _found_here()}
    listed = behind.kept.listing().runs
    return {run.id: title_of(run) for run in listed if run.id not in here and run.state in WITH_RECORD}


def read_kept(run_id: str) -> Job:
    """Reads one of them in the background. Result: Run."""
    behind = background.background()
    return background.look_at(("kept run", run_id), lambda watcher: _of_store(behind.kept.store(), run_id))


def _of_store(store: RunStore, run_id: str) -> Run:
    from engine.record.reading import discovery_of

    stored = store.get(run_id)
    found = discovery_of(store.read(run_id))
    summary, record = summary_of(found), lambda: store.read(run_id)
    return Run(run_id, title_of(stored), summary, found.settings, found, stored.created, record)


def _found_here() -> list[Settings]:
    """Those of searches that left something in memory."""
    found = [job.key for job in _searches() if job.snapshot().result is not None]
    return [key[1] for key in found if isinstance(key, tuple)]


def _searches() -> list[Job]:
    """Those that may be named, least recently used first."""
    jobs = background.background().jobs.all()
    return [job for job in jobs if isinstance(job.key, tuple) and _is_shown(job, job.key)]


def _is_shown(job: Job, key: tuple) -> bool:
    return key[0] == "search" and privacy.may_name(job, key[1])


def running() -> list[Settings]:
    """The settings of the searches queued or in work, as far as they may be named."""
    return [key[1] for job in _searches() if job.live and isinstance(key := job.key, tuple)]


def add_file(content: bytes, file_name: str) -> Run:
    """Read a record or a capsule, kept for this browser session; raises HeadlightError if it holds no run."""
    if content.startswith(ZIP):
        capsule = read_capsule(content)
        summary, raw = capsule.run, capsule.record
    else:
        summary, raw = read_run(content), read_record(content)
    run_id = f"file-{hashlib.sha256(content).hexdigest()[:8]}"
    name = f"{name_of(summary)} · {Path(file_name).name[:40]}"
    run = Run(run_id, name, summary, None, None, 0.0, lambda: raw)
    st.session_state[FROM_FILES] = st.session_state.get(FROM_FILES, {}) | {run_id: run}
    return run


def id_of(settings: Settings) -> str:
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:8]


def name_of(summary: RunSummary) -> str:
    """``SmolLM2 135M · IOI · 16 pairs · inside the automatic union``, and what else is not as usual."""
    parts = [_data(summary.model, summary.task, summary.n), *how(summary.settings)]
    if not summary.complete:
        parts.append("cancelled")
    return " · ".join(parts)


def title_of(stored: StoredRun) -> str:
    """The name somebody gave it, else as ``name_of``."""
    if stored.name:
        return stored.name
    pairs = stored.settings.get("pairs")
    parts = [_data(stored.model, stored.task, pairs if isinstance(pairs, int) else 0), *how(stored.settings)]
    return " · ".join(parts)


def _data(model: str, task: str, pairs: int) -> str:
    return " · ".join([model_title(model).removesuffix(" Instruct"), task_title(task), f"{pairs} pairs"])


def how(settings: Mapping[str, Plain]) -> list[str]:
    """How it was searched, in short: the heads that may take part, and what else is not as usual."""
    return [_among(settings), *_unusual(settings)]


def _of_job(job: Job) -> Run | None:
    """The run of a search that left something."""
    shot, key = job.snapshot(), job.key
    if shot.result is None or not isinstance(key, tuple):
        return None
    summary = summary_of(shot.result)
    kept = background.background().kept
    kept_as = kept.id_of(key[1]) if kept.why_not(key[1]) is None else None
    record = None if kept_as is None else lambda: kept.store().read(kept_as)
    return Run(id_of(key[1]), name_of(summary), summary, key[1], shot.result, shot.started or 0.0, record)


def _among(settings: Mapping[str, Plain]) -> str:
    if settings.get("method") == "dense":
        return "all heads"
    if settings.get("sparsity") is None:
        return f"inside the union {settings['union']}" if settings.get("union") else "inside the automatic union"
    name, flap = str(settings.get("score")), settings.get("flap_sparsity")
    score = score_views.TITLES.get(name, name.replace("_", " "))
    return f"inside {score} at sparsity {settings['sparsity']}{'' if flap is None else f' (FLAP {flap})'}"


def _unusual(settings: Mapping[str, Plain]) -> list[str]:
    """What tells apart runs that would otherwise be called the same."""
    parts = _algorithm(settings)
    if settings.get("seed"):
        parts.append(f"seed {settings['seed']}")
    if settings.get("mlps"):
        parts.append("MLPs as nodes")
    if settings.get("mode") == "exact":
        parts.append("exact")
    if settings.get("grid"):
        parts.append("grid")
    elif not _algorithm(settings) and (settings.get("threshold_scale"), settings.get("min_effect")) != (
        Settings.threshold_scale, Settings.min_effect
    ):  # fmt: skip
        parts.append(f"s {settings.get('threshold_scale')}, smallest {settings.get('min_effect')}")
    return parts


def _algorithm(settings: Mapping[str, Plain]) -> list[str]:
    """Another algorithm than path patching, with its parameter; older files know no other."""
    name = settings.get("algorithm", Algorithm.PATH_PATCHING)
    if name == Algorithm.PATH_PATCHING:
        return []
    title = algorithm_words.TITLES.get(str(name), str(name))
    if name == Algorithm.ACDC:
        return [title, f"tolerance {settings.get('tolerance')}"]
    return [title, f"{settings.get('top_edges')} edges"]
