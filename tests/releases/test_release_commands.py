"""`zoo releases`, `verify`, `sample`, `interpolate`, `traverse` and `mix`, from their arguments on."""

import json
import re
import shutil
import sys

import pytest
import torch
from PIL import Image
from registry import small_model

from zoo import load_pretrained
from zoo.__main__ import main
from zoo.commands.sampling import samples
from zoo.errors import EvaluationError
from zoo.experiments.pictures.captions import captioned
from zoo.releases.release import Release


@pytest.fixture
def zoo(monkeypatch, capsys, released):
    monkeypatch.setenv("ZOO_RELEASES", str(released))

    def run(*arguments):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["zoo", *map(str, arguments)])
        main()
        return capsys.readouterr().out

    return run


def test_releases_are_listed_with_their_figures(zoo):
    line = next(line for line in zoo("releases").splitlines() if line.startswith("dcgan.digits"))
    assert "1x32x32" in line
    assert "fd_lenet150" in line


def test_a_release_is_made_of_a_release_in_fewer_bits(zoo, released, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("zoo.releases.export.grey_levels", lambda *images: (2.0, 0.25))
    zoo("export", "dcgan.digits", "--precision", "int8", "--name", "dcgan.small", "--out", tmp_path / "out")
    old, new = Release(released / "dcgan.digits").card, Release(tmp_path / "out/dcgan.small").card
    assert {key for key in new if new[key] != old[key]} - {"versions"} == {"name", "precision", "rounding"}
    assert new["rounding"]["mean"] == pytest.approx(old["rounding"]["mean"] + 0.25)  # what both roundings did
    assert new["rounding"]["largest"] == old["rounding"]["largest"] + 2
    assert "fails" not in zoo("verify", tmp_path / "out/dcgan.small")
    for words, message in (
        (["--precision", "float16"], "dcgan.digits has float16 weights: --precision float16 is no fewer bits"),
        (["--checkpoint", "best"], "or of releases in fewer bits"),
    ):
        with pytest.raises(SystemExit, match="1"):
            zoo("export", "dcgan.digits", *words, "--out", tmp_path / "none")
        assert message in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_release_is_verified_by_name_and_by_folder(zoo, released):
    assert "holds" in zoo("verify", "dcgan.digits", "--quick")
    assert "fails" not in zoo("verify", released / "dcgan.digits", "--quick")


def test_samples_as_a_grid_and_as_files_are_the_same_images(zoo, tmp_path):
    zoo("sample", "dcgan.digits", "-n", 4, "--out", tmp_path / "grid.png")
    zoo("sample", "dcgan.digits", "-n", 4, "--files", "--out", tmp_path / "files")
    files = sorted((tmp_path / "files").iterdir())
    assert [file.name for file in files] == [f"{i:06d}.png" for i in range(4)]
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (70, 70)  # two by two of 32, borders of 2
        tile = grid.convert("L").crop((36, 2, 68, 34))
    with Image.open(files[1]) as image:
        assert image.tobytes() == tile.tobytes()


def test_interpolation_is_written(zoo, tmp_path):
    zoo("interpolate", "dcgan.digits", "--rows", 2, "--steps", 6, "--out", tmp_path / "ways.png")
    with Image.open(tmp_path / "ways.png") as picture:
        width, height = 8 + 6 * 68 - 4 + 8, 8 + 3 * 16 + 4 + 2 * 68 - 4 + 8  # twice as large, three lines of text
        assert picture.size == (width, height)


@pytest.fixture
def said(monkeypatch):
    """What the next picture's caption says."""
    texts = {}

    def note(images, **captions):
        texts.update(captions, shape=tuple(images.shape[:2]))
        return captioned(images.expand(-1, -1, 3, -1, -1) if images.shape[2] == 1 else images, **captions)

    monkeypatch.setattr("zoo.experiments.pictures.captions.captioned", note)
    return texts


def drawn(monkeypatch, model, command, *arguments):
    """Runs a command on a model that lies nowhere."""
    monkeypatch.setattr("zoo.commands.model_argument.load", lambda arguments: model)
    monkeypatch.setattr(sys, "argv", ["zoo", command, "any", *map(str, arguments)])
    main()


def test_a_way_says_where_it_is_and_of_which_class(monkeypatch, said, tmp_path):
    out = tmp_path / "ways.png"
    drawn(monkeypatch, small_model("cgan").eval(), "interpolate", "--rows", 12, "--steps", 5, "--out", out)
    assert said["columns"] == ["t = 0", "t = 0.25", "t = 0.5", "t = 0.75", "t = 1"]
    assert said["rows"] == [f"class {k}" for k in (*range(10), 0, 1)]
    drawn(monkeypatch, small_model("gan").eval(), "interpolate", "--rows", 1, "--steps", 1, "--out", out)
    assert (said["columns"], said["rows"]) == (["t = 0"], [])


def test_a_traversal_says_the_code_and_its_values(monkeypatch, said, tmp_path):
    model, seen = small_model("infogan").eval(), {}
    monkeypatch.setattr(
        "zoo.experiments.pictures.captions.write_picture", lambda picture, path: seen.update({path.stem: {**said}})
    )
    drawn(monkeypatch, model, "traverse", "--rows", 2, "--out", tmp_path)
    assert seen["c1"]["columns"] == [str(k) for k in range(10)]
    assert "10 categories" in seen["c1"]["title"]
    assert [float(value) for value in seen["c2"]["columns"]] == pytest.approx(torch.linspace(-2, 2, 10), abs=0.06)
    assert seen["c3"]["title"].startswith("c3, from -2 to 2 (-1 to 1 while training)")


@pytest.mark.parametrize(
    ("kind", "text"),
    [("coarse", "the coarse styles (layers of 4x4 to 8x8) of"), ("fine", "the fine styles (layers of 32x32) of")],
)
def test_mixing_says_which_styles_come_from_where(monkeypatch, said, tmp_path, kind, text):
    out, model = tmp_path / "mixing.png", small_model("stylegan").eval()
    model.images_seen = model.growth.grown_at
    drawn(monkeypatch, model, "mix", "--layers", kind, "--rows", 2, "--columns", 3, "--out", out)
    assert text in said["title"]
    assert said["columns"] == ["", "source", "source", "source"]
    assert said["rows"] == ["", "destination", "destination"]
    assert said["shape"] == (3, 4)
    assert out.is_file()
    kept = out.read_bytes()
    drawn(monkeypatch, model, "mix", "--layers", kind, "--rows", 2, "--columns", 3, "--truncation", 0, "--out", out)
    assert out.read_bytes() != kept


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["sample", "dcgan.digits", "--labels", "1"], "is unconditional: leave --labels out"),
        (["sample", "dcgan.digits", "--truncation", "0.5"], "no truncation trick: leave --truncation out"),
        (["traverse", "dcgan.digits"], "has no codes to vary"),
        (["mix", "dcgan.digits"], "no styles to mix"),
        (["sample", "dcgan.moon"], "there is no release 'dcgan.moon'"),
        (["sample", "~nobody_here/run"], "begins with ~ and no home directory is known"),
        (["sample", "dcgan.digits", "--out", "~nobody_here/x.png"], "begins with ~ and no home directory is known"),
        (["sample", "dcgan.digits", "--device", "meta"], "--device meta cannot be used"),
        (["export", "nowhere"], "nowhere holds no run (no config.yaml): name the folder of a run\n"),
    ],
)
def test_what_a_model_cannot_draw_is_said_in_one_line(zoo, capsys, arguments, text):
    with pytest.raises(SystemExit) as stop:
        zoo(*arguments)
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert text in error
    assert error.count("\n") == 1


