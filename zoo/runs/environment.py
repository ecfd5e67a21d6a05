"""What a run ran on: versions, hardware, and the commit of this code.

No torch at import: the `zoo` command reads records without it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from zoo.errors import UsageError

VERSION = "0.2.0.dev0"  # of this package, as in pyproject.toml
PACKAGES = ("torch", "lightning", "torchmetrics", "torchvision", "numpy")

#: How often a thread of GNU's OpenMP looks for more work before it sleeps. Its own 300,000 take the time of a partner
#: whose core is busy with something else (`benchmarks/busy_cores.py`). Read when torch is first imported.
SPINS = "20000"


def shorten_waits() -> None:
    """Lets the threads of this process wait for SPINS, unless the environment says otherwise; before torch is there."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


#: GNU's malloc gives blocks of tens of MiB back to the system as soon as they are free, and the system clears every
#: page of the next one: a tenth of an evaluation's time on a CPU, and more (`benchmarks/freed_memory.py`). So it keeps
#: blocks below the first size, in bytes, and gives back what is free at its end above the second (mallopt(3)).
KEPT_BLOCKS, KEPT_FREE = 256 << 20, 1 << 30
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> bool:
    """Lets this process use freed memory again; False where the C library is another, or the environment has a say."""
    if sys.platform != "linux" or any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all([set_option(M_MMAP_THRESHOLD, KEPT_BLOCKS), set_option(M_TRIM_THRESHOLD, KEPT_FREE)])


#: What torchrun, SLURM and Lightning tell the processes of one training, each a whole number.
LAUNCHERS = (
    *("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_PORT"),
    *("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_NTASKS", "SLURM_NNODES", "SLURM_JOB_NUM_NODES"),
    "SLURM_STEP_NUM_TASKS",
)


def check_launcher() -> None:
    """Raises UsageError where a launcher's variable holds no whole number of 0 or more."""
    for name in LAUNCHERS:
        text = os.environ.get(name, "0")
        if not (text.isascii() and text.isdecimal()):
            raise UsageError(
                f"the environment variable {name} is {text!r}, not a whole number: torchrun and SLURM set it for the "
                f"processes of one training; for a single process `unset {name}`"
            )


def started_by_torchrun() -> int:
    """How many processes it started with this one, 1 where it did not."""
    return max(1, _count("WORLD_SIZE")) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def process_rank() -> int:
    """Number of this process among those that train together, by what their launcher told it; 0: alone or first.

    A variable that holds no number counts as 0 (`check_launcher` refuses it), for errors are told by this.
    """
    here = os.environ
    if "RANK" in here:  # torchrun
        return _count("RANK")
    if "LOCAL_RANK" in here:  # a child of Lightning, or its parent on another node
        return _count("NODE_RANK") * 1_000 + _count("LOCAL_RANK")
    if "SLURM_NTASKS" in here and here.get("SLURM_JOB_NAME") not in ("bash", "interactive"):
        return _count("SLURM_PROCID")
    return _count("NODE_RANK") * 1_000


def is_first_here() -> bool:
    """Whether this process is the first of those that train together on its machine."""
    return _count("LOCAL_RANK" if "LOCAL_RANK" in os.environ else "SLURM_LOCALID") == 0


def _count(name: str) -> int:
    text = os.environ.get(name, "0")
    return int(text) if text.isascii() and text.isdecimal() else 0


def describe_versions() -> dict[str, str]:
    """Versions of Python, zoo, and the packages that figures depend on ("absent": not installed), none imported."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "absent"
    return versions | {"zoo": VERSION}


def describe_hardware(*, gpus: int | None = None) -> dict[str, Any]:
    """CPU model, cores used (torch's threads), memory in GiB (None: unknown) and one name for each GPU.

    Behind the model stand the vector instructions that torch uses on it ("AMD EPYC, AVX512"): clouds name processors
    that differ by a factor of two alike, and sums in float32 differ in their last bits with these instructions.

    Args:
        gpus: how many GPUs the run used (0 for a run on the CPU); None: all that are visible.
    """
    import torch

    visible = torch.cuda.device_count() if torch.cuda.is_available() else 0
    used = visible if gpus is None else min(gpus, visible)
    return {
        "cpu": ", ".join([_cpu_model(), *_vector_instructions()]),
        "cores": torch.get_num_threads(),
        "memory_gib": _memory_gib(),
        "gpus": [torch.cuda.get_device_name(index) for index in range(used)],
    }


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.lower().startswith("model name") and (model := line.partition(":")[2].strip()):
                return model
    return platform.processor() or platform.machine() or "unknown"


def _vector_instructions() -> list[str]:
    import torch

    name = torch.backends.cpu.get_cpu_capability()
    return [] if name in ("DEFAULT", "NO AVX") else [name]


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, OSError, ValueError):  # not POSIX
        return None


def describe_commit(folder: str | os.PathLike[str]) -> str | None:
    """Commit of the checkout that tracks `folder`, with "+dirty" where it has changed or untracked files.

    None outside a checkout, without git, and for a package installed inside somebody else's checkout (a virtual
    environment in a project): that commit would say nothing about this code.
    """
    if not _git(folder, "ls-files", "--", "."):
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain")
    if not commit or changes is None:
        return None
    return commit + ("+dirty" if changes else "")


def _git(folder: str | os.PathLike[str], *arguments: str) -> str | None:
    """Output of a git command that changes nothing; None where it fails."""
    command = ["git", "-C", os.fspath(folder), *arguments]
    quiet = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=quiet)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@contextlib.contextmanager
def environment_variables(**variables: str) -> Iterator[None]:
    """Inside, these environment variables have these values."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
