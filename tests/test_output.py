"""What commands are told to write, and where: refused before the work is done."""

from pathlib import Path

import pytest
from command_line import run
from PIL import Image

from zoo.__main__ import parser
from zoo.data import Digits
from zoo.errors import DataError, ZooError


def test_an_output_that_cannot_be_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("here before")
    for arguments, message in (
        (("interpolate", "gan.mnist", "--out", "x.avi"), "--out x.avi: what is written there is .png or .gif or "),
        (("sample", "gan.mnist", "--out", tmp_path / "folder.png"), "is a folder"),
        (("sample", "gan.mnist", "--out", tmp_path / "file" / "x.png"), "cannot be made a folder"),
        (("sample", "gan.mnist", "--files", "--out", tmp_path / "file"), "cannot be made a folder"),
        (("traverse", "infogan.mnist", "--out", tmp_path / "file"), "cannot be made a folder"),
        (("traverse", "infogan.mnist", "--out", "codes.mov"), "codes.mov: what is written there is .gif"),
        (("film", tmp_path, "--out", "film.png"), "film.png: what is written there is .gif"),
        (("mix", "stylegan.mnist", "--out", "x.svg"), "x.svg: what is written there is .png"),
        (("mix", "stylegan.mnist", "--out", "x"), "is .png"),
        (("sample", "cgan.mnist", "--labels", "abc"), "--labels takes integers"),
        (("sample", "cgan.mnist", "--labels", ""), "--labels takes integers"),
        (("evaluate", "gan.mnist", "--json", tmp_path / "folder.png"), "--json .* is .json"),
        (("evaluate", "gan.mnist", "--neighbours", "x.gif"), "--neighbours x.gif"),
        (("releases", "--picture", "x.jpg"), "--picture x.jpg: what is written there is .png"),
        (("releases", "--picture", tmp_path / "folder.png"), "is a folder"),
        (("train-lenet", "--data_dir", tmp_path, "--out", "x.pt"), "x.pt: what is written there is .safetensors"),
        (("train-resnet", "--data_dir", tmp_path, "--out", tmp_path / "file" / "x.safetensors"), "made a folder"),
    ):
        with pytest.raises(ZooError, match=message):
            run(*arguments)
    assert (tmp_path / "file").read_text() == "here before"


def test_a_command_that_is_refused_makes_no_folder(tmp_path: Path) -> None:
    for command in (
        ("neighbours", "absent.model", "--out", tmp_path / "a" / "x.png"),
        ("export", "absent.model", "--to", "torch-export", "--out", tmp_path / "a" / "x.pt2"),
        ("film", tmp_path / "absent", "--out", tmp_path / "a" / "x.gif"),
        ("project", "gan.mnist", tmp_path / "absent.png", "--out", tmp_path / "a" / "x.png"),
        ("directions", "gan.mnist", "--space", "w", "--out", tmp_path / "a" / "x.png"),
    ):
        with pytest.raises(ZooError):
            run(*command)
    assert not list(tmp_path.iterdir())


def test_a_folder_is_made_for_what_is_written(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    run("sample", "gan.mnist", "-n", 2, "--out", out / "x.png")
    run("directions", "gan.mnist", "--count", 1, "--out", out / "c" / "x.png", "--save", out / "d" / "x.safetensors")
    run("export", "gan.mnist", "--to", "torch-export", "--out", out / "e" / "x.pt2")
    found = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert found == ["c/x.png", "d/x.safetensors", "e/x.pt2", "e/x.pt2.md", "x.png"]


@pytest.mark.parametrize("command", ["sample", "interpolate", "neighbours", "directions", "project", "traverse", "mix"])
def test_a_seed_has_64_bits(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in ("9223372036854775808", "-9223372036854775809", "1.5", "x"):
        with pytest.raises(SystemExit):
            parser().parse_args([command, "gan.mnist", "--seed", seed])
        assert "--seed: must be a whole number of at most 64 bits" in capsys.readouterr().err
    for number in (2**63 - 1, -(2**63), 2**32):
        arguments = parser().parse_args([command, "gan.mnist", "--seed", str(number)])
        assert arguments.seed == number


@pytest.mark.filterwarnings("ignore:.* samples for .* features")
def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(home))
    for k in range(12):
        Image.new("RGB", (8, 8), (20 * k, 0, 0)).save(home / f"{k}.png")
    folders = ("--real=~", "--fake", "~", "--features=lenet", "--measures=fd,nn")
    run("evaluate", *folders, "--json=~/figures.json", "--neighbours=~/near.png")
    assert (home / "figures.json").is_file()
    assert (home / "near.png").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_training_does_not_go_on_with_other_images() -> None:
    data = Digits(train_images=40)
    state = data.state_dict()
    assert state["images"] == 40
    data.load_state_dict(state)
    data.trainer = type("Training", (), {"training": True})()
    data.load_state_dict(state)
    data.load_state_dict({})  # of a checkpoint that does not say
    other = Digits(train_images=80)
    other.trainer = data.trainer
    with pytest.raises(DataError, match=r"holds other images than this run was trained on \(80 now, 40 then\)"):
        other.load_state_dict(state)
