"""The evaluator with every measure, several columns, seeds, processes, and a process killed in the middle."""

import dataclasses
import functools
import os
import signal
import time
import warnings
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from metrics_toys import ToyData, ToyExtractor, ToyModule

from zoo.data.arrays import fixed_order
from zoo.metrics import Column, Evaluator, preset_columns, to_uint8
from zoo.metrics.measures import ALL, OF_FEATURES, OF_PIXELS
from zoo.metrics.pairs import SamplePairs
from zoo.metrics.presets import PRESETS
from zoo.metrics.real_statistics import pool_indices
from zoo.metrics.sampling import block_seed
from zoo.metrics.swd import SlicedWasserstein

EVERY = [
    name for name in ALL if name not in ("ms_ssim", "modes") and not name.endswith("_few")
]  # 8 x 8 is too small, one channel too few
SMALL = {"n_fake": 310, "block": 50, "pool": 200, "measures": EVERY}


@pytest.fixture(autouse=True)
def few_directions(monkeypatch):
    """The paper's 128 patches and 512 directions take seconds an evaluation."""
    quick = functools.partial(SlicedWasserstein, patches=8, repeats=1, directions=16)
    monkeypatch.setattr("zoo.metrics.measures.SlicedWasserstein", lambda images: quick(images=images))


def evaluator(**changes):
    settings = {**SMALL, "data": ToyData(), **changes}
    return Evaluator([ToyExtractor()], **settings)


