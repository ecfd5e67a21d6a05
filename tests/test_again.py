"""The same command line again, one process in a run's folder, and a job of SLURM that comes back."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightning.pytorch import Trainer
from toys import same, state_of

from zoo.runs.folder import RunDir, at_images
from zoo.runs.lock import RunLock
from zoo.runs.record import read_metrics, read_result
from zoo.runs.state import in_use
from zoo.training import reproduce
from zoo.training.callbacks import StopAtBudget
from zoo.training.scripts import script_of

BATCH = 16
TINY = ["--model.width", "2", "--data.batch_size", str(BATCH), "--keep.monitor", "null", "--evaluation.every", "null"]


def zoo(*arguments: str) -> None:
    """As `python reproductions/dcgan.py fit --recipe digits ARGUMENTS`."""
    reproduce("dcgan", script_of("dcgan").recipes, arguments=["fit", "--recipe", "digits", *TINY, *arguments])


def status(*arguments: str) -> Any:
    """Of a command that ends the process."""
    with pytest.raises(SystemExit) as stop:
        zoo(*arguments)
    return stop.value.code


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    """A run of 96 images that nothing disturbed."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_CACHE", str(shared_cache))
        zoo("--images", "96", "--run_dir", str(run))
    return run


@pytest.fixture
def after_batch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets something happen at so many images: (images, function)."""

    def install(images: int, happens: Any) -> None:
        before = StopAtBudget.after_batch

        def after(self: StopAtBudget, trainer: Trainer, module: Any) -> None:
            if module.images_seen == images:
                happens()
            before(self, trainer, module)

        monkeypatch.setattr(StopAtBudget, "after_batch", after)

    return install


def test_auto_begins_goes_on_and_has_nothing_to_do(
    tmp_path: Path, whole: Path, after_batch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    same_command = ["--images", "96", "--run_dir", "run", "--ckpt_path", "auto"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StopAtBudget, "after_batch", StopAtBudget.after_batch)
        after_batch(48, lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert status(*same_command) == 128 + signal.SIGTERM
    zoo(*same_command)
    assert same(state_of(whole / "checkpoints/last.ckpt"), state_of(tmp_path / "run/checkpoints/last.ckpt"))
    assert read_result(tmp_path / "run")["interruptions"] == 1
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert status(*same_command) == 0
    assert "run is finished (96 images): nothing to do" in capsys.readouterr().out
    assert before == {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    zoo("--images", "112", "--run_dir", "run", "--ckpt_path", "auto")  # a larger budget is something to do
    assert read_result(tmp_path / "run")["images_seen"] == 112


def test_phases_stay_where_a_larger_budget_is_asked_for(tmp_path: Path) -> None:
    """The network that had grown to 32x32 would have been one of 16x16 again."""
    sizes = ["--model.fmap_base", "64", "--model.fmap_max", "4", "--model.z_dim", "4"]
    few = [*sizes, "--model.batch_sizes", "null", "--evaluation.every", "null", "--keep.monitor", "null"]
    for images in (96, 192):
        own = ["--images", str(images), "--scale_phases", "true", "--run_dir", "run", "--ckpt_path", "auto"]
        reproduce("pggan", script_of("pggan").recipes, arguments=["fit", "--recipe", "digits", *few, *own])
        model = yaml.safe_load((tmp_path / "run/config.yaml").read_text())["model"]
        assert 3 * (model["stabilise_images"] + model["fade_images"]) == 48
    assert read_result(tmp_path / "run")["images_seen"] == 192


def test_auto_has_nothing_to_do_where_the_time_is_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--run_dir", "run", "--ckpt_path", "auto", "--images", "1000000", "--trainer.max_time"]
    zoo(*command[:4], "--images", "48", "--trainer.max_time", "00:01:00:00")
    assert "seed 0, 48 images or 00:01:00:00 (--trainer.max_time)" in capsys.readouterr().out
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert status(*command, "00:00:00:00") == 0
    assert "run is finished (48 images): nothing to do" in capsys.readouterr().out
    assert before == {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    (tmp_path / "run/result.json").unlink()  # as if it had been stopped while it was measured
    zoo(*command, "00:00:00:00")
    assert read_result(tmp_path / "run")["images_seen"] == 48


def test_a_run_that_goes_on_says_what_is_left_of_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    """One with a limit below what it had used ended at once: the limit is of the whole run."""
    for images in ("48", "96"):
        zoo("--run_dir", "run", "--ckpt_path", "auto", "--images", images, "--trainer.max_time", "00:01:00:00")
    left = re.findall(r"counts all parts of a run, has (1:00:00|0:59:\d\d) left", capsys.readouterr().out)
    assert len(left) == 1


def test_auto_has_nothing_to_do_where_the_passes_are_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--run_dir", "run", "--ckpt_path", "auto", "--images", "1000000", "--data.train_images", "40"]
    command += ["--trainer.max_epochs", "2"]  # of two whole batches
    zoo(*command)
    assert read_result(tmp_path / "run")["images_seen"] == 64
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    capsys.readouterr()
    assert status(*command) == 0
    assert "run is finished (64 images): nothing to do" in capsys.readouterr().out
    assert before == {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    (tmp_path / "run/result.json").unlink()  # as if it had been stopped while it was measured
    zoo(*command, "--trainer.max_epochs", "3")
    assert read_result(tmp_path / "run")["images_seen"] == 96


def test_what_is_refused_leaves_the_log_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines beyond the checkpoint are forgotten when training goes on from it, not before."""
    zoo("--images", "96", "--run_dir", "run", "--keep.archive_every", "48", "--trainer.log_every_n_steps", "1")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert len(rows_of(tmp_path / "run")) >= 6
    earlier = ["--run_dir", "run", "--ckpt_path", "run/checkpoints/images-000000048.ckpt"]
    assert status(*earlier, "--data.train_images", "100") == 1
    assert "holds other images" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert status(*earlier, "--seed_everything", "1") == 1
    assert "images-000000048.ckpt was trained with 0, and a run goes on with the seed" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    zoo(*earlier, "--images", "64")
    assert [row["images_seen"] for row in rows_of(tmp_path / "run") if "loss_generator" in row] == [16, 32, 48, 64]


