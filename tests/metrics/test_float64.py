"""What needs float64 is counted where there is some: not on Apple's GPUs."""

from collections.abc import Callable

import pytest
import torch
from metrics_toys import ToyExtractor, WithoutFloat64
from torch import Tensor, nn

from zoo.metrics.batchnorm import batchnorm_statistics
from zoo.metrics.inception_score import InceptionScore
from zoo.metrics.ms_ssim import ms_ssim
from zoo.metrics.ndb import StatisticallyDifferentBins
from zoo.metrics.nearest import nearest_of
from zoo.metrics.parzen import ParzenLogLikelihood
from zoo.metrics.path_length import ExtractorDistance, PerceptualPathLength
from zoo.metrics.points import mode_shares
from zoo.metrics.swd import SlicedWasserstein


def there(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Zeros on such a device."""
    return torch.zeros(*shape, dtype=dtype, device="meta")


def reestimated() -> None:
    G = nn.BatchNorm1d(3).to("meta").eval()
    with batchnorm_statistics(G, "reestimated", lambda k: G(there(4, 3)), draws=1):
        pass


def path_length() -> None:
    metric = PerceptualPathLength()
    metric.update(there(4))
    metric.compute()


def score() -> None:
    InceptionScore(num_classes=5, num_samples=4, splits=1).update(there(4, 5), index=torch.arange(4))


def bins() -> None:
    StatisticallyDifferentBins.fit(there(4, 3), bins=1).update(there(4, 3))


def sliced() -> None:
    metric = SlicedWasserstein(patches=2, repeats=1, directions=2)
    patches = metric._descriptors(there(2, 1, 16, 16, dtype=torch.uint8), 0)
    metric._distance(patches, patches, 0)


@pytest.mark.parametrize(
    "measure",
    [
        reestimated,
        path_length,
        score,
        bins,
        sliced,
        lambda: ExtractorDistance(ToyExtractor().to("meta"))(there(2, 1, 8, 8), there(2, 1, 8, 8)),
        lambda: ParzenLogLikelihood(there(4, 3), sigma=0.1).update(there(4, 3)),
        lambda: ms_ssim(there(2, 1, 16, 16), there(2, 1, 16, 16)),
        lambda: nearest_of(there(4, 3), there(4, 3), k=1),
        lambda: mode_shares(there(4, 2), there(2, 2), std=0.1),
    ],
)
def test_on_a_device_without_it(measure: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match="MPS"), WithoutFloat64():
        there(1).double()
    with WithoutFloat64():
        measure()
