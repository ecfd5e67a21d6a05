"""What commands are told to write, and where: refused before the work is done."""

from pathlib import Path

import pytest

from zoo.__main__ import parser
from zoo.data import Digits
from zoo.errors import DataError, ZooError


def run(*arguments: object) -> None:
    command = parser().parse_args([str(a) for a in arguments])
    command.run(command)


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
    ):
        with pytest.raises(ZooError, match=message):
            run(*arguments)
    assert (tmp_path / "file").read_text() == "here before"


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
