"""`zoo evaluate` on images in files and on a data set, with networks of this package and of one's own."""

import json
from functools import partial

import command_line
import numpy as np
import pytest
import torch
from PIL import Image

from zoo.commands.evaluate.command import neighbourhood
from zoo.commands.evaluate.outcome import Outcome, as_fields, draw_neighbours
from zoo.data import Digits, ImageFolder
from zoo.data.arrays import fixed_order
from zoo.errors import ZooError
from zoo.metrics import Column, Evaluator, LeNetExtractor

run = partial(command_line.run, "evaluate")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def digits():
    array = Digits().split("train")
    return array.images[torch.randperm(len(array), generator=torch.Generator().manual_seed(0))]


def folder(path, images):
    path.mkdir(parents=True)
    for i, image in enumerate(images):
        Image.fromarray(image[0].numpy()).save(path / f"{i:04d}.png")
    return path


@pytest.fixture
def folders(tmp_path, digits):
    return folder(tmp_path / "real", digits[:200]), folder(tmp_path / "fake", digits[200:320])


def test_two_folders_as_a_table_and_as_json(folders, tmp_path, digits, capsys):
    out = tmp_path / "figures.json"
    run("--real", folders[0], "--fake", folders[1], "--features", "lenet", "--measures", "fd,kd,pr", "--json", out)
    printed = capsys.readouterr().out
    written = json.loads(out.read_text())
    assert set(written["values"]) == {
        *("fd_lenet120", "kd_lenet120", "kd_lenet120_std", "precision_lenet120", "recall_lenet120")
    }
    for name, entry in written["values"].items():
        assert written["protocols"][entry["protocol"]]["n_fake"] == 120
        assert name.endswith("_std") or (name in printed and entry["protocol"] in printed)
    assert f"{written['values']['fd_lenet120']['value']:.6g}" in printed
    assert "+/-" in printed

    class Reference:
        name = "real"

        def split(self, name):
            return Digits().split("train").__class__(digits[:200], None, None, "ab")

    direct = Evaluator([LeNetExtractor()], data=Reference(), n_fake=120, measures=["fd"]).run_images(digits[200:320])
    assert written["values"]["fd_lenet120"]["value"] == pytest.approx(direct.values["fd_lenet120"], rel=1e-6)


def test_several_fakes_against_the_same_images(folders, tmp_path, digits, capsys):
    out, copies = tmp_path / "figures.json", folder(tmp_path / "copies", digits[[7] * 200])
    options = ("--features", "lenet", "--measures", "fd,kd", "--json", out)
    run("--real", folders[0], "--fake", folders[1], copies, folders[0], *options)
    printed, several = capsys.readouterr().out, json.loads(out.read_text())["evaluations"]
    assert [each["subject"]["fake"] for each in several] == [str(folders[1]), str(copies), str(folders[0])]
    some, alike, same = (" ".join(each["notes"]) for each in several)
    assert "each of its subsets holds all 120 fakes" in some
    assert "all fakes are the same image" in alike
    assert "all its subsets are the whole set (200 reals, 200 fakes)" in same
    assert "is below 0" in same
    assert "same image" not in some + same
    assert all(note in printed for each in several for note in each["notes"])
    rows = [line for line in printed.splitlines() if line.startswith("kd_lenet")]
    assert ["over subsets" in row for row in rows] == [True, False, False]
    run("--real", folders[0], "--fake", folders[1], *options)
    assert json.loads(out.read_text()) == several[0]
    for more, message in (
        (("--samples", 150), "150 fakes were asked for, and there are 120"),
        (("--neighbours", tmp_path / "x.png"), "one --fake"),
    ):
        with pytest.raises(ZooError, match=message):
            run("--real", folders[0], "--fake", *folders, *options, *more)


