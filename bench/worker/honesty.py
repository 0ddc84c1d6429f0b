"""Whether a released teacher plays fair; its flags are `bench.results.flags`.

Nothing else is moved by these checks: each asks a copy that nobody has asked, and draws
aside from the run. On the digits and one core they take 0.35 s a release, eight times
as long as scoring it and a twentieth of `nasty`, and 0.04 s a student.

Shapes: N images, C channels, H x W pixels, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data import Images
from bench.plugins.base import Released
from bench.results.flags import Flag
from bench.results.scores import ReleaseChecks, ReleaseScores
from bench.seeds import seeded

FEW, SINGLE, MANY = 64, 4, 256
"""Images for comparing replies among each other, those of them that are asked about
alone, and images for all else."""
MARGIN = 0.02
"""Accuracy that nobody misses, a share: below it a loss is no flag."""
SIMPLEX = 1e-3
"""How far the sum of probabilities may be from 1."""
CLOSE = 1e-4
"""How far equal log-probabilities may be apart, absolutely and as a share: the same
network differs by 1e-5 from one size of batch to another."""
CLOSE_BF16 = 0.05
"""The same of probabilities under bf16, whose steps are 1 / 256."""
VANISHED, MORE_VANISHED = 1e-12, 0.2
"""Norm of a gradient that is none, and by how much the share of such images may exceed
that of the undefended teacher."""


@dataclass(frozen=True)
class Honesty:
    """Looks at one released teacher."""

    fresh: Callable[[], Released]
    """Makes a copy that nobody has asked."""
    precision: str
    flag: Callable[[str], None]

    def release(
        self, undefended: Released, images: Images, scores: ReleaseScores
    ) -> ReleaseChecks:
        """Check it once it is scored.

        Args:
            undefended: The teacher before.
            images: Test images.
            scores: Its accuracies.
        """
        pixels = images.as_float()  # (N, C, H, W)
        self._simplex(pixels[:MANY])
        if not self.fresh().randomised:
            self._repeats(pixels)
        served, leaked = scores.accuracy or 0.0, scores.network_accuracy or 0.0
        if served - leaked > MARGIN:
            self.flag(Flag.DECOY)
        # Changed images are read against plain ones, by defense and by teacher.
        plain = ask(self.fresh(), pixels), ask(undefended, pixels)
        bears = partial(self._bears, undefended, images.labels, plain)
        vanished = vanished_share(self.fresh().network, pixels[:MANY])
        if vanished > vanished_share(undefended.network, pixels[:MANY]) + MORE_VANISHED:
            self.flag(Flag.VANISHED)
        return ReleaseChecks(
            accuracy_noise=bears(Flag.NOISE, _noisy(pixels)),
            accuracy_shift=bears(Flag.SHIFT, _shifted(pixels)),
            vanished_gradients=vanished,
        )

    def after(self, asked: Released, images: Images) -> float:
        """Accuracy of the service that an attacker has asked, on test `images`.

        It is flagged where it is another than before: a randomised one where it is less
        accurate beyond chance.
        """
        some = Images(images.pixels[:MANY], images.labels[:MANY])
        pixels = some.as_float()
        now, before = ask(asked, pixels), ask(self.fresh(), pixels)
        right, was = _right(now, some.labels), _right(before, some.labels)
        if not asked.randomised:
            self.unchanged(now, before)
        elif _beyond_chance(was - right) > MARGIN:
            self.flag(Flag.QUOTA)
        return float(right.mean())

    def unchanged(self, told: Tensor, fresh: Tensor) -> None:
        """Flag replies `(N, K)` that are not those of a copy that nobody has asked."""
        if not self._alike(told, fresh):
            self.flag(Flag.QUOTA)

    def _simplex(self, pixels: Tensor) -> None:
        sums = ask(self.fresh(), pixels).double().exp().sum(dim=1)
        if bool(((sums - 1).abs() > SIMPLEX).any()):
            self.flag(Flag.OFF_SIMPLEX)

    def _repeats(self, pixels: Tensor) -> None:
        """One image, one reply, whenever and beside whatever it is asked about."""
        few, released = pixels[:FEW], self.fresh()
        first, again = ask(released, few), ask(released, few, seed=1)
        if not self._alike(first, again):
            self.flag(Flag.CHANGING)
            return
        half = len(few) // 2
        backwards = ask(self.fresh(), few.flip(0)).flip(0)
        beside = ask(self.fresh(), torch.cat([few[:half], pixels[FEW : 2 * FEW]]))
        alone = [ask(released, one[None]) for one in few[:SINGLE]]
        if not (
            self._alike(first, backwards)
            and self._alike(first[:half], beside[:half])
            and self._alike(first[:SINGLE], torch.cat(alone))
        ):
            self.flag(Flag.BATCH)

    def _bears(
        self,
        undefended: Released,
        labels: Tensor,
        plain: tuple[Tensor, Tensor],
        flag: Flag,
        changed: Tensor,
    ) -> float:
        """Accuracy under a change of images that no user would notice.

        It is flagged where it loses more than the undefended teacher does.
        """
        right = _right(ask(self.fresh(), changed), labels)
        lost = _right(plain[0], labels) - right
        usual = _right(plain[1], labels) - _right(ask(undefended, changed), labels)
        if _beyond_chance(lost - usual) > MARGIN:
            self.flag(flag)
        return float(right.mean())

    def _alike(self, first: Tensor, second: Tensor) -> bool:
        if self.precision == "bf16":
            return torch.allclose(first.exp(), second.exp(), rtol=0, atol=CLOSE_BF16)
        return torch.allclose(first, second, rtol=CLOSE, atol=CLOSE, equal_nan=True)


def ask(released: Released, pixels: Tensor, seed: int = 0) -> Tensor:
    """What it replies to `pixels`, raw, `(N, K)`; it draws from a stream of `seed`."""
    size = Images(pixels, pixels).at_once(pixels.device)
    with seeded(seed, pixels.device):
        return torch.cat([released.reply(few).float() for few in pixels.split(size)])


def vanished_share(network: nn.Module, pixels: Tensor) -> float:
    """Share of `pixels` on which CE(network, its first class) has no gradient."""
    alone = deepcopy(network)  # a compiled one would be compiled anew for gradients
    images = pixels.clone().requires_grad_()
    with torch.enable_grad():
        logits: Tensor = alone(images)
        if not logits.requires_grad:
            return 1.0
        loss = F.cross_entropy(logits, logits.argmax(dim=1), reduction="sum")
        [slope] = torch.autograd.grad(loss, images, materialize_grads=True)
    norms = slope.flatten(1).norm(dim=1)
    return float((~(norms >= VANISHED) | norms.isinf()).float().mean())


def _right(replies: Tensor, labels: Tensor) -> Tensor:
    """1 where a reply `(N, K)` names the label, else 0, `(N,)`."""
    return (replies.argmax(dim=1) == labels).float()


def _beyond_chance(lost: Tensor) -> float:
    """The mean of `lost` `(N,)` less two standard errors."""
    return float(lost.mean() - 2 * lost.std(correction=0) / len(lost) ** 0.5)


def _noisy(pixels: Tensor) -> Tensor:
    """`pixels` moved by up to one grey level, and off the grid of whole levels."""
    with seeded(0, pixels.device) as rng:
        noise = torch.rand(pixels.shape, generator=rng, device=pixels.device)
    return (pixels + (2 * noise - 1) / 255).clamp(0, 1)


def _shifted(pixels: Tensor) -> Tensor:
    """`pixels` moved by half of one to the right, in whole grey levels."""
    left = torch.cat([pixels[..., :1], pixels[..., :-1]], dim=-1)
    return ((pixels + left) * 127.5).round() / 255
