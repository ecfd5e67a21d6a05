"""The same command line again: what there is to do of a run that was started before."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, cast

from zoo.data import ImageDataModule
from zoo.errors import CheckpointError, RecordError, UsageError
from zoo.experiments.measures import MEASURES
from zoo.experiments.suite import EvaluationSettings
from zoo.models.base.module import AdversarialModule
from zoo.runs import schema
from zoo.runs.environment import process_rank
from zoo.runs.folder import RunDir
from zoo.runs.record import images_recorded, read_result, rows_at_hand
from zoo.runs.tensors import AGAIN, check_progress, check_resumable
from zoo.runs.text import say
from zoo.training.callbacks.base import ZooCallback
from zoo.training.callbacks.budget import StopAtBudget, TimeLimit
from zoo.training.plan import Plan
from zoo.training.words import called_as


def leave_if_finished(run: RunDir, *, plan: Plan, images: int | None, generator_steps: int | None) -> None:
    """Ends the process with status 0 where `--ckpt_path auto` finds that a run's budget is spent and recorded.

    Raises:
        RecordError: a run that has no checkpoint left to go on from to a larger budget.
    """
    if not plan.again or not run.result.is_file():
        return
    try:
        record = read_result(run.result)
    except RecordError:
        record = {"images_seen": 0, "generator_steps": 0}  # says nothing; at the end it is written anew
    spent = [record["images_seen"] >= images] if images is not None else []
    spent += [record["generator_steps"] >= generator_steps] if generator_steps is not None else []
    if any(spent):
        leave(run, images=record["images_seen"])
    if plan.checkpoint is None:
        run.refuse_second_run()


def leave_if_limit_is_met(checkpoint: Mapping[str, Any], *, run: RunDir, plan: Plan, trainer: Any) -> None:
    """The same where --trainer.max_time or --trainer.max_epochs ended the run.

    The trainer's callbacks have the states of the checkpoint.
    """
    met = any(callback.spent for callback in trainer.callbacks if isinstance(callback, TimeLimit))
    passes = passes_made(checkpoint)
    budgets = [callback for callback in trainer.callbacks if isinstance(callback, StopAtBudget)]
    met |= any(budget.epochs is not None and passes >= budget.epochs for budget in budgets)
    seen = int(checkpoint["state_dict"]["images_seen"])
    if plan.again and met and images_recorded(run) == seen:
        leave(run, images=seen)


def passes_made(checkpoint: Mapping[str, Any]) -> int:
    """Whole passes over the data by then; one that is saved at its last batch, before its end, is whole."""
    loop = checkpoint["loops"]["fit_loop"]  # of another version of Lightning it may lack a count
    passes, batches = (loop.get(name, {}) for name in ("epoch_progress", "epoch_loop.batch_progress"))
    begun, done = (passes.get("current", {}).get(name, 0) for name in ("ready", "processed"))
    at_end = begun > done and batches.get("is_last_batch", False)
    return int(done + at_end)


def leave(run: RunDir, *, images: int) -> NoReturn:
    """Ends the process with status 0."""
    if process_rank() == 0:
        say(f"{run.path} is finished ({images:,} images): nothing to do. Its record: {run.result}")
    raise SystemExit(0)


def refuse_damaged_record(run: RunDir, *, paper: str) -> None:
    """Before `test` measures what could not be recorded: raises RecordError for a result.json that cannot be used, and
    for a folder that cannot be written to."""
    if run.path.is_dir() and not os.access(run.path, os.W_OK):
        raise RecordError(
            f"{run.path} cannot be written to, and `test` records its figures there: make it writable, or copy it"
        )
    try:
        if run.result.exists():
            read_result(run.result)
    except RecordError as error:
        way = f"{' '.join(called_as(paper, 'fit'))} --run_dir {shlex.quote(str(run.path))} --ckpt_path last"
        raise RecordError(f"{error}. `{way}` writes it anew and keeps this one beside it") from error


#: What a protocol has and the name of a measure has not.
UNNAMED = ("real_images", "mirror_reals", "batchnorm", "across_papers")


def is_measured_as_before(before: Mapping[str, Any], now: Any) -> bool:
    """Whether the monitored measure is the one of the run that is gone on with, under the same protocol.

    Args:
        before: settings of the run so far, nested.
        now: the parsed settings.
    """
    monitor = (before.get("keep") or {}).get("monitor")
    return bool(monitor == now.keep.monitor and not other_protocol(before, now))


def other_protocol(before: Mapping[str, Any], now: Any) -> dict[str, Any]:
    """{name: value so far} of settings that make another protocol of a measure of the same name."""
    earlier = before.get("evaluation") or {}
    own = {name: earlier.get(name, getattr(EvaluationSettings, name)) for name in UNNAMED}
    return {name: value for name, value in own.items() if value != now.evaluation[name]}


def refuse_other_protocol(run: RunDir, *, before: Mapping[str, Any], now: Any) -> None:
    """Raises UsageError where measures would be taken otherwise than those of the run so far: a record has one hash."""
    changed = other_protocol(before, now)
    if not changed or now.evaluation.every is None or not run.config.is_file():
        return
    if any(MEASURES.find(name) for row in rows_at_hand(run.metrics) for name in row):
        name, value = next(iter(changed.items()))
        raise UsageError(
            f"--evaluation.{name} {now.evaluation[name]}: {run.path} was measured with {value} so far, and a record "
            "has one protocol for all values of a measure: leave it out; `test` and `zoo evaluate` take any"
        )


#: Callbacks whose states came into checkpoints later than others', or that a run has only where it is asked for.
LATER = ("Evaluation", "Timer")
#: What a checkpoint says of its data, as far as it says it.
OF_DATA = {
    "fingerprint": schema.text,
    "images": schema.count,
    "class_names": schema.or_null(schema.list_of(schema.string)),
    "others": schema.map_of(schema.text),
}


def refuse_unresumable(
    checkpoint: Mapping[str, Any], path: Path, *, module: AdversarialModule, trainer: Any, data: ImageDataModule
) -> None:
    """Raises CheckpointError for a part without which a run does not go on as it was, before anything is written.

    So it does, as a UsageError, for another seed: images would come in another order, and the record would name a seed
    that most of the run was not trained with.

    Args:
        checkpoint: its weights and "zoo" have been looked at.
        path: of the file.
        module: that is to take it.
        trainer: Lightning's, with the callbacks that are to take it.
        data: that the run goes on with.
    """
    check_resumable(
        checkpoint, path, optimizers=cast(Any, module.configure_optimizers()), growing=module.growth is not None
    )
    check_progress(checkpoint, path, own=trainer.fit_loop.state_dict())
    if (seed := checkpoint["zoo"].get("seed", module.seed)) != module.seed:
        raise UsageError(
            f"--seed_everything {module.seed}: {path} was trained with {seed}, and a run goes on with the seed that it "
            f"began with: give --seed_everything {seed}, or begin a run of its own"
        )
    states = checkpoint["callbacks"]
    kept = [callback for callback in trainer.callbacks if isinstance(callback, ZooCallback) and callback.state_dict()]
    for callback in kept:
        name = callback.state_key
        try:
            if name in states or name not in LATER:
                callback.load_state_dict(states[name])
        except Exception as error:  # whatever a wrong type or a missing name raises
            raise CheckpointError(f"{path}: its callbacks.{name} is missing or wrong ({error}): {AGAIN}") from error
    name = type(data).__qualname__
    try:
        schema.json_object(name, said := checkpoint.get(name, {}))
        for field in OF_DATA.keys() & said:
            OF_DATA[field](f"{name}.{field}", said[field])
    except RecordError as error:
        raise CheckpointError(f"{path}: {error}; {AGAIN}") from error
