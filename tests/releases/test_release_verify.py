import json
import shutil

import pytest
from PIL import Image
from registry import small_model

from zoo.__main__ import main
from zoo.errors import ReleaseError
from zoo.experiments.suite import EvaluationSettings
from zoo.metrics.features import sha256_of
from zoo.releases.card import GRID_FILE, origin_of, read_card, refuse_to_replace
from zoo.releases.complete import complete
from zoo.releases.export import export, write_release
from zoo.releases.find import add_to_index, checked, read_index
from zoo.releases.release import Release
from zoo.releases.verify import verify


@pytest.fixture
def folder(released, tmp_path):
    shutil.copytree(released / "dcgan.digits", tmp_path / "copy")
    return tmp_path / "copy"


def change(folder, **changes):
    card = read_card(folder)
    (folder / "card.json").write_text(json.dumps(card | changes))


def verdicts(folder, **options):
    return {c.text.split(" ")[0]: c.verdict for c in verify(Release(folder), data_dir=None, **options)}


def test_every_claim_of_an_honest_card_holds(folder):
    claims = list(verify(Release(folder), data_dir=None))
    assert {claim.verdict for claim in claims} == {"holds"}
    texts = "\n".join(claim.text for claim in claims)
    assert "largest difference 0 grey levels" in texts
    for figure in ("fd_lenet150", "is_lenet150", "kd_lenet150"):
        assert figure in texts


def test_a_wrong_figure_and_an_invented_one_fail(folder):
    card = read_card(folder)
    figures = {**card["figures"], "fd_lenet150": card["figures"]["fd_lenet150"] * 1.02, "fid": 2.0}
    change(folder, figures=figures, protocols={**card["protocols"], "fid": next(iter(card["protocol_texts"]))})
    result = verdicts(folder)
    assert result["fd_lenet150"] == result["fid"] == "fails"
    assert result["is_lenet150"] == "holds"


def test_a_figure_under_another_protocol_fails(folder):
    card = read_card(folder)
    change(folder, evaluation=card["evaluation"] | {"batchnorm": "running"})
    assert verdicts(folder)["fd_lenet150"] == "fails"


def test_a_grid_of_other_images_fails_and_one_grey_level_does_not(folder):
    def shift(levels):
        with Image.open(folder / GRID_FILE) as picture:
            moved = picture.point(lambda v: min(v + levels, 255))
        moved.save(folder / GRID_FILE)
        change(folder, grid=read_card(folder)["grid"] | {"sha256": sha256_of(folder / GRID_FILE)})

    shift(1)
    assert set(verdicts(folder, figures=False).values()) == {"holds"}
    shift(1)
    assert verdicts(folder, figures=False)["seed"] == "fails"


def test_a_wrong_shape_fails_and_a_changed_grid_file_is_refused(folder):
    change(folder, image_shape=[3, 32, 32])
    assert verdicts(folder, figures=False)["images"] == "fails"
    (folder / GRID_FILE).write_bytes(b"no picture")
    with pytest.raises(ReleaseError, match=r"grid\.png is not the file"):
        verdicts(folder)


def test_figures_without_their_data_are_said_to_be_unchecked(folder, tmp_path, monkeypatch):
    def fetch(*arguments, **options):
        raise AssertionError("nobody asked for a download")

    monkeypatch.setattr("torchvision.datasets.MNIST", fetch)
    data = read_card(folder)["data"]
    change(folder, data=data | {"class": "MNIST", "arguments": {"resolution": 32, "download": True}})
    claims = list(verify(Release(folder), data_dir=str(tmp_path)))
    assert claims[-1].verdict == "not checked"
    assert "--data_dir" in claims[-1].text
    change(folder, data=data | {"class": "os.system"})
    with pytest.raises(ReleaseError, match=r"os\.system"):
        list(verify(Release(folder), data_dir=None))


