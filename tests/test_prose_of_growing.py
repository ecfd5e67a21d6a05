"""Numbers of PGGAN and StyleGAN that stand in running text, against the committed records and the code."""

import itertools
import re

import pytest
import torch
import yaml
from pages import record, text_of

from zoo.models.networks.stylegan import Mapping
from zoo.nn.schedules import GrowthSchedule
from zoo.training.scripts import script_of


def test_how_much_of_their_recipes_stylegans_runs_are() -> None:
    recipes = script_of("stylegan").recipes
    for name in ("celeba64", "cifar10"):
        assert round(100 * record(f"stylegan-{name}-seed0")["images_seen"] / recipes[name].config["images"]) == 1
    assert "StyleGAN's runs in colour are about 1 % of their recipes" in text_of("README.md")
    digits = record("stylegan-mnist-seed0")
    assert digits["images_seen"] == digits["budget"] == recipes["mnist"].config["images"]
    changed = {"--model.mapping_layers": 2, "--model.mixing_prob": 0, "--model.lrs": {4: 0.002}}
    found = {name: yaml.safe_load(str(digits["overrides"][name])) for name in changed}
    assert found == changed
    assert "the run on MNIST has two mapping layers in place of eight, no mixing of styles and twice the rate" in (
        text_of("docs/results.md")
    )


def test_what_stylegans_search_and_its_digits_say() -> None:
    page, study, run = (
        text_of("docs/stylegan.md"),
        record("stylegan-study-mnist_search"),
        record("stylegan-mnist-seed0"),
    )
    tests = {name: member["tests"] for name, member in study["records"].items()}
    ends = {
        name: next(test["values"]["fd_lenet"] for test in of_member if test["checkpoint"] == "last.ckpt")
        for name, of_member in tests.items()
    }
    r1, weak, penalty = (ends[name] for name in ("r1_10", "r1_0.1-lr_0.002", "wgan_gp"))
    plain, fast = (ends[f"wgan_gp-mapping_2-mixing_0{rate}"] for rate in ("", "-lr_0.002"))
    assert f"is {r1:.4g} with $R_1$ at the paper's $\\gamma = 10$ and {weak:.4g} with 0.1 and twice the rate" in page
    assert f"It is {penalty:.4g} with WGAN-GP" in page
    assert f"With two layers and without mixing it is {plain:.4g}, and with twice the rate besides {fast:.4g}" in page
    assert {member["images_seen"] for member in study["records"].values()} == {160_000}
    (own,) = {test["values"]["fd_lenet"] for test in run["tests"] if test["checkpoint"] == "best.ckpt"}
    assert f"went on with the last to {run['images_seen']:,} images (80 minutes of one core)" in page
    assert f"to an `fd_lenet` of {own:.2f}" in page
    assert run["wall_time_s"] == pytest.approx(4_800, rel=0.03)
    assert run["overrides"]["--model.loss"] == "wgan_gp"


def test_how_much_of_z_a_mapping_passes_on() -> None:
    """Participation ratio of w's covariance, before training, of five seeds."""
    found: dict[int, list[int]] = {}
    for layers, seed in itertools.product((2, 8), range(5)):
        torch.manual_seed(seed)
        mapping = Mapping(64, 64, layers=layers)
        with torch.no_grad():
            spread = torch.linalg.eigvalsh(torch.cov(mapping(torch.randn(10_000, 64)).T))
        found.setdefault(layers, []).append(round(float(spread.sum() ** 2 / (spread**2).sum())))
    short, long = (f"{min(ratios)} to {max(ratios)}" for ratios in found.values())
    assert f"untrained, eight layers leave {long} of the 64 dimensions and two {short}" in text_of("docs/stylegan.md")


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


def test_what_pggans_table_in_small_says() -> None:
    page, runs = text_of("docs/pggan.md"), record("pggan-study-table1_small")["records"]
    last = {
        name.removesuffix("-seed0"): next(t["values"] for t in run["tests"] if t["checkpoint"] == "last.ckpt")
        for name, run in runs.items()
    }
    distances = [f"{values['swd10k_avg']:.2f} in {row}".replace("*", "\\*") for row, values in last.items()]
    first, *middle, end = [said.replace("in a", "in row a") for said in distances]
    assert f"(`swd10k_avg`) is {first}, {', '.join(middle)} and {end}, which has twice" in page
    values = {row: of_row["swd10k_avg"] for row, of_row in last.items()}
    assert "h is best, and d and all that follow are better than c." in page
    assert min(values, key=lambda row: values[row]) == "h"
    assert max(values[row] for row in ("d", "e*", "e", "f", "g", "h")) < values["c"] < values["a"] < values["b"]
    assert all(run["images_seen"] == 200_000 for run in runs.values())
    minutes = [round(run["wall_time_s"] / 60) for run in runs.values()]
    assert f"one seed, {min(minutes)} to {max(minutes)} minutes of one core" in page
    updates = {row: runs[f"{row}-seed0"]["generator_steps"] for row in last}
    assert [*updates.values()] == [625, 625, 2_500, *[12_500] * (len(updates) - 3)]
    growth = GrowthSchedule(32, stabilise_images=16_000, fade_images=16_000)
    assert f"growing takes {growth.grown_at:,} of the 200,000 images" in page
