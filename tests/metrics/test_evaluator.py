import copy
import math
import resource
import warnings
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from metrics_toys import ToyData, ToyExtractor, ToyModule
from safetensors.torch import load_file, save_file

from zoo.metrics import Evaluator, FrechetDistance, InceptionScore, KernelDistance, to_uint8
from zoo.metrics.sampling import block_seed

SMALL = {"n_fake": 310, "block": 50}


def run(tmp_path=None, module=None, extractor=None, **changes):
    settings = {**SMALL, "data": ToyData(), "cache_dir": tmp_path, **changes}
    return Evaluator([extractor or ToyExtractor()], **settings).run(module or ToyModule())


def test_values_are_those_of_the_listed_fakes_and_all_reals():
    module, extractor, data = ToyModule(), ToyExtractor(), ToyData()
    result = run(module=module, data=data)
    blocks = [module.sample(50, seed=block_seed(0, "fake", b)) for b in range(7)]
    fake = extractor(to_uint8(torch.cat(blocks)[:310]))
    real = extractor(data.array.images)
    fd = FrechetDistance(16)
    fd.update(real.features, side="real")
    fd.update(fake.features, side="fake")
    score = InceptionScore(num_samples=310, num_classes=5)
    score.update(fake.logits, index=torch.arange(310))
    kd = KernelDistance()
    kd.update(real.features, index=torch.arange(1300), side="real")
    kd.update(fake.features, index=torch.arange(310), side="fake")
    expected = {
        "fd_toy310": fd.compute(),
        "is_toy310": score.compute().mean,
        "is_toy310_std": score.compute().std,
        "kd_toy310": kd.compute().mean,
        "kd_toy310_std": kd.compute().std,
    }
    assert result.values == pytest.approx({k: float(v) for k, v in expected.items()}, rel=1e-6)
    assert set(result.protocols) == set(result.values)
    assert len(set(module.seeds[:7])) == 7
    assert set(data.asked) == {"train"}


def test_protocol_beside_each_value():
    result = run(n_real=1000, batchnorm="reestimated", batchnorm_samples=275, seed=5)
    p = result.protocols["fd_toy310"]
    assert (p.dataset, p.split, p.n_real, p.n_fake) == ("Toy", "train", 1000, 310)
    assert (p.extractor, p.extractor_sha256, p.resize) == ("toy", "ab" * 32, "none")
    assert (p.batchnorm, p.batchnorm_samples, p.seed, p.block) == ("reestimated", 300, 5, 50)
    assert p.dataset_fingerprint != ToyData().array.fingerprint  # the first 1,000 images are another set


def test_leaves_module_and_global_random_state_alone():
    module = ToyModule().train()
    module.D.eval()
    modes = [m.training for m in module.modules()]
    state = copy.deepcopy(module.state_dict())
    rng = torch.get_rng_state()
    for mode in ("running", "batch", "reestimated"):
        run(module=module, batchnorm=mode, batchnorm_samples=100)
    assert torch.equal(torch.get_rng_state(), rng)
    assert [m.training for m in module.modules()] == modes
    assert all(torch.equal(v, state[k]) for k, v in module.state_dict().items())


def test_same_seed_same_values_other_seed_or_batchnorm_other_values():
    first, again = run(), run()
    assert first == again
    for changes in ({"seed": 1}, {"batchnorm": "batch"}, {"batchnorm": "reestimated"}, {"block": 100}):
        other = run(**changes)
        assert other.values["fd_toy310"] != first.values["fd_toy310"]
        assert other.protocols["fd_toy310"].hash != first.protocols["fd_toy310"].hash


def test_real_statistics_are_cached_on_disk_and_checked(tmp_path):
    counts = []
    for _ in range(2):
        extractor = ToyExtractor()
        result = run(tmp_path, extractor=extractor)
        counts.append(extractor.images)
    assert counts == [1300 + 310, 310]
    (file,) = tmp_path.iterdir()
    tensors = load_file(file)
    tensors["total"][0] += 1
    save_file(tensors, file, metadata={"key": "another"})
    with pytest.warns(UserWarning, match="computed again"):
        assert run(tmp_path) == result
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.warns(UserWarning, match="computed again"):
        assert run(tmp_path) == result
    assert [f.name for f in tmp_path.iterdir()] == [file.name]
    other = ToyExtractor()
    run(tmp_path, extractor=other, n_real=900)
    assert other.images == 900 + 310
    assert len(list(tmp_path.iterdir())) == 2


