import torch

from zoo.releases.find import SHIPPED
from zoo.releases.precision import pack, unpack

STATE = {
    "G.0.weight": torch.tensor([[1.0, -0.5, 0.001], [2.0, 0.0, -4.0]]),
    "G.1.weight": torch.full((2, 1, 1, 1), 1 / 3),
    "G.1.bias": torch.tensor([1 / 3, 70000.0]),
    "G.1.num_batches_tracked": torch.tensor(2**40),
}


def test_float32_is_exact():
    back = unpack(pack(STATE, "float32"))
    assert back.keys() == STATE.keys()
    assert all(torch.equal(back[name], value) for name, value in STATE.items())


def test_float16_rounds_weights_and_keeps_vectors_and_integers_exact():
    packed = pack(STATE, "float16")
    assert packed["G.0.weight"].dtype == packed["G.1.weight"].dtype == torch.float16
    back = unpack(packed)
    assert back["G.1.weight"].dtype == torch.float32
    assert back["G.1.weight"][0].item() == 0.333251953125  # the half-precision number nearest to 1/3
    assert torch.equal(back["G.1.bias"], STATE["G.1.bias"])  # 70,000 would be infinite
    assert back["G.1.num_batches_tracked"] == 2**40


def test_int8_rounds_a_matrix_by_rows_and_a_kernel_to_half_precision():
    packed = pack(STATE, "int8")
    assert packed["G.0.weight"].tolist() == [[127, -64, 0], [64, 0, -127]]
    assert packed["G.1.weight"].dtype == torch.float16
    back = unpack(packed)
    assert back.keys() == STATE.keys()
    step = STATE["G.0.weight"].abs().amax(1, keepdim=True) / 127
    assert ((back["G.0.weight"] - STATE["G.0.weight"]).abs() <= step / 2 * 1.0001).all()


def test_int8_has_a_step_for_every_96_of_a_row_where_rows_have_such_groups():
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(3, 288, generator=generator) * torch.tensor([1.0, 1e-2, 30.0]).repeat_interleave(96)
    packed = pack({"w": matrix}, "int8")
    assert (packed["w"].dtype, packed["w"].shape) == (torch.int8, (3, 288))
    assert (packed["w:scale"].dtype, packed["w:scale"].shape) == (torch.float16, (3, 3))
    step = matrix.unflatten(1, (3, 96)).abs().amax(2) / 127
    worst = (unpack(packed)["w"] - matrix).abs().unflatten(1, (3, 96)).amax(2)
    assert (worst <= 0.57 * step).all()  # half a step; the scale's own rounding, 127 times, for the largest
    assert (worst >= 0.3 * step).all()
    assert torch.equal(unpack(pack({"w": torch.zeros(2, 96)}, "int8"))["w"], torch.zeros(2, 96))


def test_int8_of_earlier_releases_with_a_step_for_each_row_is_read():
    rows = {
        "w": torch.tensor([[127, -64] * 32, [1, 0] * 32], dtype=torch.int8),
        "w:scale": torch.tensor([[0.5], [2.0]]),
    }
    assert torch.equal(unpack(rows)["w"], rows["w"].float() * rows["w:scale"])


def test_a_row_of_zeros_stays_zero():
    back = unpack(pack({"w": torch.zeros(2, 3)}, "int8"))
    assert torch.equal(back["w"], torch.zeros(2, 3))


def test_int4_rounds_large_matrices_by_groups_and_the_rest_as_int8(monkeypatch):
    monkeypatch.setattr("zoo.releases.precision.LARGE", 256)
    large = torch.randn(4, 128, generator=torch.Generator().manual_seed(0)) * torch.tensor([[1.0], [1e-2], [1e-6], [0]])
    state = STATE | {"D.weight": large, "D.odd.weight": torch.ones(10, 30)}  # 30 are no groups of 64
    packed = pack(state, "int4")
    assert (packed["D.weight"].dtype, packed["D.weight"].shape) == (torch.uint8, (4, 64))
    assert packed["D.weight:scale"].shape == (4, 2)
    assert {name for name in packed if name not in pack(STATE, "int8")} == {
        *("D.weight", "D.weight:scale", "D.odd.weight", "D.odd.weight:scale")
    }
    assert packed["D.odd.weight"].dtype == packed["G.0.weight"].dtype == torch.int8
    back = unpack(packed)["D.weight"]
    step = large.unflatten(1, (2, 64)).abs().amax(2) / 7
    worst = (back - large).abs().unflatten(1, (2, 64)).amax(2)
    assert (worst <= 0.51 * step + 1e-7).all()  # and the scale's own rounding
    assert worst[0].min() > 0.4 * step[0].min()  # 15 steps, not 255
    assert torch.equal(back[3], large[3])


def test_no_release_that_ships_is_above_8_megabytes():
    sizes = {
        folder.name: sum(f.stat().st_size for f in folder.iterdir()) for folder in SHIPPED.iterdir() if folder.is_dir()
    }
    assert len(sizes) >= 18
    assert {name: size for name, size in sizes.items() if size > 8e6} == {}
