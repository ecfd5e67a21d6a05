"""A release that is not what its card says is refused before a byte of its weights is parsed."""

import hashlib
import json
import os
import pickle
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import zoo
from zoo.errors import ReleaseError
from zoo.models import MODELS
from zoo.releases import export as exporting
from zoo.releases import find
from zoo.releases.card import read_card
from zoo.releases.export import write_release
from zoo.releases.find import add_to_index, list_pretrained, release_folder
from zoo.releases.release import Release
from zoo.releases.weights import load_model, open_weights, trained_on

NAME = "dcgan.digits"


@pytest.fixture
def releases(released, tmp_path, monkeypatch):
    """A copy to be changed, as the user's ZOO_RELEASES."""
    folder = tmp_path / "releases"
    shutil.copytree(released, folder)
    monkeypatch.setenv("ZOO_RELEASES", str(folder))
    return folder


@pytest.fixture
def folder(releases):
    return releases / NAME


def change_card(folder, **changes):
    """Changes a card and lists it as it is now: only what it says is wrong."""
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | changes))
    add_to_index(folder.parent, folder.name)


def trust(folder):
    """Writes the hash of a changed file of G's into the card."""
    files = read_card(folder)["files"]
    files["G"]["sha256"] = hashlib.sha256((folder / "G.safetensors").read_bytes()).hexdigest()
    change_card(folder, files=files)


def test_a_release_gives_the_trained_module_but_for_the_rounding(releases, finished_run):
    assert NAME in zoo.list_pretrained()
    module, trained = zoo.load_pretrained(NAME), finished_run.module()
    assert not module.training
    assert module.images_seen == trained.images_seen == 192
    assert (module.discriminator_steps, module.generator_steps) == (3, 3)
    statistics = {name: v for name, v in module.state_dict().items() if name[0] == "G" and "running" in name}
    trained.load_state_dict(trained.state_dict() | statistics)  # those of the figures: see test_release_statistics.py
    for name, value in trained.state_dict().items():
        expected = value.half().float() if value.is_floating_point() and value.ndim > 1 else value
        assert torch.equal(module.state_dict()[name], expected), name
    difference = (module.sample(16, seed=1) - trained.sample(16, seed=1)).abs()
    assert 0 < difference.max() < 0.05


def test_a_run_and_its_checkpoint_load_as_releases_do(finished_run, releases):
    """Drawing nothing from the caller's random numbers."""
    folder, seen = finished_run.dir.path, finished_run.module().sample(4, seed=1)
    before = torch.get_rng_state()
    assert trained_on(NAME) == "Digits"
    for name in (folder, folder / "checkpoints" / "last.ckpt"):
        module = zoo.load_pretrained(str(name))
        assert not module.training
        assert torch.equal(module.sample(4, seed=1), seen)
        assert trained_on(str(name)) == "Digits"
    zoo.load_pretrained(NAME)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_card_tells_where_the_release_comes_from(folder, finished_run):
    card = read_card(folder)
    assert (card["paper"], card["recipe"], card["precision"]) == ("dcgan", "digits", "float16")
    assert card["data"]["class"] == "Digits"
    assert "CC BY-SA" in card["data"]["licence"]
    assert "root" not in card["data"]["arguments"]
    assert card["training"]["commit"] == finished_run.record["commit"]
    assert card["training"]["measures"]["fd_lenet100"]["last"]["images_seen"] == 192
    assert set(card["protocols"]) == {"fd_lenet150", "is_lenet150", "kd_lenet150"}
    assert set(card["protocols"].values()) == set(card["protocol_texts"])
    parameters = sum(p.numel() for p in finished_run.module().D.parameters())
    assert card["files"]["D"]["parameters"] >= parameters  # and the statistics of its BatchNorm
    assert card["training"]["commands"][0][2:4] == ["fit", "--run_dir=RUN"]
    assert str(finished_run.dir.path) not in (folder / "card.json").read_text()
    assert not list(folder.glob("*.ckpt"))


def test_weights_of_release_run_and_checkpoint_are_one_thing(folder, finished_run):
    run = finished_run.dir.path
    by_run, by_file = open_weights(str(run)), open_weights(str(run / "checkpoints" / "last.ckpt"))
    by_name, by_folder = open_weights(NAME), open_weights(str(folder))
    assert by_run.paper == by_name.paper == "dcgan"
    assert by_run.hyperparameters == by_file.hyperparameters == by_name.hyperparameters
    assert by_run.tensors.keys() == by_name.tensors.keys()
    assert all(torch.equal(by_name.tensors[key], by_folder.tensors[key]) for key in by_name.tensors)
    assert all(torch.equal(by_run.tensors[key], by_file.tensors[key]) for key in by_run.tensors)