def fakes(n=310, block=50):
    module = ToyModule()
    blocks = [module.sample(block, seed=block_seed(0, "fake", b)) for b in range(-(-n // block))]
    return to_uint8(torch.cat(blocks)[:n])


def test_every_measure_has_its_name_settings_and_independent_value():
    result = evaluator().run(ToyModule())
    assert set(result.values) == {
        *("fd_toy310", "is_toy310", "is_toy310_std", "kd_toy310", "kd_toy310_std", "fd_infinity_toy310"),
        *("precision_toy200", "recall_toy200", "density_toy200", "coverage_toy200", "nn_ratio_toy310"),
        *("swd310_avg", "swd310_8", "ndb310", "ndb_jsd310", "nn_pixel_ratio310"),
    }
    assert len({p.hash for p in result.protocols.values()}) == 9
    for name, settings in (("precision_toy200", "k=3"), ("coverage_toy200", "k=5"), ("swd310_8", "128 patches")):
        assert settings in result.protocols[name].settings
        assert result.protocols[name].n_fake == (310 if "310" in name else 200)
    assert (result.protocols["swd310_8"].extractor, result.protocols["fd_toy310"].settings) == ("pixels", "")
    # Precision from the features of the first 200 fakes and of the pool, point by point.
    extractor, data = ToyExtractor(), ToyData()
    fake = extractor(fakes()[:200]).features.double()
    real = extractor(data.array.images[pool_indices(1300, size=200)]).features.double()
    radii = torch.cdist(real, real).sort(dim=1).values[:, 3]
    expected = (torch.cdist(fake, real) <= radii).any(dim=1).double().mean()
    assert result.values["precision_toy200"] == pytest.approx(float(expected), abs=1e-9)


def test_neighbours_are_numbered_as_the_reference():
    result = evaluator(measures=["nn", "nn_pixels"]).run(ToyModule())
    data = ToyData().array.images
    assert torch.equal(result.samples, fakes()[:10])
    pixels = torch.cdist(fakes().flatten(1).double(), data.flatten(1).double())
    assert torch.equal(result.neighbours["nn_pixel_ratio310"].nearest[:, 0], pixels.argmin(dim=1))
    near = result.neighbours["nn_ratio_toy310"]
    chosen = ToyExtractor()(data[near.nearest[:, 0]]).features.double()
    apart = (chosen - ToyExtractor()(fakes()).features.double()).norm(dim=1)
    assert torch.allclose(apart, near.distance[:, 0], rtol=1e-5)
    assert set(near.nearest.flatten().tolist()) <= set(pool_indices(1300, size=200).tolist())


def test_another_pool_is_another_protocol_of_the_kernel_distance():
    found = [evaluator(measures=["kd"], pool=pool).run(ToyModule()) for pool in (200, 250, 10_000)]
    assert len({result.values["kd_toy310"] for result in found}) == 3
    assert len({result.protocols["kd_toy310"].hash for result in found}) == 3
    assert [result.protocols["kd_toy310_std"].settings for result in found] == [
        *("subsets of 200 a side at most", "subsets of 250 a side at most", "")  # the usual one is what it was
    ]


def in_this_order(images):
    """Images whose fixed permutation are these: they are split as they come."""
    files = torch.empty_like(images)
    files[torch.from_numpy(fixed_order(len(images)))] = images
    return files


def test_images_from_files_give_what_the_module_gave_for_any_batch():
    expected = evaluator().run(ToyModule())
    for block in (7, 50, 64):
        result, sorted_otherwise = (evaluator(block=block).run_images(x) for x in (in_this_order(fakes()), fakes()))
        drawn = {name: value for name, value in sorted_otherwise.values.items() if name.startswith(("fd_inf", "swd"))}
        assert {**result.values, **drawn} == pytest.approx(expected.values, rel=1e-6, abs=1e-12)
        assert result.protocols["fd_toy310"].weights == "files"
    for chunk in (7, 50, 64):  # through the network, of a generator's blocks
        extractor = ToyExtractor()
        extractor.chunk_size = lambda device, chunk=chunk: chunk
        result = Evaluator([extractor], data=ToyData(), **SMALL).run(ToyModule())
        assert result.values == pytest.approx(expected.values, rel=1e-6, abs=1e-12)
        assert result.protocols == expected.protocols
    hashes = [evaluator(block=b).run_images(fakes()).protocols["fd_toy310"].hash for b in (7, 50)]
    assert hashes[0] == hashes[1]


def test_swd_of_sides_of_different_sizes_draws_the_longer_one():
    """Four greys, sorted; the first of the longer side would be one grey."""
    grey = torch.arange(4, dtype=torch.uint8).repeat_interleave(100).view(-1, 1, 1, 1) * 60
    noise = torch.randint(0, 60, (400, 1, 8, 8), generator=torch.Generator().manual_seed(3)).to(torch.uint8)
    images, data = noise + grey, ToyData(400)
    few = images[torch.randperm(400, generator=torch.Generator().manual_seed(1))[:100]]
    values, settings, orders = [], [], []
    for real, fake in ((images, few), (few, images)):
        data.array, data.mixed = dataclasses.replace(data.array, images=real), False
        found = Evaluator(data=data, n_fake=len(fake), measures=["swd"]).run_images(fake)
        name = f"swd{len(fake)}_avg"
        values.append(found.values[name])
        settings.append(found.protocols[name].settings)
        orders.append(bool(found.protocols[name].order))
    assert max(values) < 200, values
    assert ["drawn" in text for text in settings] == [True, False]
    assert orders == [False, True]


def test_identical_sets_are_at_distance_0():
    data = ToyData(400)
    settings = {"n_fake": 400, "block": 50, "pool": 400, "measures": ["fd", "pr", "swd", "nn_pixels", "ndb"]}
    values = Evaluator([ToyExtractor()], data=data, **settings).run_images(data.array.images).values
    zero = {"fd_toy400", "swd400_avg", "swd400_8", "ndb400", "ndb_jsd400", "nn_pixel_ratio400"}
    assert {name: values[name] for name in zero} == pytest.approx(dict.fromkeys(zero, 0), abs=1e-8)
    assert values["precision_toy400"] == values["recall_toy400"] == 1


def test_columns_share_one_pass_of_samples_and_of_each_network():
    class Splits(ToyData):
        splits = ("train", "test")

        def split(self, name):
            self.asked.append(name)
            whole = super().split(name)
            return whole if name == "train" else whole.slice(0, 400)

    module, extractor, data = ToyModule(), ToyExtractor(), Splits()
    columns = [Column(extractor), Column(extractor, "test", n_fake=120), Column(ToyExtractor("other"), n_real=500)]
    both = Evaluator(columns=columns, data=data, n_fake=310, block=50).run(module)
    assert len(module.seeds) == 7
    assert extractor.images == 1300 + 400 + 310
    alone = Evaluator([ToyExtractor()], data=Splits(), split="test", n_fake=120, block=50).run(ToyModule())
    names = {"fd_toy120_test", "is_toy120_test", "is_toy120_test_std", "kd_toy120_test", "kd_toy120_test_std"}
    assert set(alone.values) == names
    assert {name: both.values[name] for name in names} == pytest.approx(alone.values, rel=1e-9)
    assert both.protocols["fd_toy120_test"].hash == alone.protocols["fd_toy120_test"].hash
    assert both.protocols["fd_other310"].n_real == 500
    assert {"fd_toy310", "fd_other310"} <= set(both.values)


class Speaking(ToyExtractor):
    def in_dialect(self, dialect):
        other = ToyExtractor("inception" if dialect == "tf1" else f"inception-{dialect}")
        other.resize = dialect
        return other


def test_presets_side_by_side():
    columns = preset_columns(PRESETS, Speaking(), splits=("train", "test"))
    assert [(c.split, c.n_fake, c.extractor.resize) for c in columns] == [
        ("train", 50_000, "tf1"),
        ("test", 10_000, "tf1"),
        ("train", 50_000, "clean"),
        ("test", 10_000, "clean"),
        ("train", 50_000, "torchmetrics"),
    ]
    assert columns[0].extractor is columns[1].extractor
    few = preset_columns(["train50k", "test10k", "clean", "torchmetrics"], Speaking(), n_fake=60)
    result = Evaluator(columns=few, data=ToyData(), block=20, measures=["fd", "kd"]).run(ToyModule())
    fids = {"fid60", "fid60_test", "fid60_clean", "fid60_torchmetrics"}
    assert {name for name in result.values if name.startswith("fid")} == fids
    assert len({result.protocols[name].hash for name in fids}) == 4
    with pytest.raises(ValueError, match="no preset 'best'"):
        preset_columns(["best"], Speaking())
    with pytest.raises(ValueError, match="split test"):
        preset_columns(["test10k"], Speaking(), splits=("train",))


def test_several_seeds_give_a_spread():
    e = evaluator(measures=["fd", "is"], seed=9)
    result = e.run_seeds(ToyModule(), [0, 1, 2])
    single = [evaluator(measures=["fd", "is"], seed=s).run(ToyModule()).values["fd_toy310"] for s in range(3)]
    taken = torch.tensor(single, dtype=torch.float64)
    assert result.values["fd_toy310"] == pytest.approx(float(taken.mean()), rel=1e-9)
    assert result.values["fd_toy310_seed_std"] == pytest.approx(float(taken.std()), rel=1e-6)
    assert "[0, 1, 2]" in result.protocols["fd_toy310"].settings
    assert e.seed == 9
    with pytest.raises(ValueError, match="two or more"):
        e.run_seeds(ToyModule(), [3, 3])
    with pytest.raises(ValueError, match="two or more different ones"):
        e.run_seeds(ToyModule(), [0, 0, 1])  # whose spread would be too small


def test_a_conditional_module_and_one_that_alters_its_samples_say_so():
    module = ToyModule()
    plain = evaluator(measures=["fd"]).run(module).protocols["fd_toy310"]
    module.num_classes, module.sampling = 10, "flipped"
    told = evaluator(measures=["fd"]).run(module).protocols["fd_toy310"]
    assert (plain.labels, plain.sampling, told.labels, told.sampling) == ("", "", "uniform", "flipped")
    assert plain.hash != told.hash
    assert plain == dataclasses.replace(told, labels="", sampling="")


def test_without_measures_of_pairs_no_features_are_kept(monkeypatch):
    kept = []
    monkeypatch.setattr(SamplePairs, "update", lambda self, samples, **other: kept.append(len(samples)))
    monkeypatch.setattr(SamplePairs, "sorted_samples", lambda self, side: torch.zeros(0, 16))
    evaluator(measures=["fd", "is"]).run(ToyModule())
    assert sum(kept) == 0


def test_settings_that_cannot_work():
    for changes, message in (
        ({"measures": ["fd", "beauty"]}, "no measure 'beauty'"),
        ({"measures": []}, "a measure"),
        ({"measures": ["ms_ssim"], "block": 25}, "even block"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluator(**changes)
    with pytest.raises(ValueError, match="one or more extractors"):
        Evaluator(data=ToyData(), measures=["fd"])
    with pytest.raises(ValueError, match="400 fakes were asked for"):
        evaluator(n_fake=400).run_images(fakes())
    with pytest.raises(ValueError, match="images of one shape"):
        evaluator().run_images(fakes().expand(-1, 3, -1, -1))
    assert set(OF_FEATURES) | set(OF_PIXELS) == set(ALL)


def worker(rank: int, world: int, folder: str) -> None:
    torch.set_num_threads(1)
    ToyExtractor.chunk_size = lambda self, device: {2: 7, 3: 64}[world]
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet{world}", rank=rank, world_size=world
    )
    cache = Path(folder) / f"cache{world}"
    values = [evaluator(cache_dir=cache).run(ToyModule()).values for _ in range(2)]
    few = (
        evaluator(n_fake=40, measures=["fd", "is", "kd", "ndb"]).run(ToyModule()).values
    )  # one block: others have none
    torch.save([*values, few], f"{folder}/{world}-{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("world", [2, 3])
def test_two_and_three_processes_give_what_one_gives(tmp_path, world):
    alone = evaluator().run(ToyModule()).values
    few = evaluator(n_fake=40, measures=["fd", "is", "kd", "ndb"]).run(ToyModule()).values
    # Forked: the children need not import torch again, and they use one thread only.
    mp.start_processes(worker, args=(world, str(tmp_path)), nprocs=world, start_method="fork")
    results = [torch.load(tmp_path / f"{world}-{rank}.pt") for rank in range(world)]
    for result in results:
        for values in result[:2]:
            assert values == pytest.approx(alone, rel=1e-6, abs=1e-12)
        assert result[2] == pytest.approx(few, rel=1e-6, abs=1e-12)
        assert result == results[0]


class Slow(ToyExtractor):
    def extract(self, images):
        time.sleep(0.05)
        return super().extract(images)


def dawdle(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    Evaluator([Slow()], data=ToyData(), cache_dir=Path(folder), **{**SMALL, "block": 10}).run(ToyModule())


def test_killed_in_the_middle_leaves_the_cache_usable(tmp_path):
    whole = evaluator(cache_dir=tmp_path / "a").run(ToyModule()).values
    (tmp_path / "b").mkdir()
    context = mp.start_processes(dawdle, args=(str(tmp_path / "b"),), nprocs=1, join=False, start_method="fork")
    for _ in range(600):  # until it is in the middle, which takes long on a busy machine
        if any((tmp_path / "b").iterdir()):
            break
        time.sleep(0.05)
    os.kill(context.pids()[0], signal.SIGKILL)
    context.processes[0].join()
    assert [file.suffix for file in (tmp_path / "b").iterdir()] == [".lock"]  # which holds nobody up
    # And in the middle of writing: what is there then is a part under another name.
    (tmp_path / "b" / "real-0123456789abcdef.4711.part").write_bytes(b"half")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            assert evaluator(cache_dir=tmp_path / "b").run(ToyModule()).values == pytest.approx(whole, rel=1e-9)
    assert {file.suffix for file in (tmp_path / "b").iterdir()} == {".safetensors", ".part"}


def count(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    extractor = Slow()
    Evaluator([extractor], data=ToyData(), cache_dir=Path(folder) / "cache", **{**SMALL, "block": 50}).run(ToyModule())
    (Path(folder) / f"images{rank}").write_text(str(extractor.images))


def test_of_runs_at_once_one_computes_the_reals(tmp_path, capfd):
    """Ten minutes of a core for CIFAR-10: two runs beside one another took them twice."""
    mp.start_processes(count, args=(str(tmp_path),), nprocs=2, join=True, start_method="fork")
    fakes = SMALL["n_fake"]
    assert sorted(int((tmp_path / f"images{rank}").read_text()) for rank in range(2)) == [fakes, 1300 + fakes]
    assert "waiting for another process, which computes" in capfd.readouterr().out
    assert [file.suffix for file in (tmp_path / "cache").iterdir()] == [".safetensors"]


def test_measures_of_few_images_are_the_same_of_fewer(monkeypatch):
    """`pr_few` and `swd_few` under smaller numbers than the fakes': the same values as of so many a side."""
    monkeypatch.setattr("zoo.metrics.measures.FEW", 100)
    monkeypatch.setattr("zoo.metrics.measures.SWD_FEW", 60)
    found = evaluator(measures=["pr_few", "swd_few"]).run(ToyModule())
    assert set(found.values) == {"precision_toy100", "recall_toy100", "swd60_avg", "swd60_8"}
    pool = ToyData().array.images[pool_indices(1300, size=200)][torch.from_numpy(fixed_order(200)[:100])]
    real, fake = (ToyExtractor()(images).features for images in (pool, fakes()[:100]))
    squared = [torch.cdist(a, b).square() for a, b in ((real, real), (fake, fake), (fake, real))]
    radii = [distances.sort(dim=1).values[:, 3] for distances in squared[:2]]  # the first is the point itself
    assert found.values["precision_toy100"] == (squared[2] <= radii[0]).any(1).double().mean()
    assert found.values["recall_toy100"] == (radii[1] >= squared[2].T).any(1).double().mean()
    assert found.protocols["recall_toy100"].settings == "k=3, 100 reals at most"
    assert found.protocols["swd60_avg"].settings.startswith("60 images at most")
