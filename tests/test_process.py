"""How commands begin and end: without a terminal, by signals, by errors of the system."""

import csv
import io
import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import Callback, Trainer
from registry import SMALL
from toys import ToyGAN, fit

from zoo.errors import Interrupted, UsageError
from zoo.metrics.evaluator import Evaluator
from zoo.models import MODELS
from zoo.runs.environment import LAUNCHERS
from zoo.runs.folder import write_atomically
from zoo.runs.process import LastingStream, one_line, orderly
from zoo.runs.record import read_metrics, read_result
from zoo.training import reproduce
from zoo.training.callbacks import ImageProgress
from zoo.training.scripts import script_of
from zoo.training.trainer import REFUSED

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.usefixtures("few_draws")
TINY = ["--recipe", "digits", "--model.width", "2", "--data.batch_size", "16", "--images", "64", "--run_dir", "run"]
QUIET = ["--keep.monitor", "null", "--evaluation.every", "null"]


def zoo(*arguments: str) -> None:
    """As `python reproductions/dcgan.py ARGUMENTS`."""
    reproduce("dcgan", script_of("dcgan").recipes, arguments=list(arguments))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a `fit` that must fail before it leaves anything."""
    with pytest.raises(SystemExit) as stop:
        zoo("fit", *TINY, *arguments)
    said = capsys.readouterr().err
    assert (stop.value.code, said.count("error:")) == (1, 1)
    assert not Path("run").exists()
    return said


class TestStreams:
    """Losing the terminal loses nothing else."""

    def test_a_pipe_that_nobody_reads(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w") as pipe:
            stream = LastingStream(pipe)
            for _ in range(3):
                stream.write("x" * 100_000)
                stream.flush()

    def test_a_stream_that_is_closed(self) -> None:
        closed = io.StringIO()
        closed.close()
        LastingStream(closed).write("text")

    def test_a_command_without_streams_prints_nowhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdout", None)
        monkeypatch.setattr(sys, "stderr", None)
        with orderly():
            sys.stdout.write("text")
            sys.stderr.write("text")
        assert sys.stdout is None

    @pytest.mark.slow
    @pytest.mark.parametrize("closing", ["| head -1", ">&-", "2>&-", ">&- 2>&- <&-", ">/dev/full"])
    def test_training_goes_on(self, tmp_path: Path, closing: str) -> None:
        words = " ".join(["fit", *TINY, *QUIET])
        line = f"{sys.executable} {ROOT}/reproductions/dcgan.py {words} {closing}"
        subprocess.run(
            ["bash", "-c", line], check=False, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        assert read_result(tmp_path / "run")["images_seen"] == 64


class TestSignals:
    """A signal ends a command as an error does: quietly, with its status, after cleaning up."""

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_at_any_moment(self, number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
        outside = signal.signal(number, signal.default_int_handler)  # in the background, a shell has it ignored
        before, cleaned = signal.getsignal(number), []

        @orderly()
        def work() -> None:
            try:
                os.kill(os.getpid(), number)
                time.sleep(1)
            finally:
                cleaned.append(True)

        with pytest.raises(SystemExit) as stop:
            work()
        assert (stop.value.code, cleaned, signal.getsignal(number)) == (128 + number, [True], before)
        signal.signal(number, outside)
        assert capsys.readouterr().err == "stopped\n"

    def test_what_announces_the_end_of_a_job(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """It came while the data were decoded, and nothing was cleaned up; outside of a job it is not ours."""
        with orderly():
            assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
        monkeypatch.setenv("SLURM_JOB_ID", "1234")
        cleaned = []

        @orderly()
        def work() -> None:
            try:
                os.kill(os.getpid(), signal.SIGUSR1)
                time.sleep(1)
            finally:
                cleaned.append(True)

        with pytest.raises(SystemExit) as stop:
            work()
        assert (stop.value.code, cleaned) == (128 + signal.SIGUSR1, [True])
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
        assert capsys.readouterr().err == "stopped: the job's time is nearly up\n"

    @pytest.mark.parametrize("further", [signal.SIGINT, signal.SIGTERM])
    def test_one_that_comes_twice_is_one(
        self, further: signal.Signals, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A terminal tells a study and its member, and the study passes it on: cleaning up goes on to its end."""
        outside = signal.signal(signal.SIGINT, signal.default_int_handler)
        cleaned, ended = [], []
        monkeypatch.setattr(signal, "raise_signal", ended.append)

        @orderly()
        def work(patience: float) -> None:
            monkeypatch.setattr("zoo.runs.process.SAME_SIGNAL", patience)
            try:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(1)
            finally:
                os.kill(os.getpid(), further)
                time.sleep(0.01)
                cleaned.append(True)

        for patience in (60, 0):
            with pytest.raises(SystemExit) as stop:
                work(patience)
            assert stop.value.code == 128 + signal.SIGINT
        assert cleaned == [True, True]
        assert ended == [further]  # a later one ends the command at once
        signal.signal(signal.SIGINT, outside)
        assert capsys.readouterr().err == "stopped\n" * 2

    @pytest.mark.parametrize("value", ["x", "-1", "1.5", ""])
    def test_a_launcher_counts_in_whole_numbers(
        self, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Even so the error is told, though it is by these that one process of several is chosen to tell it."""
        for name in LAUNCHERS:
            with monkeypatch.context() as patch:
                patch.setenv(name, value)
                with pytest.raises(SystemExit) as stop:
                    orderly()(pytest.fail)("it began")
            assert stop.value.code == 1
            assert f"{name} is {value!r}" in capsys.readouterr().err

    def test_what_is_ignored_stays_so(self) -> None:
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with orderly():
            os.kill(os.getpid(), signal.SIGHUP)
        signal.signal(signal.SIGHUP, before)

    def test_no_library_swallows_it(self) -> None:
        """Compilers catch every Exception; a second Ctrl-C must get through."""
        assert not issubclass(Interrupted, Exception)

    def test_test_stops(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        zoo("fit", *TINY, *QUIET)
        monkeypatch.setattr(Evaluator, "run", lambda *_: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(1)))
        with pytest.raises(SystemExit) as stop:
            zoo("test", "--run_dir", "run", "--evaluation.extractors", "[lenet]")
        assert stop.value.code == 128 + signal.SIGTERM
        assert "stopped; test left nothing: give the command again" in capsys.readouterr().err
        assert read_result("run")["tests"] == []


class TestErrors:
    """Those of the system in one line; those that all processes meet once."""

    def test_the_file_is_named(self) -> None:
        assert (
            one_line(FileNotFoundError(2, "No such file or directory", "a.txt")) == "a.txt: No such file or directory"
        )
        assert one_line(UsageError("what is wrong")) == "what is wrong"

    @pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried 2 GiB\nmore")])
    def test_no_memory(self, error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit), orderly():
            raise error
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: not enough memory: ask for less at once")
        with pytest.raises(RuntimeError, match="a bug"), orderly():
            raise RuntimeError("a bug")

    def test_a_full_disk(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(Exception, match=r"file\.txt.*No space left|No space left.*file\.txt"):
            write_atomically(tmp_path / "file.txt", "text")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("error", "told"),
        [(UsageError("x"), [True, False, False]), (OSError("x"), [True, True, True])],
    )
    def test_of_several_processes(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, told: list[bool]
    ) -> None:
        said = []
        for rank in ("0", "1", "1000"):
            monkeypatch.setenv("RANK", rank)
            with pytest.raises(SystemExit), orderly():
                raise error
            said.append("error: x" in capsys.readouterr().err)
        assert said == told


class TestProgress:
    """No terminal, no carriage returns."""

    def test_lines_with_a_time(self, capsys: pytest.CaptureFixture[str]) -> None:
        fit(ToyGAN(), ImageProgress(images=64, line_s=0.0), images=64, enable_progress_bar=True)
        said = capsys.readouterr().err
        assert "\r" not in said
        lines = [line for line in said.splitlines() if " toy: " in line]
        assert len(lines) == 9  # at the start and after each batch
        assert lines[-1][2] == lines[-1][5] == ":"
        assert "64 of 64 images" in lines[-1]
        assert "0:00:00 left" in lines[-1]

    def test_none_where_none_is_wanted(self, capsys: pytest.CaptureFixture[str]) -> None:
        zoo("fit", *TINY, *QUIET, "--trainer.enable_progress_bar", "false")
        assert " of 64 images" not in capsys.readouterr().err


class Foreign(Callback):
    """Logs as Lightning's own callbacks do: at the number of batches."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        for logger in trainer.loggers:
            logger.log_metrics({"rate": 1.0}, step=batch_idx)


class TestTrainerOptions:
    """Each works, or is refused in one line that names what does its work."""

    @pytest.mark.parametrize(
        ("option", "names"),
        [
            ("max_steps=10", "--generator_steps"),
            ("precision=bf16-true", "bf16-mixed"),
            ("precision=64-true", "32-true and bf16-mixed"),
            ("strategy=fsdp", "leave it out"),
            ("default_root_dir=here", "--run_dir"),
            ("log_every_n_steps=0", "1 or more"),
            ("fast_dev_run=true", "--images 64"),
            ("enable_checkpointing=false", "--keep.checkpoint_every"),
            ("limit_test_batches=0", "--evaluation.test_samples"),
        ],
    )
    def test_refused(self, option: str, names: str, capsys: pytest.CaptureFixture[str]) -> None:
        said = refused(capsys, f"--trainer.{option}")
        assert f"--trainer.{option.split('=')[0]}" in said
        assert names in said

    def test_every_option_is_known(self) -> None:
        """A new option of the Trainer has to be looked at: does it work here?"""
        import inspect

        works = {
            *("accelerator", "strategy", "devices", "num_nodes", "precision", "callbacks", "max_epochs", "max_time"),
            *("log_every_n_steps", "enable_progress_bar", "enable_model_summary", "deterministic", "benchmark"),
            *("inference_mode", "profiler", "detect_anomaly", "plugins", "sync_batchnorm", "enable_autolog_hparams"),
        }
        assert set(inspect.signature(Trainer).parameters) == works | set(REFUSED)

    def test_loggers_and_foreign_rows(self, tmp_path: Path) -> None:
        """A logger of one's own beside the record, every row with the true counter, losses as often as asked for."""
        config = {
            "trainer": {
                "logger": {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": "csv"}},
                "log_every_n_steps": 2,
            }
        }
        Path("more.yaml").write_text(yaml.safe_dump(config))
        foreign = json.dumps([{"class_path": f"{__name__}.Foreign"}])  # code comes in by the command line alone
        zoo("fit", "--config", "more.yaml", f"--trainer.callbacks={foreign}", *TINY, *QUIET)
        rows = read_metrics("run/metrics.jsonl")
        assert [row["images_seen"] for row in rows if "rate" in row] == [16, 32, 48, 64]
        assert [row["images_seen"] for row in rows if "loss_discriminator" in row] == [32, 64]
        (table,) = tmp_path.glob("csv/**/metrics.csv")
        with table.open() as file:
            steps = [int(row["step"]) for row in csv.DictReader(file) if row.get("loss_discriminator")]
        assert steps == [32, 64]
        (file,) = tmp_path.glob("csv/**/hparams.yaml")
        settings = yaml.safe_load(file.read_text())
        assert (settings["paper"], settings["images"], settings["seed_everything"]) == ("dcgan", 64, 0)
        assert settings["model"]["width"] == 2


@pytest.mark.parametrize(
    "said",
    [
        "[../gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:1",
        "NCCL error: remote process exited or there was a network error",
        "Failed to recv, got 0 bytes. Connection was likely closed. Did the remote server shutdown or crash?",
        "a layer of ours",
    ],
)
def test_a_rank_that_lost_its_partner_ends_in_one_line(
    said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lost(*_: object, **__: object) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr(Trainer, "fit", lost)
    if "ours" in said:  # an error of another kind is not taken for it
        with pytest.raises(RuntimeError, match="a layer of ours"):
            zoo("fit", *TINY, *QUIET)
        return
    with pytest.raises(SystemExit) as stop:
        zoo("fit", *TINY, *QUIET)
    error = capsys.readouterr().err
    assert (stop.value.code, error.count("error:")) == (1, 1)
    assert "another process of this run ended, so this one ends too: it has no checkpoint yet" in error


@pytest.mark.parametrize(
    "paper", ["pggan", *(pytest.param(paper, marks=pytest.mark.slow) for paper in MODELS if paper != "pggan")]
)
def test_a_run_without_measurements_ends_well(paper: str) -> None:
    """Its figures are those that need no measurement: nothing may be missed that was never taken."""
    small, script = SMALL[paper], script_of(paper)
    options = ["fit", "--recipe", "digits", "--images", "16", "--run_dir", "run", *QUIET]
    options += ["--data.batch_size", "8"] * (paper not in ("pggan", "stylegan"))
    for prefix, settings in (("model", small.model), ("data", small.data)):
        for name, value in settings.items():
            options.append(f"--{prefix}.{name}={value if isinstance(value, str) else json.dumps(value)}")
    reproduce(paper, script.recipes, figures=script.figures, arguments=options)
    assert read_result("run")["images_seen"] == 16


CLEARED = """
import resource, sys
from zoo.runs.environment import keep_freed_memory
kept = sys.argv[1] == "kept" and keep_freed_memory()
pages = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
bytearray(64 << 20)
before = pages()
for _ in range(4):
    bytearray(64 << 20)
print(kept, pages() - before)
"""


def cleared(side: str, **environment: str) -> tuple[bool, int]:
    """Whether a process keeps freed memory, and the pages it was given for four blocks after a first one."""
    command = [sys.executable, "-c", CLEARED, side]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    kept, pages = done.stdout.split()
    return kept == "True", int(pages)


@pytest.mark.skipif(not platform.libc_ver()[0], reason="the C library is not GNU's")
def test_freed_memory_is_used_again_unless_the_environment_has_a_say() -> None:
    assert cleared("given back")[1] > 60_000  # pages of 4 KiB, for 256 MiB
    assert cleared("kept") == (True, pytest.approx(0, abs=1_000))
    assert not cleared("kept", MALLOC_ARENA_MAX="2")[0]
    assert not cleared("kept", GLIBC_TUNABLES="glibc.malloc.arena_max=2")[0]
