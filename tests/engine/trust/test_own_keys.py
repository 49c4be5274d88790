"""Answer keys people bring: kept, found again, and refused by name where something is wrong with them."""

import json
from pathlib import Path

import pytest

from engine.errors import HeadlightError
from engine.heads import Head
from engine.trust import own_keys
from engine.trust.answer_key_file import check_key, key_record, read_key
from engine.trust.answer_keys import answer_keys, models_with_keys

MINE = {
    "schema": "headlight-key/1", "model": "gpt2", "task": "ioi", "title": "Mine", "source": "a note",
    "roles": {"name mover": ["9.9", "10.0"], "": ["5.5"]},
}  # fmt: skip


def written(**changes) -> bytes:
    entry = {name: value for name, value in (MINE | changes).items() if value is not None}
    return json.dumps(entry).encode()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path))
    return tmp_path / "answer-keys"


def test_a_key_is_read_with_or_without_roles():
    key = read_key(written())
    assert key.heads == (Head(5, 5), Head(9, 9), Head(10, 0)) and key.roles[Head(10, 0)] == "name mover"
    plain = read_key(written(roles=None, heads=["5.5", "0.1"]))
    assert plain.roles == {Head(5, 5): "", Head(0, 1): ""}
    assert read_key(json.dumps(key_record(key)).encode()).roles == key.roles


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\xff\xfe", "not JSON"),
        (b"[]", "schema headlight-key/1"),
        (written(schema="headlight/1"), "'headlight/1'"),
        (written(heads=["0.1"]), "roles or heads"),
        (written(roles=None), "roles or heads"),
        (written(role={"": ["0.1"]}), "no field 'role'"),
        (written(title=7), "field title"),
        (written(source=None), "field source"),
        (written(task=" "), "field task"),
        (written(roles=["9.9"]), "list of heads each"),
        (written(roles={"a": "9.9"}), "list of heads each"),
        (written(roles={"a": [9.9]}), "layer.index"),
        (written(roles={"a": ["9,9"]}), "layer.index"),
        (written(roles={"a": []}), "at least one head"),
        (written(roles={"a": ["9.9", "9.9"], "b": ["5.5"]}), r"9\.9 more than once"),
        (written(roles={"a": ["9.9"], "b": ["9.9"]}), r"9\.9 more than once"),
        (written().replace(b'"": ["5.5"]', b'"name mover": ["5.5"]'), "'name mover' twice"),
    ],
)
def test_what_is_wrong_is_named(data, says):
    with pytest.raises(HeadlightError, match=says):
        read_key(data)


def test_heads_the_model_lacks_are_named():
    key = read_key(written(roles={"": ["9.9", "12.0", "0.12"]}))
    with pytest.raises(HeadlightError, match=r"0\.12, 12\.0, but gpt2 has layers 0 to 11 and heads 0 to 11"):
        check_key(key, 12, 12)
    with pytest.raises(HeadlightError, match=r"0\.12, 12\.0"):
        own_keys.keep(key)
    assert own_keys.kept() == ()


def test_a_kept_key_is_listed_after_the_published_ones(folder: Path):
    before = answer_keys("gpt2", "ioi")
    kept = own_keys.keep(read_key(written()))
    assert [key.title for key in answer_keys("gpt2", "ioi")] == [*(key.title for key in before), "Mine"]
    assert answer_keys("gpt2", "ioi")[-1].roles == kept.roles and kept.name.startswith("key-")
    assert [path.name for path in folder.iterdir()] == [f"{kept.name}.json"]
    own_keys.keep(read_key(written()))
    assert len(own_keys.kept()) == 1
    own_keys.forget(kept.name)
    assert answer_keys("gpt2", "ioi") == before


def test_a_key_for_a_model_of_ones_own_is_listed_too():
    own_keys.keep(read_key(written(model="mine/model", task="own-0123456789ab")))
    assert len(answer_keys("mine/model", "own-0123456789ab")) == 1
    assert ("mine/model", "own-0123456789ab") in models_with_keys()


def test_damaged_files_are_left_out(folder: Path):
    kept = own_keys.keep(read_key(written()))
    path = folder / f"{kept.name}.json"
    (folder / "key-000000000000.json").write_bytes(path.read_bytes())  # not what its name says
    path.write_text("{", encoding="utf-8")
    assert own_keys.kept() == ()
    own_keys.forget("../../etc")  # no name of a key
