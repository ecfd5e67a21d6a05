"""The parts of a checkpoint: each that is missing or wrong is named, with its file, before anything is changed."""

import copy
import pickle
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from toys import ToyData, ToyGAN, fit, toy_trainer

from zoo.errors import CheckpointError
from zoo.runs.checkpoints import check_compatible
from zoo.runs.tensors import (
    check_resumable,
    check_weights,
    keeps_state,
    reason_unread,
    refuse_claims,
    tensors_in,
    write_tensors,
)
from zoo.training.again import refuse_unresumable
from zoo.training.callbacks import CounterCheckpoint, Evaluation

Content = dict[str, Any]
FILE = Path("last.ckpt")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Content:
    """What a training of two batches writes."""
    folder = tmp_path_factory.mktemp("checkpoints")
    fit(ToyGAN(width=2), CounterCheckpoint(folder), Evaluation(dict), images=16)
    return dict(torch.load(folder / "last.ckpt", weights_only=True))


def resumable(content: Content) -> None:
    """As `fit --ckpt_path` looks at it."""
    module, data = ToyGAN(width=2), ToyData()
    trainer = toy_trainer(CounterCheckpoint(Path()), Evaluation(dict), enable_checkpointing=True)
    check_compatible(content, module, FILE)
    refuse_unresumable(content, FILE, module=module, trainer=trainer, data=data)


def gone(*place: Any) -> Callable[[Content], None]:
    """Takes a part away."""

    def change(content: Content) -> None:
        for key in place[:-1]:
            content = content[key]
        del content[place[-1]]

    return change


def put(value: Any, *place: Any) -> Callable[[Content], None]:
    """Puts another value in the place of a part."""

    def change(content: Content) -> None:
        for key in place[:-1]:
            content = content[key]
        content[place[-1]] = value

    return change


def test_what_training_writes_is_accepted(written: Content) -> None:
    refuse_claims(written, FILE)
    resumable(written)
    older = copy.deepcopy(written)  # of a version of Lightning that counted other things
    older["pytorch-lightning_version"] = "2.0.1"
    del older["callbacks"]["Evaluation"], older["loops"]["fit_loop"]["epoch_progress"], older["ToyData"]
    resumable(older)


D = ("optimizer_states", 0)
STREAMS = ("zoo", "random_states", 0)
LOOP, PROGRESS = ("loops", "fit_loop"), ("epoch_progress", "total", "ready")
WRONG = {
    **{f"no {part}": (gone(part), f"its '{part}' is missing") for part in ("epoch", "global_step", "loops")},
    "callbacks of another kind": (put([], "callbacks"), "its 'callbacks' is missing or wrong"),
    "an epoch that is a text": (put("1", "epoch"), "its 'epoch' is missing or wrong"),
    "no version": (put("new", "pytorch-lightning_version"), "its 'pytorch-lightning_version' is 'new'"),
    "a step before the first": (put(-1, "global_step"), "its 'global_step' is missing or wrong"),
    "no loop": (gone(*LOOP), r"its loops\.fit_loop is missing"),
    "no counters": (gone(*LOOP, "epoch_progress"), r"its loops\.fit_loop\.epoch_progress is missing"),
    "a counter that is a text": (put("x", *LOOP, *PROGRESS), r"epoch_progress\.total\.ready is missing or wrong"),
    "a counter below 0": (put(-1, *LOOP, *PROGRESS), r"epoch_progress\.total\.ready is missing or wrong"),
    "loaders of another kind": (put(1, *LOOP, "state_dict", "combined_loader"), "combined_loader is missing or wrong"),
    "no state of a callback": (gone("callbacks", "CounterCheckpoint"), r"its callbacks\.CounterCheckpoint is missing"),
    "a best value of no number": (put({"best_value": "x"}, "callbacks", "CounterCheckpoint"), "best_value must be"),
    "a point of no number": (put({"taken_at": -1}, "callbacks", "Evaluation"), "taken_at must be an integer"),
    "data of another kind": (put([], "ToyData"), "ToyData must be an object"),
    "data of no number": (put("x", "ToyData", "images"), r"ToyData\.images must be an integer"),
    "no random states": (gone("zoo", "random_states"), r"zoo\.random_states is missing"),
    "random states of no rank": (put([], "zoo", "random_states"), r"zoo\.random_states is missing"),
    "no stream of latents": (gone(*STREAMS, "latents"), r"zoo\.random_states\.0 lacks a stream"),
    "a torn stream": (put(torch.zeros(3), *STREAMS, "global", "torch"), r"zoo\.random_states\.0 lacks a stream"),
    "Python's words": (put(torch.zeros(2), *STREAMS, "global", "python", "words"), "lacks a stream or has a wrong one"),
    "NumPy's place": (put("x", *STREAMS, "global", "numpy", "pos"), "lacks a stream or has a wrong one"),
    "no optimizers": (gone("optimizer_states"), "holds no optimizers"),
    "one optimizer": (gone("optimizer_states", 1), "holds 1 optimizers, not those of D and G"),
    "an optimizer that is a text": (put("Adam", *D), "of D: it has no 'state' or no 'param_groups'"),
    "no groups": (gone("optimizer_states", 1, "param_groups"), "of G: it has no 'state' or no 'param_groups'"),
    "no rate": (gone(*D, "param_groups", 0, "lr"), "of D: one of its param_groups has no 'lr'"),
    "a rate that is a text": (put("fast", *D, "param_groups", 0, "lr"), "has no 'lr' or no 'params'"),
    "fewer parameters": (put([0], *D, "param_groups", 0, "params"), "of another number of parameters"),
    "a state of nothing": (put({}, *D, "state", 99), "its state 99 is of no parameter"),
    "no moment": (gone(*D, "state", 0, "exp_avg"), r"the state of its parameter 0 lacks \['exp_avg'\]"),
    "a moment of another shape": (put(torch.zeros(7), *D, "state", 0, "exp_avg"), "no tensor of the parameter's shape"),
    "a moment that is a text": (put("x", *D, "state", 0, "exp_avg_sq"), "no tensor of the parameter's shape"),
    "no state after updates": (put({}, "optimizer_states", 1, "state"), "of G: it has no state after 2 updates"),
}


