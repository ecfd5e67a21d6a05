"""What a person reads in a release, and a release that is made without measuring again."""

import json
import shutil

import pytest

from zoo.data import Digits
from zoo.errors import UsageError
from zoo.experiments.suite import EvaluationSettings, Measurement
from zoo.metrics.protocol import protocol_hash, value_name
from zoo.models import MODELS
from zoo.models.dcgan import DCGAN
from zoo.models.trained import FinishedRun
from zoo.releases.about import origin_of
from zoo.releases.card import described, write_card
from zoo.releases.export import data_entry, export
from zoo.releases.figures import settings_of_test
from zoo.releases.find import SHIPPED
from zoo.releases.hub import repository
from zoo.releases.model_card import collection_card
from zoo.releases.readme import readme_of
from zoo.releases.release import Release
from zoo.releases.verify import verify
from zoo.releases.weights import licence_of_run
from zoo.runs.environment import describe_hardware
from zoo.runs.record import hardware


def test_a_release_says_in_sentences_what_its_card_says(released):
    release = Release(released / "dcgan.digits")
    text = (release.folder / "README.md").read_text()
    assert text.startswith("# dcgan.digits\n")
    assert "Radford et al. 2016, https://arxiv.org/abs/1511.06434" in text
    assert "192 images seen" in text
    for name, key in release.card["protocols"].items():
        assert f"| {name} | {release.card['figures'][name]:.4g} | {key} |" in text
    assert release.card["data"]["licence"] in text
    assert 'zoo.load_pretrained("dcgan.digits")' in text
    assert "OWNER" not in text


