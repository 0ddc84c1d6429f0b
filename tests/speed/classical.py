"""Distillation in the classical style, as a baseline of the bench's speed.

Written plainly from the papers' formulas, the way that repositories of single papers
do it: PIL images through torchvision's transforms in a `DataLoader` with workers,
float32 and contiguous NCHW tensors, SGD that is not fused, the loss read at every step,
the teacher asked at every step, one student after the other, and the test images seen
through a `DataLoader` after every epoch.

The networks are the bench's own, so that both sides compute the same maths. They
normalise by themselves: there is no `Normalize` among the transforms here.

Shapes: B batch, C channels, H x W pixels, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import torch
import torch.nn.functional as F
import torch.utils.data
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms

from attacks._generator import Generator
from bench import networks
from bench.data import PLAIN, Augmentation, Dataset, Images


@dataclass(frozen=True)
class How:
    """How every network is trained: SGD whose rate falls to 0 along a cosine."""

    epochs: int
    batch: int = 128
    rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    workers: int = 2
    """Of each `DataLoader`; they begin anew with each epoch, as they do by default."""


class Pictures(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """Arrays, each made a PIL image when asked for, as by torchvision's CIFAR10."""

    def __init__(self, images: Images, transform: Callable[[Any], Tensor]) -> None:
        self.items = self.packed(images)
        self.labels: list[int] = images.labels.tolist()
        self.transform = transform

    def packed(self, images: Images) -> Any:
        arrays = images.pixels.permute(0, 2, 3, 1).contiguous().numpy()
        return arrays[..., 0] if arrays.shape[3] == 1 else arrays

    def picture(self, item: Any) -> Image.Image:
        return Image.fromarray(item)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        return self.transform(self.picture(self.items[place])), self.labels[place]


class Files(Pictures):
    """JPEG files, each decoded whenever it is asked for, as torchvision's ImageFolder.

    They are held in memory: a disk would make them slower.
    """

    def packed(self, images: Images) -> Any:
        return [jpeg(pixels) for pixels in images.pixels]

    def picture(self, item: Any) -> Image.Image:
        return Image.open(BytesIO(item)).convert("RGB")


def jpeg(pixels: Tensor) -> bytes:
    """`(3, H, W)`, uint8, as a JPEG file of quality 90."""
    file = BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=90)
    return file.getvalue()


def transform(augment: Augmentation, height: int) -> Callable[[Any], Tensor]:
    """torchvision's transforms for what `augment` does."""
    steps: list[Any] = []
    if augment.rotate:
        steps.append(transforms.RandomRotation(augment.rotate))
    if augment.pad:
        steps.append(transforms.RandomCrop(height, padding=augment.pad))
    if augment.flip:
        steps.append(transforms.RandomHorizontalFlip())
    made: Callable[[Any], Tensor] = transforms.Compose([*steps, transforms.ToTensor()])
    return made


def loader(pictures: Any, how: How, shuffle: bool) -> Any:
    """Batches of `pictures`."""
    return torch.utils.data.DataLoader(
        pictures, batch_size=how.batch, shuffle=shuffle, num_workers=how.workers
    )


def build(name: str, dataset: Dataset) -> nn.Module:
    """The bench's network of that name: float32, contiguous."""
    channels, classes = dataset.shape[0], len(dataset.classes)
    return networks.find(name).build(channels, classes, dataset.mean, dataset.std)


def kd_loss(
    student: Tensor, teacher: Tensor, labels: Tensor, tau: float, alpha: float
) -> Tensor:
    """alpha tau^2 KL(p_T || p_S) + (1 - alpha) CE, where p = softmax(z / tau).

    Args:
        student: Logits `(B, K)`.
        teacher: Logits `(B, K)`.
        labels: `(B,)`.
        tau: The temperature.
        alpha: Weight of the teacher.
    """
    soft = nn.KLDivLoss(reduction="batchmean")(
        F.log_softmax(student / tau, dim=1), F.softmax(teacher / tau, dim=1)
    )
    return soft * alpha * tau * tau + F.cross_entropy(student, labels) * (1 - alpha)


def nasty_loss(
    nasty: Tensor, adversary: Tensor, labels: Tensor, tau: float, omega: float
) -> Tensor:
    """CE - omega tau^2 KL(p_N || p_A), where p = softmax(z / tau).

    Args:
        nasty: Logits `(B, K)`.
        adversary: Logits `(B, K)`.
        labels: `(B,)`.
        tau: The temperature.
        omega: Weight of the distance.
    """
    p = F.softmax(nasty / tau, dim=1)
    apart = F.log_softmax(nasty / tau, dim=1) - F.log_softmax(adversary / tau, dim=1)
    return (
        F.cross_entropy(nasty, labels) - omega * tau * tau * (p * apart).sum(1).mean()
    )


