import math
import subprocess
import sys

import pytest
import torch

from zoo.metrics import to_uint8


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_all_256_levels_round_trip(dtype):
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(levels.to(dtype) / 127.5 - 1), levels)
    assert torch.equal(to_uint8((levels.to(dtype) - 127.5) / 127.5), levels)


def test_rounds_to_the_nearest_level_and_clamps():
    x = torch.tensor([-7.0, -1.0, 0.49 / 127.5 - 1, 0.51 / 127.5 - 1, 1.0, 3.0])
    assert to_uint8(x).tolist() == [0, 0, 0, 1, 255, 255]
    x = 2 * torch.rand(100_000, generator=torch.Generator().manual_seed(0)) - 1
    assert float(to_uint8(x).float().mean() - ((x + 1) * 127.5).mean()) == pytest.approx(0, abs=0.01)


def test_nan_and_integers_are_errors():
    with pytest.raises(ValueError, match="1 of 2"):
        to_uint8(torch.tensor([0.0, math.nan]))
    with pytest.raises(ValueError, match="2 of 3"):
        to_uint8(torch.tensor([math.inf, 0.0, -math.inf]))
    with pytest.raises(TypeError, match="uint8"):
        to_uint8(torch.zeros(2, dtype=torch.uint8))


def test_importing_it_costs_no_torchmetrics():
    code = "import sys, zoo.metrics.quantize, zoo.metrics.protocol; sys.exit('torchmetrics' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
