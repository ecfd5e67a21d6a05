"""What a run says about itself: its measurements, its time, config.yaml, result.json and the closing summary."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import Trainer

import zoo
from zoo.data import ImageDataModule
from zoo.errors import CheckpointError, RecordError
from zoo.experiments.measures import MEASURES, with_error
from zoo.experiments.suite import Measurement
from zoo.models.base.module import AdversarialModule
from zoo.runs.checkpoints import read_checkpoint
from zoo.runs.clock import end_in_words
from zoo.runs.command_lines import without_folders
from zoo.runs.environment import describe_commit, describe_hardware, describe_versions
from zoo.runs.folder import RunDir, at_images, set_aside, sweep, write_atomically
from zoo.runs.record import (
    overridden,
    read_result,
    rows_at_hand,
    summarise_measures,
    which_is_better,
    write_result,
)
from zoo.runs.text import number, print_table, say, shown
from zoo.training.callbacks.base import ZooCallback, data_of
from zoo.training.loggers import JsonlLogger
from zoo.training.outlook import outlook
from zoo.training.plan import Plan
from zoo.training.slurm import mark_run
from zoo.training.stopwatch import Stopwatch
from zoo.training.telling import tell_beginning

PATIENCE_S = 30.0  # of a `test` for another one to write its figures


class RunReport(ZooCallback):
    """Writes the files that stay of a run, and prints what a person wants to know at its beginning and its end.

    As a callback it waits with the folders and config.yaml until data, model and checkpoint were found good: a command
    that failed leaves no run behind.
    """

    def __init__(self, run: RunDir, *, plan: Plan, settings: Mapping[str, Any]) -> None:
        self.run = run
        self.plan = plan
        self.settings = settings
        self.stopwatch = Stopwatch()
        self.went_on_at = 0  # images seen when this part of the training began

    def begin(self, trainer: Trainer, module: AdversarialModule) -> None:
        self.stopwatch.start()
        self.went_on_at = module.images_seen
        if trainer.is_global_zero:
            RunDir.create(self.run.path, resume=True)
            self.plan.lock.take()
            if self.plan.checkpoint is None:
                self.begin_anew()
            else:
                self.go_on(trainer, images_seen=module.images_seen)
            sweep(self.run.path)
            mark_run(self.run.path)
            write_atomically(self.run.config, yaml.safe_dump(dict(self.settings), sort_keys=False))
            self.announce(module, data=data_of(trainer))
            tell_beginning(trainer.loggers, {"paper": module.paper, **self.settings}, data_of(trainer))

    def begin_anew(self) -> None:
        """Forgets what a run left that ended before its first checkpoint; refuses one that began meanwhile."""
        if not self.plan.again or self.run.result.exists():
            self.run.refuse_second_run()
        self.run.metrics.unlink(missing_ok=True)

    def go_on(self, trainer: Trainer, *, images_seen: int) -> None:
        """Forgets what was logged and drawn beyond the checkpoint: only now, for a training may still be refused."""
        for logger in trainer.loggers:
            if isinstance(logger, JsonlLogger):
                logger.resume_at(images_seen)
        for at, grid in at_images(self.run.grids, ".png").items():
            if at > images_seen:
                grid.unlink()

    def announce(self, model: AdversarialModule, *, data: ImageDataModule) -> None:
        """Prints what is about to be trained."""
        sizes = [sum(p.numel() for p in net.parameters()) for net in (model.G, model.D)]
        if self.plan.by_default:
            say("no --recipe was given: this is digits, and `--recipe nonsense` lists all")
        say(f"{type(model).__name__}, recipe {self.plan.recipe}: G {sizes[0]:,} and D {sizes[1]:,} parameters")
        batch = data.batch_size if model.growth is None else "by resolution"  # a schedule has its own
        say(f"data {data.name} {data.image_shape}, batch {batch}, seed {model.seed}, {budget_of(self.settings)}")
        if (found := getattr(data, "found", None)) is not None:
            say(f"     {found()}")
        say(f"run  {self.run.path}")
        for line in outlook(model, recipe=self.plan.recipe, settings=self.settings):
            say(line)

    def state_dict(self) -> dict[str, Any]:
        return self.stopwatch.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.stopwatch.load_state_dict(state_dict)

    def finish(
        self, trainer: Trainer, model: AdversarialModule, *, measurement: Measurement, more: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Writes result.json (`more` are further fields) and prints first, best and last of each measure, returned."""
        data = data_of(trainer)
        train = data.split("train")
        stopwatch, seconds = self.stopwatch, self.stopwatch.seconds
        earlier = self.earlier()
        record: dict[str, Any] = {
            "schema": 1,
            "paper": model.paper,
            "recipe": self.plan.recipe,
            "dataset": {
                "name": data.name,
                "fingerprint": train.fingerprint,
                "split": "train",
                "images": len(train.images),
            },
            "budget": self.settings["images"] or model.images_seen,
            "images_seen": model.images_seen,
            "discriminator_steps": model.discriminator_steps,
            "generator_steps": model.generator_steps,
            "measures": {**earlier["measures"], **self.measures(measurement)},
            "tests": [test for test in earlier["tests"] if self.still_holds(test)],
            "protocols": {**earlier["protocols"], **measurement.protocols},
            "seed": model.seed,
            "commit": describe_commit(Path(zoo.__file__).parent),
            "versions": describe_versions(),
            "hardware": hardware_of(trainer),
            "precision": precision(trainer, self.settings),
            "wall_time_s": round(seconds, 1),
            "images_per_second": round(model.images_seen / seconds, 1),
            "commands": stopwatch.commands,
            "overrides": overridden(map(without_folders, stopwatch.commands)),
            "started": stopwatch.started,
            "finished": end_in_words(stopwatch.started, seconds=seconds),
            "interruptions": stopwatch.interruptions,
            **found_by(data),
            **more,
        }
        write_result(self.run, record)
        speed = f"{model.images_seen / seconds:,.0f} images/s, measurements included"
        say(f"\n{model.images_seen:,} images in {seconds:.0f} s ({speed})")
        self.print_measures(record["measures"])
        say(f"sample grids   {self.run.grids}")
        say(f"record         {self.run.result}")
        say(f"checkpoint     {self.run.last_checkpoint}")
        return dict(record["measures"])

    def add_test(self, model: AdversarialModule, *, measurement: Measurement) -> None:
        """Adds the figures of `test` to result.json (if training got that far) and prints them with their protocol.

        A value that is not finite is named, and kept out of the record, which would otherwise get none of them.
        """
        say(f"\n{self.plan.checkpoint} at {model.images_seen:,} images seen")
        print_table(
            ["measure", "value", "protocol"],
            [[name, with_error(name, measurement.latest), key] for name, key in measurement.hashes.items()],
        )
        for name, protocol in measurement.protocols.items():
            say(f"  {name}: " + ", ".join(f"{key} {short(value)}" for key, value in protocol.items()))
        values = {name: value for name, value in measurement.latest.items() if math.isfinite(value)}
        lost = [f"{name} is not finite: it is left out of the record" for name in measurement.latest.keys() - values]
        for note in (*measurement.notes, *sorted(lost)):
            say(f"note: {note}")
        if not self.run.result.exists():
            say(f"these figures are in {self.run.metrics}; result.json is written when training ends")
            return
        try:
            self.plan.lock.take(wait_s=PATIENCE_S)  # of another `test`, or of a training that goes on
            record = read_result(self.run.result)
        except RecordError as error:
            say(f"these figures are in {self.run.metrics} and not in result.json: {error}")
            return
        taken = [
            {
                "checkpoint": name,
                "images_seen": model.images_seen,
                "values": values,
                "protocols": {name: key for name, key in measurement.hashes.items() if name in values},
            }
            for name in self.names_of(self.plan.checkpoint, images=model.images_seen)
        ]
        again = [(test["checkpoint"], test["protocols"]) for test in taken]
        kept = [test for test in record["tests"] if (test["checkpoint"], test["protocols"]) not in again]
        record["tests"] = [*kept, *taken]
        record["protocols"] = {**record["protocols"], **measurement.protocols}
        write_result(self.run, record)
        say(f"record {self.run.result}")

    def measures(self, measurement: Measurement) -> dict[str, Any]:
        """First, best and last of each measure of this run's metrics.jsonl that `measurement` knows the protocol of."""
        rows = rows_at_hand(self.run.metrics)
        better = {name: MEASURES.better(name) for name in measurement.hashes}
        return summarise_measures(rows, better, protocols=measurement.hashes)  # type: ignore[arg-type]

    def earlier(self) -> Mapping[str, Any]:
        """An earlier result.json of this run, whose figures a resumed training keeps; a damaged one is set aside."""
        nothing: dict[str, Any] = {"measures": {}, "tests": [], "protocols": {}}
        if not self.run.result.exists():
            return nothing
        try:
            return read_result(self.run.result)
        except RecordError as error:
            say(f"note: the earlier record is now {set_aside(self.run.result)}: {error}")
            return nothing

    def still_holds(self, test: Mapping[str, Any]) -> bool:
        """Whether a checkpoint is the one that `test` measured: training that goes on writes another best and last.

        One of beyond where this part began is not, whatever images it has seen: what was measured is of a future that
        was not gone on with.
        """
        seen = test["images_seen"]
        return bool(seen <= self.went_on_at and self.images_of(test["checkpoint"]) == seen)

    def names_of(self, checkpoint: Path | None, *, images: int) -> list[str]:
        """Names under which this run keeps a checkpoint that was measured: where the last is the best, it has two."""
        if checkpoint is None:
            return ["none"]
        names = ("best.ckpt", "last.ckpt")
        if checkpoint.name not in names or checkpoint.parent.absolute() != self.run.checkpoints.absolute():
            return [checkpoint.name]
        return [name for name in names if name == checkpoint.name or self.images_of(name) == images]

    def images_of(self, checkpoint: str) -> int | None:
        """The images that a checkpoint of this run has seen; None where there is none, or a damaged one."""
        try:
            state = read_checkpoint(self.run.checkpoints / checkpoint)["state_dict"]
        except CheckpointError:
            return None
        return int(state["images_seen"]) if "images_seen" in state else None

    def print_measures(self, measures: Mapping[str, Any]) -> None:
        """A table: before training, the best value of each and its place, the last; and which checkpoint is kept."""
        rows = [
            [
                f"{name} ({which_is_better(value['better'])})",
                number(value["first"]["value"]),
                *(("", "") if value["better"] == "neither" else at(value["best"])),
                number(value["last"]["value"]),
            ]
            for name, value in measures.items()
        ]
        if not rows:
            say(f"no figures were taken while training; `test --run_dir {self.run.path}` takes them")
            return
        print_table(["measure", "before training", "best value", "at images seen", "last"], rows)
        monitor = self.settings["keep"]["monitor"]
        if monitor in measures and (seen := self.images_of("best.ckpt")) is not None:
            best = measures[monitor]["best"]["images_seen"]
            say(
                f"best.ckpt is that of the best {monitor}"
                if seen == best
                else f"best.ckpt is of {seen:,} images: that of the best {monitor}, of {best:,}, is not there any more"
            )


