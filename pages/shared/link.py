"""A view as parameters of a URL, and back. Knows nothing of Streamlit.

A value that makes no sense in a link is replaced by the default, and the reader is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

from engine.errors import HeadlightError
from engine.serving.limits import limits
from pages.shared.link_readers import READERS, check_known
from pages.shared.view import DEFAULT, View

ALWAYS_WRITTEN = ("model", "task", "pairs", "seed", "score")  # a link must mean the same in a later version


def read_view(params: Mapping[str, str], known: Mapping[str, tuple[str, ...]]) -> tuple[View, tuple[str, ...]]:
    """The view of a URL's parameters, and a sentence for each that could not be used.

    ``known`` lists the values of fields whose choices the caller knows, such as the tasks.
    Parameters that are not ours are left alone.
    """
    default = within_limits(DEFAULT)
    view, problems = default, []
    for field in fields(View):
        if field.name not in params:
            continue
        try:
            value = READERS[field.name](params[field.name].strip())
            check_known(value, known.get(field.name))
            view = replace(view, **{field.name: value})
        except HeadlightError as error:
            shown = _written(getattr(default, field.name)) or "none"
            problems.append(
                f"The link's {field.name.replace('_', ' ')} was not used: {error} Shown instead: {shown}."
            )
    return view, tuple(problems)


def within_limits(view: View) -> View:
    """The view with a model that is offered here, and no more than may be asked for."""
    most = limits()
    model = view.model if most.allowed is None or view.model in most.allowed else most.allowed[0]
    return replace(view, model=model, pairs=min(view.pairs, most.pairs), trials=min(view.trials, most.trials))


def write_view(view: View) -> dict[str, str]:
    """URL parameters of a view: what identifies the data always, the rest where it differs from the default."""
    return {
        field.name: _written(getattr(view, field.name))
        for field in fields(View)
        if field.name in ALWAYS_WRITTEN or getattr(view, field.name) != getattr(DEFAULT, field.name)
    }


def _written(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, tuple):
        return ",".join(value)
    return _number_written(value) if isinstance(value, float) else str(value)


def _number_written(value: float) -> str:
    """As short as it can be and still mean the same number."""
    return short if float(short := f"{value:g}") == value else repr(value)
