"""What makes a run resumable to the bit: the three counters, the latent stream, the random states.

A Lightning checkpoint holds weights, optimizers and loop progress, but no random state and no position in the
data. `ResumableModule` adds what is missing. The position in the data needs no entry of its own: the training
stream is a function of (seed, `images_seen`), so the counters are the position.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.core.optimizer import _configure_optimizers
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch import Tensor

from zoo.nn.reference import Reference
from zoo.nn.seeds import mix_seed
from zoo.runs.checkpoints import collect_rng_state, restore_rng_state

COUNTERS = ("discriminator_steps", "generator_steps", "images_seen")


class ResumableModule(LightningModule):
    """A LightningModule with persistent counters and random streams that a checkpoint carries.

    The counters are plain integers, so that schedules read them without waiting for the device; they travel
    through `state_dict` as int64 scalars under their own names.

    Attributes:
        discriminator_steps: updates of D so far.
        generator_steps: updates of G so far.
        images_seen: real images shown to D so far, summed over all devices. The clock of every schedule and axis.
        seed: seed of the run, to be set before training: the latents of rank r are drawn from a generator seeded by
            (seed, r, "latents"), whatever `seed_everything` was told.
    """

    paper: ClassVar[str] = ""  # name of the model, and of its script
    reference: ClassVar[Reference]  # what it is called and where it is published

    def __init__(self) -> None:
        super().__init__()
        self.discriminator_steps = 0
        self.generator_steps = 0
        self.images_seen = 0
        self.seed = 0
        self.latent_generator = torch.Generator()
        self._restored: dict[str, Any] | None = None
        self._training_begun = False

    def reseed(self, rank: int) -> None:
        """Starts this rank's latent stream and the global streams (dropout) afresh, apart from all other ranks'."""
        self.latent_generator.manual_seed(mix_seed(self.seed, rank, "latents", self.images_seen))
        torch.manual_seed(mix_seed(self.seed, rank, "global", self.images_seen))

    def begin_training(self) -> None:
        """Puts the module and this rank's random streams where training begins or goes on, once a `fit`.

        Callbacks act, and write checkpoints, before Lightning calls the module's own `on_train_start`: whichever comes
        first calls this, so that no checkpoint holds a state from which no run goes on. Before the first image that
        state follows from the seed and the weights, also where a checkpoint of that point holds other streams.
        """
        if self._training_begun:
            return
        self._training_begun = True
        restored, self._restored = self._restored, None
        if self.images_seen == 0:
            self.before_first_image()
        if restored is None or self.images_seen == 0:
            self.reseed(self.global_rank)
            return
        mine = restored["random_states"][self.global_rank]
        restore_rng_state(mine["global"])
        self.latent_generator.set_state(mine["latents"])

    def before_first_image(self) -> None:
        """Papers set here what they take from the training images before the first update."""

    def on_fit_start(self) -> None:
        self._training_begun = False
        if not self.training:  # `zoo.load_pretrained` gives modules to evaluate, and a Trainer leaves them so
            self.train()

    def on_train_start(self) -> None:
        self.begin_training()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self._trainer is not None and self.trainer.training:
            self.begin_training()
        mine = {"global": collect_rng_state(), "latents": self.latent_generator.get_state()}
        states: list[Any] = [mine]
        if self._trainer is not None and self.trainer.world_size > 1:
            states = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(states, mine)
        checkpoint["zoo"] = {
            "format": 1,
            "paper": self.paper,
            "class": type(self).__name__,
            "seed": self.seed,
            "random_states": states,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self._trainer is not None and self.trainer.training:
            self.keep_own_rates(checkpoint)
        state = checkpoint.get("zoo")
        if state is None:
            return
        world_size = self.trainer.world_size if self._trainer is not None else len(state["random_states"])
        if world_size == len(state["random_states"]):
            self._restored = state
        elif self.trainer.training:
            rank_zero_warn(
                f"the checkpoint was written by {len(state['random_states'])} devices and is resumed on {world_size}: "
                "training goes on with the same images, but with fresh latents"
            )

    def keep_own_rates(self, checkpoint: dict[str, Any]) -> None:
        """Puts what this module's settings say of its optimizers into a checkpoint of other settings, in place.

        An optimizer takes learning rate, decays and the like from its stored state: a run that goes on with another
        `lr` would keep the one of before, and its record would name the new one. A checkpoint of the same settings is
        left alone.
        """
        before, now = checkpoint.get("hyper_parameters") or {}, dict(self.hparams)
        if all(name in before and before[name] == value for name, value in now.items()):
            return
        made: Any = self.configure_optimizers()  # in any of the forms that Lightning takes
        optimizers, _, _ = _configure_optimizers(made)
        for state, optimizer in zip(checkpoint["optimizer_states"], optimizers, strict=True):
            for group, own in zip(state["param_groups"], optimizer.param_groups, strict=True):
                for name in own.keys() & group.keys() - {"params"}:
                    if type(own[name]) in (int, float, tuple):  # not what says how torch computes
                        group[name] = own[name]

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name in COUNTERS:
            destination[prefix + name] = torch.tensor(getattr(self, name), dtype=torch.int64)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Tensor],
        prefix: str,
        local_metadata: Mapping[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        for name in COUNTERS:
            if prefix + name in state_dict:
                setattr(self, name, int(state_dict.pop(prefix + name)))
            elif strict:
                missing_keys.append(prefix + name)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
