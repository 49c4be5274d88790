"""Reads a run from a file that ``discover`` or the app wrote (schema ``headlight/1``), as far as it is compared.

The file is only read: every value is checked for its kind, its range and its shape before it is used, and whatever
does not fit is a HeadlightError that says where.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.errors import HeadlightError
from engine.patching.effects import PATCHING_STAGES
from engine.record.circuit_file import circuit_in, read_record, text_of
from engine.record.json_values import Json
from engine.record.reader import WAY_ON, Plain, Reader
from engine.record.run_summary import Checked, RunSummary, Work
from engine.scores.kinds import MEASURED, Score
from engine.search.path_patching import GRID_STAGE, Thresholds
from engine.settings import Algorithm
from engine.trust.overlap import edges_by_name

SEARCH_STAGES = frozenset((*PATCHING_STAGES, GRID_STAGE))


def read_run(content: bytes) -> RunSummary:
    """The run in a file's bytes; raises HeadlightError for anything that is not one."""
    return run_in(read_record(content))


def run_in(raw: Json) -> RunSummary:
    """The run a record holds, as ``read_record`` gives it."""
    file, record = circuit_in(raw), Reader(raw, "the file")
    if len(edges_by_name(file.circuit)) != len(file.circuit.edges):
        raise HeadlightError(f"The circuit of the file lists an edge twice. {WAY_ON}")
    shape = file.circuit.n_layers, file.circuit.n_heads
    baseline, scores = record.part("baseline"), record.part("scores")
    settings = record.part("settings").plain()
    columns = shape[0], shape[1] + (settings.get("mlps") is True)  # the last is the MLPs'
    return RunSummary(
        model=text_of(raw, "model"),
        task=text_of(raw, "task"),
        settings=settings,
        clean=baseline.number("clean_logit_diff"),
        corrupted=baseline.number("corrupted_logit_diff"),
        accuracy=baseline.number("accuracy"),
        n=baseline.whole("n", 1),
        scores={name: scores.matrix(name, shape) for name in _score_names(scores)},
        candidates=int(record.mask("keep", columns).sum()),
        circuit=file.circuit,
        thresholds=_thresholds(record, settings),
        checked=_checked(record.part("verification")) if "verification" in raw else None,
        work=_work(record.part("cost"), lambda stage: True),
        search=_work(record.part("cost"), SEARCH_STAGES.__contains__),
        complete=record.flag("complete"),
        effects=record.matrix("effects", columns)[:, : shape[1]] if raw.get("effects") is not None else None,
    )


def _score_names(scores: Reader) -> list[str]:
    """Both FLAPs, which every run has, and those of the later scores that are there."""
    always = (Score.CONTRASTIVE_FLAP, Score.FLAP)
    return [score.value for score in MEASURED if score in always or score.value in scores.value]


def _thresholds(record: Reader, settings: Mapping[str, Plain]) -> Thresholds | None:
    """Those of the settings, or of the grid's point taken; older files know path patching alone."""
    if settings.get("algorithm", Algorithm.PATH_PATCHING) != Algorithm.PATH_PATCHING:
        return None
    source = Reader(dict(settings), "settings")
    if settings.get("grid") is True:
        points = record.part("grid").rows("points") if "grid" in record.value else []
        taken = [point for point in points if isinstance(point, dict) and point.get("chosen") is True]
        if not taken:
            return None
        source = Reader(taken[0], "a point of the grid")
    return Thresholds(source.number("threshold_scale"), source.number("min_effect"))


def _checked(part: Reader) -> Checked:
    return Checked(
        part.number("performance"), part.number("faithfulness"), part.whole("n", 1), part.whole("seed", 0, 2**32)
    )


def _work(part: Reader, wanted: Callable[[str], bool]) -> Work:
    stages = [part.part(name) for name in part.value if wanted(name)]
    names = ("seconds", "forward_passes", "flops")
    return Work(*(sum(stage.number(name) for stage in stages) for name in names))
