"""`fit`, `test` and `predict` of a paper: LightningCLI with this project's settings.

They make the run's folder, choose callbacks, loggers and strategy, and leave a record. Everything else is named as
LightningCLI names it. `zoo.training.command` reads the command line up to here.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any

import torch
import yaml
from lightning.pytorch import LightningDataModule
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from zoo.data import DATASETS, ImageDataModule, ToyPoints
from zoo.errors import UsageError
from zoo.experiments.measures import MEASURES
from zoo.experiments.pictures.drawing import Drawings, write
from zoo.experiments.pictures.grids import save_png
from zoo.experiments.suite import Measurement
from zoo.models import TRAINED
from zoo.models.base.module import AdversarialModule
from zoo.models.trained import FinishedRun
from zoo.runs.checkpoints import AtomicCheckpointIO, check_compatible, read_checkpoint
from zoo.runs.folder import RunDir
from zoo.runs.record import images_recorded, rows_at_hand
from zoo.training.again import (
    is_measured_as_before,
    leave_if_finished,
    leave_if_limit_is_met,
    refuse_damaged_record,
    refuse_other_protocol,
    refuse_unresumable,
)
from zoo.training.callbacks import (
    CounterCheckpoint,
    Evaluation,
    HealthWatch,
    ImageProgress,
    MemorisationWatch,
    SampleGrid,
    SignalListener,
    StopAtBudget,
    StopOnSignal,
    TimeLimit,
)
from zoo.training.checks import in_its_own_words, refuse_model, refuse_senseless, refuse_unheard
from zoo.training.finetune.adapt import Source, transfer
from zoo.training.finetune.augment import augment_discriminator
from zoo.training.finetune.freeze import freeze_discriminator
from zoo.training.finetune.learning_rate import ScaledLearningRate
from zoo.training.finetune.report import FinetuneReport, finetune_record
from zoo.training.finetune.settings import match_data
from zoo.training.loggers import JsonlLogger
from zoo.training.mirror import WandbMirror
from zoo.training.outlook import follow_the_settings
from zoo.training.plan import Plan
from zoo.training.refusals import refusal
from zoo.training.report import RunReport
from zoo.training.settings import TAKEN_BEFORE, add_settings
from zoo.training.telling import keep_to_images, tell_end, without_loggers
from zoo.training.trainer import cluster_plugins, listed, processes, refuse_other_number, settle_devices, take_epochs
from zoo.training.words import called_as

RunFigures = Callable[[Any, FinishedRun], Drawings]


class ReproductionCLI(LightningCLI):
    """LightningCLI for one paper.

    Args:
        model_class: the paper's module.
        plan: what the command line asks for.
        recipes: names of the paper's recipes, for the help.
        figures: draws the paper's figures of a run, or None.
        source: trained weights that `fit` starts from, or None.
    """

    def __init__(
        self,
        model_class: type[AdversarialModule],
        *,
        plan: Plan,
        recipes: Iterable[str],
        figures: RunFigures | None = None,
        source: Source | None = None,
    ) -> None:
        self.plan = plan
        self.kind, self.paper = model_class, model_class.paper
        self.source = source
        self.figures = figures
        self.recipes = ", ".join(recipes)
        self.run = RunDir(plan.run_dir)
        super().__init__(
            model_class=model_class,
            datamodule_class=ImageDataModule,
            subclass_mode_data=True,
            save_config_callback=None,
            auto_configure_optimizers=False,
            seed_everything_default=0,
            args=[plan.subcommand, *("--help" if word == "--help_all" else word for word in plan.words.rest)],
        )

    # the one that is asked for alone: a parser of Trainer takes a second
    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        own = {"model", "datamodule", "ckpt_path", "weights_only"}
        others = {
            "fit": {"train_dataloaders", "val_dataloaders"},
            "test": {"dataloaders", "verbose"},
            "predict": {"dataloaders", "return_predictions"},
        }
        return {self.plan.subcommand: own | others[self.plan.subcommand]}

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        return super().init_parser(exit_on_error=False, **kwargs)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        add_settings(parser, recipes=self.recipes, base=dict(self.plan.base))

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        try:
            self.config = parser.parse_args(args)
        except argparse.ArgumentError as error:
            asked = self._parser(args[0])
            options = [option for action in asked._actions for option in action.option_strings]
            text = refusal(error.message, options=options, data_sets=[*DATASETS, ToyPoints.__name__])
            command = " ".join(called_as(self.paper, args[0]))
            option = re.search(r"--[\w.]+", text)
            file = self.plan.words.source_of(option[0]) if option else ""
            raise UsageError(f"{file}{text} (`{command} --help_all` lists all)") from None
        refuse_senseless(self.config[args[0]], self.kind, source=self.source is not None)

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        fitting = self.subcommand == "fit"
        torch.set_float32_matmul_precision(config.matmul_precision if fitting else "highest")
        # Adam's moments of dead units sink below 1e-38, where a CPU takes many times as long for the same sum
        torch.set_flush_denormal(fitting)
        if config.data is None:
            raise UsageError(f"no data set: name one with --data ({', '.join(DATASETS)})")
        refuse_unheard(config, self.kind, plan=self.plan)
        if config.data_dir is not None:
            config.data.init_args.root = config.data_dir
        config.data.init_args.seed = config.seed_everything
        if self.source is not None:
            match_data(config, self.source, given=self.plan.named)
        follow_the_settings(config, self.kind, goes_on=self.plan.goes_on)
        settle_devices(config, given=self.plan.words.given, alone=self.subcommand == "predict")
        if not self.plan.words.dry_run:
            refuse_other_number(config.trainer, subcommand=self.subcommand)
        self.settings = config
        if self.subcommand == "test":
            refuse_damaged_record(self.run, paper=self.paper)
        leave_if_finished(self.run, plan=self.plan, images=config.images, generator_steps=config.generator_steps)

    def instantiate_classes(self) -> None:
        if self.source is not None:  # its settings have followed the data
            refuse_model(self.kind, self.settings.model.as_dict())
        with in_its_own_words():
            super().instantiate_classes()
        self.model.seed = self.settings.seed_everything
        self.model.log_every = self.settings.trainer.log_every_n_steps or self.model.log_every

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        config, keep = self.settings, self.settings.keep
        self.measurement = Measurement(
            self.datamodule, settings=config.evaluation, testing=self.subcommand == "test", log=self.logged
        )
        fitting = self.subcommand == "fit"
        if not fitting or config.evaluation.every is not None:
            self.measurement.prepare(self.model)
        every = config.evaluation.every if fitting else None
        self.evaluation = Evaluation(self.measurement, every=every, recorded=images_recorded(self.run))
        self.report = RunReport(self.run, plan=self.plan, settings=self.plain_settings())
        callbacks: list[Any] = [self.evaluation]
        if fitting:
            data = self.datamodule
            self.model.check_data(
                data.name,
                image_shape=data.image_shape,
                num_classes=data.num_classes,
                devices=processes(config.trainer),
                batch_size=data.batch_size,
            )
            tuning = self.tuning()
            keeper = CounterCheckpoint(
                self.run.checkpoints,
                every=keep.checkpoint_every,
                keep_every=keep.archive_every,
                monitor=keep.monitor,
                better=(MEASURES.better(keep.monitor) if keep.monitor else None) or "lower",
                goes_on=is_measured_as_before(self.plan.base, config),
            )
            listener, epochs = SignalListener(), take_epochs(self._get(self.config_init, "trainer"))
            callbacks = [
                listener,
                self.report,
                StopAtBudget(images=config.images, generator_steps=config.generator_steps, epochs=epochs),
                SampleGrid(self.run.grids, every=keep.grid_every),
                HealthWatch(every=keep.grid_every),
                *tuning,
                *self.progress(),  # after those that print at the start, on lines of their own
                self.evaluation,
                *self.time_limit(),
                keeper,
                StopOnSignal(listener, keeper),
            ]
        given = self._get(self.config_init, "trainer")
        given["callbacks"] = [*listed(given.get("callbacks")), *callbacks]
        if not fitting:
            kwargs["enable_progress_bar"] = False  # the evaluation draws its own
        given["enable_autolog_hparams"] = False  # `tell_beginning` has more of them than Lightning knows
        plugins = [*listed(given.get("plugins")), AtomicCheckpointIO()]
        try:
            return super().instantiate_trainer(
                logger=self.loggers(),
                plugins=[*plugins, *cluster_plugins(plugins)],
                default_root_dir=self.run.path,  # Lightning looks there for checkpoints of its own
                **kwargs,
            )
        except (TypeError, ValueError, RuntimeError) as error:  # SLURM's tasks do not match, a device is not there
            raise UsageError(str(error)) from error

    def progress(self) -> list[Any]:
        """The bar, unless it is not wanted."""
        wanted = self.settings.trainer.enable_progress_bar is not False
        return [ImageProgress(images=self.settings.images)] if wanted else []

    def time_limit(self) -> list[Any]:
        """In the place of the Timer that Lightning would make of --trainer.max_time."""
        longest = self._get(self.config_init, "trainer").get("max_time")
        return [] if longest is None else [TimeLimit(duration=longest)]

    def tuning(self) -> list[Any]:
        """Brings the source's weights into the model, freezes and augments as asked for; callbacks of such a run."""
        config = self.settings
        taken = None if self.source is None else transfer(self.source, self.model)
        self.source = None  # its memory is not needed any more
        frozen = freeze_discriminator(self.model, config.freeze_d, transfer=taken) if config.freeze_d else []
        if config.augment:
            augment_discriminator(self.model, config.augment)
        callbacks: list[Any] = [] if config.lr_scale == 1 else [ScaledLearningRate(config.lr_scale)]
        self.finetune = None
        if config.init_from is not None:
            self.finetune = FinetuneReport(self.run, transfer=taken, frozen=frozen)
            every = config.evaluation.every or config.keep.grid_every
            callbacks += [self.finetune, MemorisationWatch(every=every)]
        return callbacks

    def logged(self) -> list[dict[str, Any]]:
        """What the run's metrics.jsonl holds so far."""
        return rows_at_hand(self.run.metrics)

    def loggers(self) -> list[Any]:
        """The record of the run and, where asked for, its mirror at W&B. `predict` logs nothing."""
        if self.subcommand == "predict":
            return []
        own = listed(self._get(self.config_init, "trainer").get("logger"))
        for logger in own:
            keep_to_images(logger, lambda: self.model.images_seen)
        self.jsonl = JsonlLogger(
            self.run.path, clock=lambda: self.model.images_seen, updates=lambda: self.model.generator_steps
        )
        loggers = [self.jsonl, *own]
        if not self.settings.wandb:
            return loggers
        project = self.settings.wandb if isinstance(self.settings.wandb, str) else "lightning-gan-zoo"
        mirror = WandbMirror(
            self.run.path,
            project=project,
            name=f"{self.model.paper}-{self.plan.recipe}-{self.run.path.name}",
            group=self.model.paper,
            tags=[self.plan.recipe, self.datamodule.name],
            config=without_loggers(self.plain_settings()),
            clock=self.jsonl.clock,
            run_id=os.environ.get("WANDB_RUN_ID"),  # as the agent of a sweep sets it
        )
        return [*loggers, mirror]

    def plain_settings(self) -> dict[str, Any]:
        """Every setting of this run as plain types: what config.yaml holds."""
        text = self._parser(self.subcommand).dump(self.settings, skip_none=False, skip_link_targets=False)
        return {name: value for name, value in yaml.safe_load(text).items() if name not in TAKEN_BEFORE}

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        kwargs = super()._prepare_subcommand_kwargs(subcommand)
        if self.plan.checkpoint is not None:
            checkpoint = read_checkpoint(self.plan.checkpoint)
            check_compatible(checkpoint, self.model, self.plan.checkpoint)
            if subcommand == "fit":
                refuse_unresumable(
                    checkpoint, self.plan.checkpoint, module=self.model, trainer=self.trainer, data=self.datamodule
                )
                refuse_other_protocol(self.run, before=self.plan.base, now=self.settings)
                leave_if_limit_is_met(checkpoint, run=self.run, plan=self.plan, trainer=self.trainer)
            kwargs |= {"ckpt_path": str(self.plan.checkpoint), "weights_only": True}
            if subcommand == "fit" and self.trainer.is_global_zero and self.run.path.is_dir():
                self.plan.lock.take()
        if self.settings.compile:
            self.model.compile_networks()
        return kwargs

    @rank_zero_only
    def after_fit(self) -> None:
        more = finetune_record(self.settings, self.run)
        measures = self.report.finish(self.trainer, self.model, measurement=self.measurement, more=more)
        if self.finetune is not None:
            self.finetune.finish(measures, monitor=self.settings.keep.monitor)
        self.draw()
        tell_end(self.trainer.loggers, self.run, artifacts=self.settings.wandb_artifacts)

    @rank_zero_only
    def after_test(self) -> None:
        self.report.add_test(self.model, measurement=self.measurement)
        self.draw()
        tell_end(self.trainer.loggers, self.run, artifacts=False)

    def draw(self) -> None:
        """The paper's figures of this run at this checkpoint, into the run's figures folder."""
        if self.figures is None:
            return
        drawings = self.figures(self.model, FinishedRun(self.run.path, models=TRAINED, data=self.datamodule))
        for path in write(drawings, self.run.figures, suffix=f"-{self.model.images_seen:09d}"):
            self.report_line(f"figure         {path}")

    def predict(self, model: AdversarialModule, datamodule: LightningDataModule, **options: Any) -> None:
        """Writes `samples` images as PNG files into the run's samples folder; image i is the same in every call."""
        if len(model.image_shape) != 3:
            raise UsageError("predict writes images, and this model makes points: see the run's grids")
        n, block = self.settings.samples, 100
        blocks = [(block, start // block) for start in range(0, n, block)]  # whole: a draw depends on its size
        batches = torch.utils.data.DataLoader(blocks, batch_size=None)  # type: ignore[arg-type,var-annotated]
        images = self.trainer.predict(model, dataloaders=batches, **options)
        for i, image in enumerate(torch.cat(images)[:n]):  # type: ignore[arg-type]
            save_png(image[None], self.run.samples / f"{i:06d}.png")
        for old in self.run.samples.glob("[0-9]" * 6 + ".png"):
            if int(old.stem) >= n:
                old.unlink()  # of a call with more of them
        self.report_line(f"{n} images in {self.run.samples}")

    @rank_zero_only
    def report_line(self, text: str) -> None:
        """Prints one line, once."""
        sys.stdout.write(text + "\n")