def test_a_data_set_against_itself_is_its_test_images_against_its_training_images(tmp_path, digits):
    folder(tmp_path / "in" / "train", digits[:200])
    folder(tmp_path / "in" / "test", digits[200:320])
    common = ("--features", "lenet", "--measures", "fd,kd", "--json")
    run("--data", "ImageFolder", "--data_dir", tmp_path / "in", "--resolution", 28, *common, tmp_path / "a.json")
    run("--real", tmp_path / "in/train", "--fake", tmp_path / "in/test", *common, tmp_path / "b.json")
    alone, folders = (json.loads((tmp_path / f"{name}.json").read_text())["values"] for name in "ab")
    assert set(alone) == set(folders) == {"fd_lenet120", "kd_lenet120", "kd_lenet120_std"}
    for name, entry in alone.items():
        assert entry["value"] == pytest.approx(folders[name]["value"], rel=1e-6)
    for arguments in (("Digits",), ("ImageFolder", "--data_dir", tmp_path / "in", "--split", "test")):
        with pytest.raises(ZooError, match="no test images of"):
            run("--data", *arguments)


def test_a_data_set_against_its_validation_images_says_so(tmp_path, digits):
    for name, part in (("train", digits[:20]), ("val", digits[20:200]), ("test", digits[200:320])):
        folder(tmp_path / "in" / name, part)
    common = ("--resolution", 28, "--split", "validation", "--features", "lenet", "--measures", "fd")
    run("--data", "ImageFolder", "--data_dir", tmp_path / "in", *common, "--json", tmp_path / "a.json")
    written = json.loads((tmp_path / "a.json").read_text())
    assert written["subject"]["real"] == "ImageFolder:validation"
    assert set(written["values"]) == {"fd_lenet120_validation"}


def test_a_preset_takes_no_more_images_than_the_data_have(tmp_path, digits, monkeypatch):
    for name, part in (("train", digits[:200]), ("test", digits[200:320])):
        folder(tmp_path / "in" / name, part)
    network = LeNetExtractor()
    network.in_dialect = lambda dialect: network
    monkeypatch.setattr("zoo.metrics.inception.InceptionExtractor", lambda weights: network)
    common = ("--resolution", 28, "--presets", "train50k", "--measures", "fd", "--json", tmp_path / "a.json")
    run("--data", "ImageFolder", "--data_dir", tmp_path / "in", *common)
    assert set(json.loads((tmp_path / "a.json").read_text())["values"]) == {"fd_lenet120"}


def test_a_grey_model_is_measured_against_a_folder_of_grey_images(folders, tmp_path):
    out = tmp_path / "a.json"
    options = ("--samples", 20, "--measures", "fd", "--features", "lenet", "--batchnorm", "running", "--json", out)
    run("gan.mnist", "--data", "ImageFolder", "--data_dir", folders[0], *options)
    assert set(json.loads(out.read_text())["values"]) == {"fd_lenet20"}


def test_neighbours_are_drawn_out_of_the_images_that_they_are_numbers_of(digits, tmp_path):
    """Those of a preset's split, not of the training images."""
    for name, part in (("train", digits[:90]), ("test", digits[200:320])):
        folder(tmp_path / "in" / name, part)
    data = ImageFolder(root=str(tmp_path / "in"), channels=1)
    columns = [Column(LeNetExtractor(), split, n_fake=60) for split in ("test", "train")]
    for measures, split in ((["nn", "nn_pixels"], "test"), (["fd", "nn_pixels"], "train")):
        evaluator = Evaluator(columns=columns, data=data, measures=measures, n_fake=60)
        assert torch.equal(neighbourhood(evaluator), data.split(split).images)
    evaluator = Evaluator(columns=columns, data=data, measures=["nn"], n_fake=60)
    found = next(iter(evaluator.run_images(digits[200:320]).neighbours.values()))
    nearest = neighbourhood(evaluator)[found.nearest[:, 0]]
    order = torch.from_numpy(fixed_order(120))[:60]
    assert torch.equal(nearest, digits[200:320][order])  # each its own


