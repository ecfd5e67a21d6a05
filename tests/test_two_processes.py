"""Two gloo processes on the CPU against one process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from toys import same, state_of

from zoo.models import MODELS
from zoo.runs.record import read_metrics, read_result

TESTS = Path(__file__).parent
ROOT = TESTS.parent


def environment(cache: Path) -> dict[str, str]:
    path = f"{TESTS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "ZOO_CACHE": str(cache)}


def run(*command: str, cache: Path) -> str:
    done = subprocess.run(
        [sys.executable, *command], env=environment(cache), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    folder = tmp_path_factory.mktemp("two")
    work = str(TESTS / "two_process_run.py")
    run(work, str(folder), "1", cache=shared_cache)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    (folder / "whole/last.ckpt").unlink()
    run(*launcher, work, str(folder), "2", cache=shared_cache)
    return folder


def seen(out: Path, world: int, rank: int = 0) -> dict[str, Any]:
    return dict(torch.load(out / f"seen-{world}-{rank}.pt", weights_only=True))


def test_parameters_are_equal_and_latents_differ(out: Path) -> None:
    a, b = seen(out, 2, 0), seen(out, 2, 1)
    assert same(a["trained"], b["trained"])
    assert not torch.equal(a["latents"], b["latents"])
    assert not torch.equal(a["noise"], b["noise"])


@pytest.mark.parametrize("what", ["joint", "joint_gan"])
def test_updates_equal_those_of_one_process_on_the_joint_batch(out: Path, what: str) -> None:
    """Without BatchNorm and dropout, and with the latents of the joint batch shared out."""
    one, two = seen(out, 1), seen(out, 2)
    assert one["counters"] == two["counters"] == (32, 4, 4)
    for name, value in one[what].items():
        torch.testing.assert_close(two[what][name], value, rtol=1e-5, atol=1e-7, msg=name)


def test_two_processes_resume_to_the_bit(out: Path) -> None:
    for rank in (0, 1):
        mine = seen(out, 2, rank)
        assert same(mine["trained"], mine["resumed"])
        assert torch.equal(mine["latents"], mine["resumed_latents"])
    whole, parts = (state_of(out / name / "last.ckpt") for name in ("whole", "parts"))
    assert len(whole["zoo"]["random_states"]) == 2
    assert same(whole, parts)


@pytest.mark.parametrize("paper", MODELS)
def test_every_paper_trains_and_resumes_on_two_processes(out: Path, paper: str) -> None:
    ranks = [seen(out, 2, rank)["papers"][paper] for rank in (0, 1)]
    for mine in ranks:
        assert mine["counters"][0] == 8 * 6
        assert mine["counters"][2] >= 2
        assert not same(mine["start"], mine["trained"])
        assert same(mine["trained"], mine["resumed"])
    assert same(ranks[0]["trained"], ranks[1]["trained"])
    assert not torch.equal(ranks[0]["latents"], ranks[1]["latents"])


def test_frozen_layers_stay_on_both_processes(out: Path) -> None:
    ranks = [seen(out, 2, rank)["tuned"] for rank in (0, 1)]
    for mine in ranks:
        frozen, before, after = mine["frozen"], mine["before"], mine["after"]
        weights = {name for name in before if name.startswith("D.") and name.endswith("weight")}
        assert {name for name in weights if torch.equal(before[name], after[name])} == weights & set(frozen)
        assert len(weights & set(frozen)) == 3  # two convolutions and a BatchNorm
    assert same(*({name: mine["after"][name] for name in weights} for mine in ranks))


def test_a_loss_lost_on_one_rank_stops_all(out: Path) -> None:
    assert seen(out, 1)["stopped_at"] == seen(out, 2, 0)["stopped_at"] == seen(out, 2, 1)["stopped_at"] == 8 * 3


def test_measures_are_equal(out: Path) -> None:
    one, two, other = seen(out, 1)["values"], seen(out, 2, 0)["values"], seen(out, 2, 1)["values"]
    assert {"fd_lenet490", "is_lenet490", "kd_lenet490"} <= one.keys()
    assert two == other
    for name, value in one.items():
        assert two[name] == pytest.approx(value, rel=1e-6), name


def test_an_evaluation_while_training_is_of_one_model(out: Path) -> None:
    """Each process normalises by its own share and averages that: a checkpoint has the averages of the first."""
    one, other = (seen(out, 2, rank)["averages"] for rank in (0, 1))
    assert len(one["found"]) == 4
    assert torch.equal(one["found"], other["found"])
    assert not torch.equal(one["found"][0], one["found"][1])
    assert one["values"] == other["values"] == {"rank": 0.0}  # or they would keep another best checkpoint each


@pytest.mark.slow
def test_the_command_line_chooses_the_strategy_itself(tmp_path: Path, shared_cache: Path) -> None:
    options = ["--recipe", "digits", "--devices", "2", "--model.width", "8", "--images", "256", "--run_dir", "run"]
    options += ["--evaluation.every", "128", "--evaluation.samples", "100", "--evaluation.real_images", "500"]
    printed = run(str(ROOT / "reproductions/dcgan.py"), "fit", *options, cache=shared_cache)
    assert printed.count("sample grids") == 1
    record = read_result(tmp_path / "run")
    assert (record["images_seen"], record["discriminator_steps"]) == (256, 4)  # the batch of 64 is divided, not doubled
    rows = [row for row in read_metrics(tmp_path / "run/metrics.jsonl") if "fd_lenet100" in row]
    assert [row["images_seen"] for row in rows] == [0, 128, 256]
    assert {path.name for path in (tmp_path / "run/grids").iterdir()} == {
        "images-000000000.png",
        "images-000000256.png",
    }


@pytest.mark.slow
def test_a_signal_to_one_process_stops_both_with_a_checkpoint(tmp_path: Path, shared_cache: Path) -> None:
    options = ["--recipe", "digits", "--devices", "2", "--model.width", "8", "--run_dir", "run"]
    options += ["--evaluation.samples", "100", "--evaluation.real_images", "500"]
    command = [sys.executable, str(ROOT / "reproductions/dcgan.py"), "fit", *options]
    with subprocess.Popen(command, env=environment(shared_cache), stderr=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "run/config.yaml").exists():  # the first measurement follows, then the first batch
            assert process.poll() is None
            time.sleep(0.05)
        process.terminate()
        _, printed = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert printed.count("go on with: python") == 1
    images = int(state_of(tmp_path / "run/checkpoints/last.ckpt")["state_dict"]["images_seen"])
    assert images % (64 * 10) == 0 < images  # they agree every tenth batch
    run(*command[1:3], "--run_dir", "run", "--ckpt_path", "last", "--images", str(images + 64), cache=shared_cache)
