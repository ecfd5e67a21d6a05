"""Growing networks: step time against hand-written loops, the data path, fused against plain up- and downscaling.

    python benchmarks/growing.py [--rounds 6] [--width 64] [--only steps|data|layers] [--quick]
        [--clock cpu --threads 1]

- steps: PGGAN and StyleGAN in the middle of the fade to 32x32, through Lightning as a reproduction script runs them,
  and as a careful loop on copies of the same networks: the same updates in the same order and precision, D frozen while
  G learns, no graph through G in D's update, fused Adam, the average in one call. Rounds go there and back, as in
  training.py.
- data: images a second of the growing stream at each resolution, over those that PGGAN's step takes there.
- layers: nearest neighbours and a 3x3 convolution, and a 3x3 convolution and 2x2 means, each against one convolution
  with the summed kernel; forward and backward, at the widths of the networks.
"""

import argparse
import copy
import itertools
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import training
from torch import Tensor, nn
from torch.nn import functional as F
from training import RandomPixels, batches, by_hand, contest, spread, table, through_lightning

from zoo.data.growing import GrowingStream
from zoo.models.base.growing import GrowingModule
from zoo.models.pggan import PGGAN
from zoo.models.stylegan import StyleGAN
from zoo.nn import layers as zoo_layers
from zoo.nn.layers import DownConv2d, EqualizedConv2d, UpConv2d, downscale2d, upscale2d
from zoo.nn.schedules import GrowthSchedule

PHASE = 10**7  # images: a benchmark never leaves the stage that it is in
BATCH = 32
IN_A_FADE = 5 * PHASE + PHASE // 2  # images seen in the middle of the fade from 16x16 to 32x32, from 4x4


def pggan(width: int) -> PGGAN:
    """32x32 at `width` feature maps below 16x16."""
    growth = {"stabilise_images": PHASE, "fade_images": PHASE, "batch_sizes": {4: BATCH}}
    return PGGAN(resolution=32, schedule="cifar10", fmap_base=4 * width, fmap_max=width, group_size=4, **growth)


def stylegan(width: int) -> StyleGAN:
    """The same, from 4x4 as well, so that both are at the same stage."""
    growth = {"stabilise_images": PHASE, "fade_images": PHASE, "batch_sizes": {4: BATCH}, "start_resolution": 4}
    return StyleGAN(resolution=32, fmap_base=4 * width, fmap_max=width, z_dim=width, w_dim=width, **growth)


def faded(pixels: Tensor, *, alpha: float) -> Tensor:
    """uint8 to [-1, 1], as sharp as the layers that are in."""
    x = pixels.float().div_(127.5).sub_(1)
    return torch.lerp(upscale2d(downscale2d(x)), x, alpha)


def adam(net: nn.Module, *, lr: float) -> torch.optim.Adam:
    return torch.optim.Adam(net.parameters(), lr=lr, betas=(0.0, 0.99), eps=1e-8, fused=True)


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def average(module: GrowingModule, *, beta: float) -> None:
    with torch.no_grad():
        torch._foreach_lerp_(list(module.G_ema.parameters()), list(module.G.parameters()), 1 - beta)


def careful_pggan(module: PGGAN, images: Tensor, *, bf16: bool) -> Iterator[None]:
    """WGAN-GP with drift; the penalty in float32."""
    G, D, (side, alpha, _, lr) = module.G, module.D, module.stage
    optimizer_D, optimizer_G = (adam(net, lr=lr) for net in (D, G))
    for pixels in batches(images, BATCH):
        x = faded(pixels, alpha=alpha)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            with torch.no_grad():
                fake = G(torch.randn(BATCH, module.z_dim), resolution=side, alpha=alpha)
            real_scores, fake_scores = D(x, alpha=alpha), D(fake, alpha=alpha)
        epsilon = torch.rand(BATCH, 1, 1, 1)
        x_hat = (epsilon * x + (1 - epsilon) * fake.float()).requires_grad_()
        (gradient,) = torch.autograd.grad(D(x_hat, alpha=alpha).sum(), x_hat, create_graph=True)
        penalty = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
        drift = 0.001 * real_scores.square().mean()
        descend(optimizer_D, fake_scores.mean() - real_scores.mean() + 10 * penalty + drift)
        D.requires_grad_(False)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            loss_G = -D(G(torch.randn(BATCH, module.z_dim), resolution=side, alpha=alpha), alpha=alpha).mean()
        descend(optimizer_G, loss_G)
        D.requires_grad_(True)
        average(module, beta=0.999)
        yield


