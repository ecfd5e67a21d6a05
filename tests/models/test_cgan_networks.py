"""cGAN's networks: the paper's counts, laws and dropout, the sizes of the convolutional extension."""

import pytest
import torch
from cgan_toys import count, on_meta, small
from torch import Tensor, nn

from zoo.models.cgan import CGAN, MnistGenerator, decompose
from zoo.nn.layers import Maxout


def test_parameter_counts_of_the_paper() -> None:
    module = on_meta()
    assert (count(module.G), count(module.D)) == (2_413_984, 1_224_351)
    assert [
        (m.linear.in_features, m.linear.out_features, m.pieces) for m in module.D.modules() if isinstance(m, Maxout)
    ] == [
        (784, 1200, 5),
        (10, 250, 5),
        (290, 960, 4),
    ]


def test_initialisation_laws_of_the_paper() -> None:
    module = CGAN()
    for net, bound in ((module.G, 0.05), (module.D, 0.005)):
        layers = [layer for layer in net.modules() if isinstance(layer, nn.Linear)]
        assert len(layers) == 4
        for layer in layers:
            spread = 6 / layer.weight.numel() ** 0.5
            assert -1e-6 < 1 - layer.weight.abs().max().item() / bound < spread
            assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=spread)
            assert not layer.bias.any()


def test_activations_of_the_paper() -> None:
    kinds = (nn.ReLU, nn.Sigmoid, nn.Tanh, nn.LeakyReLU)
    G, D = ([type(m) for m in net.modules() if isinstance(m, kinds)] for net in (on_meta().G, on_meta().D))
    assert [nn.ReLU, nn.ReLU, nn.ReLU, nn.Sigmoid] == G
    assert D == []  # maxout alone, and logits


def test_dropout_stands_after_every_hidden_layer_and_on_no_input() -> None:
    module = on_meta(dropout=0.4)
    rates = {name: layer.p for name, layer in module.named_modules() if isinstance(layer, nn.Dropout)}
    assert rates.pop("D.x_layer.1") == 0.0
    assert rates == dict.fromkeys(["D.x_layer.3", "D.y_layer.1", "D.joint.1"], 0.4)  # G's is part of its latent
    assert on_meta(input_dropout=0.2).D.get_submodule("x_layer.1").p == 0.2


def test_the_generators_dropout_is_that_of_torch_with_the_masks_of_its_latent() -> None:
    torch.manual_seed(0)
    G = CGAN(dropout=0.3).G
    assert isinstance(G, MnistGenerator)
    z, y = CGAN().latents(400), torch.eye(10).repeat(40, 1)
    keep = (z[:, 100:] >= 0.3).float() / 0.7
    assert keep.mean().item() == pytest.approx(1, abs=0.005)  # the mean of what is kept
    hidden = torch.cat([G.z_layer(z[:, :100]) * keep[:, :200], G.y_layer(y) * keep[:, 200:1200]], dim=1)
    torch.testing.assert_close(G(z, y), G.image(G.joint(hidden) * keep[:, 1200:]))
    plain = torch.cat([G.z_layer(z[:, :100]), G.y_layer(y)], dim=1)
    torch.testing.assert_close(G(z[:, :100], y), G.image(G.joint(plain)))


def test_samples_are_drawn_with_dropout_unless_told_otherwise() -> None:
    torch.manual_seed(0)
    module = CGAN()
    z, y = module.latents(2), torch.tensor([3, 3])
    z[1, :100] = z[0, :100]  # the images differ in nothing but what is dropped
    module.eval()
    a, b = module.generate(z, y)
    assert (a - b).abs().max() > 1e-3
    module.sampling_dropout = False
    a, b = module.generate(z, y)
    torch.testing.assert_close(a, b)


@pytest.mark.parametrize(("channels", "resolution", "classes"), [(1, 28, 10), (3, 32, 10), (3, 64, 1), (1, 48, 4)])
def test_the_convolutional_variant_makes_images_of_many_sizes(channels: int, resolution: int, classes: int) -> None:
    module = on_meta(network="convolutional", channels=channels, resolution=resolution, num_classes=classes)
    with torch.device("meta"):
        y = torch.empty(2, classes)
        images = module.G(torch.empty(2, 100), y)
        assert images.shape == (2, channels, resolution, resolution)
        assert module.D(images, y).shape == (2, 1)


def test_the_label_maps_are_constant_and_each_of_one_class() -> None:
    module = small()
    seen: list[Tensor] = []
    module.D.layers.register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0]))
    module.D(torch.zeros(2, 1, 8, 8), torch.eye(3)[[2, 0]])
    expected = torch.zeros(2, 4, 8, 8)
    expected[0, 3] = expected[1, 1] = 1
    torch.testing.assert_close(seen[0], expected)


@pytest.mark.parametrize(
    ("resolution", "expected"), [(28, (7, 2)), (32, (4, 3)), (64, (4, 4)), (8, (4, 1)), (96, (6, 4))]
)
def test_decompose(resolution: int, expected: tuple[int, int]) -> None:
    assert decompose(resolution) == expected


@pytest.mark.parametrize("resolution", [4, 7, 9, 22, 33])
def test_impossible_resolutions_are_refused(resolution: int) -> None:
    with pytest.raises(ValueError, match=f"not {resolution}"):
        on_meta(network="convolutional", resolution=resolution)
    with pytest.raises(ValueError, match="28x28 grey"):
        on_meta(resolution=resolution)
