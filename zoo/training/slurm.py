"""A run as a job of SLURM: saved and requeued before its time is up, gone on with when the job is back. No torch.

Lightning's own handling is not used: it writes `hpc_ckpt_1.ckpt` into the current folder, where the next run that
starts there finds it, and leaves the requeued job to begin a run of its own.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from zoo.runs.folder import write_atomically

MARK_FILE = "slurm_job"  # in the run's folder: the job that trains it, and below, that it is to be started again
PATIENCE_S = 30.0  # for scontrol


class Job(NamedTuple):
    """The job that this process is a task of.

    Attributes:
        id: as scontrol takes it: 1234, or 1234_7 for a task of an array.
        returned: whether SLURM has started it before (a requeue, a node that failed, preemption).
    """

    id: str
    returned: bool


def current_job() -> Job | None:
    """The job, None outside of one and in an interactive one (named bash or interactive, as Lightning has it)."""
    here = os.environ
    if "SLURM_NTASKS" not in here or here.get("SLURM_JOB_NAME") in ("bash", "interactive"):
        return None
    number = here.get("SLURM_JOB_ID", "")
    if "SLURM_ARRAY_JOB_ID" in here and "SLURM_ARRAY_TASK_ID" in here:
        number = f"{here['SLURM_ARRAY_JOB_ID']}_{here['SLURM_ARRAY_TASK_ID']}"
    if not number.replace("_", "").isdigit():
        return None
    return Job(number, here.get("SLURM_RESTART_COUNT", "0") not in ("", "0"))


def comes_back(run_dir: Path) -> bool:
    """Whether this job trained in the run's folder before, and was started again since."""
    job, mark = current_job(), run_dir / MARK_FILE
    if job is None or not mark.is_file():
        return False
    marked = mark.read_text().split()
    return marked[:1] == [job.id] and (job.returned or len(marked) > 1)


def mark_run(run_dir: Path) -> None:
    """Writes into the run's folder which job trains it, where one does."""
    job, mark = current_job(), run_dir / MARK_FILE
    if job is not None:
        write_atomically(mark, job.id + "\n")
    else:
        mark.unlink(missing_ok=True)


def requeue(run_dir: Path) -> str:
    """Hands this process's job back to SLURM, to be started again; says what became of that."""
    job = current_job()
    if job is None:
        return "not requeued: this is no job of SLURM"
    write_atomically(run_dir / MARK_FILE, f"{job.id}\nrequeued\n")
    try:
        done = subprocess.run(
            ["scontrol", "requeue", job.id], capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        problem = done.stderr.strip() or f"status {done.returncode}" if done.returncode else ""
    except (OSError, subprocess.SubprocessError) as error:
        problem = str(error)
    if not problem:
        return f"job {job.id} is requeued and goes on from there"
    mark_run(run_dir)
    return f"job {job.id} could not be requeued ({problem})"
