import pytest
import torch
from metrics_toys import ToyExtractor

from zoo.metrics.features import full_float32, sha256_of


def test_refuses_floats_and_wrong_shapes():
    extractor = ToyExtractor()
    with pytest.raises(TypeError, match="toy: images must be uint8"):
        extractor(torch.zeros(2, 1, 8, 8))
    for shape in ((2, 8, 8), (2, 2, 8, 8)):
        with pytest.raises(ValueError, match="1 or 3"):
            extractor(torch.zeros(shape, dtype=torch.uint8))


def test_stays_in_eval_mode_without_gradients_and_in_fp32_under_autocast():
    extractor = ToyExtractor()
    assert not extractor.train().training
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    expected = extractor(images).features
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = extractor(images)
    assert torch.equal(result.features, expected)
    assert result.logits.dtype == torch.float32
    assert not result.logits.requires_grad


def tf32_flags():
    backends = torch.backends
    if hasattr(backends.cuda.matmul, "fp32_precision"):  # torch >= 2.9
        return backends.cuda.matmul.fp32_precision != "ieee", backends.cudnn.conv.fp32_precision != "ieee"
    return backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32


def test_precision_flags_are_switched_off_and_put_back():
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        assert tf32_flags() == (True, True)
        with full_float32(torch.device("cpu")):
            assert tf32_flags() == (False, False)
        assert tf32_flags() == (True, True)
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)


def test_sha256_of_a_file(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
