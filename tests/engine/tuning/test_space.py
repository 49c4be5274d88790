"""What can be chosen, how values are rounded, and which heads some trial can keep."""

import pytest
import torch

from engine.errors import HeadlightError
from engine.scores.head_scores import HeadScores
from engine.settings import Method, Score, Settings
from engine.tuning.space import Space

# Ten heads: FLAP ranks them downward, Contrastive-FLAP upward.
SCORES = HeadScores({
    Score.FLAP: torch.arange(10.0, 0.0, -1.0).reshape(2, 5),
    Score.CONTRASTIVE_FLAP: torch.arange(1.0, 11.0).reshape(2, 5),
})  # fmt: skip


class Suggested:
    """Gives the values asked for by name, and remembers which were."""

    def __init__(self, **values):
        self.values, self.asked = values, []

    def suggest_categorical(self, name, choices):
        self.asked.append(name)
        assert self.values[name] in choices
        return self.values[name]

    def suggest_float(self, name, low, high, *, step=None, log=False):
        self.asked.append(name)
        return self.values[name]


def test_each_mask_of_a_union_has_its_own_sparsity():
    """round(10 · .5) - 1 = 4 of FLAP, round(10 · .7) - 1 = 6 of Contrastive-FLAP; together all ten."""
    keep = SCORES.keep(Score.MERGED, 0.3, flap_sparsity=0.5)
    assert keep.flatten().tolist() == [True] * 4 + [True] * 6
    keep = SCORES.keep(Score.MERGED, 0.7, flap_sparsity=0.5)
    assert keep.flatten().tolist() == [True] * 4 + [False] * 4 + [True] * 2
    assert torch.equal(SCORES.keep(Score.MERGED, 0.7), SCORES.keep(Score.MERGED, 0.7, flap_sparsity=0.7))
    assert SCORES.keep(Score.CONTRASTIVE_FLAP, 0.7, flap_sparsity=0.0).sum() == 2


def test_flaps_own_share_is_dropped_at_no_sparsity():
    """Its four heads stay whatever Contrastive-FLAP's sparsity; of the others each goes when that drops it."""
    drops = SCORES.drops(Score.MERGED, flap_sparsity=0.5).flatten()
    assert drops[:4].tolist() == [1.0] * 4
    assert torch.equal(drops[4:], SCORES.drops(Score.CONTRASTIVE_FLAP).flatten()[4:])
    for sparsity in (0.0, 0.3, 0.72, 0.99):
        assert torch.equal((drops > sparsity).reshape(2, 5), SCORES.keep(Score.MERGED, sparsity, flap_sparsity=0.5))


def test_a_trial_changes_what_the_space_names_and_nothing_else():
    base = Settings(model="toy-induction", pairs=5, seed=3, grid=True, union="first+fixed")
    trial = Suggested(
        score="merged", sparsity=0.8000000001, flap_sparsity=0.7299999, threshold_scale=1.2500001, min_effect=0.0012345
    )
    chosen = Space().suggest(trial, base)
    assert chosen == Settings(
        model="toy-induction", pairs=5, seed=3, score=Score.MERGED, sparsity=0.8, flap_sparsity=0.73,
        threshold_scale=1.25, min_effect=0.0012,
    )  # fmt: skip
    single = Suggested(score="flap", sparsity=0.6, threshold_scale=2.0, min_effect=0.01)
    assert Space().suggest(single, base).flap_sparsity is None and "flap_sparsity" not in single.asked
    assert Space().suggest(single, base).method is Method.APP


def test_the_first_trial_is_the_usual_one_or_what_is_nearest():
    assert Space().usual() == {
        "score": "merged", "sparsity": 0.75, "flap_sparsity": 0.75, "threshold_scale": 2.0, "min_effect": 0.01,
    }  # fmt: skip
    narrow = Space((Score.FLAP,), sparsity=(0.8, 0.9), scale=(0.5, 1.5), min_effect=(0.02, 0.05))
    assert narrow.usual() == {"score": "flap", "sparsity": 0.8, "threshold_scale": 1.5, "min_effect": 0.02}


def test_the_widest_mask_holds_every_other():
    space = Space((Score.FLAP, Score.CONTRASTIVE_FLAP), sparsity=(0.7, 0.9))
    assert space.widest(SCORES).flatten().tolist() == [True] * 2 + [False] * 6 + [True] * 2
    assert Space((Score.FLAP,), sparsity=(0.7, 0.9)).widest(SCORES).sum() == 2
    for sparsity in (0.7, 0.8, 0.9):
        keep = SCORES.keep(Score.MERGED, sparsity, flap_sparsity=0.7)
        assert not (keep & ~Space((Score.MERGED,), sparsity=(0.7, 0.9)).widest(SCORES)).any()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"scores": ()}, "at least one score"),
        ({"sparsity": (0.9, 0.6)}, "range of sparsity"),
        ({"sparsity": (0.6, 1.0)}, "sparsity"),
        ({"scale": (-1.0, 2.0)}, "range of scale"),
        ({"min_effect": (0.0, 0.05)}, "above 0"),
    ],
)
def test_an_empty_space_is_refused(wrong, says):
    with pytest.raises(HeadlightError, match=says):
        Space(**wrong)
