"""How many processes a training has: devices, nodes, and what starts them."""

from typing import Any

import pytest
from jsonargparse import Namespace

from zoo.errors import DataError, UsageError
from zoo.runs.process import orderly
from zoo.training import reproduce
from zoo.training.scripts import script_of
from zoo.training.trainer import TWO_PLAYERS, processes, refuse_other_number, settle_devices


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


@pytest.mark.parametrize(
    "strategy", ["single_device", Namespace(class_path="lightning.pytorch.strategies.SingleDeviceStrategy")]
)
def test_a_strategy_of_one_device_is_refused_for_several(strategy: Any) -> None:
    """It trained on one, and the record named all."""
    assert settled(strategy=strategy)[3] == 1
    with pytest.raises(UsageError, match="takes one device, whatever --devices says"):
        settled(named=2, strategy=strategy)


def test_the_batch_of_a_device_is_looked_at_also_where_the_trainers_option_says_how_many(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--model.fmap_base", "16", "--model.batch_sizes", "{4: 24}", "--trainer.accelerator", "cpu"]
    arguments = ["fit", "--recipe", "digits", *options, "--trainer.devices", "2", "--model.group_size", "8"]
    with pytest.raises(SystemExit) as stop:
        reproduce("pggan", script_of("pggan").recipes, arguments=arguments)
    assert stop.value.code == 1
    assert "a device's batch of 12 images" in capsys.readouterr().err


TORCHRUN = {"TORCHELASTIC_RUN_ID": "job", "RANK": "0", "LOCAL_RANK": "0"}
SLURM = {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "train", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
SCRIPT = SLURM  # of sbatch: four tasks are allowed for, and srun starts them
NAMED_BASH = {**SLURM, "SLURM_STEP_NUM_TASKS": "1", "SLURM_JOB_NAME": "bash"}  # there, Lightning starts the others


@pytest.mark.parametrize(
    ("environment", "devices", "subcommand", "said"),
    [
        ({}, 4, "fit", None),
        ({**TORCHRUN, "WORLD_SIZE": "4"}, 4, "fit", None),
        ({**TORCHRUN, "WORLD_SIZE": "2"}, 1, "fit", "torchrun started 2 processes .* 1 is asked for .*: give --dev"),
        ({**TORCHRUN, "WORLD_SIZE": "3"}, 2, "test", "torchrun started 3 processes .* 2 are asked for "),
        ({**TORCHRUN, "WORLD_SIZE": "1"}, 2, "fit", "start them by torchrun with --nproc-per-node"),
        ({**TORCHRUN, "WORLD_SIZE": "2"}, 1, "predict", "started 2 processes .* predict takes one: start one"),
        ({**SLURM, "SLURM_STEP_NUM_TASKS": "4"}, 4, "fit", None),
        ({**SLURM, "SLURM_STEP_NUM_TASKS": "4"}, 1, "fit", "SLURM started 4 processes .*: give --devices"),
        (SCRIPT, 1, "fit", None),
        (SCRIPT, 4, "fit", "SLURM started 1 process for .*: start them by srun with --ntasks-per-node"),
        (NAMED_BASH, 4, "fit", None),
    ],
)
def test_as_many_processes_are_started_as_devices_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], devices: int, subcommand: str, said: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    trainer = Namespace(devices=devices, num_nodes=1)
    if said is None:
        refuse_other_number(trainer, subcommand=subcommand)
        return
    with pytest.raises(UsageError, match=said):
        refuse_other_number(trainer, subcommand=subcommand)


def test_runs_beside_each_other_in_one_folder_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`torchrun --nproc-per-node 2` without --devices: one trained, and its record was never written."""
    for name, value in {**TORCHRUN, "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stop:
        reproduce("dcgan", script_of("dcgan").recipes, arguments=["fit", "--recipe", "digits", "--run_dir", "run"])
    assert stop.value.code == 1
    assert "torchrun started 2 processes for this command" in capsys.readouterr().err


@pytest.mark.parametrize("torchrun", [True, False])
def test_several_processes_for_the_work_of_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], torchrun: bool
) -> None:
    """Those of torchrun are refused, once; those of srun may be `zoo evaluate RUN$SLURM_PROCID`."""
    several = {"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "2"} if torchrun else {"SLURM_NTASKS": "2"}
    said = []
    for rank in ("0", "1"):
        for name, value in {**several, "RANK" if torchrun else "SLURM_PROCID": rank}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit), orderly(alone="zoo evaluate"):
            raise UsageError("x")
        said.append(capsys.readouterr().err)
    refused = "error: `zoo evaluate` is the work of one process, and torchrun started 2: give it without torchrun\n"
    assert said == ([refused, ""] if torchrun else ["error: x\n"] * 2)


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"RANK": "4", "LOCAL_RANK": "0"}, True),
        ({"RANK": "5", "LOCAL_RANK": "1"}, False),
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "4", "SLURM_LOCALID": "0"}, True),
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "5", "SLURM_LOCALID": "1"}, False),
        ({"NODE_RANK": "1"}, True),
        ({"NODE_RANK": "1", "LOCAL_RANK": "1"}, False),
    ],
)
def test_the_first_process_of_a_machine_tells_what_is_wrong_with_its_files(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], environment: dict[str, str], told: bool
) -> None:
    """The first of all has them, and can only say that another process ended."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit), orderly():
        raise DataError("the images are not there")
    assert capsys.readouterr().err == "error: the images are not there\n" * told
