"""Prompt pairs of a task for one tokenizer (METHOD section 2, step 1).

1. The task filters its word lists by the tokenizer and offers templates (recipe.Plan).
2. ``max(1, n // 4)`` templates are drawn by the seed, evenly from the task's kinds (IOI: ABBA and BABA
   alternate), at most all of them.
3. Pairs are dealt to the templates in turn. A template group is a template at one token length, so with
   n >= 8 each group has at least 4 pairs: mean ablation averages within it, and a group of one or two
   would average a prompt with nearly itself. Within a group no clean prompt repeats until the word
   lists are used up.
4. Whole texts are tokenised, and every pair is checked: equal lengths, answers of one token each.

The prompts depend on task, tokenizer, n and seed alone; Greater-than's distractors also on the metric.
"""

from __future__ import annotations

from itertools import chain, zip_longest
from random import Random
from typing import TYPE_CHECKING

from engine.errors import HeadlightError
from engine.tasks.prompts import Metric, PromptPair, Prompts
from engine.tasks.recipe import Draft, Plan, Task, Template
from engine.tasks.task import find_task
from engine.tasks.vocabulary import Vocabulary

if TYPE_CHECKING:  # transformers' parts are imported by the thread that loads a model, and no other
    from transformers import PreTrainedTokenizerBase

MAX_PAIRS = 2000
PAIRS_PER_TEMPLATE = 4
DRAWS = 2000  # draws without a new prompt after which a template counts as used up


def build_prompts(
    task_name: str,
    tokenizer: PreTrainedTokenizerBase,
    n: int,
    seed: int,
    metric: Metric | None = None,
    prepend_bos: bool = False,
) -> Prompts:
    """``n`` prompt pairs of a built-in task.

    ``metric`` defaults to the task's own. Raises HeadlightError for an unknown task, a metric the task
    does not offer, n outside 1 ... 2000, a tokenizer with too few of the task's words, and
    ``prepend_bos`` with a tokenizer that has no such token.
    """
    task = find_task(task_name)
    metric = _checked_metric(task, metric)
    if not 0 < n <= MAX_PAIRS:
        raise HeadlightError(f"Expected 1 to {MAX_PAIRS} prompt pairs, got {n}.")
    vocabulary = Vocabulary(tokenizer)
    bos = bos_tokens(vocabulary, prepend_bos)
    plan = task.build(vocabulary, metric)
    drafts = _deal(plan, n, Random(f"{task.name} {seed}"))
    return Prompts(task.name, metric, _tokenised(drafts, vocabulary, bos))


def describe_task(task_name: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """The task's instruction, with what this tokenizer changes about it; raises like build_prompts."""
    task = find_task(task_name)
    return " ".join(filter(None, (task.instruction, task.build(Vocabulary(tokenizer), task.metric).note)))


def bos_tokens(vocabulary: Vocabulary, prepend_bos: bool) -> tuple[int, ...]:
    """The token to put before every prompt, or none; raises HeadlightError if it is wanted and missing."""
    if not prepend_bos:
        return ()
    if vocabulary.bos is None:
        raise HeadlightError(
            "This model's tokenizer has no beginning-of-sequence token to prepend. Turn the setting off: prompts then "
            "start with their first word, as in the paper."
        )
    return (vocabulary.bos,)


def _checked_metric(task: Task, metric: Metric | None) -> Metric:
    if metric is None:
        return task.metric
    if metric not in task.metrics:
        raise HeadlightError(f"The task {task.name} has no metric {metric}; choose one of: {', '.join(task.metrics)}.")
    return Metric(metric)


def _drawn_templates(plan: Plan, n: int, rng: Random) -> list[Template]:
    """Templates in random order, alternating between kinds whose order is random too."""
    kinds = [rng.sample(kind, len(kind)) for kind in plan.kinds]
    rng.shuffle(kinds)
    alternating = [template for template in chain(*zip_longest(*kinds)) if template is not None]
    return alternating[: max(1, n // PAIRS_PER_TEMPLATE)]


def _deal(plan: Plan, n: int, rng: Random) -> list[tuple[int, Draft]]:
    """n drafts, each with the number of its template, the templates taking turns."""
    templates = _drawn_templates(plan, n, rng)
    seen: list[set[str]] = [set() for _ in templates]
    turns = [i % len(templates) for i in range(n)]
    return [(turn, _new_draft(templates[turn], seen[turn], rng)) for turn in turns]


def _new_draft(template: Template, seen: set[str], rng: Random) -> Draft:
    """A draft whose clean prompt is not in ``seen``, which is started afresh once nothing new turns up."""
    draft = template(rng)
    for _ in range(DRAWS):
        if draft.clean not in seen:
            break
        draft = template(rng)
    else:
        seen.clear()
    seen.add(draft.clean)
    return draft


def _tokenised(drafts: list[tuple[int, Draft]], vocabulary: Vocabulary, bos: tuple[int, ...]) -> tuple[PromptPair, ...]:
    vocabulary.encode_all(list(chain.from_iterable(_texts(draft) for _, draft in drafts)))
    groups: dict[tuple[int, int], int] = {}
    pairs = []
    for template, draft in drafts:
        clean, corrupted = vocabulary.encode(draft.clean), vocabulary.encode(draft.corrupted)
        if len(clean) != len(corrupted):
            raise HeadlightError(_unequal(draft, len(clean), len(corrupted)))
        if not vocabulary.knows(clean + corrupted):
            raise HeadlightError(
                f"This model's tokenizer does not know every word of {draft.clean!r}. Choose another task or model, or "
                "bring prompts of your own."
            )
        stem = draft.corrupted if draft.distractors_follow_corrupted else draft.clean
        pairs.append(
            PromptPair(
                clean=draft.clean,
                corrupted=draft.corrupted,
                clean_tokens=bos + clean,
                corrupted_tokens=bos + corrupted,
                answer_tokens=_single_tokens(vocabulary, draft.clean, draft.answers),
                distractor_tokens=_single_tokens(vocabulary, stem, draft.distractors),
                template_group=groups.setdefault((template, len(clean)), len(groups)),
            )
        )
    return tuple(pairs)


def _texts(draft: Draft) -> list[str]:
    """Every text whose tokens a draft needs, so that they can be tokenised in one go."""
    stem = draft.corrupted if draft.distractors_follow_corrupted else draft.clean
    answers = [draft.clean + answer for answer in draft.answers]
    return [draft.clean, draft.corrupted, *answers, *(stem + distractor for distractor in draft.distractors)]


def _single_tokens(vocabulary: Vocabulary, prompt: str, texts: tuple[str, ...]) -> tuple[int, ...]:
    """The one token each of ``texts`` adds to ``prompt``."""
    return tuple(_single_token(vocabulary, prompt, text) for text in texts)


def _single_token(vocabulary: Vocabulary, prompt: str, text: str) -> int:
    tokens = vocabulary.continuation(prompt, text)
    if tokens is None or len(tokens) != 1:
        got = "changes the tokens before it" if tokens is None else f"is {len(tokens)} tokens"
        raise HeadlightError(
            f"Expected {text!r} after {prompt!r} to be a single token, but with this model's tokenizer it {got}. "
            "Choose another task or model, or bring prompts of your own."
        )
    return tokens[0]


def _unequal(draft: Draft, clean: int, corrupted: int) -> str:
    return (
        f"Expected clean and corrupted prompts of equal length, but with this model's tokenizer {draft.clean!r} has "
        f"{clean} tokens and {draft.corrupted!r} has {corrupted}. "
        "Choose another task or model, or bring prompts of your own."
    )
