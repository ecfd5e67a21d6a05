"""What a file that somebody sends may say: no code, no sizes that it does not hold, and settings that are a run."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from command_line import refused, zoo
from registry import small_model

from zoo.errors import CheckpointError, DataError, RecordError, UsageError
from zoo.models import MODELS
from zoo.models.trained import FinishedRun, load_module
from zoo.runs.checkpoints import read_checkpoint
from zoo.runs.plain import read_json, read_yaml
from zoo.runs.text import printable
from zoo.training.config_files import without_foreign_code
from zoo.training.words import Words

COMMAND = {"class_path": "os.system", "init_args": {"command": "touch ran"}}


def run_with(folder: Path, **settings: Any) -> FinishedRun:
    """A run's folder that holds settings alone."""
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    return FinishedRun(folder, models=MODELS)


# --- code ---


def test_the_data_set_of_a_run_is_never_called_unless_it_is_ours(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"config\.yaml names 'os\.system' as its data set"):
        _ = run_with(tmp_path / "run", data=COMMAND).data
    assert not Path("ran").exists()
    ours = {"class_path": "zoo.data.Digits", "init_args": {"resolution": 32}}
    assert run_with(tmp_path / "run", data=ours).data.image_shape == (1, 32, 32)


@pytest.mark.parametrize(
    ("settings", "option"),
    [
        ({"data": COMMAND}, "--data"),
        ({"data": "os.system"}, "--data"),
        ({"data": {"class_path": "zoo.data.evil.os.system"}}, "--data"),
        ({"data": {"class_path": "zoo.data.Digits", "init_args": {"root": COMMAND}}}, "--data"),
        ({"model": {"techniques": COMMAND}}, "--model"),
        ({"trainer": {"callbacks": [COMMAND]}}, "--trainer.callbacks"),
        ({"trainer": {"logger": "my.Logger"}}, "--trainer.logger"),
        ({"trainer": {"strategy": COMMAND}}, "--trainer.strategy"),
        ({"trainer": {"plugins": [{"class_path": "my.Plugin"}]}}, "--trainer.plugins"),
        ({"evaluation": {"extractors": [COMMAND]}}, "--evaluation"),
    ],
)
def test_classes_in_a_file_are_ours_or_named_again(settings: dict[str, Any], option: str) -> None:
    with pytest.raises(UsageError, match=f"as {option}, which is no class of this package"):
        without_foreign_code(settings, file=Path("config.yaml"), given={})


def test_what_the_command_line_names_again_is_the_users_own() -> None:
    settings = {"data": {"class_path": "my.Data", "init_args": {"a": 1}}, "images": 5}
    file = Path("config.yaml")
    assert without_foreign_code(settings, file=file, given={"data": "my.Data"}) == settings
    assert without_foreign_code(settings, file=file, given={"data": "Digits"}) == {"images": 5}
    looking_on = {"trainer": {"callbacks": [{"class_path": "lightning.pytorch.callbacks.LearningRateMonitor"}]}}
    assert without_foreign_code(looking_on, file=file, given={}) == looking_on
    callbacks = {"trainer": {"callbacks": [COMMAND], "devices": 1}}
    assert without_foreign_code(callbacks, file=file, given={"trainer.callbacks": "x"}) == {"trainer": {"devices": 1}}


def test_a_file_on_the_command_line_is_looked_through_too(capsys: pytest.CaptureFixture[str]) -> None:
    Path("f.yaml").write_text(yaml.safe_dump({"data": COMMAND}))
    assert "f.yaml names 'os.system' as --data" in refused(capsys, "dcgan", "fit", "--config", "f.yaml")
    assert "settings in a file come by --config" in refused(capsys, "dcgan", "fit", "--data", "f.yaml")
    assert {path.name for path in Path().iterdir()} == {"f.yaml"}


# --- sizes ---


def test_yaml_and_json_that_would_fill_the_memory_are_one_error(tmp_path: Path) -> None:
    lines = ["a0: &a0 [1,1,1,1,1,1,1,1,1,1]"]
    lines += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    bomb, deep, circle = (tmp_path / f"{name}.yaml" for name in ("bomb", "deep", "circle"))
    bomb.write_text("\n".join(lines))
    deep.write_text("[" * 20_000)
    circle.write_text("a: &a [*a]")
    for path, text in ((bomb, "aliases"), (deep, "deeply"), (circle, "deeply")):
        with pytest.raises(RecordError, match=rf"{path.name} cannot be read as YAML.*{text}"):
            read_yaml(path)
    (tmp_path / "deep.json").write_text("[" * 200_000)
    with pytest.raises(RecordError, match=r"deep\.json cannot be read as JSON.*deeply"):
        read_json(tmp_path / "deep.json")
    (tmp_path / "small.yaml").write_text("a: &x {b: 1}\nc: [*x, *x]")
    assert read_yaml(tmp_path / "small.yaml") == {"a": {"b": 1}, "c": [{"b": 1}, {"b": 1}]}


