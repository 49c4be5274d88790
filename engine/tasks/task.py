"""The tasks there are. To add one: write its file and name it here."""

from __future__ import annotations

from difflib import get_close_matches

from engine.errors import HeadlightError
from engine.tasks import docstring, greater_than, induction, induction_random, ioi, pronouns
from engine.tasks.recipe import Task

TASKS: tuple[Task, ...] = (
    ioi.TASK,
    greater_than.TASK,
    pronouns.TASK,
    induction.TASK,
    induction_random.TASK,
    docstring.TASK,
)


def find_task(name: str) -> Task:
    """The task called ``name``; raises HeadlightError listing the names there are."""
    tasks = {task.name: task for task in TASKS}
    if name in tasks:
        return tasks[name]
    near = get_close_matches(name.lower().replace("_", "-"), tasks, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise HeadlightError(f"There is no task {name!r}.{hint} The tasks are: {', '.join(tasks)}.")
