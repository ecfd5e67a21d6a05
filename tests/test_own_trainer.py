"""The modules in a Trainer and with loaders of the user's own: what Lightning's user expects, or one line."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging
from registry import SMALL, small_model
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from toys import SHAPE, Recorder, ToyData, ToyGAN, fit, toy_trainer

from zoo.errors import UnsupportedSettingError, UsageError
from zoo.models import MODELS
from zoo.models.base.module import AdversarialModule
from zoo.training.callbacks import HealthWatch, MemorisationWatch, SampleGrid


def images(n: int, *shape: int) -> Tensor:
    return torch.randint(256, (n, *shape), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


class OwnData(LightningDataModule):
    """As a user writes it: a training loader, and nothing that is this project's."""

    split = "train"

    def __init__(self, *tensors: Tensor, batch_size: int = 4, **options: Any) -> None:
        super().__init__()
        self.tensors, self.options = tensors, {"batch_size": batch_size, **options}

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(*self.tensors), **self.options)


def train(module: AdversarialModule, data: Any, *, images: int = 8, **settings: Any) -> AdversarialModule:
    """A few batches of a loader or a data module."""
    name = "datamodule" if isinstance(data, LightningDataModule) else "train_dataloaders"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(does not have many workers|smaller than the logging interval)")
        toy_trainer(*settings.pop("callbacks", []), images=images, **settings).fit(module, **{name: data})
    return module


class Looking(ToyGAN):
    """Keeps the reals as D sees them."""

    def discriminator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        self.seen = x, y
        return super().discriminator_loss(x, y)


