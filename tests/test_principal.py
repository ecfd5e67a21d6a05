"""A layer that starts from the principal components of the data."""

import torch
from torch import nn

from zoo.nn.principal import start_at_principal_components


def test_first_outputs_have_the_mean_and_the_covariance_of_the_data() -> None:
    """Small deviations, where the sigmoid is as good as straight: the covariance of five directions comes back."""
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(5, 40, generator=generator) * torch.tensor([0.02, 0.015, 0.01, 0.006, 0.004])[:, None]
    mean = torch.rand(40, generator=generator) * 0.4 + 0.3
    images = mean + torch.randn(3000, 5, generator=generator) @ mixing
    hidden = torch.relu(torch.randn(4000, 16, generator=generator)) + 3  # neither centred nor white
    layer = nn.Linear(16, 40)
    start_at_principal_components(layer, hidden, images, components=5)
    outputs = torch.sigmoid(layer(hidden)).detach()
    torch.testing.assert_close(outputs.mean(0), images.mean(0), atol=3e-3, rtol=0)
    wanted, found = torch.cov(images.T), torch.cov(outputs.T)
    assert float((wanted - found).norm() / wanted.norm()) < 0.03


def test_there_may_be_fewer_components_than_asked_for_and_random_numbers_are_left_alone() -> None:
    layer, images = nn.Linear(8, 30), torch.rand(4, 30)
    before = torch.get_rng_state()
    start_at_principal_components(layer, torch.randn(50, 8, generator=torch.Generator().manual_seed(0)), images)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.linalg.matrix_rank(layer.weight) == 3  # of four images
    constant = torch.full((20, 30), 0.25)
    start_at_principal_components(layer, torch.rand(50, 8), constant)
    torch.testing.assert_close(torch.sigmoid(layer(torch.rand(5, 8))), constant[:5], atol=1e-3, rtol=0)
