"""A whole run read back from its record: ``discovery_of`` is the inverse of writing.py's ``discovery_json``.

1. Origin, settings, prompts and baseline; then each stage by the module that knows its part.
2. What a record leaves out follows from what it says: the masks of the nine unions from scores and cliffs, who was on
   a front from the trials.
3. Older records lack parts that were added since: those are None, or as said where they are read.

A record is not trusted: every value is checked, and whatever does not fit is a HeadlightError that says where.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from engine.ablation import Ablation
from engine.baseline import Baseline
from engine.cost.ledger import CostRow
from engine.cost.ledger_json import cost_in
from engine.discovery import Discovery
from engine.errors import HeadlightError
from engine.evaluation.bootstrap import DRAWS, Interval
from engine.record.circuit_file import circuit_in
from engine.record.json_values import Json
from engine.record.reader import WAY_ON, Reader, short
from engine.record.search_reading import read_grid, read_screening, read_steps
from engine.record.settings_reading import read_settings
from engine.record.sweep_json import read_pruning
from engine.record.writing import SCHEMA, Origin
from engine.scores.head_scores import HeadScores
from engine.scores.kinds import MEASURED, Score
from engine.scoring.mlp_scores import MlpScores
from engine.settings import Settings
from engine.tasks.prompts import Metric, PromptPair, Prompts
from engine.trust.self_check import read_self_check
from engine.trust.self_tests import MEANING, SelfTest, SelfTests
from engine.trust.self_tests import STAGE as SELF_TESTS
from engine.tuning.reading import read_tuning
from engine.verification import Verification

MOST_PROMPT = 100_000  # letters of one prompt
MOST_TOKEN = 2**31 - 1


def discovery_of(record: Json) -> Discovery:
    """The run of a record; raises HeadlightError for anything that is none."""
    _check_schema(record)
    whole = Reader(record, "the file")
    circuit = circuit_in(record).circuit
    shape = circuit.n_layers, circuit.n_heads
    settings, prompts = _settings(whole), _prompts(whole)
    scores, cost = _scores(whole.part("scores"), shape), cost_in(whole.part("cost"))
    columns = shape[0], shape[1] + settings.mlps
    return Discovery(
        settings=settings,
        prompts=prompts,
        baseline=_baseline(whole.part("baseline"), len(prompts)),
        scores=scores,
        keep=whole.mask("keep", columns),
        pruning=read_pruning(whole.part("sweep"), scores, cost) if "sweep" in whole else None,
        check=read_self_check(whole.part("self_check")) if "self_check" in whole else None,
        self_tests=_self_tests(whole.part("self_tests"), cost) if "self_tests" in whole else None,
        steps=read_steps(whole, shape, settings.mlps),
        circuit=circuit,
        verification=_verification(whole.part("verification")) if "verification" in whole else None,
        screening=read_screening(whole.part("screening")) if "screening" in whole else None,
        grid=read_grid(whole.part("grid")) if "grid" in whole else None,
        predicted=cost_in(whole.part("predicted")) if "predicted" in whole else (),
        cost=cost,
        complete=whole.flag("complete"),
        tuning=read_tuning(whole.part("tuning"), settings, shape, cost) if "tuning" in whole else None,
        mlp_scores=_mlp_scores(whole.part("mlp_scores"), shape[0]) if "mlp_scores" in whole else None,
    )


def origin_of(record: Json) -> Origin:
    """What a record says of the model and the libraries; with it the run can be written again without the model."""
    _check_schema(record)
    file, whole = circuit_in(record), Reader(record, "the file")
    circuit = file.circuit
    made_with = whole.part("made_with") if "made_with" in whole else Reader({}, "made_with")
    return Origin(
        n_layers=circuit.n_layers,
        n_heads=circuit.n_heads,
        n_kv_heads=whole.part("model_shape").whole("n_kv_heads", 1, circuit.n_heads),
        fast=whole.text("path_patching") == "fast",
        fingerprint=whole.text("fingerprint") if "fingerprint" in whole else "",
        made_with={name: made_with.text(name) for name in made_with.value},
        d_model=file.d_model,
        parallel_mlps=file.parallel_mlps,
    )


def _check_schema(record: Any) -> None:
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        found = record.get("schema") if isinstance(record, dict) else record
        raise HeadlightError(f"Expected a run with schema {SCHEMA}, got {short(found)}. {WAY_ON}")


def _settings(whole: Reader) -> Settings:
    """A record's metric is that of its prompts; what was asked for stands beside it, in older ones nowhere."""
    values = dict(whole.part("settings").value)
    if "metric_asked" in whole.value:
        values["metric"] = whole.value["metric_asked"]
    return read_settings(Reader(values, "settings"))


