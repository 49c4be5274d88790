"""The runs there are to look at: searches this server remembers, and files this browser session was given.

A run is called in an address by eight letters: a hash of its settings, or of the file it stood in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from engine.discovery import Discovery
from engine.run_file import read_run
from engine.run_summary import Plain, RunSummary, summary_of
from engine.settings import Algorithm, Settings
from pages.shared import algorithm_words, background, score_views
from pages.shared.job_names import model_title, task_title

FROM_FILES = "headlight_runs_from_files"


@dataclass(frozen=True, eq=False)
class Run:
    """``settings`` and ``found`` are None for a run from a file; ``started`` is in seconds since 1970, 0 for a file."""

    id: str
    name: str
    summary: RunSummary
    settings: Settings | None
    found: Discovery | None
    started: float


def known() -> dict[str, Run]:
    """All runs by id: those found here, newest first, then those from files."""
    found = [run for key in background.background().jobs.known() if (run := _of_job(key)) is not None]
    found.sort(key=lambda run: -run.started)
    files: dict[str, Run] = st.session_state.get(FROM_FILES, {})
    return {run.id: run for run in found} | files


def running() -> list[Settings]:
    """The settings of all searches queued or in work."""
    jobs = background.background().jobs
    searches = [key for key in jobs.known() if isinstance(key, tuple) and key[0] == "search"]
    return [key[1] for key in searches if (job := jobs.find(key)) is not None and job.live]


def add_file(content: bytes, file_name: str) -> Run:
    """Read a record and keep it for this browser session; raises HeadlightError if it holds no run."""
    summary = read_run(content)
    run_id = f"file-{hashlib.sha256(content).hexdigest()[:8]}"
    run = Run(run_id, f"{name_of(summary)} · {Path(file_name).name[:40]}", summary, None, None, 0.0)
    st.session_state[FROM_FILES] = st.session_state.get(FROM_FILES, {}) | {run_id: run}
    return run


def id_of(settings: Settings) -> str:
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:8]


def name_of(summary: RunSummary) -> str:
    """``SmolLM2 135M · IOI · 16 pairs · inside the automatic union``, and what else is not as usual."""
    parts = [model_title(summary.model).removesuffix(" Instruct"), task_title(summary.task), f"{summary.n} pairs"]
    parts += [_among(summary), *_unusual(summary.settings)]
    if not summary.complete:
        parts.append("cancelled")
    return " · ".join(parts)


def _of_job(key: object) -> Run | None:
    """The run of a search that left something, if that is what the key stands for."""
    if not (isinstance(key, tuple) and key[0] == "search"):
        return None
    job = background.background().jobs.find(key)
    shot = job.snapshot() if job is not None else None
    if shot is None or shot.result is None:
        return None
    summary = summary_of(shot.result)
    return Run(id_of(key[1]), name_of(summary), summary, key[1], shot.result, shot.started or 0.0)


def _among(summary: RunSummary) -> str:
    settings = summary.settings
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
