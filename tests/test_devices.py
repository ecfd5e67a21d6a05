"""How many processes a training has: devices, nodes, and what starts them."""

from typing import Any

import pytest
from jsonargparse import Namespace

from zoo.training import reproduce
from zoo.training.scripts import script_of
from zoo.training.trainer import TWO_PLAYERS, processes, settle_devices


def test_several_nodes_need_a_launcher(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["fit", "--recipe", "digits", "--images", "96", "--run_dir", "run", "--trainer.num_nodes", "2"]
    with pytest.raises(SystemExit) as stop:
        reproduce("dcgan", script_of("dcgan").recipes, arguments=arguments)
    assert stop.value.code == 1
    said = capsys.readouterr().err
    assert "needs what starts a process on each node" in said
    assert "On this node alone: --trainer.num_nodes 1" in said


def settled(*, named: int = 1, given: tuple[str, ...] = (), alone: bool = False, **earlier: Any) -> Any:
    """(devices, nodes, strategy, processes) by --devices, on top of the trainer's settings of an earlier `fit`."""
    trainer = Namespace(**{"devices": "auto", "num_nodes": 1, "strategy": "auto"} | earlier)
    settle_devices(Namespace(devices=named, trainer=trainer), given=given, alone=alone)
    return trainer.devices, trainer.num_nodes, trainer.strategy, processes(trainer)


def test_a_run_of_several_devices_goes_on_with_as_many_or_with_those_that_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MASTER_ADDR", "host")  # a launcher
    monkeypatch.setenv("NODE_RANK", "0")
    four: dict[str, Any] = {"devices": 4, "strategy": TWO_PLAYERS}
    assert settled() == (1, 1, "auto", 1)
    assert settled(named=4, given=("devices",)) == (4, 1, TWO_PLAYERS, 4)
    assert settled(**four) == (4, 1, TWO_PLAYERS, 4)
    assert settled(named=2, given=("devices",), **four) == (2, 1, TWO_PLAYERS, 2)
    assert settled(named=1, given=("devices",), **four) == (1, 1, "auto", 1)
    assert settled(named=1, given=("devices",), num_nodes=2, **four) == (1, 2, TWO_PLAYERS, 2)
    assert settled(num_nodes=2, **four) == (4, 2, TWO_PLAYERS, 8)
    assert settled(num_nodes=2, alone=True, **four) == (1, 1, "auto", 1)  # predict
    assert settled(alone=True, devices=[3]) == ([3], 1, "auto", 1)
    assert settled(given=("trainer.strategy",), devices=1, strategy=TWO_PLAYERS)[2] == TWO_PLAYERS
    assert settled(devices="0,1") == ("0,1", 1, TWO_PLAYERS, 2)


def test_the_batch_of_a_device_is_looked_at_also_where_the_trainers_option_says_how_many(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--model.fmap_base", "16", "--model.batch_sizes", "{4: 24}", "--trainer.accelerator", "cpu"]
    arguments = ["fit", "--recipe", "digits", *options, "--trainer.devices", "2", "--model.group_size", "8"]
    with pytest.raises(SystemExit) as stop:
        reproduce("pggan", script_of("pggan").recipes, arguments=arguments)
    assert stop.value.code == 1
    assert "a device's batch of 12 images" in capsys.readouterr().err
