"""The same uint8 arrays and the same extractor through torch-fidelity's whole pipeline and through the evaluator."""

import pytest
import torch
import torch_fidelity
from torch.utils.data import Dataset
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from zoo.data import Digits
from zoo.data.arrays import fixed_order
from zoo.metrics import Evaluator, FrechetDistance, InceptionExtractor, LeNetExtractor

REAL, FAKE = 600, 400


class Theirs(FeatureExtractorBase):
    """Our LeNet in torch-fidelity's clothes."""

    def __init__(self, name, features_list, **other):
        super().__init__(name, features_list)
        self.net = LeNetExtractor()

    @staticmethod
    def get_provided_features_list():
        return "features", "logits"

    @staticmethod
    def get_default_feature_layer_for_metric(metric):
        return "logits" if metric == "isc" else "features"

    @staticmethod
    def can_be_compiled():
        return False

    def forward(self, x):
        result = self.net(x)._asdict()
        return tuple(result[name] for name in self.features_list)


class Images(Dataset):
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.images[i]


class Reference:
    name = "Digits"

    def __init__(self, array):
        self.array = array

    def split(self, name):
        return self.array


@pytest.fixture(scope="module")
def arrays():
    """Real digits, and other digits with noise, as RGB."""
    array = Digits().split("train")
    order = torch.randperm(len(array), generator=torch.Generator().manual_seed(0))
    real = array.images[order[:REAL]].expand(-1, 3, -1, -1).contiguous()
    fake = array.images[order[REAL : REAL + FAKE]].expand(-1, 3, -1, -1).float()
    noise = 40 * torch.randn(fake.shape, generator=torch.Generator().manual_seed(1))
    return real, (fake + noise).clamp(0, 255).to(torch.uint8)


def reference(real):
    return Reference(type(Digits().split("train"))(real, None, None, "ab" * 32))


def torch_fidelitys(fake, real, **settings):
    """Its figures, KID over one subset of all fakes among them."""
    whole = {"kid": True, "kid_subsets": 1, "kid_subset_size": len(fake), "samples_shuffle": False}
    quiet = {"cuda": False, "cache": False, "verbose": False}
    return torch_fidelity.calculate_metrics(input1=Images(fake), input2=Images(real), **whole, **quiet, **settings)


def test_fid_is_kid_precision_and_recall_are_torch_fidelitys(arrays):
    real, fake = arrays
    torch_fidelity.register_feature_extractor("lenet", Theirs)
    drawn = fake[fixed_order(FAKE)]  # files are split for the Inception Score in this order
    theirs = torch_fidelitys(
        drawn, real, feature_extractor="lenet", batch_size=50, isc=True, fid=True, prc=True, save_cpu_ram=True
    )
    ours = Evaluator(
        [LeNetExtractor()], data=reference(real), n_real=REAL, n_fake=FAKE, measures=["fd", "is", "kd", "pr"]
    ).run_images(fake)
    name = f"_lenet{FAKE}"
    expected = {
        f"fd{name}": theirs["frechet_inception_distance"],
        f"is{name}": theirs["inception_score_mean"],
        f"is{name}_std": theirs["inception_score_std"],
        f"precision{name}": theirs["precision"],
        f"recall{name}": theirs["recall"],
    }
    assert {key: ours.values[key] for key in expected} == pytest.approx(expected, rel=1e-5)
    assert expected[f"fd{name}"] > 1
    assert 0.1 < expected[f"precision{name}"] < 0.99
    # Their one subset holds 400 of the 600 reals, ours another 400 (every one of our hundred subsets does).
    kid = theirs["kernel_inception_distance_mean"]
    assert abs(ours.values[f"kd{name}"] - kid) < 6 * max(ours.values[f"kd{name}_std"], 1e-3)
    same = Evaluator([LeNetExtractor()], data=reference(real[:FAKE]), n_fake=FAKE, measures=["kd"]).run_images(fake)
    kid = torch_fidelitys(fake, real[:FAKE], feature_extractor="lenet")["kernel_inception_distance_mean"]
    assert same.values[f"kd{name}"] == pytest.approx(kid, rel=1e-5)


@pytest.mark.slow
def test_random_inception_weights_give_torch_fidelitys_fid_is_kid_precision_and_recall(arrays, tmp_path):
    from test_inception import random_network

    n, file = 24, tmp_path / "weights.pth"
    real, fake = (x[:n] for x in arrays)
    fake = torch.cat([fake[: n // 2], 255 - fake[n // 2 :]])[
        torch.randperm(n, generator=torch.Generator().manual_seed(2))
    ]
    random_network(file)
    state = torch.load(file)
    torch.save({**state, "fc.weight": 100 * state["fc.weight"]}, file)  # classes that do differ
    theirs = torch_fidelitys(
        fake[fixed_order(n)],
        real,
        batch_size=8,
        num_workers=0,
        fid=True,
        isc=True,
        prc=True,
        feature_extractor="inception-v3-compat",
        feature_layer_prc="2048",
        feature_extractor_weights_path=str(file),
    )
    with pytest.warns(UserWarning, match="2048 features"):
        ours = Evaluator(
            [InceptionExtractor(file)], data=reference(real), n_fake=n, block=12, measures=["fd", "is", "kd", "pr"]
        ).run_images(fake)
    values = {name.partition("_inception")[0]: v for name, v in ours.values.items() if not name.endswith("_std")}
    expected = {
        "fd": theirs["frechet_inception_distance"],
        "is": theirs["inception_score_mean"],
        "kd": theirs["kernel_inception_distance_mean"],
        "precision": theirs["precision"],
        "recall": theirs["recall"],
    }
    assert values == pytest.approx(expected, rel=1e-5)
    assert expected["fd"] > 1
    assert expected["is"] > 1.01
    assert 0 < expected["precision"] < 1


def test_at_the_networks_size_the_distance_is_torch_fidelitys():
    # 300 features: more than the accurate way takes by default, so this is the fast one.
    generator = torch.Generator().manual_seed(3)
    mix = torch.randn(300, 300, generator=generator) / 300**0.5
    real, fake = ((torch.randn(900, 300, generator=generator) @ mix + s).relu() for s in (0, 0.1))
    metric = FrechetDistance(300)
    metric.update(real, side="real")
    metric.update(fake, side="fake")
    statistics = [fid_features_to_statistics(x.double()) for x in (real, fake)]
    theirs = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert float(metric.compute()) == pytest.approx(theirs, rel=1e-7)
