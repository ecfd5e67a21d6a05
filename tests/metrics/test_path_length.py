import math

import numpy as np
import pytest
import torch
from metrics_toys import ToyExtractor, processes_on_gpus, tf32_flags

from zoo.errors import EvaluationError
from zoo.metrics.path_length import (
    ExtractorDistance,
    PerceptualPathLength,
    perceptual_path_length,
    prepare,
    slerp,
    two_points,
)


def squared(a, b):
    return (a.double() - b.double()).square().sum(dim=(1, 2, 3))


def normal(n, generator):
    return torch.randn(n, 3, generator=generator).double()


def linear_images(latents):
    """A generator whose pixels are the latent's three numbers: [-1, 1] stays apart by what the latents are."""
    return latents.view(-1, 3, 1, 1)


def run(synthesize=linear_images, distance=squared, latents=normal, **settings):
    return float(perceptual_path_length(synthesize, distance, latents=latents, **{"pairs": 400, **settings}))


def test_straight_path_in_w_has_the_length_of_its_chord():
    # d = |w2 - w1|^2 eps^2 in units of 127.5 grey levels, whatever t.
    generator = torch.Generator().manual_seed(0)
    chords = []
    for start in range(0, 400, 32):
        n = min(32, 400 - start)
        a, b = normal(2 * n, generator).mul(2).chunk(2)
        torch.rand(n, generator=generator)
        chords.append((b - a).square().sum(dim=1))
    kept = torch.cat(chords).sort().values[3:397]  # between the order statistics at 1 % and 99 %, inclusive
    assert run(mapping=lambda z: 2 * z, epsilon=0.01) == pytest.approx(float(kept.mean()) * 127.5**2, rel=1e-3)


def test_great_circle_in_z_is_travelled_at_constant_speed():
    # On the unit circle |z(t + eps) - z(t)| is about the angle times eps, and unit length is kept.
    a, b = torch.tensor([[3.0, 0.0, 0.0]]).double(), torch.tensor([[0.0, 0.5, 0.0]]).double()
    for t in (0.0, 0.25, 1.0):
        expected = torch.tensor([[math.cos(t * math.pi / 2), math.sin(t * math.pi / 2), 0.0]]).double()
        assert torch.allclose(slerp(a, b, torch.tensor([[t]]).double()), expected, atol=1e-12)
    points = two_points(torch.cat([a, b]), torch.tensor([0.3]), epsilon=1e-3)
    assert points.shape == (2, 3)
    assert float((points[1] - points[0]).norm()) == pytest.approx(math.pi / 2 * 1e-3, rel=1e-4)


def test_full_and_end_differ_where_the_generator_bends():
    def bent(latents):
        return linear_images(latents**2)

    full, end = run(bent, mapping=lambda z: z), run(bent, mapping=lambda z: z, sampling="end")
    # |d(w^2)/dt|^2 = sum (2 w_t dw)^2; at the end w = a, in between it is shorter.
    assert full < 0.9 * end


def test_trimmed_mean_is_that_of_the_percentiles():
    values = torch.randn(1003, generator=torch.Generator().manual_seed(1)).exp()
    metric = PerceptualPathLength(epsilon=0.5)
    for part in values.split(100):
        metric.update(part)
    x = values.double().numpy()
    low, high = np.percentile(x, 1, method="lower"), np.percentile(x, 99, method="higher")
    assert float(metric.compute()) == pytest.approx(x[(x >= low) & (x <= high)].mean() * 4, rel=1e-12)


def test_face_crop_box_means_and_scale():
    x = torch.zeros(1, 1, 1024, 1024)
    x[:, :, 384:896, 256:768] = 1
    y = prepare(x, face_crop=True)
    assert y.shape == (1, 3, 256, 256)
    assert torch.equal(y, torch.full_like(y, 255))
    assert prepare(x, face_crop=False).shape == (1, 3, 256, 256)
    small = torch.linspace(-1, 1, 16).view(1, 1, 4, 4)
    assert torch.allclose(prepare(small, face_crop=False)[0, 2].flatten(), torch.linspace(0, 255, 16))


def test_extractor_distance_is_squared_chord_of_unit_features_and_sees_below_a_grey_level():
    distance = ExtractorDistance(ToyExtractor())
    a = 255 * torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    b = a + 0.01
    x, y = (distance.extractor.extract(v).features.double() for v in (a, b))
    cosine = (x * y).sum(dim=1) / (x.norm(dim=1) * y.norm(dim=1))
    # features are float32, which is 1e-7 of each: some CPUs round them 0.6 % of this distance apart in another batch
    assert distance(a, b) == pytest.approx(2 - 2 * cosine, rel=0.02, abs=1e-12)
    assert float(distance(a, b).min()) > 0
    assert distance(a, a).tolist() == [0, 0, 0]
    assert distance.name == "toy"


def test_seeded_and_bad_settings():
    assert run(seed=1) == run(seed=1) != run(seed=2)
    with pytest.raises(ValueError, match="full or end"):
        run(sampling="middle")
    with pytest.raises(ValueError, match="positive"):
        run(pairs=0)


def test_no_shortcut_rounds_the_two_points_together():
    """With convolutions rounded as in TF32, a GPU's default, our StyleGAN of digits had a length of 83, not 18."""
    seen = set()

    def synthesize(latents):
        seen.add((*tf32_flags(), torch.is_autocast_enabled("cpu")))
        return linear_images(latents)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        run(synthesize, pairs=40)
    assert seen == {(False, False, False)}


def test_processes_on_gpus_each_take_all_pairs(tmp_path):
    alone = run(pairs=40)
    with processes_on_gpus(tmp_path):
        assert run(pairs=40) == alone


def test_a_distance_that_is_nan_is_not_trimmed_away():
    metric = PerceptualPathLength()
    with pytest.raises(EvaluationError, match="1 of 300 distances are NaN"):
        metric.update(torch.cat([torch.ones(299), torch.tensor([float("nan")])]))
