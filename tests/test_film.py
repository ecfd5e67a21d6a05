"""Films: every format, a first frame that is worth a look, sizes that are kept, loops that close."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import run
from made_runs import make_run
from PIL import Image, ImageChops, ImageSequence
from registry import small_model

from zoo.commands.sampling import closed_ways, code_loop, eased, mixed_styles, mixing_loop, samples, ways
from zoo.errors import EvaluationError, RecordError, UsageError
from zoo.experiments.pictures.film import (
    HOLD,
    Film,
    encode,
    evenly,
    first_images,
    lapse_times,
    loop,
    time_lapse,
    write_film,
)
from zoo.models.stylegan import StyleGAN


def frames_of(path: Path) -> tuple[list[Any], list[int]]:
    with Image.open(path) as film:
        frames = [(frame.convert("RGB"), frame.info["duration"]) for frame in ImageSequence.Iterator(film)]
        assert film.info["loop"] == 0
    return [frame for frame, _ in frames], [int(time) for _, time in frames]


def differ(a: Any, b: Any) -> int:
    """The largest difference of two pictures, in grey levels."""
    return max(high for _, high in ImageChops.difference(a, b).getextrema())


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".apng"])
def test_the_film_of_a_run_begins_with_what_came_out(suffix: str, tmp_path: Path) -> None:
    make_run(tmp_path / "run", values={0: 600.0, 200: 50.0, 400: 60.0, 900: 70.0})
    run("film", tmp_path / "run", "--out", tmp_path / f"film{suffix}")
    frames, times = frames_of(tmp_path / f"film{suffix}")
    assert len(frames) == 5  # the last grid, then all in their order
    assert differ(frames[0], frames[-1]) == 0
    assert times[0] == times[-1] == HOLD
    assert sum(times) < 6_000
    greys = [frame.getpixel((frame.width // 2, frame.height // 2))[0] for frame in frames]
    assert greys == [70, 600 % 256, 50, 60, 70]
    assert all(frame.getpixel((frame.width - 1, 640 // 34 * 34 + 1)) == (255, 255, 255) for frame in frames[1:-1])
    assert list(tmp_path.glob("film*")) == [tmp_path / f"film{suffix}"]  # nothing is left beside it


def test_a_run_that_ended_in_black_was_in_colour_before(tmp_path: Path) -> None:
    """The first frame, of the end, was kept as grey, and a GIF showed the second one so."""
    generator = torch.Generator().manual_seed(0)
    colours = torch.randint(256, (2, 66, 66, 3), generator=generator, dtype=torch.uint8)
    first, second = (Image.fromarray(pixels.numpy()) for pixels in colours)
    grids = {0: first, 9: second, 18: Image.new("RGB", (66, 66))}
    write_film(lambda share: time_lapse(grids, title="", share=share), tmp_path / "film.gif")
    frames, _ = frames_of(tmp_path / "film.gif")
    assert all(differ(frame, frame.convert("L").convert("RGB")) > 50 for frame in frames[1:3])


def test_the_images_seen_of_a_film_are_those_of_its_grids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path / "run", values={200: 50.0, 1400: 60.0})
    run("film", tmp_path / "run", "--out", tmp_path / "film.gif")
    assert "2 grids, 200 to 1,400 images seen" in capsys.readouterr().out


def test_a_film_that_cannot_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path / "one", values={200: 50.0})
    make_run(tmp_path / "run")
    with pytest.raises(UsageError, match=r"there is no run at .*absent"):
        run("film", tmp_path / "absent")
    with pytest.raises(UsageError, match=r"holds 1 sample grids .* --keep.grid_every"):
        run("film", tmp_path / "one")
    with pytest.raises(UsageError, match="--megabytes must be above 0"):
        run("film", tmp_path / "run", "--megabytes", "0")
    monkeypatch.setattr("zoo.runs.extras.is_installed", lambda package: False)
    with pytest.raises(UsageError, match="MP4 needs imageio_ffmpeg, not installed here: pip install imageio_ffmpeg"):
        run("film", tmp_path / "run", "--out", "x.mp4")
    (tmp_path / "run/grids/images-000000200.png").write_bytes(b"torn")
    with pytest.raises(RecordError, match=r"images-000000200\.png cannot be read"):
        run("film", tmp_path / "run")
    assert not [*Path().glob("film*"), *Path().glob("x.mp4*")]


def test_mp4(tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    frames = [Image.new("RGB", (33, 32), colour) for colour in ("red", "green", "blue")]
    encode(Film(frames, [1_000, 100, 200]), tmp_path / "any name", suffix=".mp4")
    count, seconds = ffmpeg.count_frames_and_secs(str(tmp_path / "any name"))
    assert count == 65
    assert seconds == pytest.approx(1.3)


def test_a_film_that_is_too_large_shows_fewer_images(tmp_path: Path) -> None:
    shares = []

    def make(share: float) -> Film:
        shares.append(share)
        side = max(2, round(64 * share**0.5))
        noise = torch.randint(256, (2, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        return loop([Image.fromarray(frame.numpy()) for frame in noise])

    assert write_film(make, tmp_path / "large.gif") > 8_000
    assert write_film(make, tmp_path / "small.gif", largest=4_000) <= 4_000
    assert shares[:2] == [1.0, 1.0]
    assert shares[2] < 0.5
    grid = Image.new("L", (8 * 30 + 2, 8 * 30 + 2))
    assert first_images(grid, share=1).size == grid.size
    assert first_images(grid, share=0.4).size == (5 * 30 + 2, 5 * 30 + 2)
    points = Image.new("L", (256, 255))
    assert first_images(points, share=0.4) is points


def test_times_and_choice_of_grids() -> None:
    times = lapse_times(30)
    assert times[0] == times[10] < times[-2] < times[-1] == HOLD
    assert sum(times) < 9_000
    assert evenly(range(5), 9) == [0, 1, 2, 3, 4]
    few = evenly(range(0, 10_000, 10), 11)
    steps = [b - a for a, b in pairwise(few)]
    assert (few[0], few[-1]) == (0, 9_990)
    assert steps == sorted(steps)


@pytest.mark.parametrize("paper", ["dcgan", "stylegan", "cgan"])
def test_closed_ways_pass_their_latents_and_close(paper: str) -> None:
    torch.manual_seed(0)
    module = small_model(paper).eval()
    frames = torch.stack(list(closed_ways(module, n=2, stops=3, steps=8, seed=5)))
    assert frames.shape == (24, 2, *module.image_shape)
    z = module.latents(6, generator=torch.Generator().manual_seed(5)).unflatten(0, (3, 2))
    if paper == "dcgan":
        with torch.no_grad():
            torch.testing.assert_close(frames[8], module.generate(z[1], None))
    steps = (frames - frames.roll(1, 0)).flatten(1).norm(dim=1)  # the first is from the last frame to the first
    if paper != "cgan":  # whose dropout switches units on and off
        assert steps[0] < 2 * steps[1:].median()
    if paper == "stylegan":  # all truncated to the mean: nothing moves
        still = torch.stack(list(closed_ways(module, n=2, stops=2, steps=2, seed=5, truncation_psi=0.0)))
        torch.testing.assert_close(still, still[:1, :1].expand_as(still), atol=1e-5, rtol=1e-5)
    else:
        with pytest.raises(EvaluationError, match="leave --truncation out"):
            next(closed_ways(module, n=2, stops=2, steps=2, seed=5, truncation_psi=0.5))
    assert eased(4).tolist() == pytest.approx([0, 0.1464, 0.5, 0.8536], abs=1e-3)


def test_rows_of_stylegan_without_styles_have_no_truncation() -> None:
    small = {"resolution": 4, "channels": 1, "fmap_base": 8, "fmap_max": 2, "z_dim": 4, "w_dim": 4}
    module = StyleGAN(config="B", **small).eval()
    for draw in (
        lambda psi: samples(module, 2, seed=0, truncation_psi=psi),
        lambda psi: ways(module, rows=1, steps=2, seed=0, truncation_psi=psi),
        lambda psi: next(closed_ways(module, n=1, stops=2, steps=2, seed=0, truncation_psi=psi)),
    ):
        assert draw(None).isfinite().all()
        with pytest.raises(EvaluationError, match="StyleGAN has no truncation trick: leave --truncation out"):
            draw(0.5)


@pytest.mark.parametrize("config", ["B", "F"])
def test_without_mapping_layers_films_keep_to_the_sphere(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"resolution": 4, "channels": 1, "fmap_base": 8, "fmap_max": 2, "z_dim": 4, "w_dim": 4, "mapping_layers": 0}
    module, seen = StyleGAN(config=config, **small).eval(), []
    render = module.render
    monkeypatch.setattr(module, "render", lambda w, **settings: seen.append(w) or render(w, **settings))
    list(closed_ways(module, n=2, stops=2, steps=2, seed=0))
    if config == "F":
        list(mixing_loop(module, rows=1, columns=2, kind="coarse", seed=0, stops=2, steps=2))
    lengths = torch.cat([w.flatten(0, 1) for w in seen]).square().mean(1)
    torch.testing.assert_close(lengths, torch.ones_like(lengths), rtol=0, atol=1e-4)


def test_styles_that_no_image_shows_yet_are_not_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a checkpoint from before the last resolutions, each image was its destination, whatever the source."""
    module: Any = small_model("stylegan").eval()  # of 32x32, at 8x8
    monkeypatch.setattr("zoo.commands.model_argument.load", lambda arguments: module)
    with pytest.raises(EvaluationError, match=r"has reached 8x8 so far, where the fine styles \(layers of 32x32\)"):
        run("mix", "some.model", "--layers", "fine", "--out", tmp_path / "mix.png")
    assert not list(tmp_path.iterdir())
    run("mix", "some.model", "--out", tmp_path / "mix.png")
    module.images_seen = module.growth.grown_at
    run("mix", "some.model", "--layers", "fine", "--out", tmp_path / "mix.png")


