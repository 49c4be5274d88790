"""Where heads look and what they write: by hand on small patterns, and on the toy model whose heads are known."""

from __future__ import annotations

import pytest
import torch

from engine.behaviour.measured import looked_at, measure_behaviour, targets
from engine.behaviour.roles import Role, Target, findings, roles_of
from engine.circuit import Circuit
from engine.heads import Head
from engine.models.loading import load_model
from engine.prepare import Prepared, prepare
from engine.progress import Watcher
from engine.settings import Settings
from engine.tasks.prompts import Metric, PromptPair, Prompts
from tests.engine.random_prompts import random_prompts

A, B, C, D = 11, 12, 13, 14


def batch_of(tokens: tuple[int, ...], answer: int, distractor: int):
    pair = PromptPair("", "", tokens, tokens, (answer,), (distractor,), 0)
    [batch] = Prompts("made up", Metric.LOGIT_DIFF, (pair,)).batches()
    return batch


def marked(mask: torch.Tensor) -> set[tuple[int, int]]:
    """(query, key)"""
    return {(query, key) for _, query, key in mask.nonzero().tolist()}


def test_targets_are_where_they_stand_in_the_prompt():
    #                        0  1  2  3  4  5
    found = targets(batch_of((A, B, C, A, B, D), answer=C, distractor=B))
    assert marked(found[Target.BEFORE]) == {(1, 0), (2, 1), (3, 2), (4, 3), (5, 4)}
    assert marked(found[Target.COPY]) == {(3, 0), (4, 1)}
    assert marked(found[Target.AFTER_COPY]) == {(3, 1), (4, 2)}
    assert marked(found[Target.ANSWER]) == {(5, 2)}
    assert marked(found[Target.DISTRACTOR]) == {(5, 4)}


def test_a_token_right_after_its_copy_has_nothing_after_the_copy_to_look_at():
    found = targets(batch_of((A, A, B, C), answer=A, distractor=B))
    assert marked(found[Target.COPY]) == {(1, 0)}
    assert marked(found[Target.AFTER_COPY]) == set()
    assert marked(found[Target.ANSWER]) == {(3, 0), (3, 1)}
    assert marked(found[Target.DISTRACTOR]) == set()  # it stands there once


def test_the_end_position_itself_is_no_place_of_the_answer():
    assert marked(targets(batch_of((A, B, C), answer=C, distractor=D))[Target.ANSWER]) == set()


def test_looked_at_adds_the_marked_probabilities_of_each_head():
    pattern = torch.tensor([[[[1.0, 0.0], [0.25, 0.75]], [[1.0, 0.0], [0.5, 0.5]]]])  # 1 prompt, 2 heads
    mask = torch.tensor([[[False, False], [True, False]]])
    torch.testing.assert_close(looked_at(pattern, mask), torch.tensor([0.25, 0.5]), rtol=0, atol=0)


@pytest.fixture(scope="module")
def prepared(toy_model) -> Prepared:
    return prepare(toy_model, Settings(model="toy-induction", task="induction-random", pairs=8), Watcher())


def everything(prepared: Prepared) -> Circuit:
    shape = prepared.model.n_layers, prepared.model.n_heads
    return Circuit(tuple(Head(i, j) for i in range(shape[0]) for j in range(shape[1])), (), *shape)


def test_the_toy_models_heads_are_found_out_and_no_others(prepared: Prepared):
    measured = measure_behaviour(prepared, Watcher())
    roles = roles_of(findings(measured, everything(prepared)))
    assert {str(head): held[0] for head, held in roles.items()} == {"0.1": Role.PREVIOUS, "1.2": Role.INDUCTION}
    assert roles[Head(1, 2)] == (Role.INDUCTION, Role.NAME_MOVER)
    assert measured.counted[Target.BEFORE] == 8 * 22 and measured.counted[Target.DISTRACTOR] == 0
    assert measured.attention[Target.DISTRACTOR].isnan().all()


def test_shares_of_all_heads_and_the_rest_of_the_stream_make_the_whole(prepared: Prepared):
    """On the toy model without MLPs: what no head wrote was embedded, and that is no answer."""
    measured = measure_behaviour(prepared, Watcher())
    assert measured.writes is not None
    assert float(measured.writes.sum()) == pytest.approx(1, abs=0.05)
    assert float(measured.writes[1, 2]) > 0.9


def test_hooks_alone_see_the_same_attention(prepared: Prepared, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("engine.models.model.known_parts", lambda config: False)
    hooked = prepare(load_model("toy-induction"), prepared.settings, Watcher())
    assert not hooked.model.fast
    slow, fast = measure_behaviour(hooked, Watcher()), measure_behaviour(prepared, Watcher())
    for target in (Target.BEFORE, Target.COPY, Target.AFTER_COPY, Target.ANSWER):
        torch.testing.assert_close(slow.attention[target], fast.attention[target], rtol=0, atol=1e-4)
    assert slow.writes is None
    assert findings(slow, everything(prepared))[Head(1, 2)][4].holds is None  # name mover: attention is not enough


@pytest.mark.parametrize("kind", ["llama", "gemma2"])
def test_a_heads_share_is_what_taking_its_output_away_takes_from_the_logits(tiny_model, kind):
    """The oracle: the final stream without the head's output, under the same norm scale, by whole matrices."""
    model, prompts = tiny_model(kind), random_prompts(n=3)
    whole = prepare(model, Settings(model=kind), Watcher(), prompts)
    measured = measure_behaviour(whole, Watcher())
    assert measured.writes is not None
    layer, index = model.parts.layers[1], 2
    lost, total = 0.0, 0.0
    for item in whole.activations.batches:
        end = item.clean.resid_final[:, -1]
        z = torch.zeros_like(item.clean.z[1, :, -1])
        z[:, index] = item.clean.z[1, :, -1, index]
        out = z.flatten(-2) @ layer.o.weight.T
        if layer.norm_after_attn is not None:
            out = layer.norm_after_attn.as_scaled(out, item.clean.attn_out[1, :, -1])
        logits = model.parts.project(model.parts.final_norm.as_scaled(end, end))
        without = model.parts.project(model.parts.final_norm.as_scaled(end - out, end))
        for row, pair in enumerate(item.batch.pairs):
            answers, others = list(pair.answer_tokens), list(pair.distractor_tokens)
            lost += float(((logits - without)[row, answers].mean()) - (logits - without)[row, others].mean())
            total += float(logits[row, answers].mean() - logits[row, others].mean())
    assert float(measured.writes[1, index]) == pytest.approx(lost / total, rel=1e-3, abs=1e-5)


def test_measuring_stops_when_asked(prepared: Prepared):
    from engine.errors import Cancelled

    class Stopped(Watcher):
        def cancelled(self) -> bool:
            return True

    with pytest.raises(Cancelled):
        measure_behaviour(prepared, Stopped())