def test_other_images_than_the_cards_are_refused(folder):
    change(folder, data=read_card(folder)["data"] | {"fingerprint": "0" * 64})
    with pytest.raises(ReleaseError, match="holds other images than those of the card"):
        list(verify(Release(folder), data_dir=None))


def test_rounding_that_shows_is_refused_and_leaves_nothing(finished_run, tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.releases.export.unpack", lambda part: {k: 50 * v.float() for k, v in part.items()})
    with pytest.raises(ReleaseError, match=r"changes the images of dcgan\.digits by .* grey levels"):
        export(finished_run, tmp_path / "out", precision="int8")
    assert not (tmp_path / "out").exists()


def test_weights_that_half_precision_cannot_hold_are_refused(tmp_path):
    """D's became infinite, and the release was written and listed, though nothing loads it."""
    module = small_model("dcgan").eval()
    weights = next(weights for weights in module.D.parameters() if weights.ndim >= 2)
    weights.data.flatten()[0] = 1e5
    with pytest.raises(ReleaseError, match=r"float16 cannot hold D\..*, which is too large: use float32"):
        write_release(module, tmp_path / "out", name="a.b", precision="float16", fields=dict)
    assert not (tmp_path / "out").exists()


def test_an_export_that_breaks_off_leaves_the_earlier_release(released, finished_run, tmp_path, monkeypatch):
    out = tmp_path / "out"
    shutil.copytree(released, out)
    before = sorted(path.name for path in out.iterdir())

    def fail(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("zoo.releases.figures.measure", fail)
    with pytest.raises(KeyboardInterrupt):
        export(finished_run, out, precision="float16")
    assert sorted(path.name for path in out.iterdir()) == before
    Release(out / "dcgan.digits").check_files()


def test_an_export_replaces_no_release_of_another_run_and_no_other_folder(
    released, tmp_path, finished_run, monkeypatch, capsys
):
    out = tmp_path / "out"
    shutil.copytree(released, out)
    folder = out / "dcgan.digits"
    training = read_card(folder)["training"]
    change(folder, training=training | {"seed": training["seed"] + 1, "commands": []})
    with pytest.raises(
        ReleaseError, match=r"is the release of another run \(of other seed and settings\): give .* --name"
    ):
        export(finished_run, out, precision="float16")
    Release(folder).check_files()
    (folder / "card.json").unlink()
    with pytest.raises(ReleaseError, match=r"dcgan\.digits is there already, and is no release"):
        export(finished_run, out, precision="float16")
    assert len(list(folder.iterdir())) > 2
    smaller = ["zoo", "export", str(released / "dcgan.digits"), "--precision", "int8", "--out", str(out)]
    monkeypatch.setattr("sys.argv", smaller)
    with pytest.raises(SystemExit):
        main()
    assert "is no release" in capsys.readouterr().err
    refuse_to_replace(released / "dcgan.digits", origin_of(read_card(released / "dcgan.digits")))
    (folder / "card.json").write_text("{}")  # damaged
    refuse_to_replace(folder, origin_of(read_card(released / "dcgan.digits")))


@pytest.mark.parametrize(
    ("field", "more", "text"),
    [
        ("data", {"nonsense": 1}, "takes other arguments .*nonsense"),
        ("data", {"batch_size": "x"}, "takes other arguments"),
        ("evaluation", {"nonsense": 1}, "setting 'nonsense', unknown here"),
        ("evaluation", {"extractors": "lenet"}, "'lenet' as extractors"),
        ("evaluation", {"test_samples": "many"}, "'many' as test_samples"),
        ("evaluation", {"test_samples": True}, "True as test_samples"),
        ("evaluation", {"real_images": 0}, "0 as real_images"),
        ("evaluation", {"samples": None}, "None as samples"),
        ("evaluation", {"batchnorm": 1}, "1 as batchnorm"),
    ],
)
def test_settings_of_another_version_are_named(folder, field, more, text):
    entry = read_card(folder)[field]
    change(folder, **{field: {**entry, "arguments": entry["arguments"] | more} if field == "data" else entry | more})
    with pytest.raises(ReleaseError, match=text):
        list(verify(Release(folder), data_dir=None))


def test_a_release_that_cannot_be_put_in_its_place_leaves_the_earlier_one(
    released, finished_run, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    shutil.copytree(released, out)
    before = sorted(path.name for path in out.iterdir())

    def fail(*arguments):
        raise OSError("no space left")

    few = Release(released / "dcgan.digits").card
    taken = {key: few[key] for key in ("evaluation", "figures", "protocols", "protocol_texts")}
    monkeypatch.setattr("zoo.releases.export.figures_entry", lambda run, module: taken)
    monkeypatch.setattr("zoo.releases.export.add_to_index", fail)
    with pytest.raises(OSError, match="no space left"):
        export(finished_run, out, precision="float32")
    assert sorted(path.name for path in out.iterdir()) == before
    Release(checked(out / "dcgan.digits", read_index(str(out))["dcgan.digits"])).check_files()


def test_a_grid_that_is_no_picture_is_refused_though_its_hash_is_right(folder):
    (folder / GRID_FILE).write_bytes(b"no picture")
    change(folder, grid=read_card(folder)["grid"] | {"sha256": sha256_of(folder / GRID_FILE)})
    with pytest.raises(ReleaseError, match=r"grid\.png cannot be read as a picture"):
        verdicts(folder, figures=False)


@pytest.fixture
def listed(released, tmp_path, monkeypatch):
    """A copy where it is listed, with a card that lacks a figure."""
    out = tmp_path / "releases"
    shutil.copytree(released, out)
    folder = out / "dcgan.digits"
    card = read_card(folder)
    lacking = {key: {n: v for n, v in card[key].items() if not n.startswith("kd_")} for key in ("figures", "protocols")}
    change(folder, **lacking)
    add_to_index(out, "dcgan.digits")
    few = EvaluationSettings(extractors=["lenet"], test_samples=150)
    monkeypatch.setattr("zoo.releases.complete.settings_for", lambda data: few)
    return folder


def test_what_a_card_lacks_is_added(released, listed):
    before = read_card(listed)
    claims = list(complete(Release(listed), data_dir=None))
    assert [claim.text.split(" ")[0] for claim in claims if claim.verdict == "added"] == ["kd_lenet150"]
    assert {claim.verdict for claim in claims} == {"holds", "added"}
    after, whole = read_card(listed), read_card(released / "dcgan.digits")
    assert after["figures"] == pytest.approx(whole["figures"])
    assert list(after["figures"]) == list(whole["figures"])
    assert (after["protocols"], after["protocol_texts"]) == (whole["protocols"], whole["protocol_texts"])
    assert {name: after["figures"][name] for name in before["figures"]} == before["figures"]
    assert "kd_lenet150" in (listed / "README.md").read_text()
    assert checked(listed, read_index(str(listed.parent))["dcgan.digits"]) == listed
    content = (listed / "card.json").read_bytes()
    assert {claim.verdict for claim in complete(Release(listed), data_dir=None)} == {"holds"}
    assert (listed / "card.json").read_bytes() == content


def test_nothing_is_added_to_a_card_that_does_not_hold_nor_to_a_copy(listed, folder):
    card = read_card(listed)
    change(listed, figures=card["figures"] | {"fd_lenet150": card["figures"]["fd_lenet150"] * 1.02})
    with pytest.raises(ReleaseError, match="is not listed by an index beside it"):
        list(complete(Release(listed), data_dir=None))
    add_to_index(listed.parent, "dcgan.digits")
    content = (listed / "card.json").read_bytes()
    assert {claim.verdict for claim in complete(Release(listed), data_dir=None)} == {"holds", "fails"}
    assert (listed / "card.json").read_bytes() == content
    with pytest.raises(ReleaseError, match="complete a release where it was exported"):
        list(complete(Release(folder), data_dir=None))
