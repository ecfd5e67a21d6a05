"""Numbers of PGGAN and StyleGAN that stand in running text, against the committed records and the code."""

import re

import pytest
from pages import last_values, record, text_of

from zoo.training.scripts import script_of


def test_how_much_of_their_recipes_stylegans_runs_are() -> None:
    recipes, text = script_of("stylegan").recipes, text_of("README.md")
    digits, *colour = (
        round(100 * record(f"stylegan-{name}-seed0")["images_seen"] / recipes[name].config["images"])
        for name in ("mnist", "celeba64", "cifar10")
    )
    assert f"StyleGAN's run on MNIST, whose release is `stylegan.mnist`, is {digits} % of its recipe" in text
    assert f"the run on MNIST is {digits} % of its recipe" in text_of("docs/results.md")
    assert colour == [1, 1]
    assert "those in colour are about 1 % of theirs" in text


def test_what_stylegans_search_and_its_digits_say() -> None:
    page, study, run = (
        text_of("docs/stylegan.md"),
        record("stylegan-study-mnist_search"),
        record("stylegan-mnist-seed0"),
    )
    r1, weak, penalty = (
        last_values("stylegan-study-mnist_search", name)[0]["fd_lenet"]
        for name in ("r1_10", "r1_0.1-lr_0.002", "wgan_gp")
    )
    assert f"is {r1:.4g} with $R_1$ at the paper's $\\gamma = 10$ and {weak:.4g} with 0.1 and twice the rate" in page
    assert f"It is {penalty:.4g} with WGAN-GP" in page
    assert {member["images_seen"] for member in study["records"].values()} == {160_000}
    (own,) = {test["values"]["fd_lenet"] for test in run["tests"]}
    assert f"for {run['images_seen']:,} images (an hour and a half of one core)" in page
    assert f"to an `fd_lenet` of {own:.4g}" in page
    assert run["wall_time_s"] == pytest.approx(5_400, rel=0.05)
    assert run["overrides"]["--model.loss"] == "wgan_gp"


def test_what_stylegans_faces_cost() -> None:
    faces, photographs = (record(f"stylegan-{name}-seed0") for name in ("celeba64", "cifar10"))
    assert f"`stylegan.celeba64` ({faces['images_seen']:,} images, 10,000 faces" in text_of("docs/stylegan.md")
    assert 6_000 < faces["wall_time_s"] < 7_200  # under two hours
    assert f"StyleGAN's ({faces['commit'][:7]}) about two hours each" in text_of("docs/results.md")
    assert photographs["commit"] == faces["commit"]
    assert photographs["wall_time_s"] == pytest.approx(7_200, rel=0.1)


def test_settings_of_stylegans_tables_in_small() -> None:
    study = script_of("stylegan").studies["table1_small"]
    options = dict(re.findall(r"--([\w.]+)=(\S+)", "\n".join([*study.options, *study.members["F-seed0"].options])))
    said = text_of("reproductions/stylegan.py").partition("19. The studies")[2].partition('"""')[0]
    assert f"R1 weight {options['model.r1_gamma']} " in said
    assert f"{int(options['images']):,} images" in said
    assert f"half-life of {int(options['model.ema_half_life']):,} images" in said
    assert "--model.batch_sizes={4: 8}" in study.options
    assert "batches of 8" in said


def test_every_fine_tuned_run_of_stylegan_ends_nearer_to_cars_than_any_from_scratch() -> None:
    study, names = (
        record("stylegan-study-finetune_colour"),
        ("fd_resnet250_validation", "fd_efficientnet250_validation"),
    )
    for name in names:
        scratch = [r["measures"][name]["best"]["value"] for m, r in study["records"].items() if m.startswith("scratch")]
        tuned = [
            r["measures"][name]["last"]["value"] for m, r in study["records"].items() if not m.startswith("scratch")
        ]
        assert (len(scratch), len(tuned)) == (6, 9)
        assert max(tuned) < min(scratch)
    shares = [round(study["findings"][f"share_of_images_{arm}"], 2) for arm in ("finetuned", "freeze-1", "augmented")]
    assert sorted(shares) == [0.5, 0.5, 0.75]
    assert "after half or three quarters of the images" in text_of("docs/stylegan.md")


def test_the_hour_and_a_half_of_pggans_digits() -> None:
    assert "an hour and a half" in script_of("pggan").recipes["mnist"].summary
    assert record("pggan-mnist-seed0")["wall_time_s"] == pytest.approx(5_400, rel=0.05)