def test_packed_parts_of_a_checkpoint_are_not_unpacked(tmp_path: Path) -> None:
    torch.save({"state_dict": {"w": torch.zeros(1000)}}, tmp_path / "a.ckpt")
    with zipfile.ZipFile(tmp_path / "a.ckpt") as whole, zipfile.ZipFile(tmp_path / "b.ckpt", "w") as packed:
        for part in whole.infolist():
            packed.writestr(part.filename, whole.read(part), compress_type=zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match=r"b\.ckpt holds a part that is packed.*NOT unpacked"):
        read_checkpoint(tmp_path / "b.ckpt")
    assert read_checkpoint(tmp_path / "a.ckpt")["state_dict"]["w"].shape == (1000,)


def test_a_tensor_that_claims_terabytes_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"w": torch.zeros(1).expand(10**12)}}, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match=r"a\.ckpt: its part state_dict\.w claims 1,000,000,000,000 numbers"):
        read_checkpoint(tmp_path / "a.ckpt")


def test_settings_of_terabytes_are_compared_before_a_network_is_made(tmp_path: Path) -> None:
    module = small_model("gan")
    settings = {"network": "mnist"}
    content = {"state_dict": module.state_dict(), "hyper_parameters": settings, "zoo": {"paper": "gan", "class": "GAN"}}
    torch.save(content, tmp_path / "a.ckpt")
    assert load_module(tmp_path / "a.ckpt", models=MODELS).image_shape == (1, 28, 28)
    huge = {"zoo": {"paper": "dcgan", "class": "DCGAN"}, "hyper_parameters": {"width": 2**20, "z_dim": 2**20}}
    torch.save(content | huge, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match=r"a\.ckpt does not fit this DCGAN"):
        load_module(tmp_path / "a.ckpt", models=MODELS)


def test_names_are_printed_without_what_a_terminal_obeys() -> None:
    assert printable("a\x1b[31m\x07\nb\x9b\u202e") == "a\\x1b[31m\\x07\nb\\x9b\\u202e"
    assert printable("naïve 画 é\t") == "naïve 画 é\t"


# --- a config file is a run ---


def test_a_file_gives_what_is_taken_off_the_command_line() -> None:
    Path("f.yaml").write_text("recipe: mnist\nrun_dir: there\nname: null\ninit_from: dcgan.mnist\nimages: 5\n")
    words = Words.of(["fit", "--images", "7", "--config", "f.yaml"])
    assert words.taken == {"recipe": "mnist", "run_dir": "there"}
    assert words.settings["init_from"] == "dcgan.mnist"
    assert list(words.rest) == ["--config=f.yaml", "--images", "7"]  # options override the file
    assert Words.of(["fit", "--name", "x", "-c", "f.yaml"]).taken == {"recipe": "mnist", "name": "x"}
    with pytest.raises(UsageError, match="is of recipe mnist"):
        Words.of(["fit", "--recipe", "digits", "--config=f.yaml"])


def test_printed_settings_are_those_of_the_recipe_again(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        zoo("dcgan", "fit", "--recipe", "mnist", "--model.width", "8", "--print_config")
    printed = capsys.readouterr().out
    Path("f.yaml").write_text(printed)
    with pytest.raises(SystemExit):
        zoo("dcgan", "fit", "--config", "f.yaml", "--print_config")
    again = capsys.readouterr().out
    assert yaml.safe_load(again) == yaml.safe_load(printed)
    assert yaml.safe_load(again)["recipe"] == "mnist"


def test_errors_of_a_file_name_it(capsys: pytest.CaptureFixture[str]) -> None:
    Path("f.yaml").write_text("a: [1\nb: }")
    assert "f.yaml cannot be read as YAML" in refused(capsys, "dcgan", "fit", "--config", "f.yaml")
    Path("f.yaml").write_text("just words")
    assert "f.yaml holds no settings" in refused(capsys, "dcgan", "fit", "--config", "f.yaml")
    assert "--config nowhere.yaml: there is no such file" in refused(capsys, "dcgan", "fit", "--config", "nowhere.yaml")
    Path("f.yaml").write_text("images: many")
    text = refused(capsys, "dcgan", "fit", "--config", "f.yaml")
    assert "f.yaml" in text
    assert "--images must be a whole number, not 'many'" in text
    Path("f.yaml").write_text("imagse: 5")
    assert "f.yaml" in refused(capsys, "dcgan", "fit", "--config", "f.yaml")
    assert "(nothing is written null)" in refused(capsys, "dcgan", "fit", "--model.z_dim", "None")


def test_a_tilde_that_no_shell_has_read_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--run_dir=~/x` made a folder of the name ~."""
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    (tmp_path / "me").mkdir()
    (tmp_path / "me/f.yaml").write_text("run_dir: ~/runs/a\n")
    words = Words.of(["fit", "--config=~/f.yaml", "--ckpt_path=~/x/last.ckpt"])
    assert words.files == [str(tmp_path / "me/f.yaml")]
    assert words.taken == {"run_dir": str(tmp_path / "me/runs/a"), "ckpt_path": str(tmp_path / "me/x/last.ckpt")}
    assert Words.of(["fit", "--run_dir=~/b", "--ckpt_path", "last"]).taken["run_dir"] == str(tmp_path / "me/b")
    assert Words.of(["study", "--run_dir=~/b", "--earlier=~nobody-of-this-name/s.json"]).taken == {
        "run_dir": str(tmp_path / "me/b"),
        "earlier": "~nobody-of-this-name/s.json",
    }
