import pytest
import torch
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from zoo.errors import WeightsError
from zoo.metrics import InceptionExtractor, inception, value_name
from zoo.metrics.inception import FILE, OFFICIAL_SHA256, URL, VARIABLE
from zoo.metrics.resize import resize


def random_network(file):
    """torch-fidelity's own module with random weights, which are also written to a file."""
    empty = file.with_name("empty.pth")
    torch.save({}, empty)
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        net = FeatureExtractorInceptionV3(
            "reference", ["2048", "logits_unbiased"], feature_extractor_weights_path=empty
        )
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.normal_(std=(2 / module.weight[0].numel()) ** 0.5)
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.8, 1.2)
                module.bias.normal_(std=0.1)
    torch.save(net.state_dict(), file)
    return net


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The network, and the file that holds its weights."""
    file = tmp_path_factory.mktemp("inception") / "weights.pth"
    return random_network(file), file


@pytest.mark.parametrize("shape", [(32, 32), (28, 28), (64, 48), (299, 299), (400, 310)])
def test_resize_is_tensorflows(shape):
    x = torch.randint(0, 256, (2, 3, *shape), generator=torch.Generator().manual_seed(0)).float()
    expected = interpolate_bilinear_2d_like_tensorflow1x(x, size=(299, 299), align_corners=False)
    assert torch.allclose(resize(x, 299), expected, atol=1e-4 * 255)
    assert float((resize(x, 299) - expected).abs().max()) < 2e-4


@pytest.fixture(scope="module")
def extractor(reference):
    return InceptionExtractor(reference[1])


def test_features_and_logits_are_torch_fidelitys(reference, extractor, monkeypatch):
    net, _ = reference
    monkeypatch.setattr(extractor, "chunk_size", lambda device: 1)
    images = torch.randint(0, 256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    images[1] = images[1, :1]  # a grey one
    expected, logits = net(images)
    result = extractor(images)
    assert result.features.shape == (2, 2048)
    assert result.logits.shape == (2, 1008)
    assert float((result.features - expected).norm() / expected.norm()) < 1e-4
    assert float((result.logits - logits).norm() / logits.norm()) < 1e-4
    assert float(expected.std(dim=0).norm() / expected.norm()) > 1e-3  # the images do differ in these features
    assert torch.allclose(extractor(images[1:, :1]).features, result.features[1:], rtol=1e-5)  # grey is tiled


def test_other_weights_are_not_called_fid(extractor):
    assert extractor.name == f"inception-{extractor.sha256[:8]}"
    assert value_name("fd", extractor.name, 50_000) == f"fd_inception-{extractor.sha256[:8]}_50k"
    assert extractor.sha256 != OFFICIAL_SHA256
    assert FILE.removesuffix(".pth").endswith(OFFICIAL_SHA256[:8])


def test_official_sha256_is_called_inception(reference, extractor, monkeypatch):
    monkeypatch.setattr(inception, "OFFICIAL_SHA256", extractor.sha256)
    monkeypatch.setattr(inception, "load_network", lambda path: nn.Sequential(nn.Identity(), reference[0].fc))
    monkeypatch.setenv(VARIABLE, str(reference[1]))
    assert InceptionExtractor().name == "inception"


def test_absent_and_offline_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def offline(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("zoo.metrics.inception.fetch", offline)
    with pytest.raises(WeightsError) as error:
        InceptionExtractor()
    for part in (
        VARIABLE,
        URL,
        str(tmp_path / "checkpoints" / FILE),
        "no route to host",
        "--features lenet",
        "efficientnet for colour images",
    ):
        assert part in str(error.value)
    with pytest.raises(WeightsError, match="not allowed"):
        InceptionExtractor(download=False)
    with pytest.raises(WeightsError, match=r"absent\.pth \(argument\)"):
        InceptionExtractor(tmp_path / "absent.pth")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "absent.pth"))
    with pytest.raises(WeightsError, match=VARIABLE):
        InceptionExtractor()


class Dangerous:
    def __reduce__(self):
        return (eval, ("1 / 0",))


@pytest.mark.parametrize("content", [{"conv": torch.zeros(3)}, Dangerous(), None])
def test_a_file_that_is_something_else_is_refused_without_running_it(tmp_path, content):
    file = tmp_path / "weights.pth"
    torch.save(content, file) if content is not None else file.write_bytes(b"<html>not found</html>")
    with pytest.raises(WeightsError, match="does not hold") as error:
        InceptionExtractor(file)
    assert "ZeroDivisionError" not in str(error.value)


def test_a_truncated_file_is_refused(reference, tmp_path):
    file = tmp_path / "half.pth"
    file.write_bytes(reference[1].read_bytes()[:100_000])
    with pytest.raises(WeightsError, match="does not hold"):
        InceptionExtractor(file)


def test_dialects_share_the_network_and_have_names_of_their_own(extractor):
    images = torch.randint(0, 256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(2)).to(torch.uint8)
    clean = extractor.in_dialect("clean")
    assert clean.trunk is extractor.trunk
    assert (clean.name, clean.dialect, extractor.dialect) == (f"{extractor.name}-clean", "clean", "tf1")
    assert "PIL bicubic" in clean.resize
    assert "TF1" in extractor.resize
    assert float((clean(images).features - extractor(images).features).abs().mean()) > 1e-4
    assert value_name("fd", "inception-clean", 50_000) == "fid50k_clean"
    with pytest.raises(ValueError, match="no dialect"):
        extractor.in_dialect("opencv")