def test_tampered_tensor_under_the_right_key_is_noticed(tmp_path):
    from safetensors import safe_open

    result = run(tmp_path)
    (file,) = tmp_path.iterdir()
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    tensors = load_file(file)
    tensors["total"][0] += 1e-3
    save_file(tensors, file, metadata=metadata)
    with pytest.warns(UserWarning, match="damaged"):
        assert run(tmp_path) == result


def test_unwritable_cache_costs_a_warning_only(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="not cached"):
        result = run(tmp_path / "file" / "folder")
    assert result == run()


def test_a_full_disk_costs_a_warning_only(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))  # bytes of a file
    try:
        with pytest.warns(UserWarning, match="not cached"):
            result = run(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
    assert result == run()


def test_second_run_of_an_evaluator_does_not_look_at_the_reals_again():
    extractor = ToyExtractor()
    evaluator = Evaluator([extractor, ToyExtractor("toy2")], data=ToyData(), **SMALL)
    module = ToyModule()
    first, second = evaluator.run(module), evaluator.run(module)
    assert extractor.images == 1300 + 2 * 310
    assert first == second
    assert first.values["fd_toy310"] == first.values["fd_toy2_310"]
    assert module.seeds[:7] == module.seeds[7:]  # one pass of the generator for both extractors


class Averaged(ToyModule):
    def __init__(self) -> None:
        super().__init__()
        self.G_ema = copy.deepcopy(self.G)
        self.averaged: list[bool] = []

    def sample(self, n, *, labels=None, seed=None, ema=False):
        self.averaged.append(ema)
        return super().sample(n, seed=seed)


def test_weights_choose_what_sample_is_asked_for():
    module = Averaged()
    run(module=module, weights="raw")
    assert set(module.averaged) == {False}
    module.averaged.clear()
    run(module=module, weights="ema")
    assert set(module.averaged) == {True}
    with pytest.raises(ValueError, match="G_ema"):
        run(weights="ema")


def test_bad_settings_and_bad_images_are_named():
    with pytest.raises(ValueError, match="10 fakes"):
        run(n_fake=9)
    with pytest.raises(ValueError, match="different names"):
        Evaluator([ToyExtractor(), ToyExtractor()], data=ToyData())
    module = ToyModule()
    module.image_shape = (3, 8, 8)
    with pytest.raises(ValueError, match=r"Toy has .*grey and colour"):
        run(module=module)
    module = ToyModule()
    torch.nn.init.constant_(module.G[3].bias, math.nan)
    with pytest.raises(ValueError, match="NaN"):
        run(module=module)


def worker(rank: int, world: int, folder: str) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("error", UserWarning)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world)
    module = ToyModule()
    evaluator = Evaluator([ToyExtractor()], data=ToyData(), batchnorm="reestimated", batchnorm_samples=100, **SMALL)
    values = [evaluator.run(module).values, evaluator.run(module).values]
    cached, again = (run(Path(folder) / "cache").values for _ in range(2))
    torch.save([*values, cached, again, module.seeds], f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_give_what_one_gives(tmp_path):
    alone = run(batchnorm="reestimated", batchnorm_samples=100).values
    plain = run().values
    # Forked: the children need not import torch again, and they use one thread only.
    mp.start_processes(worker, args=(2, str(tmp_path)), nprocs=2, start_method="fork")
    results = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for first, second, cached, again, _ in results:
        assert first == pytest.approx(alone, rel=1e-6)
        assert second == pytest.approx(alone, rel=1e-6)
        assert cached == pytest.approx(plain, rel=1e-6)
        assert again == pytest.approx(plain, rel=1e-6)
    assert results[0][:4] == results[1][:4]
    drawn = [set(r[4]) - {block_seed(0, "batchnorm", k) for k in range(2)} for r in results]
    assert drawn[0].isdisjoint(drawn[1])
    assert drawn[0] | drawn[1] == {block_seed(0, "fake", b) for b in range(7)}
    assert len(list((tmp_path / "cache").iterdir())) == 1