def test_figures_of_the_record_are_taken_over_without_measuring(finished_run, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    shutil.copytree(finished_run.dir.path, folder)
    record = json.loads((folder / "result.json").read_text())
    hashed = next(key for key, text in record["protocols"].items() if text.get("extractor") == "lenet")
    test = {
        "checkpoint": "last.ckpt",
        "images_seen": 192,
        "values": {"fd_lenet100": 50.5},
        "protocols": {"fd_lenet100": hashed},
    }
    run = FinishedRun(folder, models=MODELS)
    with pytest.raises(UsageError, match=r"no figures of last\.ckpt: take them with `zoo test dcgan"):
        export(run, tmp_path / "out", precision="float32", figures="record")
    (folder / "result.json").write_text(json.dumps(record | {"tests": [test]}))
    with pytest.raises(UsageError, match="--precision float16 rounds them"):
        export(run, tmp_path / "out", precision="float16", figures="record")
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr("zoo.releases.figures.measure", None)  # not called
    release = Release(export(run, tmp_path / "out", precision="float32", figures="record"))
    assert release.card["figures"] == {"fd_lenet100": 50.5}
    assert release.card["protocol_texts"].keys() == {hashed}
    assert release.card["evaluation"]["extractors"] == ["lenet"]
    assert release.card["evaluation"]["test_samples"] == 100
    assert release.card["evaluation"]["real_images"] == 500
    assert release.card["rounding"] == {"largest": 0, "mean": 0}
    assert {claim.verdict for claim in verify(release, data_dir=None, figures=False)} == {"holds"}


@pytest.mark.parametrize(
    "settings",
    [
        EvaluationSettings(extractors=["lenet"], test_samples=20, real_images=30),
        EvaluationSettings(extractors=["lenet", "resnet"], test_samples=20, real_images=30, batchnorm="running"),
        EvaluationSettings(extractors=["lenet"], test_samples=20, real_images=30, across_papers=True),
        EvaluationSettings(extractors=["lenet"], test_samples=20, real_images=60, split="validation"),
        EvaluationSettings(extractors=["lenet"], test_samples=20, mirror_reals=True),
    ],
    ids=["few", "two networks", "across papers", "held out", "mirrored"],
)
def test_settings_of_a_test_are_those_of_its_protocols(settings):
    """Whatever the run was trained with: `verify` then takes the figures as they were taken."""
    data = Digits(resolution=32, train_images=100)
    taken = Measurement(data, settings=settings, testing=True)
    texts, protocols = {}, {}
    for evaluator in taken.prepare(DCGAN(network="community", resolution=32, channels=1, width=2).eval()):
        (column,) = evaluator.columns
        fields = taken.protocol(evaluator.protocol(column))
        name, key = value_name("fd", column.extractor.name, 20), protocol_hash(fields)
        texts[key], protocols[name] = fields, key
    pixels = {"extractor": "pixels", "n_fake": 7, "batchnorm": "batch", "split": "test", "n_real": 1, "weights": "raw"}
    test = {"protocols": protocols | {"swd20_avg": "of pixels", "parzen_ll": "of the paper"}}
    found = settings_of_test(test, texts | {"of pixels": pixels, "of the paper": {"seed": 0}}, images=100)
    assert EvaluationSettings(**found) == settings
    full = {key: fields | {"n_fake": 10_000} for key, fields in texts.items()}
    assert settings_of_test({"protocols": protocols}, full, images=100)["test_samples"] is None


def test_the_time_is_that_of_the_whole_training_and_not_of_the_best_checkpoint(released):
    card = Release(released / "dcgan.digits").card
    last = {name: m | {"last": m["last"] | {"images_seen": 320}} for name, m in card["training"]["measures"].items()}
    assert last
    text = readme_of(card | {"training": card["training"] | {"measures": last, "hardware": "A CPU"}}, DCGAN.reference)
    updates = f"- 192 images seen, {card['training']['generator_steps']} updates of G, "
    assert f"{updates}of a training of 320 images that took 0:0" in text
    assert f"{updates}in 0:0" in readme_of(card, DCGAN.reference)
    assert card["training"]["hardware"] == hardware({"hardware": describe_hardware()})


def test_a_release_that_is_not_its_recipes_says_so():
    """The recipe's line alone stood there: gamma = 750 and a score of 8.80, of a release with gamma 1."""
    card = Release(SHIPPED / "pggan.cifar10").card
    text = readme_of(card, MODELS["pggan"].reference)
    assert "recipe `cifar10`: section 6.5: CIFAR-10 without labels, gamma = 750 and joint updates" in text
    (line,) = (line for line in text.splitlines() if "Inception score 8.80" in line)
    assert "; this one with other settings: `--model.fmap_base 512 " in line
    assert "--model.gp_target 1" in line
    pytest.importorskip("huggingface_hub")
    assert described(card) in collection_card([card], repository("hf://a/b"))
    assert "other settings" not in described(
        card | {"training": card["training"] | {"commands": [["zoo", "fit", "pggan"]]}}
    )


@pytest.mark.parametrize("folder", sorted(path.parent for path in SHIPPED.glob("*/card.json")), ids=lambda f: f.name)
def test_what_is_shipped_says_what_its_card_says(folder):
    card = Release(folder).card
    assert (folder / "README.md").read_text() == readme_of(card, MODELS[card["paper"]].reference)


def test_figures_of_other_statistics_than_sample_has_are_said_to_be(released, tmp_path):
    """Of dcgan.cifar10 `sample` gave images that differ from those that were measured by 4 grey levels on average.

    Releases that were exported before they held the statistics of their figures have the training's.
    """
    note = "other statistics in G's BatchNorm than these files hold: estimated again from samples"
    release = Release(released / "dcgan.digits")
    assert note not in (release.folder / "README.md").read_text()
    assert "BatchNorm" not in origin_of(str(release.folder))["figures"]
    earlier = shutil.copytree(release.folder, tmp_path / "dcgan.digits")
    card = {key: value for key, value in release.card.items() if key != "statistics"}
    write_card(earlier, card)
    text = readme_of(card, MODELS["dcgan"].reference)
    assert note in text
    assert "`python -m zoo evaluate dcgan.digits --batchnorm running` measures those" in text
    told = origin_of(str(earlier))["figures"]
    assert told.endswith("; G's BatchNorm with other statistics than here, estimated again from samples")
    as_it_is = Release(SHIPPED / "pggan.mnist")  # without BatchNorm
    assert "BatchNorm" not in readme_of(as_it_is.card, MODELS["pggan"].reference)
    assert "BatchNorm" not in origin_of("pggan.mnist")["figures"]


def test_a_readme_says_the_words_of_its_card_whatever_they_are(released):
    card = Release(released / "dcgan.digits").card
    command = ["zoo", "fit", "dcgan", "--data.split", "MY_FOLDER", "--note", "of\udcff"]
    card = {
        **card,
        "data": {**card["data"], "name": "MY_FOLDER"},
        "training": {**card["training"], "commands": [command]},
    }
    text = readme_of(card, DCGAN.reference, address="hf://a/b")
    assert "- on MY_FOLDER, 5,000 images" in text
    assert "--data.split MY_FOLDER" in text
    assert b"'of\\udcff'" in text.encode()
    assert text.count("hf://a/b") == 3


def test_a_fine_tuned_model_names_the_licence_of_the_data_before(tmp_path):
    """Of the faces that its weights come from, which are not for commercial use: the card named that of the folder."""
    faces = json.loads((SHIPPED / "dcgan.celeba64/card.json").read_text())["data"]["licence"]

    def run(name, start, data="ImageFolder"):
        settings = {"data": {"class_path": f"zoo.data.{data}", "init_args": {}}, "init_from": start}
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(json.dumps(settings))
        return FinishedRun(tmp_path / name, models=MODELS)

    text = "that of your images; of the data behind {}, which it was fine-tuned from: {}"
    tuned = text.format("dcgan.celeba64", faces)
    assert licence_of_run(run("once", "dcgan.celeba64")) == tuned
    assert origin_of(str(tmp_path / "once"))["data_licence"] == tuned
    assert licence_of_run(run("twice", str(tmp_path / "once"), data="Digits")) == (
        f"{Digits.licence}; of the data behind once, which it was fine-tuned from: {tuned}"
    )
    assert licence_of_run(run("gone", str(tmp_path / "absent"))) == text.format("absent", "not known")
    assert licence_of_run(run("scratch", None)) == "that of your images"
    assert licence_of_run(run("alike", str(tmp_path / "scratch"))) == "that of your images"
    assert data_entry(run("digits", "dcgan.mnist", data="Digits"))["licence"].endswith(
        "of the data behind dcgan.mnist, which it was fine-tuned from: CC BY-SA 3.0, Y. LeCun and C. Cortes"
    )