@pytest.mark.parametrize(
    ("measure", "among"),
    [("nn_pixels", "the nearest of 90 images of ImageFolder (test)"), ("nn", "the nearest of 50 of 90 images of")],
)
def test_a_picture_of_neighbours_says_among_which_images(measure, among, digits, tmp_path, monkeypatch):
    """All were called training images, whatever the split, and of features a part of them is looked through."""
    titles = []
    monkeypatch.setattr("zoo.commands.neighbours.picture_of", lambda *_, title: titles.append(title))
    monkeypatch.setattr("zoo.experiments.pictures.captions.write_picture", lambda picture, path: None)
    monkeypatch.setattr("zoo.metrics.real_statistics.POOL", 50)
    folder(tmp_path / "in" / "test", digits[:90])
    folder(tmp_path / "in" / "train", digits[90:120])
    data = ImageFolder(root=str(tmp_path / "in"), channels=1)
    columns = [Column(LeNetExtractor(), "test", n_fake=60)] if measure == "nn" else []
    evaluator = Evaluator(columns=columns, data=data, measures=[measure], split="test", n_fake=60, pool=50)
    result = evaluator.run_images(digits[200:260])
    draw_neighbours(Outcome({}, result, neighbourhood(evaluator)), tmp_path / "near.png")
    assert among in titles[0]
    assert "training" not in titles[0]


def test_unknown_features_are_refused_before_the_data_are_read(monkeypatch):
    monkeypatch.setattr("zoo.commands.evaluate.command.load_subject", lambda *_, **__: pytest.fail("read first"))
    with pytest.raises(ZooError, match="there are no features 'lenett': choose from"):
        run("wgan.mnist", "--features", "lenet,lenett")


def test_neighbours_of_another_size_are_refused_before_the_work(folders, tmp_path, digits, monkeypatch):
    larger = folder(tmp_path / "larger", torch.nn.functional.pad(digits[:12], (2, 2, 2, 2)))
    monkeypatch.setattr(Evaluator, "run_images", lambda *_, **__: pytest.fail("measured first"))
    with pytest.raises(ZooError, match="different shapes cannot stand in one figure; --resolution N"):
        run("--real", folders[0], "--fake", larger, "--features", "lenet", "--neighbours", tmp_path / "near.png")


