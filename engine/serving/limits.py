"""How much of a shared machine one visitor may ask for, and what a public demonstration offers.

1. Limits are read from the environment (``VARIABLES``); a value that is no whole number above 0 is refused.
2. ``HEADLIGHT_DEMO=1`` lowers them to ``DEMO`` and allows the models of ``HEADLIGHT_DEMO_MODELS`` alone. The variables
   may lower the limits of a demonstration further, never raise them. Nothing a visitor brings is written to disk.
3. What is asked for is checked three times, each as soon as it can be: the request (``check_request``), the model once
   it is loaded (``check_size``), the prompts before they run (``check_prompts``).

The first three bind the app alone: the command line belongs to whoever runs it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine.errors import HeadlightError

DEMO_VARIABLE, DEMO_MODELS_VARIABLE = "HEADLIGHT_DEMO", "HEADLIGHT_DEMO_MODELS"
LONGEST_QUOTE = 60  # of what a visitor asked for, in a refusal


@dataclass(frozen=True)
class Limits:
    """``tokens`` are those of the longest prompt times the pairs; ``models`` are in memory at once.

    ``waiting`` jobs may be queued for each visitor, ``waiting_all`` for all. ``allowed`` are the models offered, None
    for any. ``keeps``: whether what visitors bring and find is written to disk.
    """

    pairs: int = 256  # beyond this a laptop is better served by the command line
    tokens: int = 65_536
    heads: int = 4_096
    trials: int = 1_000
    waiting: int = 24
    waiting_all: int = 400
    models: int = 2
    allowed: tuple[str, ...] | None = None
    keeps: bool = True

    @property
    def demo(self) -> bool:
        """Whether this is a public demonstration."""
        return self.allowed is not None


DEMO = Limits(
    pairs=16, tokens=4_096, heads=1_024, trials=20, waiting=12, waiting_all=120,
    allowed=("smollm2-135m", "toy-induction"), keeps=False,
)  # fmt: skip
VARIABLES = {
    "HEADLIGHT_MAX_PAIRS": "pairs",
    "HEADLIGHT_MAX_TOKENS": "tokens",
    "HEADLIGHT_MAX_HEADS": "heads",
    "HEADLIGHT_MAX_TRIALS": "trials",
    "HEADLIGHT_MAX_WAITING": "waiting",
    "HEADLIGHT_MAX_WAITING_ALL": "waiting_all",
    "HEADLIGHT_MODELS": "models",
}


def limits(environment: Mapping[str, str] = os.environ) -> Limits:
    """Those in force; raises HeadlightError for a variable that makes no sense."""
    given: dict[str, Any] = {
        field: _number(name, environment[name]) for name, field in VARIABLES.items() if environment.get(name)
    }
    if not _is_on(environment.get(DEMO_VARIABLE, "")):
        return Limits(**given)
    lowered = {field: min(value, getattr(DEMO, field)) for field, value in given.items()}
    return replace(DEMO, **lowered, allowed=_allowed(environment.get(DEMO_MODELS_VARIABLE, "")))


def check_request(model: str, pairs: int, of: Limits) -> None:
    """Raise HeadlightError for a model that is not offered, or more pairs than may be asked for."""
    check_model(model, of)
    if pairs > of.pairs:
        raise HeadlightError(
            f"Expected at most {of.pairs} prompt pairs {_here(of)}, got {pairs}. Ask for fewer, or run Headlight on "
            "your own machine for more."
        )


def check_model(model: str, of: Limits) -> None:
    """Raise HeadlightError for a model that a demonstration does not offer: a path, a file, another id."""
    if of.allowed is not None and model.strip() not in of.allowed:
        raise HeadlightError(
            f"This demonstration offers {_listed(of.allowed)}, and no other model; got {_quoted(model)}. Choose one of "
            "them, or run Headlight on your own machine for any other."
        )


def check_size(model: str, n_layers: int, n_heads: int, of: Limits) -> None:
    """Raise HeadlightError for a model of more heads than may be searched."""
    if n_layers * n_heads > of.heads:
        raise HeadlightError(
            f"Expected a model of at most {of.heads:,} heads {_here(of)}, and {_quoted(model)} has "
            f"{n_layers * n_heads:,}. Choose a smaller one, or run Headlight on your own machine."
        )


def check_prompts(longest: int, pairs: int, of: Limits) -> None:
    """Raise HeadlightError for more tokens than may be run at once; ``longest`` prompt in tokens."""
    if longest * pairs > of.tokens:
        raise HeadlightError(
            f"Expected at most {of.tokens:,} tokens {_here(of)}, pairs times the longest prompt, and {pairs} pairs of "
            f"up to {longest} tokens make {longest * pairs:,}. Ask for at most {max(of.tokens // longest, 1)} pairs, "
            "or use shorter prompts."
        )


def check_trials(trials: int, of: Limits) -> None:
    """Raise HeadlightError for more trials of automatic settings than may be asked for."""
    if trials > of.trials:
        raise HeadlightError(f"Expected at most {of.trials} trials {_here(of)}, got {trials}. Ask for fewer.")


def check_keeping(what: str, of: Limits) -> None:
    """Raise HeadlightError where nothing that visitors bring is kept; ``what`` in the plural: "own tasks"."""
    if not of.keeps:
        raise HeadlightError(
            f"This demonstration keeps nothing that visitors bring, and so no {what}. What you have entered stays in "
            "this page; run Headlight on your own machine to keep and use it."
        )


def _here(of: Limits) -> str:
    return "in this demonstration" if of.demo else "on this server"


def _number(name: str, text: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise HeadlightError(f"Expected a whole number above 0 in {name}, got {_quoted(text)}. Correct it or unset it.")
    return int(text)


def _is_on(text: str) -> bool:
    text = text.strip()
    if text not in ("", "0", "1"):
        raise HeadlightError(f"Expected 1 or 0 in {DEMO_VARIABLE}, got {_quoted(text)}. Correct it or unset it.")
    return text == "1"


def _allowed(text: str) -> tuple[str, ...]:
    """The names of a comma-separated list, which are those of models known by name or Hugging Face ids, never paths."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name.startswith((".", "~", "/")) or name.count("/") > 1 or "\\" in name or name.lower().endswith(".gguf"):
            raise HeadlightError(
                f"Expected models known by name or Hugging Face ids in {DEMO_MODELS_VARIABLE}, got {_quoted(name)}, a "
                "path. A demonstration offers no files of its machine: leave it out."
            )
    return names or DEMO.allowed or ()


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _quoted(text: str) -> str:
    """Printable and short, whatever stood there."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    return f"“{plain[:LONGEST_QUOTE]}…”" if len(plain) > LONGEST_QUOTE else f"“{plain}”"


