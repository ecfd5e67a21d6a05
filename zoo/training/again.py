"""The same command line again: what there is to do of a run that was started before."""

from zoo.errors import RecordError
from zoo.runs.environment import process_rank
from zoo.runs.folder import RunDir
from zoo.runs.record import read_result
from zoo.runs.text import say
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
        if process_rank() == 0:
            say(f"{run.path} is finished ({record['images_seen']:,} images): nothing to do. Its record: {run.result}")
        raise SystemExit(0)
    if plan.checkpoint is None:
        run.refuse_second_run()


def refuse_damaged_record(run: RunDir, *, paper: str) -> None:
    """Before `test` measures what could not be recorded: raises RecordError for a result.json that cannot be used."""
    try:
        if run.result.exists():
            read_result(run.result)
    except RecordError as error:
        way = f"{' '.join(called_as(paper, 'fit'))} --run_dir {run.path} --ckpt_path last"
        raise RecordError(f"{error}. `{way}` writes it anew and keeps this one beside it") from error
