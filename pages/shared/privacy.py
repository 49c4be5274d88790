"""What a visitor sees of what others do: in a class or a lab all there is, in a public demonstration nothing by name.

1. There, searches of others are in no list. A visitor's own are: those that he asked for in this browser, or whose
   result he has looked at in it, by a link say.
2. What the keeper of the demonstration laid into its store is for everyone.
3. Others' work is counted, never named.
"""

from __future__ import annotations

from engine.jobs.job import Job
from engine.serving.limits import limits
from engine.settings import Settings
from pages.shared import visitors
from pages.shared.background import background, is_of_others


def saw(settings: Settings) -> None:
    """The result of this search has stood on a page of this visitor's."""
    background().seen.note((visitors.owner(), settings), True)


def may_name(job: Job, settings: Settings) -> bool:
    """Whether the search ``job`` of ``settings`` may stand in a list of this visitor's."""
    if not limits().demo or is_own(job) or background().seen.get((visitors.owner(), settings)):
        return True
    return not job.live and background().kept.id_of(settings) is not None  # it came from the store


def may_list(job: Job) -> bool:
    """Whether a job, of whatever kind, may stand in this visitor's list of jobs."""
    return is_own(job) if limits().demo else not is_of_others(job)


def is_own(job: Job) -> bool:
    """Whether this visitor has asked for it."""
    return visitors.owner() in background().jobs.owners(job)