def test_a_flipped_bit_is_refused(folder):
    path = folder / "G.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ReleaseError, match=r"G\.safetensors is not the file that .*card\.json describes.*not read"):
        zoo.load_pretrained(NAME)


def test_swapped_files_are_refused(folder):
    (folder / "G.safetensors").rename(folder / "X")
    (folder / "D.safetensors").rename(folder / "G.safetensors")
    (folder / "X").rename(folder / "D.safetensors")
    with pytest.raises(ReleaseError, match="was swapped, and was not read"):
        zoo.load_pretrained(NAME)


def test_files_swapped_together_with_their_hashes_are_refused(folder):
    test = read_card(folder)["files"]
    (folder / "G.safetensors").write_bytes((folder / "D.safetensors").read_bytes())
    trust(folder)
    assert read_card(folder)["files"] != test
    with pytest.raises(ReleaseError, match=r"does not describe the weights beside it: .*tensors differ.*G\.1\.weight"):
        zoo.load_pretrained(NAME)


def test_a_missing_file_is_named(folder):
    (folder / "D.safetensors").unlink()
    with pytest.raises(ReleaseError, match=r"D\.safetensors is missing"):
        zoo.load_pretrained(NAME)


class Bomb:
    def __reduce__(self):
        return (Path("exploded").write_text, ("now",))


def test_a_pickle_under_the_right_name_is_refused_and_not_run(folder):
    (folder / "G.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ReleaseError, match="was not read"):
        zoo.load_pretrained(NAME)
    trust(folder)
    with pytest.raises(ReleaseError, match=r"is no safetensors file .*nothing in it was executed"):
        zoo.load_pretrained(NAME)
    torch.save({"G.1.weight": torch.zeros(3)}, folder / "G.safetensors")
    trust(folder)
    with pytest.raises(ReleaseError, match="is no safetensors file"):
        zoo.load_pretrained(NAME)
    assert not Path("exploded").exists()


def test_a_card_that_the_index_does_not_list_is_refused(folder):
    card = (folder / "card.json").read_text()
    (folder / "card.json").write_text(card.replace('"precision": "float16"', '"precision": "float32"'))
    with pytest.raises(ReleaseError, match=r"is not the card that .*index\.json lists"):
        zoo.load_pretrained(NAME)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"paper": "wgan"}, "WGAN refuses its hyperparameters"),
        ({"paper": "biggan"}, "is none of gan, dcgan"),
        ({"hyperparameters": {"network": "community", "resolution": 32, "width": 16}}, "tensors differ"),
        ({"hyperparameters": {"network": "community", "resolution": 31}}, "power of two"),
        ({"format": 2}, "format must be 1"),
        ({"colour": 1}, "colour is no field"),
        ({"precision": "int2"}, "precision must be one of"),
        ({"files": {}}, "files must be G and D"),
        ({"grid": {"sha256": "0" * 64, "images": 0, "seed": 0}}, r"grid\.images must be from 1 to 4096"),
        ({"grid": {"sha256": "0" * 64, "images": 2**62, "seed": 0}}, r"grid\.images must be from 1 to 4096"),
        ({"protocols": {"fd": "abc"}}, r"protocols\.fd must be among protocol_texts"),
        ({"protocols": {"fd": "abc"}, "protocol_texts": {"abc": {}}}, "protocols must be of the card's figures"),
    ],
)
def test_a_wrong_card_is_refused(folder, change, text):
    change_card(folder, **change)
    with pytest.raises(ReleaseError, match=text):
        zoo.load_pretrained(NAME)


def test_a_truncated_card_is_refused(folder):
    (folder / "card.json").write_text('{"format": 1')
    with pytest.raises(ReleaseError, match="cannot be read as JSON"):
        Release(folder)


def test_names_that_lead_nowhere(releases, tmp_path, monkeypatch):
    with pytest.raises(ReleaseError, match=r"no release 'dcgan\.moon' in the package and .*there are .*dcgan\.digits"):
        zoo.load_pretrained("dcgan.moon")
    for name in ("../../etc", "DCGAN.mnist", "dcgan"):
        with pytest.raises(ReleaseError, match="is no name of a release"):
            release_folder(name)
    (tmp_path / "G.safetensors").write_bytes(b"whole")
    with pytest.raises(ReleaseError, match=r"G\.safetensors is weights alone.*name the folder of the release"):
        zoo.load_pretrained(str(tmp_path / "G.safetensors"))
    with pytest.raises(ReleaseError, match="there is no runs/nothing: name a run's folder"):
        load_model("runs/nothing")
    monkeypatch.setenv("ZOO_RELEASES", str(tmp_path / "nowhere"))
    with pytest.raises(ReleaseError, match=r"there is no .*nowhere/index\.json"):
        list_pretrained()
    monkeypatch.delenv("ZOO_RELEASES")
    with pytest.raises(ReleaseError, match="ZOO_RELEASES names no other place"):
        zoo.load_pretrained("dcgan.moon")


