import pytest
import torch
from metrics_toys import WithoutFloat64
from torch_fidelity import sample_similarity_lpips as theirs
from torchvision.models.vgg import cfgs, make_layers

from zoo.errors import WeightsError
from zoo.metrics.lpips import VGG16LPIPS


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Random weights of the right shapes, in the two files that people have."""
    folder = tmp_path_factory.mktemp("lpips")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = make_layers(cfgs["D"])  # VGG-16 without its large classifier
        for module in network:
            if isinstance(module, torch.nn.Conv2d):
                module.bias.data.normal_(std=0.1)
        torch.save({f"features.{k}": v for k, v in network.state_dict().items()}, folder / "vgg16.pth")
        linear = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1) for i, c in enumerate((64, 128, 256, 512, 512))}
    torch.save(linear, folder / "linear.pth")
    return folder / "vgg16.pth", folder / "linear.pth", network


def test_equals_torch_fidelity(files, monkeypatch):
    network_file, linear_file, network = files
    state = torch.load(linear_file, weights_only=True)
    holder = torch.nn.Module()
    holder.features = network
    monkeypatch.setattr(theirs, "torchvision_load_pretrained_vgg16", lambda: holder)
    monkeypatch.setattr(theirs, "load_state_dict_from_url", lambda *a, **k: state)
    reference = theirs.SampleSimilarityLPIPS("reference")
    a, b = 255 * torch.rand(2, 2, 3, 32, 40, generator=torch.Generator().manual_seed(1))
    distance = VGG16LPIPS(network_file, linear_file)
    value = distance(a, b)
    assert value.shape == (2,)
    assert value.tolist() == pytest.approx(reference(a, b).tolist(), rel=1e-4)
    assert float(value.min()) > 1e-3
    assert distance(a, a).tolist() == [0, 0]
    with WithoutFloat64():
        value = distance.to("meta")(a.to("meta"), b.to("meta"))
    assert (value.shape, value.dtype, value.device.type) == ((2,), torch.float64, "cpu")


def test_wrong_files_are_named(files, tmp_path):
    network, linear, _ = files
    with pytest.raises(WeightsError, match=r"no file .*absent\.pth.*https"):
        VGG16LPIPS(tmp_path / "absent.pth", linear)
    html = tmp_path / "page.pth"
    html.write_text("<html>not found</html>")
    with pytest.raises(WeightsError, match="no weights file"):
        VGG16LPIPS(network, html)
    with pytest.raises(WeightsError, match=r"another network: features.0.weight is absent"):
        VGG16LPIPS(linear, network)
    with pytest.raises(ValueError, match="16 pixels"):
        VGG16LPIPS(network, linear)(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8))
