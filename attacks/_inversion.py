"""What inversion looks at in images, and where it keeps them."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor, nn

from bench import NotApplicable, Run


def bn_gap(inputs: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    """||mean(inputs) - mean||_2 + ||var(inputs) - var||_2, the norms not squared.

    Args:
        inputs: What a BatchNorm layer receives, `(B, C, H, W)`; their variance is the
            biased one.
        mean: The layer's running mean, `(C,)`.
        var: Its running variance, `(C,)`.
    """
    own_var, own_mean = torch.var_mean(inputs, dim=(0, 2, 3), correction=0)
    gap: Tensor = (own_mean - mean).norm() + (own_var - var).norm()
    return gap


def total_variation(images: Tensor) -> Tensor:
    """How far neighbours differ: the L2 norms of four differences over the whole batch.

    Right, down and the two diagonals of `(B, C, H, W)`, each norm over everything and
    none divided by a count.
    """
    right = images[..., 1:] - images[..., :-1]
    down = images[..., 1:, :] - images[..., :-1, :]
    falling = images[..., 1:, 1:] - images[..., :-1, :-1]
    rising = images[..., :-1, 1:] - images[..., 1:, :-1]
    total: Tensor = right.norm() + down.norm() + falling.norm() + rising.norm()
    return total


def divergence(student: Tensor, teacher: Tensor, tau: float = 3.0) -> Tensor:
    """Jensen-Shannon divergence of the two predictions, a mean over the batch in nats.

    JS = (KL(p || m) + KL(q || m)) / 2 for p = softmax(student / tau), q =
    softmax(teacher / tau), m = (p + q) / 2: between 0 and log 2.

    Args:
        student: Logits `(B, K)`.
        teacher: Logits `(B, K)`.
        tau: Temperature; 3 in the paper's code.
    """
    p = (student / tau).log_softmax(dim=1)  # (B, K)
    q = (teacher / tau).log_softmax(dim=1)
    m = torch.logaddexp(p, q) - log(2)
    both = p.exp() * (p - m) + q.exp() * (q - m)
    return both.sum(dim=1).mean() / 2


def balanced(count: int, run: Run) -> Tensor:
    """Classes `(count,)`, each as often as any other or once more; chance says which.

    Unlike in the paper's code, the classes of the remainder are others in every batch.
    """
    order = torch.randperm(run.classes, generator=run.generator, device=run.device)
    return order[torch.arange(count, device=run.device) % run.classes]


class Watched:
    """A network whose BatchNorm layers tell how unusual the images are."""

    def __init__(self, network: nn.Module) -> None:
        """Listen at every BatchNorm2d of `network` that keeps statistics.

        Raises:
            NotApplicable: there is none.
        """
        self.network = network
        self._gaps: list[Tensor] = []
        listening = 0
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None:
                layer.register_forward_pre_hook(self._read)
                listening += 1
        if not listening:
            raise NotApplicable(
                "the released network has no BatchNorm2d with statistics"
            )

    def _read(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        mean, var = layer.get_buffer("running_mean"), layer.get_buffer("running_var")
        # In bf16 statistics would be too coarse to be compared.
        self._gaps.append(bn_gap(inputs[0].to(mean.dtype), mean, var))

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits `(B, K)` for `(B, C, H, W)`, and the sum of `bn_gap` over layers."""
        self._gaps.clear()
        logits: Tensor = self.network(images)
        return logits, sum(self._gaps, logits.new_zeros(()))


class Pool:
    """All images made so far, as uint8, with what the teacher says of them."""

    def __init__(self, size: int, run: Run) -> None:
        """Make room for `size` images."""
        shape, device = (size, *run.shape), run.device
        self.pixels = torch.empty(shape, dtype=torch.uint8, device=device)
        self.logits = torch.empty(size, run.classes, device=device)
        self._filled = 0

    def __len__(self) -> int:
        return self._filled

    def add(self, pixels: Tensor, logits: Tensor) -> None:
        """Take in `(B, C, H, W)` of uint8 and the teacher's logits `(B, K)`."""
        rows = slice(self._filled, self._filled + len(pixels))
        self.pixels[rows], self.logits[rows] = pixels, logits
        self._filled += len(pixels)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """`count` images in [0, 1] at random, some of them twice, and their logits."""
        device = self.pixels.device
        rows = torch.randint(len(self), (count,), generator=generator, device=device)
        return self.pixels[rows].float() / 255, self.logits[rows]