@pytest.mark.parametrize("batch_size", [2, 4])  # of two images, one was taken for the labels of the other
def test_images_may_come_alone(batch_size: int) -> None:
    x = images(8, *SHAPE)
    for data in (DataLoader(x, batch_size=batch_size), DataLoader(TensorDataset(x), batch_size=batch_size)):
        module = train(Looking(), data)
        assert (module.images_seen, module.discriminator_steps) == (8, 8 // batch_size)
        seen, labels = module.seen
        assert labels is None
        torch.testing.assert_close(seen, x[-batch_size:].float() / 127.5 - 1)


def test_scaled_images_are_refused() -> None:
    """They were scaled again, all to nearly -1, and in place: the user's own tensor was changed."""
    x = images(8, *SHAPE).float() / 255
    kept = x.clone()
    for data in (OwnData(x, torch.arange(8)), DataLoader([(x, torch.arange(8))], batch_size=None)):
        with pytest.raises(
            UnsupportedSettingError, match=r"torch\.uint8 .*leave ToTensor and Normalize out, .*float32"
        ):
            train(ToyGAN(), data)
    assert torch.equal(x, kept)
    with pytest.raises(UnsupportedSettingError, match=r"takes torch\.float32, and the loader gives torch\.float64"):
        train(MODELS["lsgan"](network="ring"), OwnData(torch.randn(8, 2).double()))


@pytest.mark.parametrize("paper", ["dcgan", "wgan", "pggan", "stylegan"])
def test_images_of_another_shape_are_refused(paper: str) -> None:
    """A D of convolutions alone took larger ones, and gave a map of scores."""
    module = small_model(paper)
    for shape in ((1, 64, 64), (1, 16, 16), (3, 32, 32), (1, 32, 16)):
        with pytest.raises(UnsupportedSettingError, match=r"\(1, 32, 32\).*and the loader gives \(., .., ..\)"):
            train(module, OwnData(images(4, *shape)))
    assert module.images_seen == 0
    assert train(module, OwnData(images(8, 1, 32, 32))).images_seen == 8


def test_batches_of_other_forms_are_refused() -> None:
    for batch in ({"image": images(2, *SHAPE)}, [images(2, *SHAPE)] * 3, ["a", "b"]):
        with pytest.raises(UnsupportedSettingError, match=r"takes batches \(images, labels\) or images alone"):
            train(ToyGAN(), DataLoader([batch], batch_size=None))


def test_a_last_batch_of_one_image_is_refused_where_images_are_compared() -> None:
    data = OwnData(images(5, *SHAPE))
    assert train(ToyGAN(), data, images=5).images_seen == 5
    with pytest.raises(UnsupportedSettingError, match="drop_last"):
        train(ToyGAN(batchnorm=True), data, images=5)


@pytest.mark.parametrize("paper", ["gan", "cgan"])
def test_papers_that_ask_the_data_train_on_a_data_module_of_ones_own(paper: str) -> None:
    assert train(small_model(paper), OwnData(images(8, 1, 28, 28), torch.arange(8))).images_seen == 8


def test_gan_says_what_a_foreign_loader_does_not_tell_it() -> None:
    x = images(8, 1, 28, 28)
    for module in (MODELS["gan"](width=16), MODELS["gan"](width=16, network="cifar10_fully_connected")):
        own = x if module.image_shape == (1, 28, 28) else images(8, 3, 32, 32)
        with pytest.warns(UserWarning, match=r"call start_from\(images\)"):
            train(module, OwnData(own))
        module.images_seen = 0
        module.start_from(own)
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*start_from")
            train(module, OwnData(own))


def test_gan_takes_another_generator() -> None:
    """It looked for the bias of a last layer that is not there."""
    module = MODELS["gan"](width=16)
    module.G = nn.ModuleDict({"layer": nn.Linear(100, 784)})
    module.G.forward = lambda z: module.G["layer"](z).sigmoid()
    module.start_from(images(8, 1, 28, 28))
    assert not module.G["layer"].weight.isnan().any()


def test_wgan_gp_looks_at_the_critic_that_is_there() -> None:
    """With BatchNorm that came later, reals and samples were normalised together."""
    module = MODELS["wgan_gp"](network="mnist", width=2)
    sizes: list[int] = []
    module.D = nn.Sequential(nn.Flatten(), nn.Linear(784, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    module.D.register_forward_hook(lambda net, inputs, output: sizes.append(len(output)))
    module.outputs(torch.zeros(3, 1, 28, 28), torch.ones(3, 1, 28, 28))
    assert sizes == [3, 3]


def test_data_of_other_classes_are_refused_as_on_the_command_line() -> None:
    """Samples were drawn of classes that no image had shown."""
    module = MODELS["pggan"](resolution=8, channels=1, fmap_max=2, num_classes=5)
    with pytest.raises(UnsupportedSettingError, match="Toy has 3 classes, PGGAN is made for 5"):
        train(module, ToyData())


def test_the_average_forgets_by_the_images_that_were_shown() -> None:
    """With batches of 2 it forgot as if they had been the schedule's 256."""
    settings = {**SMALL["stylegan"].model, "batch_sizes": {4: 256}, "ema_half_life": 2.0}
    module = MODELS["stylegan"](**settings)
    before = next(module.G_ema.parameters()).clone()
    train(module, OwnData(images(2, 1, 32, 32), batch_size=2), images=2)
    now, average = next(module.G.parameters()), next(module.G_ema.parameters())
    torch.testing.assert_close(average, (before + now) / 2)


def test_log_every_n_steps_is_heard() -> None:
    logged = Recorder(lambda module: module.reported_at)
    fit(ToyGAN(), logged, images=8 * 4, log_every_n_steps=2)
    assert logged.seen == [-1, 16, 16, 32]
    module = ToyGAN()
    module.log_every = 3  # Lightning's 50 is nobody's wish
    fit(module, logged, images=8 * 4)
    assert logged.seen[4:] == [-1, -1, 24, 24]


def test_overfitting_on_a_stream_is_refused() -> None:
    """Each pass had other images."""
    with pytest.raises(UnsupportedSettingError, match=r"overfit_batches=2 .*ToyData\(train_images=N\)"):
        fit(ToyGAN(), images=8, overfit_batches=2)
    assert train(ToyGAN(), OwnData(images(8, *SHAPE)), overfit_batches=1).images_seen == 8


def test_a_stream_without_its_data_set_is_refused() -> None:
    """Its passes were all in the first one's order, and the same on each device."""
    for module, data in ((ToyGAN(), ToyData()), (small_model("pggan"), None)):
        stream = data.train_dataloader() if data else growing_stream(module)
        with pytest.raises(UnsupportedSettingError, match=r"fit\(model, datamodule=data\)"):
            train(module, stream)


def growing_stream(module: AdversarialModule) -> Any:
    from registry import small_data

    from zoo.data.growing import GrowingStream

    assert module.growth is not None
    return GrowingStream(small_data("pggan").split("train"), growth=module.growth)


def test_lightnings_average_is_refused() -> None:
    """Its checkpoints said that no image was seen, and held a D of averages."""
    with pytest.raises(UnsupportedSettingError, match=r"averages D as well, .*after_generator_update"):
        fit(ToyGAN(), EMAWeightAveraging(), images=8)


def test_batchnorm_of_several_cpus_is_refused() -> None:
    """Its first layer ended the training in each process."""
    module = ToyGAN(batchnorm=True)
    module.trainer = toy_trainer(strategy="ddp_find_unused_parameters_true", devices=2, sync_batchnorm=True)
    with pytest.raises(UnsupportedSettingError, match="sync_batchnorm is of GPUs"):
        module.setup("fit")
    assert fit(ToyGAN(batchnorm=True), images=8, sync_batchnorm=True).global_step == 2  # alone


def test_a_compiled_module_is_refused() -> None:
    with pytest.raises(UnsupportedSettingError, match="compile_networks"):
        toy_trainer(images=8).fit(torch.compile(ToyGAN(), backend="eager"), datamodule=ToyData())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_weights_of_another_type_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(UnsupportedSettingError, match=r"G\.0\.weight is torch\.\w+, .*call float\(\)"):
        fit(ToyGAN().to(dtype), images=8)


class Swapped(ToyGAN):
    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return super().configure_optimizers()[::-1]


class Joined(ToyGAN):
    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters())


class Scheduled(ToyGAN):
    def configure_optimizers(self) -> Any:
        optimizers = super().configure_optimizers()
        return optimizers, [torch.optim.lr_scheduler.StepLR(optimizer, 1) for optimizer in optimizers]


def test_optimizers_in_another_order_or_number_are_refused() -> None:
    """G was trained on D's loss, and D on G's."""
    with pytest.raises(UnsupportedSettingError, match="G's optimizer first"):
        fit(Swapped(), images=8)
    with pytest.raises(UnsupportedSettingError, match=r"Joined\.configure_optimizers must return two optimizers"):
        fit(Joined(), images=8)


def test_schedulers_that_nobody_steps_are_named_and_a_run_of_another_rate_goes_on(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="steps no learning rate scheduler"):
        trainer = fit(Scheduled(lr=0.1), images=8)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    with pytest.warns(UserWarning, match="steps no learning rate scheduler"):
        trainer = fit(Scheduled(lr=0.2), images=16, ckpt_path=tmp_path / "one.ckpt")
    assert [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers] == [0.2, 0.2]


def test_a_test_that_measures_nothing_says_so() -> None:
    quiet: dict[str, Any] = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False}
    with pytest.warns(UserWarning, match="nothing is measured"):
        Trainer(**quiet, enable_checkpointing=False).test(ToyGAN(), datamodule=ToyData(), verbose=False)


def test_predict_takes_pairs_as_a_loader_makes_them() -> None:
    module = ToyGAN()
    (made,) = toy_trainer().predict(module, dataloaders=DataLoader([(3, 1)]))
    assert torch.equal(made, module.sample(3, seed=1))


def test_callbacks_on_a_loader_of_ones_own(tmp_path: Path) -> None:
    """Those that compare with the training images ended in a traceback, one of them after some time."""
    for callback in (HealthWatch(every=8), MemorisationWatch(every=8)):
        with pytest.raises(UsageError, match=r"training images of a data set of zoo\.data"):
            train(ToyGAN(), OwnData(images(8, *SHAPE)), callbacks=[callback])
    train(ToyGAN(), OwnData(images(8, *SHAPE)), callbacks=[HealthWatch(every=None)])
    data = OwnData(images(8, 1, 28, 28), torch.arange(8))
    train(small_model("cgan"), data, callbacks=[SampleGrid(tmp_path)])
    assert {path.name for path in tmp_path.iterdir()} == {"images-000000000.png", "images-000000008.png"}
