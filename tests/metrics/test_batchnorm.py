import pytest
import torch
import torch.nn.functional as F
from torch import nn

from zoo.metrics import batchnorm_statistics


@pytest.fixture
def G():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 4), nn.BatchNorm1d(4))
    for layer in (net[1], net[4]):
        nn.init.normal_(layer.running_mean)
        nn.init.uniform_(layer.running_var, 0.5, 2)
        nn.init.normal_(layer.weight)
    return net.eval()


def never(k):
    raise AssertionError("draw is for re-estimation only")


def test_running_changes_nothing(G):
    z = torch.randn(7, 3)
    expected = G(z)
    with batchnorm_statistics(G, "running", never):
        assert torch.equal(G(z), expected)


def test_batch_normalises_by_the_batch_in_eval_mode(G):
    z = torch.randn(7, 3)
    h = F.batch_norm(G[0](z), None, None, G[1].weight, G[1].bias, training=True)
    expected = F.batch_norm(G[3](h.relu()), None, None, G[4].weight, G[4].bias, training=True)
    before = G(z)
    with batchnorm_statistics(G, "batch", never):
        assert not G.training
        assert torch.allclose(G(z), expected, atol=1e-6)
        assert not torch.allclose(G(z)[:3], G(z[:3]), atol=1e-2)
    assert torch.equal(G(z), before)


def test_reestimated_equals_torchs_own_cumulative_average(G):
    batches = [torch.randn(11, 3, generator=torch.Generator().manual_seed(k)) for k in range(4)]
    twin = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 4), nn.BatchNorm1d(4))
    twin.load_state_dict(G.state_dict())
    for layer in (twin[1], twin[4]):
        layer.reset_running_stats()
        layer.momentum = None
    twin.train()
    for z in batches:
        twin(z)
    twin.eval()
    z, drawn = torch.randn(7, 3), []

    def draw(k):
        drawn.append(k)
        G(batches[k])

    with batchnorm_statistics(G, "reestimated", draw, draws=4):
        assert torch.allclose(G(z), twin(z), atol=1e-5)
        assert torch.allclose(G(z)[:3], G(z[:3]), atol=1e-6)  # a sample no longer depends on its neighbours
        assert torch.allclose(G[1].running_var, twin[1].running_var, rtol=1e-5)
    assert drawn == [0, 1, 2, 3]


@pytest.mark.parametrize("mode", ["batch", "reestimated"])
def test_all_is_restored_also_after_an_error(G, mode):
    state = {k: v.clone() for k, v in G.state_dict().items()}
    buffers = {k: v.data_ptr() for k, v in G.named_buffers()}
    hooks = [len(m._forward_pre_hooks) for m in G.modules()]
    rng = torch.get_rng_state()
    with (
        pytest.raises(RuntimeError, match="inside"),
        batchnorm_statistics(G, mode, lambda k: G(torch.ones(4, 3))),
    ):
        raise RuntimeError("inside")
    if mode == "reestimated":
        with pytest.raises(ZeroDivisionError), batchnorm_statistics(G, mode, lambda k: k / 0):
            pass
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(torch.equal(v, state[k]) for k, v in G.state_dict().items())
    assert {k: v.data_ptr() for k, v in G.named_buffers()} == buffers
    assert [len(m._forward_pre_hooks) for m in G.modules()] == hooks
    assert all(p.grad is None for p in G.parameters())


def test_a_compiled_generator_is_read_eagerly(G):
    """One graph a layer, for what is recorded of it, is more than the compiler keeps of one function."""
    graphs = []
    G.compile(backend=lambda graph, _: graphs.append(graph) or graph.forward)
    z = torch.randn(7, 3)
    with batchnorm_statistics(G, "reestimated", lambda _: G(z), draws=2):
        assert graphs == []
        G(z)
        assert len(graphs) == 1


def test_layers_that_no_draw_reached_keep_their_own(G):
    unused = nn.BatchNorm1d(2)
    nn.init.constant_(unused.running_mean, 3.0)
    both = nn.ModuleList([G, unused])
    with batchnorm_statistics(both, "reestimated", lambda k: G(torch.randn(4, 3)), draws=1):
        assert unused.running_mean.tolist() == [3.0, 3.0]


def test_bad_input(G):
    with pytest.raises(ValueError, match="batchnorm mode"), batchnorm_statistics(G, "eval", never):
        pass
    with (
        pytest.raises(ValueError, match="at least one"),
        batchnorm_statistics(G, "reestimated", never, draws=0),
    ):
        pass
