"""How papers differ, against what their files say by eye."""

import pytest
import torch
from torch import nn

from zoo.commands.diff.described import Described, as_text, called_in, code, described, layers
from zoo.errors import UsageError
from zoo.nn.losses import bce_discriminator_loss, gradient_penalty
from zoo.training.signatures import documented


def section(text: str, heading: str) -> str:
    """The indented lines below a heading."""
    found = next(part for part in text.split("\n\n") if part.startswith(heading))
    return found.partition("\n")[2]


@pytest.fixture(scope="module")
def text() -> str:
    return as_text("wgan", "wgan_gp")


def test_objectives(text: str) -> None:
    critic = section(text, "Objective, discriminator_loss")
    wgan, _, gp = critic.partition("  wgan_gp\n")
    assert "zoo.nn.losses.wasserstein_critic_loss" in wgan
    assert "gradient_penalty" not in wgan
    assert "calls zoo.nn.losses.gradient_penalty" in gp
    assert "penalty = gradient_penalty(self.score, x, fake, one_sided=self.one_sided)" in gp
    assert "type: ignore" not in critic


def test_optimizers_and_loop(text: str) -> None:
    lines = [line.strip() for line in section(text, "Optimizers").splitlines()]
    assert lines[0] == "wgan"
    assert lines[1].startswith("D: RMSprop(lr=5e-05")
    assert lines[3] == "wgan_gp"
    assert lines[5].startswith("G: Adam(lr=0.0002, betas=(0.0, 0.9)")
    loop = section(text, "Loop and schedule")
    assert loop.count("n_critic = 5") == 2
    assert "self.clip_weights()" in loop


def test_networks_and_settings(text: str) -> None:
    critic = section(text, "Network D (- wgan, + wgan_gp)").splitlines()
    assert {line.strip()[:2] for line in critic} == {"- ", "+ "}
    assert "  - in all 2,765,568 parameters" in critic
    assert sum("BatchNorm" in line for line in critic if line.startswith("  - ")) == 3
    assert not any("BatchNorm" in line for line in critic if line.startswith("  + "))
    settings = section(text, "Settings").splitlines()
    row = next(line for line in settings if line.split()[0] == "lr")
    assert row.split()[1:3] == ["5e-05", "0.0002"]  # what None came to
    assert settings[-1].strip().startswith("the same in both: channels=3, n_critic=5, clip=0.01")


def test_a_paper_and_itself_and_a_recipe() -> None:
    same = as_text("lsgan", "lsgan")
    assert "\n  - " not in same
    assert "\n  + " not in same
    assert section(same, "Optimizers").startswith("  both\n")
    recipes = as_text("gan", "dcgan:digits")
    assert "dcgan:digits" in section(recipes, "Recipes")
    assert "'width'" not in section(recipes, "Recipes")  # it stands among the settings
    assert any(line.split()[:3] == ["width", "None", "32"] for line in section(recipes, "Settings").splitlines())


def test_unknown_names() -> None:
    with pytest.raises(UsageError, match="there is no paper 'vae': name two of gan, dcgan"):
        as_text("wgan", "vae")
    with pytest.raises(UsageError, match="wgan has no recipe 'moon': there are bedrooms"):
        as_text("wgan:moon", "wgan")


def test_optimizers_of_several_groups() -> None:
    a, b = nn.Linear(2, 2), nn.Linear(1, 1)
    one = torch.optim.SGD([{"params": a.parameters()}, {"params": b.parameters()}], lr=0.1)
    assert described(one) == "SGD(lr=0.1)"
    two = torch.optim.SGD([{"params": a.parameters(), "lr": 0.5}, {"params": b.parameters()}], lr=0.1)
    assert [part.split(" on ")[1] for part in described(two).split("; ")] == ["6 parameters", "2 parameters"]


def test_layers_names_what_computes() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.Identity(), nn.ModuleDict({"act": nn.ReLU()}))
    assert layers(net) == [
        "Linear(in_features=3, out_features=2, bias=True)  8",
        "act: ReLU()",
        "in all 8 parameters",
    ]


def test_text_and_calls_of_a_function() -> None:
    def f(x: int) -> int:
        """Doubles a number.

        Args:
            x: the number, which
                may be zero.
            y: another.
        """
        return 2 * x

    assert code(f) == ["def f(x: int) -> int:", "    # Doubles a number.", "    return 2 * x"]
    assert documented("Text.\n\nArgs:\n    x: the number, which\n        may be zero.\n    y: another.\n\nEnd.") == {
        "x": "the number, which may be zero.",
        "y": "another.",
    }
    zeros = torch.zeros(2)
    assert called_in(["zoo.nn.losses"], lambda: bce_discriminator_loss(zeros, zeros))[0] is bce_discriminator_loss
    assert gradient_penalty not in called_in(["zoo.nn.losses"], lambda: bce_discriminator_loss(zeros, zeros))


def test_a_described_paper_has_what_its_file_says() -> None:
    own = Described("dcgan")
    assert own.title.startswith("Unsupervised Representation Learning with Deep Convolutional")
    assert own.settings["beta1"] == "0.5"
    assert "Adam" in own.meanings["beta1"]