def test_labels_are_gone_through_again_and_again():
    module = small_model("cgan").eval()
    seven = samples(module, 4, seed=3, labels=[7, 1])
    assert seven.equal(module.sample(4, labels=torch.tensor([7, 1, 7, 1]), seed=3))
    with pytest.raises(EvaluationError, match="labels are from 0 to 9"):
        samples(module, 4, seed=3, labels=[10])


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("interpolate dcgan.digits --stops 3", "--stops is of a film"),
        ("directions dcgan.digits --by attributes --count 3", "--count does nothing for --by attributes"),
        ("directions dcgan.digits --out x.gif --steps 3", "--steps does nothing for a film, which has 48 frames"),
        ("directions cgan.mnist --by classes --reach 1", "--reach does nothing for --by classes of a conditional"),
        ("directions cgan.mnist --by classes --samples 1", "--samples does nothing for --by classes of a cond"),
        ("sample cgan.mnist -n 2 --labels 1,2,3", "--labels names 3 classes for 2 images"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(zoo, capsys, monkeypatch, tmp_path, words, text):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        zoo(*words.split())
    assert text in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_film_of_fewer_ways_says_how_many(zoo, monkeypatch, tmp_path):
    """It said 9 where 4 were shown: a film that is too large shows fewer."""
    monkeypatch.setattr("zoo.experiments.pictures.film.write_film", lambda make, path: len(make(0.5).frames))
    told = zoo("interpolate", "dcgan.digits", "--steps", 1, "--stops", 2, "--out", tmp_path / "x.gif")
    assert told.startswith("3 closed ways of 9, to be smaller, through 2 latents, 2 frames")


def test_a_release_of_a_name_that_the_package_has_is_used_by_its_folder(
    zoo, released, finished_run, tmp_path, monkeypatch
):
    """Its README and its export said "dcgan.mnist", which loads the package's, without a word."""
    card = Release(released / "dcgan.digits").card
    figures = {key: card[key] for key in ("evaluation", "figures", "protocols", "protocol_texts")}
    monkeypatch.setattr("zoo.releases.export.figures_entry", lambda run, module: figures)
    told = zoo("export", finished_run.dir.path, "--name", "dcgan.mnist", "--out", tmp_path / "my own")
    assert f"python -m zoo sample '{tmp_path}/my own/dcgan.mnist'" in told
    assert "its name alone, dcgan.mnist, is that of a release of the package" in told
    text = (tmp_path / "my own/dcgan.mnist/README.md").read_text()
    assert 'zoo.load_pretrained("./dcgan.mnist")' in text
    assert "zoo verify ./dcgan.mnist`" in text
    monkeypatch.chdir(tmp_path / "my own")
    assert load_pretrained("./dcgan.mnist").images_seen == 192
    monkeypatch.setenv("ZOO_RELEASES", str(tmp_path / "my own"))
    monkeypatch.chdir(tmp_path)
    assert load_pretrained("dcgan.mnist").images_seen > 192
    assert "not listed, since the package has others of these names: dcgan.mnist at ZOO_RELEASES" in zoo("releases")
    told = zoo("export", finished_run.dir.path, "--name", "dcgan.own", "--out", tmp_path / "my own")
    assert "its name alone" not in told
    assert 'zoo.load_pretrained("dcgan.own")' in (tmp_path / "my own/dcgan.own/README.md").read_text()


def test_a_release_is_not_replaced_by_itself_in_fewer_bits(zoo, released, tmp_path, capsys):
    shutil.copytree(released, tmp_path / "own")
    for words, text in (
        (["--out", tmp_path / "own"], "is the release itself, and would be lost"),
        (["--out", tmp_path / "other", "--name", "Small"], "'Small' cannot name a release"),
    ):
        with pytest.raises(SystemExit):
            zoo("export", tmp_path / "own/dcgan.digits", "--precision", "int8", *words)
        assert text in capsys.readouterr().err
    assert Release(tmp_path / "own/dcgan.digits").card["precision"] == "float16"
    assert not (tmp_path / "other").exists()


def test_all_releases_are_verified_though_one_is_damaged(zoo, released, tmp_path, capsys):
    for name in ("a", "b", "c"):
        shutil.copytree(released / "dcgan.digits", tmp_path / name)
    (tmp_path / "a/G.safetensors").write_bytes(b"torn")
    card = Release(tmp_path / "b").card
    (tmp_path / "b/card.json").write_text(json.dumps(card | {"image_shape": [3, 32, 32]}))
    with pytest.raises(SystemExit):
        zoo("verify", *(tmp_path / name for name in ("a", "b", "c")), "--quick")
    told = capsys.readouterr()
    _, of_a, of_b, of_c = re.split(rf"^{re.escape(str(tmp_path))}/[abc]$", told.out, flags=re.MULTILINE)
    assert "it is damaged or was swapped" in of_a
    assert "fails        images are 3x32x32" in of_b
    assert of_c.count("holds") == 4
    assert "does not hold" in told.err
    assert f"not checked to the end, see above: {tmp_path}/a" in told.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("sample", "dcgan.digits", "-n", 10**12 - 1),
        ("sample", "cgan.mnist", "-n", 10**12 - 1, "--labels", "1"),
        ("interpolate", "dcgan.digits", "--rows", 10**12 - 1),
        ("traverse", "infogan.mnist", "--rows", 10**12 - 1),
        ("project", "dcgan.digits", "--own", 10**12 - 1),
    ],
)
def test_more_images_than_memory_holds_are_refused_in_one_line(zoo, capsys, arguments, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        zoo(*arguments)
    assert stop.value.code == 1
    assert capsys.readouterr().err.startswith("error: not enough memory: ask for less at once")
    for much in (2**40, 10**30):
        with pytest.raises(SystemExit) as stop:
            zoo(*(much if argument == 10**12 - 1 else argument for argument in arguments))
        assert stop.value.code == 2


def test_files_of_another_call_do_not_stand_among_the_samples(zoo, tmp_path, capsys):
    zoo("sample", "dcgan.digits", "-n", 3, "--files", "--out", tmp_path / "files")
    zoo("sample", "dcgan.digits", "-n", 3, "--files", "--out", tmp_path / "files", "--seed", 1)
    with pytest.raises(SystemExit):
        zoo("sample", "dcgan.digits", "-n", 2, "--files", "--out", tmp_path / "files")
    assert "holds 1 other images (000002.png)" in capsys.readouterr().err
    for other in ("0000001.png", "photo.JPG"):  # that are not written over, and read with the samples
        (tmp_path / other).mkdir()
        (tmp_path / other / other).touch()
        with pytest.raises(SystemExit):
            zoo("sample", "dcgan.digits", "-n", 3, "--files", "--out", tmp_path / other)
        assert f"holds 1 other images ({other})" in capsys.readouterr().err


def test_labels_of_more_than_64_bits_are_refused(zoo, capsys):
    for command in (["sample", "cgan.mnist"], ["project", "cgan.mnist", "--own", 1]):
        with pytest.raises(SystemExit) as stop:
            zoo(*command, "--labels", "9" * 25)
        assert stop.value.code == 1
        assert "--labels" in capsys.readouterr().err


def test_one_neighbour_of_one_sample(zoo, tmp_path):
    words = ["--data", "Digits", "--features", "pixels", "--out", tmp_path / "x.png"]
    assert "median distance" in zoo("neighbours", "dcgan.digits", *words, "-n", 1, "-k", 1)


def test_the_best_checkpoint_is_exported_without_the_last(finished_run, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(finished_run.dir.path, run)
    (run / "checkpoints/last.ckpt").rename(run / "checkpoints/best.ckpt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("zoo.releases.portable.write_program", lambda graph, out, metadata: out.touch() or 0.0)
    monkeypatch.setattr(sys, "argv", ["zoo", "export", "run", "--to", "torch-export", "--checkpoint", "best"])
    main()
    assert (tmp_path / "run.pt2.md").is_file()


def test_a_title_of_two_lines_and_a_folder_in_the_home(tmp_path, monkeypatch):
    from made_runs import make_run

    make_run(tmp_path / "run", values={200: 50.0, 1400: 60.0})
    monkeypatch.setattr(
        sys, "argv", ["zoo", "film", f"{tmp_path}/run", "--out", f"{tmp_path}/x.gif", "--title", "a\nb"]
    )
    main()
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "codes.v1").mkdir()
    monkeypatch.setattr(sys, "argv", ["zoo", "traverse", "infogan.mnist", "--rows", "1", "--out=~/codes.v1"])
    main()
    assert (tmp_path / "codes.v1/c1.png").is_file()


def test_releases_are_listed_though_one_is_damaged(zoo, released, tmp_path, capsys, monkeypatch):
    shutil.copytree(released, tmp_path / "some")
    (tmp_path / "some/dcgan.digits/card.json").write_text("{}")
    monkeypatch.setenv("ZOO_RELEASES", str(tmp_path / "some"))
    with pytest.raises(SystemExit):
        zoo("releases")
    told = capsys.readouterr()
    assert "dcgan.mnist" in told.out
    assert "error: dcgan.digits: " in told.err
    assert "is not the card that" in told.err


def test_a_film_of_mixed_styles_that_is_too_large_shows_fewer_rows(zoo, monkeypatch, tmp_path):
    heights = []

    def write(make, path):
        heights.extend(make(share).frames[0].height for share in (1.0, 0.6, 0.1))
        return 1

    monkeypatch.setattr("zoo.experiments.pictures.film.write_film", write)
    monkeypatch.setattr("zoo.commands.sampling.eased", lambda steps: torch.zeros(1))
    zoo("mix", "stylegan.mnist", "--rows", 4, "--columns", 1, "--out", tmp_path / "x.gif")
    four, two, one = heights
    assert four - two == 2 * (two - one) > 0