@pytest.mark.parametrize(("change", "says"), WRONG.values(), ids=WRONG)
def test_a_wrong_part_is_named(written: Content, change: Callable[[Content], None], says: str) -> None:
    content = copy.deepcopy(written)
    change(content)
    with pytest.raises(CheckpointError, match=rf"^last\.ckpt: .*{says}.*copy it again$"):
        resumable(content)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_has_diverged_is_named(written: Content, value: float) -> None:
    content = copy.deepcopy(written)
    content["optimizer_states"][1]["state"][0]["exp_avg"].view(-1)[0] = value
    with pytest.raises(CheckpointError, match="of G: exp_avg of its parameter 0 holds nan or infinity"):
        resumable(content)
    content["state_dict"]["G.0.weight"][0, 0] = value
    with pytest.raises(CheckpointError, match=r"state_dict\.G\.0\.weight holds nan or infinity.* an earlier"):
        check_weights(content, FILE)


def test_weights_are_tensors_and_come_with_their_settings(written: Content) -> None:
    content = copy.deepcopy(written)
    content["state_dict"]["G.0.bias"] = "weights"
    with pytest.raises(CheckpointError, match=r"state_dict\.G\.0\.bias is a str, not a tensor"):
        check_weights(content, FILE)
    for settings in (None, "width: 2"):
        with pytest.raises(CheckpointError, match="it has no hyper_parameters"):
            check_weights({"state_dict": {}, "hyper_parameters": settings}, FILE)


def test_states_are_empty_where_they_begin_anew(written: Content) -> None:
    """Before the first update, at a border of a growing network, and of an optimizer that remembers nothing."""
    content = copy.deepcopy(written)
    content["optimizer_states"][1]["state"] = {}
    check_resumable(content, FILE, optimizers=ToyGAN(width=2).configure_optimizers(), growing=True)
    content["state_dict"]["generator_steps"] = torch.tensor(0)
    resumable(content)
    weights = [torch.nn.Parameter(torch.zeros(1))]
    sgd = torch.optim.SGD
    assert [keeps_state(sgd(weights, momentum=m)) for m in (0.0, 0.9)] == [False, True]
    assert keeps_state(torch.optim.RMSprop(weights))


@pytest.mark.parametrize(
    "tensor",
    [torch.zeros(1).expand(9), torch.zeros(2, 2).to_sparse(), torch.zeros(2, device="meta")],
    ids=["expanded", "sparse", "meta"],
)
def test_tensors_hold_what_they_claim(tensor: torch.Tensor) -> None:
    nested = {"zoo": {"random_states": [{"latents": (torch.zeros(2), tensor)}]}}
    assert {place for place, _ in tensors_in(nested)} == {f"zoo.random_states.0.latents.{i}" for i in (0, 1)}
    with pytest.raises(CheckpointError, match=r"last\.ckpt: its part zoo\.random_states\.0\.latents\.1 claims"):
        refuse_claims(nested, FILE)


def test_why_a_file_was_not_read() -> None:
    """In one line, without torch's advice to execute it."""
    assert "none of which was executed" in reason_unread(pickle.UnpicklingError("set weights_only=False"))
    assert "weights_only" not in reason_unread(RuntimeError("In PyTorch 2.6, weights_only=False ..."))
    assert reason_unread(RuntimeError("first\nsecond")) == "first"
    assert reason_unread(EOFError()) == "EOFError"


def test_a_full_disk_is_the_systems_error_and_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "latents.safetensors"
    write_tensors(file, {"x": torch.arange(3)}, metadata={"model": "a"})
    whole = file.read_bytes()
    save_file({"x": torch.arange(3)}, tmp_path / "same", metadata={"model": "a"})
    assert whole == (tmp_path / "same").read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))
    try:
        with pytest.raises(OSError, match=r"latents\.safetensors"):
            write_tensors(file, {"x": torch.zeros(5000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latents.safetensors", "same"]
    assert file.read_bytes() == whole


def test_what_a_file_says_of_itself_may_hold_letters_that_are_no_text(tmp_path: Path) -> None:
    write_tensors(tmp_path / "x", {"x": torch.zeros(1)}, metadata={"model": "of\udcff.ckpt"})
    with safe_open(tmp_path / "x", "pt") as file:
        assert file.metadata() == {"model": r"of\udcff.ckpt"}
