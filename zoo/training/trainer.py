"""The Trainer's own options: each works, or is refused in one line that names what does its work here."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

import torch
from lightning.fabric.plugins.environments import (
    LSFEnvironment,
    MPIEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning.pytorch.plugins.environments import ClusterEnvironment

from zoo.errors import UsageError
from zoo.models.base.refusals import refuse_precision
from zoo.runs.environment import started_by_torchrun

TWO_PLAYERS = "ddp_find_unused_parameters_true"  # each loss leaves one player unused
STRATEGIES = ("auto", "ddp", TWO_PLAYERS, "single_device", "DDPStrategy", "SingleDeviceStrategy")

_BUDGET = "training ends by --images, --generator_steps or --trainer.max_time"
_EVALUATION = "there is no validation loop: samples are measured by --evaluation.every and its like"
_MANUAL = "the two players are trained by manual optimization, which ignores it"
_STREAM = "the training stream is cut into batches and shared out by this project, so that every run can be resumed"

#: {option: the values that are taken, and what to do instead of another}.
REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "max_steps": ((None, -1), f"a step would be that of one optimizer of the two; {_BUDGET}"),
    "min_steps": ((None,), f"it would overrule the budget; {_BUDGET}"),
    "min_epochs": ((None,), f"it would overrule the budget; {_BUDGET}"),
    "fast_dev_run": ((None, False, 0), "it would leave no record; a short run is --images 64"),
    "barebones": ((False,), "it would leave no record; a short run is --images 64"),
    "limit_train_batches": ((None, 1.0), f"{_STREAM}; fewer images are --data.train_images"),
    "overfit_batches": ((None, 0, 0.0), f"{_STREAM}; fewer images are --data.train_images"),
    "limit_val_batches": ((None, 1.0), _EVALUATION),
    "limit_test_batches": ((None, 1.0), "the number of samples is --evaluation.test_samples"),
    "limit_predict_batches": ((None, 1.0), "the number of images is --samples"),
    "val_check_interval": ((None, 1.0), _EVALUATION),
    "check_val_every_n_epoch": ((None, 1), _EVALUATION),
    "num_sanity_val_steps": ((None, 0), _EVALUATION),
    "enable_checkpointing": ((None, True), "a run is kept in checkpoints/last.ckpt: see --keep.checkpoint_every"),
    "accumulate_grad_batches": ((None, 1), f"{_MANUAL}; a larger batch is --data.batch_size"),
    "gradient_clip_val": ((None,), _MANUAL),
    "gradient_clip_algorithm": ((None,), _MANUAL),
    "use_distributed_sampler": ((None, False), _STREAM),
    "reload_dataloaders_every_n_epochs": ((None, 0), _STREAM),
    "default_root_dir": ((None,), "the folder of a run is --run_dir"),
    "model_registry": ((None,), "checkpoints stay in the run's folder; `zoo export` makes a release of them"),
    "logger": ((None, False), "name a logger's class: it is told beside the record, which is always written"),
}

_AVERAGES = "it averages D as well, at the updates of both; pggan and stylegan sample with an average of G"

_BAR = "a run has its own progress, in images; --trainer.enable_progress_bar=false leaves that out"

#: Callbacks of Lightning's that cannot do their work on two players, and what to do instead.
REFUSED_CALLBACKS: dict[str, str] = {
    "BackboneFinetuning": "there is no backbone; --freeze_d keeps layers of D as they are",
    "BaseFinetuning": "it is there to be derived from; --freeze_d keeps layers of D as they are",
    "BatchSizeFinder": "the record would name another batch; `fit --dry_run` says what --data.batch_size takes",
    "EarlyStopping": f"no loss of two players tells when to stop; {_BUDGET}, and --keep.monitor keeps the best",
    "EMAWeightAveraging": _AVERAGES,
    "GradientAccumulationScheduler": f"{_MANUAL}; a larger batch is --data.batch_size",
    "LearningRateFinder": "it is for one optimizer, and there are two; docs/sweeps.md says how to try several rates",
    "ModelPruning": "its masks give weights other names, by which no checkpoint is read",
    "ProgressBar": _BAR,
    "RichProgressBar": _BAR,
    "SpikeDetection": "a step of two players returns no loss; one that is not finite ends the run by itself",
    "StochasticWeightAveraging": _AVERAGES,
    "TQDMProgressBar": _BAR,
    "WeightAveraging": _AVERAGES,
}


def refuse_unusable_options(trainer: Any) -> None:
    """Raises UsageError or UnsupportedSettingError for the first of the parsed options that cannot have its effect."""
    for name, (taken, instead) in REFUSED.items():
        value = trainer.get(name)
        if name == "logger" and value not in (True, "true"):
            continue
        if not any(value == one and type(value) is type(one) for one in taken):  # 1 is one batch, 1.0 are all
            raise UsageError(f"--trainer.{name} {value} cannot be: {instead}")
    for callback in listed(trainer.get("callbacks")):
        refuse_callback(callback)
    every = trainer.get("log_every_n_steps")
    if every is not None and every < 1:
        raise UsageError(f"--trainer.log_every_n_steps must be 1 or more, not {every}")
    if trainer.precision is not None:
        refuse_precision(trainer.precision)  # on a CPU, Lightning would silently take bf16 for float16
    strategy = getattr(trainer.strategy, "class_path", trainer.strategy)
    if str(strategy).rpartition(".")[2] not in STRATEGIES:
        raise UsageError(
            f"--trainer.strategy {strategy} cannot train two players that are updated in turn: leave it out (with "
            f"more than one device it is {TWO_PLAYERS})"
        )


def refuse_callback(callback: Any) -> None:
    """Raises UsageError for a parsed callback of Lightning's that cannot have its effect."""
    package, _, name = str(callback.get("class_path")).rpartition(".")
    if not package.startswith("lightning.pytorch"):
        return
    if name in REFUSED_CALLBACKS:
        raise UsageError(f"--trainer.callbacks {name} cannot be: {REFUSED_CALLBACKS[name]}")
    if name == "ModelCheckpoint" and (callback.get("init_args") or {}).get("monitor") is not None:
        raise UsageError(
            "--trainer.callbacks ModelCheckpoint with a monitor cannot be: it knows no measure here, and would keep "
            "nothing; --keep.monitor MEASURE keeps best.ckpt"
        )