def test_styles_and_codes_in_motion_begin_with_the_picture() -> None:
    stylegan = small_model("stylegan").eval()
    settings: Any = {"rows": 2, "columns": 3, "kind": "fine", "seed": 0}
    frames = list(mixing_loop(stylegan, **settings, stops=2, steps=2))
    assert len(frames) == 4
    torch.testing.assert_close(frames[0], mixed_styles(stylegan, **settings).clamp(-1, 1), atol=1e-4, rtol=1e-4)
    settings["truncation_psi"] = 0.0  # all styles are the average
    still = mixed_styles(stylegan, **settings)
    torch.testing.assert_close(still[1:, 1:], still[1, 1].expand(2, 3, *still.shape[2:]), atol=1e-4, rtol=1e-4)
    first = next(mixing_loop(stylegan, **settings, stops=2, steps=2))
    torch.testing.assert_close(first, still.clamp(-1, 1), atol=1e-4, rtol=1e-4)
    names, images = code_loop(small_model("infogan").eval(), rows=2, frames=4, seed=0)
    assert names == ["c1", "c2", "c3"]
    assert images.shape == (4, 2, 3, 1, 32, 32)
    torch.testing.assert_close(images[0, :, 1], images[2, :, 1])  # 0 on the way there and back
    assert not images[1, :, 1].equal(images[3, :, 1])