def _prompts(whole: Reader) -> Prompts:
    part = whole.part("prompts")
    texts = [part.texts(name, MOST_PROMPT) for name in ("clean", "corrupted")]
    names = ("clean_tokens", "corrupted_tokens", "answer_tokens", "distractor_tokens")
    tokens = [part.lists_of_wholes(name, 0, MOST_TOKEN) for name in names]
    columns = [*texts, *tokens, part.wholes("template_groups")]
    if len({len(column) for column in columns}) != 1 or not columns[0]:
        sizes = ", ".join(str(len(column)) for column in columns)
        raise HeadlightError(f"Expected as many entries in every list of prompts, at least 1, got {sizes}. {WAY_ON}")
    pairs = tuple(PromptPair(*row) for row in zip(*columns, strict=True))
    for pair in pairs:
        if len(pair.clean_tokens) != len(pair.corrupted_tokens) or not pair.clean_tokens:
            raise part.wrong("corrupted_tokens", "as many tokens as in the clean prompt", len(pair.corrupted_tokens))
    task = part.text("task") if "task" in part else whole.text("task")
    return Prompts(task, whole.part("baseline").choice("metric", Metric), pairs)


def _baseline(part: Reader, pairs: int) -> Baseline:
    """Older records have no values by pair: NaN."""
    return Baseline(
        clean_logit_diff=part.number("clean_logit_diff"),
        corrupted_logit_diff=part.number("corrupted_logit_diff"),
        accuracy=part.number("accuracy"),
        n=part.whole("n", 1),
        clean_by_pair=_by_pair(part, "clean_by_pair", pairs),
        corrupted_by_pair=_by_pair(part, "corrupted_by_pair", pairs),
        capable=part.flag("capable"),
        verdict=part.text("verdict", 1000),
    )


def _by_pair(part: Reader, name: str, pairs: int) -> Tensor:
    return torch.tensor(part.numbers(name, pairs) if name in part else [math.nan] * pairs)


def _scores(part: Reader, shape: tuple[int, int]) -> HeadScores:
    """Both FLAPs, which every run has, and those of the others that were measured."""
    always = (Score.CONTRASTIVE_FLAP, Score.FLAP)
    names = [score for score in MEASURED if score in always or score.value in part]
    return HeadScores({score: part.matrix(score.value, shape) for score in names})


def _mlp_scores(part: Reader, n_layers: int) -> MlpScores:
    flap, contrastive = (torch.tensor(part.numbers(name, n_layers)) for name in ("flap", "contrastive_flap"))
    return MlpScores(flap, contrastive)


def _self_tests(part: Reader, cost: tuple[CostRow, ...]) -> SelfTests:
    """Whether a test passed follows from its value; what they took stands in older records' costs alone."""
    tests = tuple(
        SelfTest(test.text("name"), test.number("value"), test.number("tolerance")) for test in part.parts("tests")
    )
    skipped = part.texts("skipped")
    for name in (*(test.name for test in tests), *skipped):
        if name not in MEANING:
            raise part.wrong("tests", f"tests among {', '.join(MEANING)}", name)
    booked = next((row.flops for row in cost if row.stage == SELF_TESTS), math.nan)
    return SelfTests(tests, skipped, part.whole("pairs"), part.number("flops") if "flops" in part else booked)


def _verification(part: Reader) -> Verification:
    """Older records lack the interval, or all of it but its bounds."""
    value, n = part.number("faithfulness"), part.whole("n", 1)
    low, high = part.numbers("faithfulness_interval", 2) if "faithfulness_interval" in part else (math.nan, math.nan)
    drawn = part.part("bootstrap") if "bootstrap" in part else Reader({"value": value, "n": n, "draws": DRAWS}, "")
    return Verification(
        performance=part.number("performance"),
        faithfulness=value,
        sparsity=part.number("sparsity"),
        n=n,
        seed=part.whole("seed", 0, 2**63 - 1),
        ablation=part.choice("ablation", Ablation),
        circuit_logit_diff=part.number("circuit_logit_diff"),
        clean_logit_diff=part.number("clean_logit_diff"),
        corrupted_logit_diff=part.number("corrupted_logit_diff"),
        interval=Interval(drawn.number("value"), low, high, drawn.whole("n"), drawn.whole("draws")),
        live_mlps=part.whole("live_mlps") if "live_mlps" in part else None,
    )
