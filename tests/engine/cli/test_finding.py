"""discover and tune: what they find, say and write."""

import json

import pytest

from engine.cli.main import main
from tests.engine.cli.toy import TOY, run_json


def test_discover_searches_in_the_union_asked_for(capsys):
    run = run_json(capsys, "discover", *TOY, "--union", "fixed+first")
    unions = {(m["flap_cliff"], m["contrastive_flap_cliff"]): m for m in run["sweep"]["merges"]}
    assert sum(map(sum, run["keep"])) == unions["fixed", "first"]["size"] and run["settings"]["union"] == "fixed+first"
    assert run["circuit"]["heads"] == ["0.1", "1.2"]
    assert main(["discover", *TOY, "--union", "first+last"]) == 1
    assert "first+biggest" in capsys.readouterr().err


def test_tune_writes_the_front_and_goes_on_from_what_is_kept(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path))
    run = run_json(capsys, "tune", *TOY, "--trials", "4")
    tuning = run["tuning"]
    assert [trial["number"] for trial in tuning["trials"]] == [0, 1, 2, 3] and tuning["complete"]
    assert tuning["seeds"] == {"search": 0, "held_out": 2, "report": 1, "fresh": True} and tuning["n"] == 8
    [chosen] = [trial for trial in tuning["trials"] if trial["chosen"]]
    assert chosen["front"] and chosen["heads"] == ["0.1", "1.2"] and not chosen["estimated"]
    assert set(run["cost"]) == {"calibration", "tuning"} and run["cost"]["tuning"]["flops"] > 0
    assert main(["tune", *TOY, "--trials", "6", "--out", str(tmp_path / "more.json")]) == 0
    assert "6 trials, 4 of them kept from before" in capsys.readouterr().err
    more = json.loads((tmp_path / "more.json").read_text("utf-8"))["tuning"]["trials"]
    assert [trial["heads"] for trial in more[:4]] == [trial["heads"] for trial in tuning["trials"]]


def test_discover_takes_tuned_settings_and_counts_what_tuning_took(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path))
    run = run_json(capsys, "discover", *TOY, "--tune", "5")
    [chosen] = [trial for trial in run["tuning"]["trials"] if trial["chosen"]]
    names = ("score", "sparsity", "flap_sparsity", "threshold_scale", "min_effect")
    assert {name: run["settings"][name] for name in names} == {name: chosen[name] for name in names}
    assert run["circuit"]["heads"] == chosen["heads"] and run["verification"]["seed"] == 1
    assert list(run["cost"])[:2] == ["calibration", "tuning"]
    attributed = run_json(capsys, "discover", *TOY, "--tune", "3", "--scores", "position_attribution")
    assert attributed["settings"]["score"] == "position_attribution" and attributed["cost"]["attribution"]["flops"] > 0
    for refused, says in ((["--tune", "0"], "got 0"), (["--tune", "5", "--method", "dense"], "Take the method app")):
        assert main(["discover", *TOY, *refused]) == 1
        assert says in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["screened", "exact"])
def test_discover_says_what_it_will_take_and_what_it_took(capsys, tmp_path, mode):
    out = tmp_path / "run.json"
    assert main(["discover", *TOY, "--sparsity", "0.5", "--mode", mode, "--out", str(out)]) == 0
    lines, run = capsys.readouterr().err.splitlines(), json.loads(out.read_text(encoding="utf-8"))
    (before,) = [line for line in lines if line.startswith("estimate: about ")]
    passes = sum(row["forward_passes"] for row in run["predicted"].values())
    assert f"and {passes:,.0f} forward passes over all pairs" in before and "for path patching" in before
    assert lines.index(before) < next(i for i, line in enumerate(lines) if line.startswith("path patching"))
    passes = sum(row["forward_passes"] for row in run["cost"].values())
    assert lines[-1].startswith("took ") and f"and {passes:,.0f} forward passes" in lines[-1]
    if mode == "exact":
        assert "estimated" not in lines[-1]
    else:
        known = run["screening"]
        assert f"{known['recomputed']} of {known['estimated']} estimated paths recomputed" in lines[-1]
        assert lines[-1].endswith(f"largest disagreement {known['largest_disagreement']:.4f}")
