import shutil
from pathlib import Path

import pytest
from made_runs import make_run

from zoo.reached import Row, headlines, keep, options_of_study, reached_by, rows, without_folders
from zoo.record import RecordError, RunDir, read_result, write_result


def test_a_kept_run_has_its_record_its_last_grid_and_the_last_of_each_figure(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", tests={"best": 1.0, "last": 2.0})
    figures = RunDir(run).figures
    for name in ("growth-000000200", "growth-000000400", "figure3_style_mixing-000000400", "undated"):
        (figures / f"{name}.png").write_bytes(name.encode())
    file = keep(run, tmp_path / "root")
    assert file.name == "gan-digits-seed0.json"
    assert read_result(file)["tests"] == read_result(run)["tests"]
    kept = {path.name: path.read_bytes() for path in file.parent.glob("*.png")}
    assert kept["gan-digits-seed0.png"] == (RunDir(run).grids / "images-000000400.png").read_bytes()
    assert kept["gan-digits-seed0-growth.png"] == b"growth-000000400"
    assert kept["gan-digits-seed0-figure3_style_mixing.png"] == b"figure3_style_mixing-000000400"
    assert len(kept) == 3


def test_a_fine_tuned_run_is_not_kept_as_one_of_its_recipe(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", tests={"best": 1.0, "last": 2.0})
    finetune = {"init_from": "dcgan.mnist", "freeze_d": 0, "lr_scale": 1.0, "augment": None, "tensors": None}
    write_result(RunDir(run), {**read_result(run), "finetune": finetune})
    with pytest.raises(RecordError, match=r"fine-tuned or augmented \(from dcgan\.mnist\)"):
        keep(run, tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_a_run_that_lacks_a_test_leaves_the_records_as_they_were(tmp_path: Path) -> None:
    root = tmp_path / "root"
    scripts = Path(__file__).parents[1] / "reproductions"
    shutil.copytree(scripts, root / "reproductions", ignore=shutil.ignore_patterns("records"))
    run = make_run(tmp_path / "run", tests={"last": 2.0})
    best = run / "checkpoints/best.ckpt"
    best.touch()
    with pytest.raises(RecordError, match=r"not measured at its best checkpoint: `test --ckpt_path best` does"):
        keep(run, root)
    assert not (root / "reproductions/records").exists()
    best.unlink()  # none was chosen: no keep.monitor
    keep(run, root)
    assert [row.cells[3:5] for row in rows(root / "reproductions")] == [("not chosen", "2")]


def test_folders_of_a_machine_are_not_kept() -> None:
    command = ["python", "x.py", "fit", "--data_dir", "/home/me", "--run_dir=/home/me/runs", "--recipe=mnist"]
    assert without_folders(command) == [*command[:3], "--data_dir", "DIR", "--run_dir=RUN", "--recipe=mnist"]
    tuned = ["python", "x.py", "fit", "--init_from=/home/me/study/source", "--data.root", "/home/me/faces"]
    assert without_folders(tuned)[3:] == ["--init_from=source", "--data.root", "DIR"]
    assert without_folders(["fit", "--init_from", "dcgan.mnist"])[1:] == ["--init_from", "dcgan.mnist"]


def test_readme_shows_the_figures_that_runs_are_compared_by() -> None:
    def row(recipe: str, measure: str, reported: str = "not reported") -> Row:
        return Row("gan", (recipe, measure, reported, "1", "2", "3", "0", "abc", "def"))

    shown = [row("mnist", "fd_lenet"), row("mnist", "parzen_ll", "225"), row("ring", "modes")]
    hidden = [row("mnist", "kd_lenet"), row("mnist, wide", "fd_lenet"), row("ring", "critic_gradient_norm")]
    assert headlines([*shown[:2], *hidden, shown[2]]) == shown


def test_the_command_that_reached_a_figure_names_what_was_set() -> None:
    first = [
        "python",
        "reproductions/gan.py",
        "fit",
        "--recipe=mnist",
        "--run_dir",
        "RUN",
        "--trainer.max_time=00:01:00:00",
    ]
    first += ["--model.width", "32", "--images=100", "--evaluation.every=50"]
    again = [
        "python",
        "reproductions/gan.py",
        "fit",
        "--run_dir=RUN",
        "--ckpt_path=last",
        "--images",
        "200",
        "--init_from",
        "a=b",
    ]
    test = ["python", "reproductions/gan.py", "test", "--run_dir", "RUN", "--evaluation.samples", "7"]
    record = {"paper": "gan", "recipe": "mnist", "commands": [first, again, test]}
    assert reached_by(record) == "reproductions/gan.py fit --recipe mnist --model.width 32 --images 200 --init_from a=b"


def test_what_a_study_sets_itself_is_known() -> None:
    scripts = Path(__file__).parents[1] / "reproductions"
    assert {"--init_from", "--freeze_d", "--recipe", "--model.width"} <= set(
        options_of_study(scripts / "dcgan.py", "finetune")
    )
    assert "--model.width_G" not in options_of_study(scripts / "wgan.py", "mnist")
    assert options_of_study(scripts / "wgan.py", "of long ago") == []
