"""What every paper of the registry can do: train in bfloat16, sample in it, and train with compiled networks."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from registry import SMALL, small_data, small_model
from torch import Tensor, nn
from torch._inductor import config as inductor
from toys import Recorder, fit

from zoo.data import Digits
from zoo.models import MODELS

BATCHES = 6
Losses = list[dict[str, float]]


def train(paper: str, *, precision: str = "32-true", compiled: bool = False) -> tuple[dict[str, Tensor], Losses]:
    """The state after some batches of the embedded digits, and the losses on the way."""
    torch.manual_seed(0)
    module = small_model(paper)
    if compiled:
        module.compile_networks()
    module.log_every = 1
    losses = Recorder(lambda module: {k: float(v) for k, v in module.latest.items() if k.startswith("loss_")})
    fit(module, losses, data=small_data(paper), images=8 * BATCHES, precision=precision)
    return {name: value.detach().clone() for name, value in module.state_dict().items()}, losses.seen


@pytest.mark.parametrize("paper", MODELS)
def test_bfloat16_is_the_same_training_at_less_precision(paper: str) -> None:
    """Weights stay in float32 and are moved; the first loss of D told is float32's but for rounding."""
    torch.manual_seed(0)
    before = small_model(paper).state_dict()
    state, losses = train(paper, precision="bf16-mixed")
    assert all(value.dtype == before[name].dtype for name, value in state.items())
    assert all(torch.isfinite(value).all() for value in state.values())
    for player in ("G.", "D."):
        assert any(not torch.equal(value, before[name]) for name, value in state.items() if name.startswith(player))
    _, exact = train(paper)
    first, exact_first = (next(row["loss_discriminator"] for row in rows if row) for rows in (losses, exact))
    assert first == pytest.approx(exact_first, rel=0.05, abs=0.02)
    assert losses != exact


@pytest.mark.parametrize("paper", MODELS)
def test_samples_in_the_precision_that_the_module_was_given(paper: str) -> None:
    torch.manual_seed(0)
    module = small_model(paper)
    expected = module.sample(3, seed=0)
    for dtype, tolerance in ((torch.float64, 1e-5), (torch.bfloat16, 0.3)):
        images = module.to(dtype).sample(3, seed=0)
        assert images.dtype == torch.float32
        torch.testing.assert_close(images, expected, rtol=0, atol=tolerance)


class Graphs:
    """A compiler that counts what it is given, and keeps the arithmetic."""

    def __init__(self) -> None:
        self.count, self.sizes_left_open = 0, 0

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[Any]) -> Callable[..., Any]:
        self.count += 1
        self.sizes_left_open += sum(isinstance(value, torch.SymInt | torch.SymFloat) for value in inputs)
        return graph.forward


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Graphs:
    """What is compiled from here on."""
    graphs, compile_ = Graphs(), nn.Module.compile
    torch._dynamo.reset()
    monkeypatch.setattr(nn.Module, "compile", lambda net, **options: compile_(net, backend=graphs, **options))
    return graphs


@pytest.mark.parametrize("paper", MODELS)
def test_networks_are_compiled_for_the_shapes_they_get(paper: str, graphs: Graphs) -> None:
    """D was made for images of any size: LSGAN's was not done after twenty minutes."""
    train(paper, compiled=True)
    assert graphs.count >= 2
    assert graphs.sizes_left_open == 0


@pytest.mark.parametrize("paper", ["pggan", "stylegan"])
@torch._dynamo.config.patch(recompile_limit=100)  # where it is reached, no graph is added either
def test_a_fade_is_one_graph_a_network_and_kind_of_pass(paper: str, graphs: Graphs) -> None:
    settings = {**SMALL[paper].model, "resolution": 8, "start_resolution": 4, "stabilise_images": 8, "fade_images": 160}
    if paper == "stylegan":
        settings["mixing_prob"] = 0.0  # when two styles come for the first time is chance
    module = MODELS[paper](**settings)
    module.compile_networks()
    counts = Recorder(lambda module: {"graphs": graphs.count, "alpha": module.stage.alpha})
    fit(module, counts, data=Digits(resolution=8, batch_size=8, train_images=48), images=8 * 16)
    in_fade = [row["graphs"] for row in counts.seen if row["alpha"] < 1]
    assert len(in_fade) > 12
    assert in_fade[-1] == in_fade[-8]


def test_samples_compile_nothing(graphs: Graphs) -> None:
    module = small_model("dcgan")
    module.compile_networks()
    for n in (3, 5):
        assert len(module.sample(n, seed=0)) == n
    assert graphs.count == 0


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("paper", MODELS)
def test_compiled_networks_take_the_same_steps(monkeypatch: pytest.MonkeyPatch, paper: str, backend: str) -> None:
    calls = []
    compile_ = nn.Module.compile
    monkeypatch.setattr(
        nn.Module, "compile", lambda net, **options: calls.append(net) or compile_(net, backend=backend, **options)
    )
    expected, losses = train(paper)
    assert not calls
    torch._dynamo.reset()
    with inductor.patch(fallback_random=True):  # its own dropout draws other numbers
        state, compiled = train(paper, compiled=True)
    assert calls
    if backend == "eager" and paper != "stylegan":
        for name, value in expected.items():
            torch.testing.assert_close(
                state[name], value, rtol=1e-3, atol=1e-4, msg=lambda m, name=name: f"{name}: {m}"
            )
        return
    # Inductor rounds otherwise, and so does a fade whose alpha is a tensor; Adam makes a step of each weight whose
    # gradient is all rounding, as that of StyleGAN's first bias is: it shifts a constant that is normalised.
    first = True
    for row, other in zip(losses, compiled, strict=True):
        assert other == pytest.approx(row, rel=1e-4 if first else 0.05, abs=1e-5 if first else 0.05)
        first = first and not row  # batches before the first update tell nothing
