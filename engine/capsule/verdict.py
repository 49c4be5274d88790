"""What measuring a run again came to, in numbers and in words: pure.

1. reproduced: every quantity agrees to 6 digits or more; single precision holds 7, and the order of sums takes the last
2. reproduced to n digits: the worst agrees to n digits, 3 to 5, which other hardware and number formats do
3. differs: a quantity agrees to less, tokens are others, or the circuit does not follow from its effects
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from engine.capsule.digits import Agreement
from engine.record.json_values import Json, number

ENOUGH, LEAST = 6, 3  # digits


class Verdict(StrEnum):
    """How far a run was reproduced."""

    REPRODUCED = "reproduced"
    PARTLY = "reproduced to fewer digits"
    DIFFERS = "differs"


@dataclass(frozen=True)
class Recomputation:
    """What was measured again of a run.

    ``fingerprints`` are the capsule's (None if it has none) and that of the model here. ``tokens_agree``: whether the
    prompts, made again, are the capsule's. ``circuit_follows``: from the effects by the thresholds, None for an
    algorithm without. ``left_out`` says in sentences what was not measured again and why.
    """

    fingerprints: tuple[str | None, str]
    tokens_agree: bool
    circuit_follows: bool | None
    agreements: tuple[Agreement, ...]
    sample: tuple[str, ...]  # receivers
    receivers: int  # in all
    left_out: tuple[str, ...]

    @property
    def same_model(self) -> bool | None:
        """None where the capsule has no fingerprint."""
        kept, here = self.fingerprints
        return None if kept is None else kept == here

    @property
    def digits(self) -> int | None:
        """Of the quantity that agrees least; None if all are equal to the last digit."""
        return min((each.digits for each in self.agreements if each.digits is not None), default=None)

    @property
    def verdict(self) -> Verdict:
        follows = self.tokens_agree and self.circuit_follows is not False
        if not follows or not all(each.reaches(LEAST) for each in self.agreements):
            return Verdict.DIFFERS
        enough = all(each.reaches(ENOUGH) for each in self.agreements)
        return Verdict.REPRODUCED if enough else Verdict.PARTLY

    @property
    def words(self) -> str:
        """The verdict in a sentence."""
        if self.verdict is Verdict.DIFFERS:
            return f"differs: {'; '.join(self._faults())}"
        if self.digits is None:
            return "reproduced: every number is equal to the last digit"
        head = "reproduced" if self.verdict is Verdict.REPRODUCED else f"reproduced to {self.digits} digits"
        return f"{head}: every number agrees to {self.digits} digits or more"

    def _faults(self) -> list[str]:
        faults = [] if self.tokens_agree else ["the prompts made again have other tokens"]
        faults += ["the circuit does not follow from its effects"] if self.circuit_follows is False else []
        return faults + [f"{each.name}: {each.words}" for each in self.agreements if not each.reaches(LEAST)]


def recomputation_text(done: Recomputation) -> str:
    """Line by line, for a terminal."""
    kept, here = done.fingerprints
    model = {
        True: f"the same, fingerprint {here}",
        False: f"ANOTHER ONE: fingerprint {here} here, {kept} in the capsule; numbers are compared all the same",
        None: f"fingerprint {here} here; the capsule has none to compare",
    }[done.same_model]
    lines = [f"model: {model}", f"tokens: {'the same' if done.tokens_agree else 'OTHERS when made again'}"]
    if done.circuit_follows is not None:
        lines.append(f"circuit: {'follows' if done.circuit_follows else 'does NOT follow'} from its effects")
    width = max((len(each.name) for each in done.agreements), default=0)
    lines += [f"{each.name:<{width}}  {each.words}" for each in done.agreements]
    lines += [f"receivers measured again: {', '.join(done.sample) or 'none'} ({len(done.sample)} of {done.receivers})"]
    lines += [f"not measured again: {each}" for each in done.left_out]
    return "\n".join([*lines, done.words]) + "\n"


def recomputation_json(done: Recomputation) -> Json:
    return {
        "verdict": done.verdict.value,
        "digits": done.digits,
        "fingerprints": list(done.fingerprints),
        "same_model": done.same_model,
        "tokens_agree": done.tokens_agree,
        "circuit_follows": done.circuit_follows,
        "quantities": [
            {
                "name": each.name,
                "entries": each.entries,
                "digits": each.digits,
                "largest_difference": number(each.largest),
                "relative_difference": number(each.relative),
            }
            for each in done.agreements
        ],
        "receivers": {"measured": list(done.sample), "of": done.receivers},
        "not_measured": list(done.left_out),
    }
