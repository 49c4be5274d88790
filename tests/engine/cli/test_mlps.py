"""MLPs as nodes on the command line."""

import json

import pytest

from engine.cli.main import main
from tests.engine.cli.toy import TOY, run_json, shape


def test_mlps_as_nodes(capsys, tmp_path):
    path = tmp_path / "run.json"
    settings = ["--method", "dense", "--mlps", "--threshold-scale", "0", "--min-effect", "0"]
    assert main(["discover", *TOY, *settings, "--out", str(path)]) == 0
    capsys.readouterr()
    run = json.loads(path.read_text())
    assert run["settings"]["mlps"] is True and shape(run["keep"]) == shape(run["effects"]) == [13, 13]
    assert {"0.1", "1.2"} <= set(run["circuit"]["heads"]) and run["self_check"]["largest"] < 1e-4
    assert run["verification"]["live_mlps"] == len(run["circuit"].get("mlps", []))
    again = run_json(capsys, "verify", "--circuit", str(path), "--pairs", "8", "--seed", "1")
    assert again["verification"]["performance"] == pytest.approx(run["verification"]["performance"])
    assert again["verification"]["live_mlps"] == run["verification"]["live_mlps"]
    heads = run_json(capsys, "verify", *TOY, "--heads", "0.1,1.2", "--seed", "1")
    assert heads["verification"]["live_mlps"] is None and "mlps" not in heads["circuit"]


def test_effects_on_an_mlp_fast_and_by_the_reference(capsys):
    options = ["effects", *TOY, "--mlps", "--receiver", "m1", "--senders", "0.1,m0,1.2"]
    fast, slow = run_json(capsys, *options), run_json(capsys, *options, "--reference")
    assert shape(fast["effects"]) == [13, 13]
    for (layer, column) in ((0, 1), (0, -1), (1, 2)):
        assert fast["effects"][layer][column] == pytest.approx(slow["effects"][layer][column], abs=1e-4)
    assert fast["effects"][1][-1] is None and fast["effects"][0][0] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--receiver", "m1"], "Add --mlps"),
        (["--senders", "m0"], "Add --mlps"),
        (["--mlps", "--receiver", "m0", "--senders", "m0"], "below the receiver m0, got m0"),
        (["--mlps", "--receiver", "m2"], "no MLP m2: layers go from 0 to 1"),
    ],
)
def test_wrong_mlps_are_refused(capsys, options, message):
    assert main(["effects", *TOY, *options]) == 1
    assert message in capsys.readouterr().err
