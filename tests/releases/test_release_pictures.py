"""What commands draw: ways through latents, codes and styles, rows of samples, a picture of all releases."""

import pytest
import torch
from PIL import Image
from registry import small_model

from zoo.commands.picture import draw_blocks, framed
from zoo.commands.sampling import between, bounded_columns, in_rows, mixed_styles, traversals, ways
from zoo.errors import ReleaseError, ZooError
from zoo.releases.release import Release


def test_labels_are_whole_numbers_of_any_type():
    module = small_model("cgan").eval()
    expected = module.sample(2, labels=torch.tensor([7, 1]), seed=3)
    for labels in (torch.tensor([7, 1], dtype=torch.int32), torch.tensor([7, 1], dtype=torch.uint8), [7, 1]):
        assert expected.equal(module.sample(2, labels=labels, seed=3))
    for labels in (torch.tensor([7.0, 1.0]), torch.tensor([True, False]), torch.tensor([[7, 1]]), [7, 10]):
        with pytest.raises(ValueError, match=r"labels must be 2 whole numbers in 0\.\.9"):
            module.sample(2, labels=labels)


def test_ways_keep_to_the_prior():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(3, 64, generator=generator), torch.randn(3, 64, generator=generator)
    normal = between(a, b, t=torch.linspace(0, 1, 5), bounded=torch.zeros(64, dtype=torch.bool))
    torch.testing.assert_close(normal[:, 0], a)
    torch.testing.assert_close(normal[:, -1], b)
    torch.testing.assert_close(normal[:, 2].norm(dim=1), (a.norm(dim=1) + b.norm(dim=1)) / 2)
    u, v = a.clamp(-1, 1), b.clamp(-1, 1)
    uniform = between(u, v, t=torch.linspace(0, 1, 5), bounded=torch.ones(64, dtype=torch.bool))
    torch.testing.assert_close(uniform[:, 1], 0.75 * u + 0.25 * v)
    assert uniform.abs().max() <= 1


def test_uniform_and_one_hot_entries_of_a_latent_are_told_from_normal_ones():
    assert bounded_columns(small_model("gan")).all()
    assert not bounded_columns(small_model("wgan")).any()
    infogan = small_model("infogan")
    assert bounded_columns(infogan)[infogan.layout.noise : infogan.layout.noise + infogan.layout.categories].all()


@pytest.mark.parametrize("paper", ["gan", "cgan", "infogan", "wgan_gp", "pggan", "stylegan"])
def test_each_way_begins_and_ends_with_images_of_its_latents(paper):
    module = small_model(paper).eval()
    images = ways(module, rows=2, steps=3, seed=5)
    assert images.shape == (2, 3, *module.image_shape)
    assert images.equal(ways(module, rows=2, steps=3, seed=5))
    if paper in ("gan", "infogan", "wgan_gp"):
        start = module.latents(2, generator=torch.Generator().manual_seed(5))
        with torch.no_grad():
            torch.testing.assert_close(images[:, 0], module.generate(start, None))


def test_codes_and_styles():
    codes = traversals(small_model("infogan"), rows=2, seed=0)
    assert list(codes) == ["c1", "c2", "c3"]
    assert codes["c1"].shape[:2] == (2, 10)
    stylegan = small_model("stylegan").eval()
    assert mixed_styles(stylegan, rows=2, columns=3, kind="fine", seed=0).shape[:2] == (3, 4)


def test_a_number_of_samples_that_fills_no_rectangle_is_filled_up_with_white():
    rows = in_rows(torch.zeros(7, 1, 2, 2))
    assert rows.shape == (3, 3, 1, 2, 2)
    assert rows.flatten(0, 1)[7:].eq(1).all()
    assert in_rows(torch.zeros(72, 1, 2, 2)).shape[:2] == (6, 12)


def test_a_picture_has_a_row_for_each_release(released, tmp_path):
    release = Release(released / "dcgan.digits")
    draw_blocks([release, release], tmp_path / "two.png")
    draw_blocks([release], tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as one, Image.open(tmp_path / "two.png") as two:
        assert two.height > 1.3 * one.height
        assert two.width == one.width
    with pytest.raises(ZooError, match="no release to draw"):
        draw_blocks([], tmp_path / "none.png")


def test_papers_are_rows_and_data_sets_blocks_of_a_picture(released, tmp_path, monkeypatch):
    digits, faces = Release(released / "dcgan.digits"), Release(released / "dcgan.digits")
    faces.card = {**faces.card, "data": {**faces.card["data"], "class": "CelebA"}}
    drawn = []
    monkeypatch.setattr("zoo.commands.picture.labelled", lambda grid, **texts: drawn.append((grid, texts)))
    monkeypatch.setattr("zoo.commands.picture.write", lambda drawings, folder: [folder])
    draw_blocks([digits, faces], tmp_path / "one.png")
    draw_blocks([digits, digits, faces], tmp_path / "two.png")
    (row, texts), (rows, _) = drawn
    assert row.shape == (1, 13, 1, 32, 32)
    assert (texts["columns"][3], texts["columns"][10]) == ("Digits", "CelebA")
    torch.testing.assert_close(row[0, :6], row[0, 7:])
    assert row[0, 6].eq(1).all()
    assert len(rows) == 2
    assert rows[0, 7:].eq(1).all()  # one release of faces: white beside the other digits
    assert texts["rows"] == ["dcgan, 2016"]


def test_small_grey_images_stand_in_the_middle_of_larger_coloured_ones():
    square = framed(torch.ones(1, 1, 2, 2), side=6, channels=3)
    assert square.eq(1).all()  # three times as large
    square = framed(torch.ones(1, 1, 2, 2), side=5, channels=3)
    assert square.shape == (1, 3, 5, 5)
    assert square[0, 2, :4, :4].eq(1).all()
    assert square.eq(1).sum() == 3 * 16
    assert square.eq(-1).sum() == 3 * 9


def test_a_release_of_a_paper_of_another_version_is_named_in_a_picture(released, tmp_path):
    release = Release(released / "dcgan.digits")
    release.card = {**release.card, "paper": "biggan"}
    with pytest.raises(ReleaseError, match="paper is 'biggan', which is none of"):
        draw_blocks([release], tmp_path / "one.png")