def settle_devices(config: Any, *, given: Collection[str], alone: bool) -> None:
    """Sets number of devices and strategy of the parsed settings, in place: --devices, and all nodes.

    Args:
        config: the settings; those of an earlier `fit` have its number of devices and its strategy.
        given: options on the command line, which override that: also `--devices 1`.
        alone: one process does all, on however many the run was trained.

    Raises:
        UsageError: several nodes, and nothing that starts a process on each; several devices for what takes one.
    """
    if alone and config.devices > 1:
        raise UsageError("predict writes its images from one device: leave --devices out")
    trainer = config.trainer
    if config.devices > 1 or "devices" in given:
        trainer.devices = config.devices
    elif trainer.devices == "auto" or (alone and number_of(trainer.devices) != 1):
        trainer.devices = 1
    if alone:
        trainer.num_nodes = 1
    several_nodes = int(trainer.num_nodes or 1) > 1
    if several_nodes and not has_launcher():
        raise UsageError(
            f"--trainer.num_nodes {trainer.num_nodes} needs what starts a process on each node: srun in a job of "
            "SLURM, or torchrun (see docs/clusters.md); alone, this one would wait for the others for ever. On this "
            "node alone: --trainer.num_nodes 1"
        )
    several = several_nodes or number_of(trainer.devices) != 1
    strategy = str(getattr(trainer.strategy, "class_path", trainer.strategy)).rpartition(".")[2]
    if several and strategy in ("single_device", "SingleDeviceStrategy"):
        raise UsageError(
            f"--trainer.strategy {strategy} takes one device, whatever --devices says: leave one of them out"
        )
    if trainer.strategy == "auto" and several:
        trainer.strategy = TWO_PLAYERS
    elif trainer.strategy == TWO_PLAYERS and not several and "trainer.strategy" not in given:
        trainer.strategy = "auto"


def processes(trainer: Any) -> int:
    """How many processes, each with a device, settled options of the Trainer mean, over all nodes."""
    devices = number_of(trainer.devices)
    return (devices if devices > 0 else max(1, torch.cuda.device_count())) * int(trainer.num_nodes or 1)


def started() -> tuple[str, int] | None:
    """What started this process, and how many with it: of torchrun and SLURM, which say so."""
    if TorchElasticEnvironment.detect():
        return "torchrun", started_by_torchrun()
    if SLURMEnvironment.detect():  # SLURM_NTASKS of a script that runs without srun are tasks that nobody started
        return "SLURM", int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))
    return None


def refuse_other_number(trainer: Any, *, subcommand: str | None) -> None:
    """Raises UsageError where more processes were started than settled options mean, or fewer.

    With one device each, they would train the same run beside each other; too few would wait for the others for ever.
    """
    there, meant = started(), processes(trainer)
    if there is None or there[1] == meant:
        return
    launcher, n = there
    asked = f"{meant} {'are' if meant > 1 else 'is'} asked for (--devices times --trainer.num_nodes)"
    if subcommand == "predict":
        asked, remedy = "predict takes one", "start one"
    elif n == 1:
        by = "srun with --ntasks-per-node" if launcher == "SLURM" else "torchrun with --nproc-per-node"
        remedy = f"start them by {by}, or give --devices 1 --trainer.num_nodes 1"
    else:
        remedy = "give --devices, those of one node, as many as it starts there; start runs of their own one by one"
    raise UsageError(
        f"{launcher} started {n} process{'es' if n > 1 else ''} for this command, and {asked}: {remedy} (see "
        "docs/clusters.md)"
    )


def number_of(devices: int | str | list[int]) -> int:
    """How many devices an option of the Trainer names; -1 for all."""
    if isinstance(devices, list):
        return len(devices)
    if isinstance(devices, str) and "," in devices:
        return len([part for part in devices.split(",") if part.strip()])
    return int(devices)


def has_launcher() -> bool:
    """Whether something beside this process starts the others: torchrun, SLURM, LSF, MPI, or by hand on each node."""
    found = (TorchElasticEnvironment, SLURMEnvironment, LSFEnvironment, MPIEnvironment)
    by_hand = "MASTER_ADDR" in os.environ and ("NODE_RANK" in os.environ or "GROUP_RANK" in os.environ)
    return by_hand or any(environment.detect() for environment in found)


def cluster_plugins(given: list[Any]) -> list[ClusterEnvironment]:
    """SLURM without Lightning's own requeueing (see zoo.training.slurm), where that is what runs here."""
    if any(isinstance(plugin, ClusterEnvironment) for plugin in given) or TorchElasticEnvironment.detect():
        return []
    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []


def take_epochs(trainer: Any) -> int | None:
    """Takes `max_epochs` off the Trainer's options, in place, for our own budget; None: no limit.

    Lightning refuses a negative one itself, and makes 1,000 of null.
    """
    asked: int | None = trainer.get("max_epochs")
    if asked is not None and asked < 0:
        return None
    trainer["max_epochs"] = -1
    return asked


def listed(given: Any) -> list[Any]:
    """Loggers, plugins or callbacks of the settings as a list; none for null, true and false."""
    if given is None or isinstance(given, bool):
        return []
    return list(given) if isinstance(given, list | tuple) else [given]