def test_grey_transparent_and_palette_images_are_one_kind(folders, tmp_path, digits):
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for i, image in enumerate(digits[200:320]):
        picture = Image.fromarray(image[0].numpy())
        mode = ("L", "RGB", "RGBA", "P")[i % 4]
        picture.convert(mode).save(mixed / f"{i:04d}.png")
    values = []
    for fake in (folders[1], mixed):
        out = tmp_path / f"{fake.name}.json"
        run("--real", folders[0], "--fake", fake, "--features", "lenet", "--measures", "fd", "--json", out)
        values.append(json.loads(out.read_text())["values"]["fd_lenet120"]["value"])
    assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_nearest_neighbours_as_a_figure(folders, tmp_path):
    out = tmp_path / "near.png"
    run("--real", folders[0], "--fake", folders[0], "--features", "lenet", "--measures", "fd", "--neighbours", out)
    grid = np.asarray(Image.open(out).convert("L"))
    side, line = 2 * 28, 16  # enlarged twice; a distance below each image
    top, across = len(grid) - 8 - 10 * (side + line + 4) + 4, (grid.shape[1] - 12) / 6
    for row in range(10):  # each fake is one of the reals, and stands beside itself, at distance 0
        y = top + row * (side + line + 4)
        first, second = (
            grid[y : y + side, x : x + side] for x in (8 + int(c * across + (across - 4 - side) // 2) for c in (0, 1))
        )
        assert np.array_equal(first, second)
        assert first.max() > 200
        below = [grid[y + side : y + side + line, int(8 + c * across) : int(8 + (c + 1) * across)] for c in (0, 1)]
        assert [bool((text < 128).any()) for text in below] == [False, True]


def damaged(path):
    (path / "0007.png").write_bytes((path / "0007.png").read_bytes()[:60])


def other_size(path):
    Image.new("L", (40, 32)).save(path / "0007.png")


@pytest.mark.parametrize(("spoil", "hint"), [(damaged, "skip_broken"), (other_size, "resolution")])
def test_a_file_that_does_not_fit_is_named(folders, spoil, hint):
    spoil(folders[1])
    with pytest.raises(ZooError, match=r"0007\.png") as error:
        run("--real", folders[0], "--fake", folders[1], "--features", "lenet")
    assert hint in str(error.value)


def test_what_may_be_asked_for_instead(folders, capsys):
    damaged(folders[1])
    options = ("--features", "lenet", "--measures", "fd")
    run("--real", folders[0], "--fake", folders[1], "--skip_broken", *options)
    printed = capsys.readouterr().out
    assert "fd_lenet119" in printed
    assert "1 of 120 files" in printed
    assert "0007.png" in printed
    other_size(folders[1])
    run("--real", folders[0], "--fake", folders[1], "--resolution", "32", *options)
    assert "fd_lenet120" in capsys.readouterr().out


def test_bad_requests_are_one_clear_error(folders, tmp_path):
    real, fake = ("--real", folders[0]), ("--fake", folders[1])
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments, message in (
        ((), "either a run"),
        (real, "either a run"),
        (("run", *real, *fake), "either a run"),
        ((tmp_path / "absent",), "there is no .*absent"),
        ((tmp_path / "absent", "--presets", "train50k,nonsense"), "no preset 'nonsense': choose from train50k"),
        ((tmp_path / "absent", "--measures", "fd,beauty"), "no measure 'beauty': choose from fd"),
        ((tmp_path / "absent", "--seeds", "0,x"), "--seeds takes integers"),
        ((empty,), "holds no run"),
        ((*real, "--fake", tmp_path / "absent"), "no folder .*absent"),
        ((*real, "--fake", empty), "no image under"),
        ((*real, *fake, "--features", "vgg"), "no features 'vgg'"),
        ((*real, *fake, "--features", "nowhere:Net"), "nowhere:Net cannot be made: ModuleNotFoundError"),
        ((*real, *fake, "--features", "json:dumps"), "json:dumps cannot be made: TypeError"),
        ((*real, *fake, "--features", "collections:Counter"), "is a Counter, not a torch module"),
        ((empty, "--data", "Cats"), "last.ckpt"),
        ((*real, *fake, "--features", "lenet", "--measures", "beauty"), "no measure 'beauty'"),
        ((*real, *fake, "--features", "lenet", "--samples", 121), "121 fakes were asked for, and there are 120"),
        ((*real, *fake, "--features", "lenet", "--reals", 201), "200 images"),
        ((*real, *fake, "--features", "lenet", "--json", tmp_path / "no" / "x.json"), "no folder"),
        ((*real, *fake, "--features", "lenet", "--features_weights", empty / "x"), "missing"),
        ((*real, *fake, "--features", "lenet,resnet", "--features_weights", empty / "x"), "one extractor"),
        ((*real, *fake, "--features", "lenet", "--device", "cuda:77"), "--device cuda:77"),
        ((*real, *fake, "--features", "lenet", "--presets", "train50k"), "leave --features out"),
        ((*real, *fake, "--presets", "train50k", "--reals", 5), "presets settle which reals they take"),
        ((*real, *fake, "--features", "lenet", "--measures", "swd"), "--features changes nothing of swd, which look"),
        ((*real, *fake, "--presets", "train50k", "--measures", "swd,ndb"), "--presets changes nothing of swd, ndb"),
        ((*real, *fake, "--features_weights", empty / "x", "--measures", "swd"), "--features_weights changes nothing"),
        ((*real, *fake, "--features", "lenet", "--split", "test"), "--split changes nothing of .* two folders"),
        ((*real, *fake, "--features", "lenet", "--seeds", "0,1"), "--seeds changes nothing of"),
        ((*real, *fake, "--features", "lenet", "--data", "MNIST"), "--data changes nothing of"),
        ((*real, *fake, "--features", "lenet", "--batchnorm", "batch"), "--batchnorm changes nothing of"),
        (("--data", "MNIST", "--data_dir", empty, "--weights", "ema"), "--weights changes nothing of .* own images"),
        (("--data", "MNIST", "--data_dir", empty, "--presets", "clean,test10k"), "test10k compares with the test"),
        (("gan.mnist", "--resolution", 32), "--resolution changes nothing of .* a generator"),
    ):
        with pytest.raises(ZooError, match=message):
            run(*arguments)


NETWORK = """
from torch import nn

class Tiny(nn.Module):
    def forward(self, images):
        return images.float().flatten(1)[:, :2352:300]
"""


def test_a_module_of_the_users_own(folders, tmp_path, monkeypatch, capsys):
    (tmp_path / "my_features.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    run("--real", folders[0], "--fake", folders[1], "--features", "my_features:Tiny")
    printed = capsys.readouterr().out
    assert "fd_tiny120" in printed
    assert "is_tiny" not in printed  # it has no logits
    with pytest.raises(ZooError, match="no logits"):
        run("--real", folders[0], "--fake", folders[1], "--features", "my_features:Tiny", "--measures", "is")
    monkeypatch.setattr("zoo.metrics.measures.ALL", {"is": "", "fd": ""})
    run("--real", folders[0], "--fake", folders[1], "--features", "my_features:Tiny", "--measures", "all")
    assert "fd_tiny120" in capsys.readouterr().out


EXTRACTOR = """
from zoo.metrics import EfficientNetExtractor, FeatureExtractor, Features

class Brightness(FeatureExtractor):
    sha256, dim, num_classes, resize = "0" * 64, 2, 0, "none"

    def __init__(self, name="brightness"):
        super().__init__()
        self.name = name

    def extract(self, images):
        means = images.float().mean((1, 2, 3))
        return Features(__import__("torch").stack([means, means.square()], 1) * SCALE, means.new_zeros(len(images), 0))

def inception():
    return Brightness("inception")
"""


def test_an_extractor_of_the_users_own_is_asked_anew(folders, tmp_path, monkeypatch):
    """Its figures were taken against features that an earlier state of its code had made of the reals."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, scale in (("extractor_before", 2), ("extractor_after", 1)):
        (tmp_path / f"{name}.py").write_text(f"SCALE = {scale}\n{EXTRACTOR}")
        run(
            *("--real", folders[0], "--fake", folders[0], "--features", f"{name}:Brightness", "--measures", "fd"),
            *("--json", tmp_path / "a.json"),
        )
        values = json.loads((tmp_path / "a.json").read_text())["values"]
        assert values["fd_brightness200"]["value"] == pytest.approx(0, abs=1e-2)
    with pytest.raises(ZooError, match="goes by 'inception'"):
        run("--real", folders[0], "--fake", folders[0], "--features", "extractor_after:inception")


def test_each_figure_is_printed_with_all_of_its_protocol(folders, capsys):
    run("--real", folders[0], "--fake", folders[1], "--features", "lenet", "--measures", "fd,pr,ndb")
    printed = capsys.readouterr().out
    described = {line[1:13]: line for line in printed.splitlines() if line.startswith("[")}
    rows = {line.split()[0]: line.split()[-1] for line in printed.splitlines() if "_" in line.split(" ")[0]}
    assert {rows["fd_lenet120"], rows["precision_lenet120"], rows["ndb_jsd120"]} <= set(described)
    assert len(described) == 3
    for part in ("200 real", "120 fake", "weights files", "real:train", "resize: ", "uint8: "):
        assert part in described[rows["fd_lenet120"]]
    assert "k=3" in described[rows["precision_lenet120"]]
    assert "pixels" in described[rows["ndb_jsd120"]]


def test_lists_what_there_is(capsys):
    run("--measures", "list")
    assert "density and coverage" in capsys.readouterr().out
    run("--presets", "list")
    assert "clean_test10k" in capsys.readouterr().out


def test_a_value_that_is_not_finite_is_null_in_json():
    assert as_fields(1.5) == {"value": 1.5}
    assert as_fields(float("inf")) == {"value": None, "nonfinite": "inf"}  # nn_ratio of reals that all have a double
