"""How many digits agree, worked out by hand."""

import math

import pytest
import torch

from engine.capsule.digits import agreement
from engine.capsule.verdict import Recomputation, Verdict, recomputation_json, recomputation_text
from engine.record.json_values import dumps


@pytest.mark.parametrize(
    ("kept", "again", "unit", "largest", "digits"),
    [
        (2.0, 2.0, 0.0, 0.0, None),
        (2.0, 2.0002, 0.0, 2e-4, 4),  # 1e-4 of 2
        (2.0, 2.003, 0.0, 3e-3, 2),  # 1.5e-3 of 2
        (0.0, 1e-5, 1.0, 1e-5, 5),  # of a unit
        (0.0, 1e-5, 0.0, 1e-5, 0),  # of nothing
        (0.0, 0.0, 0.0, 0.0, None),
        (2.0, -2.0, 0.0, 4.0, 0),
        (math.nan, math.nan, 0.0, 0.0, None),
        ([1.0, 100.0, math.nan], [1.5, 100.0, math.nan], 0.0, 0.5, 2),  # 5e-3 of the largest
        ([0.5, -0.25], [0.5, -0.2503], 1.0, 3e-4, 3),
    ],
)
def test_digits(kept, again, unit, largest, digits):
    found = agreement("x", torch.tensor(kept, dtype=torch.float64), torch.tensor(again, dtype=torch.float64), unit)
    assert found.digits == digits and found.largest == pytest.approx(largest, rel=1e-6)


def test_entries_measured_on_one_side_alone_are_no_digit():
    for other in ([1.0, 2.0], [math.nan, 1.0], [1.0]):
        found = agreement("x", torch.tensor([1.0, math.nan]), torch.tensor(other))
        assert found.digits == 0 and math.isnan(found.largest) and found.words == "other entries were measured"


def made(*digits: int | None, **changes) -> Recomputation:
    relative = {None: 0.0} | {n: 2 * 10.0 ** -(n + 1) for n in range(9)}
    agreements = tuple(agreement(f"q{i}", 1.0, 1.0 + relative[each]) for i, each in enumerate(digits))
    assert [each.digits for each in agreements] == list(digits)
    given = {"fingerprints": ("a" * 16, "a" * 16), "tokens_agree": True, "circuit_follows": True}
    return Recomputation(**(given | changes), agreements=agreements, sample=("1.2.q",), receivers=4, left_out=("x",))


@pytest.mark.parametrize(
    ("done", "verdict", "says"),
    [
        (made(None, None), Verdict.REPRODUCED, "equal to the last digit"),
        (made(None, 7), Verdict.REPRODUCED, "agrees to 7 digits"),
        (made(6, 7), Verdict.REPRODUCED, "reproduced: every number agrees to 6"),
        (made(5, 7, None), Verdict.PARTLY, "reproduced to 5 digits"),
        (made(3), Verdict.PARTLY, "reproduced to 3 digits"),
        (made(2, 7), Verdict.DIFFERS, "differs: q0: 2 digits agree"),
        (made(7, tokens_agree=False), Verdict.DIFFERS, "other tokens"),
        (made(7, circuit_follows=False), Verdict.DIFFERS, "does not follow"),
        (made(7, circuit_follows=None), Verdict.REPRODUCED, "reproduced"),
        (made(7, fingerprints=("a" * 16, "b" * 16)), Verdict.REPRODUCED, "reproduced"),
    ],
)
def test_verdicts(done, verdict, says):
    assert done.verdict is verdict and says in done.words
    assert done.words in recomputation_text(done)
    assert recomputation_json(done)["verdict"] == verdict.value and dumps(recomputation_json(done))


def test_another_model_is_said_plainly():
    other = made(None, fingerprints=("a" * 16, "b" * 16))
    assert other.same_model is False and f"ANOTHER ONE: fingerprint {'b' * 16} here" in recomputation_text(other)
    unknown = made(None, fingerprints=(None, "b" * 16))
    assert unknown.same_model is None and "none to compare" in recomputation_text(unknown)