Loss = Callable[[Tensor, Tensor], Tensor]
"""Maps images `(B, C, H, W)` and labels `(B,)` to a scalar."""


def train(network: nn.Module, loss: Loss, dataset: Dataset, how: How) -> float:
    """Train `network` in place; returns its accuracy on the test images at the end."""
    height = dataset.shape[1]
    train_set = Pictures(dataset.train, transform(dataset.augment, height))
    test_set = Pictures(dataset.test, transform(PLAIN, height))
    train_loader = loader(train_set, how, shuffle=True)
    test_loader = loader(test_set, how, shuffle=False)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=how.rate,
        momentum=how.momentum,
        weight_decay=how.weight_decay,
    )
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, how.epochs)
    accuracy = 0.0
    for _ in range(how.epochs):
        network.train()
        total = 0.0
        for images, labels in train_loader:
            value = loss(images, labels)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            total += value.item()
        scheduler.step()
        accuracy = evaluate(network, test_loader)
    return accuracy


def evaluate(network: nn.Module, batches: Any) -> float:
    """Share of the images that `network` names rightly; it ends in eval mode."""
    network.eval()
    right = count = 0
    with torch.no_grad():
        for images, labels in batches:
            guesses = network(images).argmax(dim=1)
            right += (guesses == labels).sum().item()
            count += len(labels)
    return right / count


def train_alone(network: nn.Module, dataset: Dataset, how: How) -> float:
    """A teacher, or a student without one: cross-entropy on the labels."""

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(network(images), labels)

    return train(network, loss, dataset, how)


def train_nasty(
    nasty: nn.Module,
    adversary: nn.Module,
    dataset: Dataset,
    how: How,
    tau: float = 4.0,
    omega: float = 0.04,
) -> float:
    """A nasty teacher; its adversary is asked about every batch."""
    adversary.eval()

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        logits = nasty(images)
        with torch.no_grad():
            ordinary = adversary(images)
        return nasty_loss(logits, ordinary, labels, tau, omega)

    return train(nasty, loss, dataset, how)


def train_kd(
    student: nn.Module,
    teacher: nn.Module,
    dataset: Dataset,
    how: How,
    tau: float = 4.0,
    alpha: float = 0.9,
) -> float:
    """A student; its teacher is asked about every batch."""
    teacher.eval()

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        logits = student(images)
        with torch.no_grad():
            reply = teacher(images)
        return kd_loss(logits, reply, labels, tau, alpha)

    return train(student, loss, dataset, how)


def dafl(
    student: nn.Module,
    teacher: nn.Module,
    shape: tuple[int, int, int],
    steps: int,
    batch: int,
    latent: int,
    width: int,
) -> None:
    """DAFL's loop: generator and student step once each per iteration.

    The generator is the bench's, in float32. As in the authors' code the teacher's
    weights are not frozen: their gradients are computed and never used.
    """
    generator = Generator(latent, shape, width)
    seen: list[Tensor] = []
    last = [m for m in teacher.modules() if isinstance(m, nn.Linear)][-1]
    hook = last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    adam = torch.optim.Adam(generator.parameters(), lr=0.02)
    sgd = torch.optim.SGD(student.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    teacher.eval()
    teacher.requires_grad_(True)
    student.train()
    for _ in range(steps):
        seen.clear()
        images = generator(torch.randn(batch, latent))
        logits = teacher(images)
        one_hot = F.cross_entropy(logits, logits.argmax(dim=1))
        mean = F.softmax(logits, dim=1).mean(dim=0)
        entropy = (mean * torch.log10(mean)).sum()
        activation = -seen[0].abs().mean()
        learnt = nn.KLDivLoss(reduction="batchmean")(
            F.log_softmax(student(images.detach()), dim=1),
            F.softmax(logits.detach(), dim=1),
        )
        loss = 0.05 * one_hot + 5 * entropy + 0.01 * activation + learnt
        adam.zero_grad()
        sgd.zero_grad()
        loss.backward()
        adam.step()
        sgd.step()
    hook.remove()


def table(teacher: str, students: Sequence[str], dataset: Dataset, how: How) -> None:
    """Teacher, nasty teacher, and each student alone and from either."""
    ordinary, nasty = build(teacher, dataset), build(teacher, dataset)
    train_alone(ordinary, dataset, how)
    train_nasty(nasty, ordinary, dataset, how)
    for student in students:
        train_alone(build(student, dataset), dataset, how)
        train_kd(build(student, dataset), ordinary, dataset, how)
        train_kd(build(student, dataset), nasty, dataset, how)
