"""Table 2's measure: images of several latents."""

import torch
from stylegan_toys import lively, tiny

from zoo.experiments.stylegan_tables import crossed, mixed_samples


def test_latents_take_over_from_one_another_at_the_crossovers() -> None:
    styles = torch.arange(3.0)[:, None, None, None].expand(3, 50, 8, 2)  # latent k has k everywhere
    w = crossed(styles, generator=torch.Generator().manual_seed(0))
    assert w.shape == (50, 8, 2)
    assert (w[:, 0] == 0).all()
    assert (w.diff(dim=1) >= 0).all()
    assert set(w[:, -1].flatten().tolist()) == {2.0}  # both crossovers lie among layers 1 to 7
    assert len({tuple(row) for row in w[..., 0].tolist()}) > 10
    one = crossed(styles[:1], generator=torch.Generator())
    assert (one == 0).all()


def test_mixed_samples_differ_from_plain_ones_and_repeat() -> None:
    module = lively(tiny())
    one, two, again = (mixed_samples(module, 6, latents=n) for n in (1, 2, 2))
    assert one.dtype == torch.uint8
    assert one.shape == (6, *module.image_shape)
    assert torch.equal(two, again)
    assert not torch.equal(one, two)
    assert torch.equal(mixed_samples(module, 4, latents=2), two[:4])
