"""The same command line again: what there is to do of a run that was started before."""

from zoo.runs.environment import process_rank
from zoo.runs.folder import RunDir
from zoo.runs.record import read_result
from zoo.runs.text import say
from zoo.training.plan import Plan


def leave_if_finished(run: RunDir, *, plan: Plan, images: int | None, generator_steps: int | None) -> None:
    """Ends the process with status 0 where `--ckpt_path auto` finds that a run's budget is spent and recorded.

    Raises:
        RecordError: a damaged record, or one of a run that has no checkpoint left to go on from to a larger budget.
    """
    if not plan.again or not run.result.is_file():
        return
    record = read_result(run.result)
    spent = [record["images_seen"] >= images] if images is not None else []
    spent += [record["generator_steps"] >= generator_steps] if generator_steps is not None else []
    if any(spent):
        if process_rank() == 0:
            say(f"{run.path} is finished ({record['images_seen']:,} images): nothing to do. Its record: {run.result}")
        raise SystemExit(0)
    if plan.checkpoint is None:
        run.refuse_second_run()
