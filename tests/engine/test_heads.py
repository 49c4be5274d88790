import pytest
import torch

from engine.errors import HeadlightError
from engine.heads import Head, check_head, heads_of, mask_of


def test_heads_are_written_layer_dot_index():
    assert str(Head(9, 6)) == "9.6"
    assert Head.parse(" 10.0 ") == Head(10, 0)


@pytest.mark.parametrize("text", ["", "9", "9.", ".6", "9.6.1", "a.b", "-1.2", "1.-2", "9,6", "¹.2"])
def test_anything_else_is_refused_with_the_form_expected(text):
    with pytest.raises(HeadlightError, match=r"such as 9\.6"):
        Head.parse(text)


def test_a_head_the_model_lacks_is_refused_with_the_range():
    assert check_head(Head(1, 3), 2, 4) == Head(1, 3)
    for head in (Head(2, 0), Head(0, 4)):
        with pytest.raises(HeadlightError, match="layers go from 0 to 1 and heads from 0 to 3"):
            check_head(head, 2, 4)


def test_a_mask_and_its_heads_are_the_same_thing():
    mask = mask_of([Head(1, 0), Head(0, 2)], 2, 3)
    assert mask.tolist() == [[False, False, True], [True, False, False]]
    assert heads_of(mask) == (Head(0, 2), Head(1, 0))
    assert heads_of(torch.zeros(2, 3, dtype=torch.bool)) == ()