def test_figures_of_a_future_that_was_given_up_are_forgotten(tmp_path: Path) -> None:
    """The training from an earlier checkpoint, with other settings, comes to as many images."""
    zoo("--images", "96", "--run_dir", "run", "--keep.archive_every", "48")
    taken = {"images_seen": 96, "values": {"fd": 1.0}, "protocols": {}}
    first = {"checkpoint": "images-000000048.ckpt", **taken, "images_seen": 48}
    record = {**read_result(tmp_path / "run"), "tests": [first, {"checkpoint": "last.ckpt", **taken}]}
    (tmp_path / "run/result.json").write_text(json.dumps(record))
    earlier = ["--run_dir", "run", "--ckpt_path", "run/checkpoints/images-000000048.ckpt"]
    zoo("--images", "96", *earlier, "--model.lr", "1e-3")
    assert read_result(tmp_path / "run")["tests"] == [first]
    zoo("--images", "64", *earlier)
    assert list(at_images(tmp_path / "run/grids", ".png"))[-1] == 64  # a film of the run ends there
    kept = {file.name for file in (tmp_path / "run/checkpoints").glob("images-*")}
    given_up = {f"images-000000096.ckpt.given_up-{i}" for i in (1, 2)}
    assert kept == {"images-000000048.ckpt", *given_up}  # what is drawn over the checkpoints is of one training


def test_auto_begins_anew_what_has_no_checkpoint(tmp_path: Path, whole: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("recipe: digits\n")
    (run / "metrics.jsonl").write_text('{"images_seen": 16, "time": 1.0, "loss_generator": 9.0}\n')
    zoo("--images", "96", "--run_dir", str(run), "--ckpt_path", "auto")
    assert same(state_of(whole / "checkpoints/last.ckpt"), state_of(run / "checkpoints/last.ckpt"))
    assert all(row.get("loss_generator") != 9.0 for row in rows_of(run))


def rows_of(run: Path) -> list[dict[str, Any]]:
    return read_metrics(run / "metrics.jsonl") if (run / "metrics.jsonl").exists() else []


def test_auto_needs_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("--images", "96", "--ckpt_path", "auto") == 1
    assert "--ckpt_path auto needs --run_dir or --name" in capsys.readouterr().err


@pytest.mark.parametrize("rank", ["LOCAL_RANK", "SLURM_PROCID", "RANK"])
def test_a_finished_run_is_refused_under_every_launcher(
    whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rank: str
) -> None:
    monkeypatch.setenv(rank, "0")
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    assert status("--images", "96", "--run_dir", str(whole)) == 1
    assert "holds a run already" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}