def careful_stylegan(module: StyleGAN, images: Tensor, *, bf16: bool) -> Iterator[None]:
    """Non-saturating with R1 in float32; styles mixed in nine of ten passes, fresh noise, the average of w."""
    G, D, (side, alpha, _, lr) = module.G, module.D, module.stage
    optimizer_D, optimizer_G = (adam(net, lr=lr) for net in (D, G))
    layers = G.synthesis.layers

    def fakes() -> Tensor:
        w = G.mapping(torch.randn(BATCH, module.z_dim))
        with torch.no_grad():
            G.w_average.lerp_(w.float().mean(0), 0.005)
        crossover = int(torch.randint(1, layers, ())) if float(torch.rand(())) < 0.9 else layers
        styles = w[:, None].expand(-1, crossover, -1)
        if crossover < layers:
            second = G.mapping(torch.randn(BATCH, module.z_dim))
            styles = torch.cat([styles, second[:, None].expand(-1, layers - crossover, -1)], 1)
        noise = [torch.randn(BATCH, 1, 4 << k // 2, 4 << k // 2) for k in range(layers)]
        images: Tensor = G.synthesis(styles, noise, resolution=side, alpha=alpha)
        return images

    for pixels in batches(images, BATCH):
        x = faded(pixels, alpha=alpha)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            with torch.no_grad():
                fake = fakes()
            loss_D = F.softplus(-D(x, alpha=alpha)).mean() + F.softplus(D(fake, alpha=alpha)).mean()
        x.requires_grad_()
        (gradient,) = torch.autograd.grad(D(x, alpha=alpha).sum(), x, create_graph=True)
        descend(optimizer_D, loss_D + 5 * gradient.square().sum((1, 2, 3)).mean())
        D.requires_grad_(False)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            loss_G = F.softplus(-D(fakes(), alpha=alpha)).mean()
        descend(optimizer_G, loss_G)
        D.requires_grad_(True)
        average(module, beta=0.5 ** (BATCH / 10_000))
        yield


def steps(arguments: argparse.Namespace) -> None:
    """Both papers in bf16 (which is how the recipes for a CPU run) in the middle of a fade."""
    data = RandomPixels(batch_size=BATCH)
    images = data.split("train").images
    for build, loop in ((pggan, careful_pggan), (stylegan, careful_stylegan)):
        module = build(arguments.width)
        module.images_seen = IN_A_FADE
        with tempfile.TemporaryDirectory() as folder:
            ours = through_lightning(copy.deepcopy(module), data, precision="bf16-mixed", folder=Path(folder))
            sides = {"zoo": ours, "careful": by_hand(loop(module, images, bf16=True))}
            speeds = contest(sides, steps=3 if arguments.quick else 10, rounds=arguments.rounds)
        title = f"{type(module).__name__} fading to 32x32, width {arguments.width}, batch {BATCH}, bf16"
        table(title, speeds, {("zoo", "careful"): 0.97})


def data(arguments: argparse.Namespace) -> None:
    """Batches of the growing stream, as training draws them, over PGGAN's speed at the same resolution."""
    images = RandomPixels().split("train")
    print("\n| resolution | stream, images/s | PGGAN, images/s | ratio |\n|---|---|---|---|")
    for k, side in enumerate((4, 8, 16, 32)):
        growth = GrowthSchedule(32, stabilise_images=PHASE, fade_images=PHASE, batch_sizes={4: BATCH})
        start = 2 * PHASE * k
        stream = GrowingStream(images, growth=growth, horizontal_flip=True, position=lambda at=start: at)
        module = pggan(arguments.width)
        module.images_seen = start
        loop = by_hand(careful_pggan(module, stream.streams[side].data.images, bf16=True))
        drawn = by_hand(collapse(itertools.cycle([stream])))
        n = 3 if arguments.quick else 10
        loop(1)
        speeds = [(BATCH / drawn(10 * n), BATCH / loop(n)) for _ in range(arguments.rounds)]
        ratios = [a / b for a, b in speeds]
        columns = (statistics.median(column) for column in zip(*speeds, strict=True))
        print(f"| {side}x{side} | {next(columns):,.0f} | {next(columns):,.0f} | {spread(ratios, 1)} |", flush=True)


def collapse(streams: Iterator[GrowingStream]) -> Iterator[None]:
    """One step a batch."""
    for stream in streams:
        for _ in stream:
            yield


def layers(arguments: argparse.Namespace) -> None:
    """Milliseconds of a forward and a backward pass in bf16, channels last."""
    zoo_layers.FUSED_FROM = 0  # whatever the networks take at that side
    w = arguments.width
    print("\n| layer | plain, ms | fused, ms | plain / fused |\n|---|---|---|---|")
    for side, wide, narrow in ((8, w, w), (16, w, w // 2), (32, w // 2, w // 4)):
        for name, Layer, (inputs, outputs), resolution in (
            ("up", UpConv2d, (wide, narrow), side // 2),
            ("down", DownConv2d, (narrow, wide), side),
        ):
            fused = Layer(inputs, outputs, 3).to(memory_format=torch.channels_last)
            conv = EqualizedConv2d(inputs, outputs, 3).to(memory_format=torch.channels_last)
            plain = (lambda x, f=conv: f(upscale2d(x))) if name == "up" else (lambda x, f=conv: downscale2d(f(x)))
            x = torch.randn(BATCH, inputs, resolution, resolution).to(memory_format=torch.channels_last)
            a, b = (by_hand(passes(f, x, net)) for f, net in ((plain, conv), (fused, fused)))
            n = 5 if arguments.quick else 40
            times = [(a(n) * 1e3, b(n) * 1e3) for _ in range(arguments.rounds)]
            ratios = [p / q for p, q in times]
            columns = (statistics.median(column) for column in zip(*times, strict=True))
            title = f"{name} to {side if name == 'up' else side // 2}, {inputs} to {outputs}"
            print(f"| {title} | {next(columns):.2f} | {next(columns):.2f} | {spread(ratios, 2)} |", flush=True)


def passes(f: Callable[[Tensor], Tensor], x: Tensor, net: nn.Module) -> Iterator[None]:
    """Forward and backward, for ever."""
    x.requires_grad_()
    while True:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = f(x)
        torch.autograd.grad(y.float().square().sum(), [x, *net.parameters()])
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64, help="feature maps below 16x16; half of them there")
    training.add_options(parser, threads=1)
    parser.add_argument("--only", choices=("steps", "data", "layers"), default=None)
    arguments = parser.parse_args()
    training.prepare(arguments)
    for name, run in (("steps", steps), ("data", data), ("layers", layers)):
        if arguments.only in (None, name):
            run(arguments)


if __name__ == "__main__":
    main()
