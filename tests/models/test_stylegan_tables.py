"""Table 2's measure: images of several latents."""

from types import SimpleNamespace
from typing import Any

import torch
from stylegan_toys import lively, tiny

from zoo.experiments.stylegan_tables import crossed, mixed_samples, table1_findings, table2_findings


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


def test_rows_whose_record_alone_is_there_are_compared_and_have_no_path_length() -> None:
    def run(fd: float) -> Any:
        at = {"checkpoint": "last.ckpt", "images_seen": 1, "values": {"fd_resnet10k": fd}, "protocols": {}}
        return SimpleNamespace(record={"tests": [at]}, record_alone=True)

    runs = {"A-seed0": run(5.0), "B-seed0": run(3.0)}
    assert table1_findings(runs) == {
        "fd_resnet10k, row B minus row A": -2,
        "fd_resnet10k, steps of 1 that improve it": 1,
    }
    assert table2_findings(runs) == {}
