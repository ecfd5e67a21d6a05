"""What numbers below 1.2e-38 cost a CPU: critic updates of a run with the penalty, flushed to zero and kept.

    python benchmarks/denormals.py RUN [--rounds 6] [--clock cpu] [--threads 1] [--matmul_precision medium] [--quick]

RUN is the folder of a run of `reproductions/wgan_gp.py`, best one far into a toy recipe: there most units of the critic
are dead, and the squares of their last gradients sink in Adam's second moment to where a CPU takes many times as long
for a sum. Training therefore sets `torch.set_flush_denormal(True)`. Both sides go on from the run's last checkpoint,
networks and optimizer, on copies of their own.

A run that flushed holds zeros where it would hold such numbers. The side that keeps them starts with 4 quanta of
1.4e-45, which 0.9 times itself is rounded to, in as many of these zeros as bring their share to `--share`: 0.55, as on
the 8 Gaussians after 86 million images when training did not flush yet (50 and 60 % in the two hidden layers).
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from training import add_options, batches, by_hand, contest, prepare, table

from zoo.models.base.module import AdversarialModule
from zoo.models.trained import FinishedRun
from zoo.models.wgan_gp import WGANGP
from zoo.runs.checkpoints import read_checkpoint

STUCK = 4 * 2.0**-149  # 0.9 of it is rounded to it


class Critic(WGANGP):
    """Outside a Trainer there is nowhere to log scores to."""

    def note_scores(self, real: Tensor, fake: Tensor) -> None:
        pass


def opened(run: FinishedRun) -> tuple[AdversarialModule, torch.optim.Optimizer]:
    """The run's networks and the critic's optimizer, as its last checkpoint has them."""
    module, state = run.module().train(), read_checkpoint(run.checkpoint())["optimizer_states"][0]
    optimizer = module.configure_optimizers()[0]
    optimizer.load_state_dict(state)
    return module, optimizer


def sink(optimizer: torch.optim.Optimizer, *, share: float) -> None:
    """Puts STUCK in the place of zeros among the second moments, up to the share of all of them."""
    moments = [state["exp_avg_sq"] for state in optimizer.state.values()]
    zeros, total = sum(int((m == 0).sum()) for m in moments), sum(m.numel() for m in moments)
    for m in moments:
        m[(m == 0) & (torch.rand_like(m) < share * total / max(1, zeros))] = STUCK


def share_of_denormals(optimizer: torch.optim.Optimizer) -> float:
    """Of the numbers in the second moments."""
    moments = torch.cat([state["exp_avg_sq"].flatten() for state in optimizer.state.values()])
    return ((moments > 0) & (moments < torch.finfo(moments.dtype).tiny)).float().mean().item()


def critic_updates(
    run: FinishedRun, module: AdversarialModule, optimizer: torch.optim.Optimizer, *, flush: bool
) -> Iterator[None]:
    data = run.data
    for x in batches(data.split("train").images, data.batch_size):
        torch.set_flush_denormal(flush)
        loss = module.discriminator_loss(module.preprocess(x), None)
        optimizer.zero_grad()
        loss.backward(inputs=list(module.D.parameters()))
        optimizer.step()
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN", type=Path)
    add_options(parser, threads=2)
    parser.add_argument("--matmul_precision", choices=("highest", "high", "medium"), default="highest")
    parser.add_argument("--share", type=float, default=0.55, help="of the second moments (default 0.55)")
    arguments = parser.parse_args()
    prepare(arguments)
    torch.set_float32_matmul_precision(arguments.matmul_precision)
    run = FinishedRun(arguments.run, models={"wgan_gp": Critic})
    torch.set_flush_denormal(False)
    critics = {name: opened(run) for name in ("flushed", "kept")}
    loops = {name: critic_updates(run, *critics[name], flush=name == "flushed") for name in critics}
    sink(critics["kept"][1], share=arguments.share)
    speeds = contest(
        {name: by_hand(loop) for name, loop in loops.items()},
        steps=5 if arguments.quick else 100,
        rounds=arguments.rounds,
    )
    module, optimizer = critics["kept"]
    torch.set_flush_denormal(False)  # else they compare as zero
    share = f"{share_of_denormals(optimizer):.0%} of the second moments denormal where kept"
    title = f"Critic updates after {module.images_seen:,} images, {share}, {arguments.matmul_precision} matmul"
    table(title, speeds, {("flushed", "kept"): 1.0})


if __name__ == "__main__":
    main()
