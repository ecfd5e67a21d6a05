"""What is logged beside the losses, against slow computations."""

import pytest
import torch
from torch import nn
from toys import Recorder, ToyGAN, fit

from zoo.models.base.monitor import mean_pairwise_distance, measured_step


def test_measured_step_against_a_flat_vector() -> None:
    torch.manual_seed(0)
    net = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    net(torch.randn(4, 3)).square().sum().backward()
    gradient = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])
    weights = torch.cat([p.detach().clone().flatten() for p in net.parameters()])
    seen: dict[str, torch.Tensor] = {}
    with measured_step(optimizer, player="G", into=seen):
        optimizer.step()
    assert float(seen["gradient_norm_G"]) == pytest.approx(float(gradient.square().sum().sqrt()))
    assert float(seen["update_ratio_G"]) == pytest.approx(0.5 * float(gradient.norm() / weights.norm()), rel=1e-5)


def test_pairwise_distance_is_the_mean_distance_of_pairs() -> None:
    images = torch.randn(5, 1, 2, 3)
    pairs = [(images[i] - images[j]).norm() for i in range(5) for j in range(i)]
    assert mean_pairwise_distance(images) == pytest.approx(float(torch.stack(pairs).mean()), rel=1e-5)
    assert mean_pairwise_distance(images[:1].expand(4, -1, -1, -1)) == 0


class Noting(ToyGAN):
    """Hands its scores over; they are the step's number and its negative."""

    def discriminator_loss(self, x: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
        step = float(self.discriminator_steps + 1)
        self.note_scores(torch.full((2, 1), step), torch.tensor([-step, -step - 2]))
        return super().discriminator_loss(x, y)


def test_they_are_logged_with_the_losses_and_change_nothing() -> None:
    torch.manual_seed(0)
    module = Noting()
    module.log_every = 4
    recorder = Recorder(lambda m: (m.reported_at, dict(m.latest)))
    fit(module, recorder, images=8 * 9)
    reported = {at: values for at, values in recorder.seen if at >= 0}
    assert list(reported) == [32, 64]
    for at, values in reported.items():
        assert set(values) == {
            "loss_discriminator", "loss_generator", "score_real", "score_fake",
            "gradient_norm_D", "gradient_norm_G", "update_ratio_D", "update_ratio_G",
        }  # fmt: skip
        assert (values["score_real"], values["score_fake"]) == (at / 8, -at / 8 - 1)
        assert all(0 < values[f"update_ratio_{player}"] < 1 for player in "DG")
    torch.manual_seed(0)
    silent = Noting()
    silent.log_every = 1_000
    fit(silent, images=8 * 9)
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), silent.parameters(), strict=True))