class TestLock:
    """One process at a time writes into a run's folder."""

    def test_a_live_run_is_not_resumed(self, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        run = Path(shutil.copytree(whole, tmp_path / "run"))
        other = RunLock(run)
        other.take()
        before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
        assert status("--images", "128", "--run_dir", str(run), "--ckpt_path", "last") == 1
        assert f"{run} is in use by process {os.getpid()} on " in capsys.readouterr().err
        assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
        other.free()
        zoo("--images", "128", "--run_dir", str(run), "--ckpt_path", "last")
        assert not list(run.glob(".lock"))

    def test_a_live_run_without_a_checkpoint_is_not_to_be_removed(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run = tmp_path / "run"
        run.mkdir()
        (run / "config.yaml").write_text("recipe: digits\n")
        other = RunLock(run)
        other.take()
        assert status("--images", "96", "--run_dir", "run") == 1
        text = capsys.readouterr().err
        assert f"run is in use by process {os.getpid()} on " in text
        assert "remove the folder" not in text
        other.free()
        assert status("--images", "96", "--run_dir", "run") == 1
        assert "begin it anew with --ckpt_path auto, remove the folder" in capsys.readouterr().err

    def test_of_two_beginners_one_is_refused(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "run").mkdir()
        other = RunLock(tmp_path / "run")
        other.take()
        assert status("--images", "96", "--run_dir", "run") == 1
        assert "in use by process" in capsys.readouterr().err
        assert not (tmp_path / "run/config.yaml").exists()
        other.free()

    def test_a_dead_process_leaves_none_behind(self, tmp_path: Path) -> None:
        holds = "import sys, os; from pathlib import Path; from zoo.runs.lock import RunLock\n"
        holds += "RunLock(Path(sys.argv[1])).take(); os.kill(os.getpid(), 9)"
        root = str(Path(__file__).parents[1])
        subprocess.run([sys.executable, "-c", holds, str(tmp_path)], check=False, env=os.environ | {"PYTHONPATH": root})
        assert (tmp_path / ".lock").exists()
        lock = RunLock(tmp_path)
        lock.take()
        lock.free()
        assert list(tmp_path.iterdir()) == []

    def test_asking_whether_a_run_is_held_changes_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run, opened = RunDir(tmp_path), os.open

        def of_another_user(path: Any, flags: int, *more: Any, **named: Any) -> int:
            if Path(path).name == ".lock" and flags & (os.O_RDWR | os.O_WRONLY | os.O_CREAT):
                raise PermissionError(13, "Permission denied", str(path))
            return opened(path, flags, *more, **named)

        assert not in_use(run)
        assert list(tmp_path.iterdir()) == []
        other = RunLock(tmp_path)
        other.take()
        text = other.path.read_text()
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", of_another_user)
            assert in_use(run)
        other.free()
        (tmp_path / ".lock").write_text(text)  # of a process that died
        assert not in_use(run)
        assert (tmp_path / ".lock").read_text() == text

    def test_what_dead_processes_left_is_removed_at_the_next_start(self, whole: Path, tmp_path: Path) -> None:
        run = Path(shutil.copytree(whole, tmp_path / "run"))
        left = [run / "config.yaml.tmp-4194305-ab", run / "checkpoints/last.ckpt.tmp-c0ffee", run / "grids/a.png.tmp-x"]
        alive = run / f"result.json.tmp-{os.getpid()}-ab"
        for path in (*left, alive):
            path.write_text("half")
        zoo("--images", "96", "--run_dir", str(run), "--ckpt_path", "last")
        assert not any(path.exists() for path in left)
        assert alive.exists()


class TestSlurm:
    """A job whose time is up saves, is requeued by scontrol, and goes on in its own folder when it is back."""

    @pytest.fixture
    def job(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The environment of a task of job 1234, and a scontrol that notes what it is told."""
        for name, value in (("NTASKS", "1"), ("PROCID", "0"), ("LOCALID", "0"), ("NODEID", "0"), ("JOB_ID", "1234")):
            monkeypatch.setenv(f"SLURM_{name}", value)
        monkeypatch.setenv("SLURM_JOB_NAME", "train")
        tools = tmp_path / "tools"
        tools.mkdir()
        (tools / "scontrol").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told\n')
        (tools / "scontrol").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
        return tmp_path / "told"

    def test_the_requeued_job_goes_on_to_the_bit(
        self, job: Path, tmp_path: Path, whole: Path, after_batch: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(StopAtBudget, "after_batch", StopAtBudget.after_batch)
            after_batch(48, lambda: os.kill(os.getpid(), signal.SIGUSR1))
            assert status("--images", "96") == 128 + signal.SIGUSR1
        assert job.read_text() == "requeue 1234\n"
        assert "stopped at 48 images; job 1234 is requeued and goes on from there" in capsys.readouterr().err
        zoo("--images", "96")
        run = tmp_path / "runs/dcgan/digits/job-1234"
        assert same(state_of(whole / "checkpoints/last.ckpt"), state_of(run / "checkpoints/last.ckpt"))
        assert read_result(run)["interruptions"] == 1
        assert [path.name for path in run.parent.iterdir()] == ["job-1234"]
        assert not list(tmp_path.rglob("hpc_ckpt*"))
        assert status("--images", "96") == 1  # the job did not come back a second time

    def test_a_job_that_a_node_lost_goes_on(
        self, job: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = Path(shutil.copytree(whole, tmp_path / "run"))
        (run / "slurm_job").write_text("1234\n")
        monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
        zoo("--images", "128", "--run_dir", str(run))
        assert read_result(run)["images_seen"] == 128
        monkeypatch.setenv("SLURM_JOB_ID", "1235")  # another job does not
        assert status("--images", "256", "--run_dir", str(run)) == 1

    def test_what_lightning_left_in_this_folder_is_no_start(self, job: Path, whole: Path, tmp_path: Path) -> None:
        shutil.copyfile(whole / "checkpoints/last.ckpt", tmp_path / "hpc_ckpt_1.ckpt")
        zoo("--images", "16", "--name", "fresh")
        assert read_result(tmp_path / "runs/dcgan/digits/fresh")["discriminator_steps"] == 1

    def test_a_scontrol_that_fails_is_said(
        self, job: Path, tmp_path: Path, after_batch: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "tools/scontrol").write_text("#!/bin/sh\necho 'Requeue is disabled' >&2; exit 1\n")
        after_batch(32, lambda: os.kill(os.getpid(), signal.SIGUSR1))
        assert status("--images", "96", "--run_dir", "run") == 128 + signal.SIGUSR1
        said = capsys.readouterr().err
        assert "job 1234 could not be requeued (Requeue is disabled)" in said
        assert "--ckpt_path last" in said


@pytest.mark.slow
def test_a_job_of_two_tasks_comes_back(tmp_path: Path, shared_cache: Path) -> None:
    """As srun starts them; one is told that the time is up, one calls scontrol, both end; then both go on."""
    script = Path(__file__).parents[1] / "reproductions/dcgan.py"
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "scontrol").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told\n')
    (tools / "scontrol").chmod(0o755)

    def tasks(job: int, *options: str) -> list[subprocess.Popen[str]]:
        words = ["fit", "--recipe", "digits", *TINY, "--devices", "2", "--trainer.accelerator", "cpu", *options]
        shared = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
        shared |= {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1", "SLURM_NODEID": "0"}
        shared |= {"SLURM_STEP_NUM_TASKS": "2"}
        shared |= {"SLURM_JOB_ID": str(job), "SLURM_JOB_NAME": "train", "SLURM_NODELIST": "127.0.0.1"}
        return [
            subprocess.Popen(
                [sys.executable, str(script), *words],
                env=shared | {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)},
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in (0, 1)
        ]

    def ended(started: list[subprocess.Popen[str]]) -> tuple[list[int], str]:
        said = "".join(process.communicate(timeout=300)[1] for process in started)
        return [process.returncode for process in started], said

    started = tasks(21234)
    run = tmp_path / "runs/dcgan/digits/job-21234"
    while not (run / "grids/images-000000000.png").exists():
        assert all(process.poll() is None for process in started)
        time.sleep(0.05)
    started[1].send_signal(signal.SIGUSR1)
    statuses, said = ended(started)
    assert statuses == [128 + signal.SIGTERM, 128 + signal.SIGUSR1]
    assert (tmp_path / "told").read_text() == "requeue 21234\n"
    assert said.count("job 21234 is requeued and goes on from there") == 1
    images = int(state_of(run / "checkpoints/last.ckpt")["state_dict"]["images_seen"])
    assert images % (10 * BATCH) == 0 < images
    assert ended(tasks(21234, "--images", str(images + 160)))[0] == [0, 0]
    assert ended(tasks(21235, "--name", "whole", "--images", str(images + 160)))[0] == [0, 0]
    whole = run.with_name("whole") / "checkpoints/last.ckpt"
    assert same(state_of(whole), state_of(run / "checkpoints/last.ckpt"))
    assert sorted(path.name for path in run.parent.iterdir()) == ["job-21234", "whole"]