def test_every_paper_goes_through_a_release():
    """G_ema, buffers beside the networks and odd constructor arguments come back, for all nine."""
    from registry import SMALL, small_model

    from zoo.releases.export import by_network
    from zoo.releases.precision import pack, unpack

    for paper in MODELS:
        module = small_model(paper)
        parts = by_network(module)
        assert {"G", "D"} <= parts.keys() <= {"G", "D", "G_ema"}
        rounded = {k: v for part in parts.values() for k, v in unpack(pack(part, "float16")).items()}
        twin = MODELS[paper](**json.loads(json.dumps(SMALL[paper].model)))  # as a card holds them
        missing, extra = twin.load_state_dict(rounded, strict=False)
        assert set(missing) == {"images_seen", "discriminator_steps", "generator_steps"}, paper
        assert not extra


def test_processes_that_list_releases_at_once_lose_none(tmp_path, monkeypatch):
    def slow(base):
        index = json.loads((tmp_path / "index.json").read_text())
        time.sleep(0.2)
        return index

    (tmp_path / "index.json").write_text("{}")
    monkeypatch.setattr(find, "read_index", slow)
    for name, stand_in in {
        "grey_levels": lambda a, b: (0.0, 0.0),
        "draw_grid": lambda module, path: path.touch(),
        "constructor_arguments": lambda module: {},
        "write_card": lambda folder, card: (folder / "card.json").write_text(card["name"]),
        "readme_of": lambda card, reference, address: "",
    }.items():
        monkeypatch.setattr(exporting, name, stand_in)
    monkeypatch.setattr(exporting, "CARD_SCHEMA", {"name": None})
    kind = type(
        "Toy", (torch.nn.Module,), {"image_shape": (1, 2, 2), "reference": None, "sample": lambda self, n, seed: n}
    )
    module = kind()
    names = ["a.x", "b.x", "c.x"]
    with ThreadPoolExecutor(3) as pool:
        made = pool.map(lambda n: write_release(module, tmp_path, name=n, precision="float32", fields=dict), names)
        assert [folder.name for folder in made] == names
    assert list(json.loads((tmp_path / "index.json").read_text())) == names
    assert sorted(path.name for path in tmp_path.iterdir()) == [*names, "index.json"]


def test_a_loaded_model_trains_as_a_fresh_one_does(releases):
    """A Trainer leaves modules in the mode they have, and loaded ones are in evaluation mode."""
    from toys import Recorder, toy_trainer

    from zoo.data import Digits

    def mean():
        return next(value for name, value in module.state_dict().items() if name.endswith("running_mean")).clone()

    modes = Recorder(lambda module: {part.training for part in module.modules()})
    module = zoo.load_pretrained(NAME)
    before = mean()
    toy_trainer(modes, images=module.images_seen + 16).fit(module, Digits(resolution=32, batch_size=16))
    assert modes.seen == [{True}]
    assert not mean().equal(before)


def test_a_place_may_be_a_path_of_any_letters(folder, tmp_path):
    odd = tmp_path / os.fsdecode(b'of\xff "me"')
    shutil.copytree(folder, odd)
    assert zoo.load_pretrained(odd).sample(2, seed=0).equal(zoo.load_pretrained(NAME).sample(2, seed=0))


@pytest.mark.parametrize(
    "tensors",
    [
        {"w": torch.zeros(2, 3, dtype=torch.int8), "w:scale": torch.ones(5, 7)},
        {"w": torch.zeros(4, 1, dtype=torch.int8), "w:scale": torch.ones(1, 100_000)},  # stands for 400,000 numbers
        {"w": torch.zeros(3, dtype=torch.uint8), "w:scale": torch.ones(1)},
        {"w": torch.zeros(2, 3, dtype=torch.uint8), "w:scale": torch.ones(2, 5)},
        {"w": torch.zeros((), dtype=torch.int8), "w:scale": torch.ones(1, 1)},
    ],
)
def test_weights_that_were_never_packed_so_are_refused(folder, tensors):
    save_file(tensors, folder / "G.safetensors")
    trust(folder)
    with pytest.raises(ReleaseError, match="do not trust this release"):
        zoo.load_pretrained(NAME)


def test_a_wrong_name_is_told_though_other_releases_cannot_be_listed(tmp_path, monkeypatch):
    for place in (str(tmp_path / "nowhere"), "http://127.0.0.1:9/"):
        monkeypatch.setenv("ZOO_RELEASES", place)
        with pytest.raises(ReleaseError, match=r"there is no runs/nothing: .*at hand: .*dcgan\.mnist"):
            zoo.load_pretrained("runs/nothing")
        with pytest.raises(ReleaseError, match=r"'DCGAN' is no name of a release: .*dcgan\.mnist"):
            release_folder("DCGAN")