def budget_of(settings: Mapping[str, Any]) -> str:
    """When training ends, by whichever comes first."""
    counts = {"images": settings["images"], "generator steps": settings["generator_steps"]}
    ends = [f"{count:,} {what}" for what, count in counts.items() if count]
    trainer = settings["trainer"] or {}
    if (longest := trainer.get("max_time")) is not None:
        ends.append(f"{longest} (--trainer.max_time)")
    if (epochs := trainer.get("max_epochs", -1)) not in (-1, None):
        ends.append(f"{epochs:,} epochs (--trainer.max_epochs)")
    return " or ".join(ends) or "no budget: stop by Ctrl-C"


def hardware_of(trainer: Trainer) -> dict[str, Any]:
    """The record's field; of the GPUs of other nodes, which are taken to be as these."""
    here = describe_hardware(gpus=trainer.num_devices if trainer.strategy.root_device.type == "cuda" else 0)
    return {**here, "gpus": here["gpus"] * trainer.num_nodes}


def found_by(data: ImageDataModule) -> dict[str, Any]:
    """The record's field on images of one's own, see `zoo.runs.record`."""
    if (found := getattr(data, "found", None)) is None:
        return {}
    names = data.split("train").class_names
    return {"found": {"summary": found(), "class_names": names and list(map(shown, names))}}


def precision(trainer: Trainer, settings: Mapping[str, Any]) -> str:
    """Lightning's name of it, and how float32 matrices were multiplied where that was not exact."""
    matmul = settings["matmul_precision"]
    return str(trainer.precision) + ("" if matmul == "highest" else f", {matmul} matmul")


def at(point: Mapping[str, Any]) -> tuple[str, str]:
    """A value and its place."""
    return number(point["value"]), f"{point['images_seen']:,}"


def short(value: object) -> str:
    """Hashes cut to eight digits."""
    text = str(value)
    return text[:8] if len(text) == 64 else text
