"""Where in the store each teacher's replies are remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

import torch
from torch import Tensor, nn

from bench import REVISION
from bench.data import Dataset, Schedule
from bench.planning.tasks import Protect, TrainTeacher, key
from bench.plugins.base import Defense, Released
from bench.results.store import Store
from bench.threat.replies import Shelf
from bench.worker import provenance as machine


@dataclass(frozen=True)
class Shelves:
    """Names a shelf by all that decides what lies on it."""

    store: Store
    dataset: Dataset
    device: torch.device
    compiled: bool

    def of(
        self,
        released: Released,
        task: Protect | TrainTeacher,
        what: str,
        schedule: Schedule,
        epochs: int,
    ) -> Shelf | None:
        """The shelf for the replies of `released`; None where they are by chance.

        Args:
            released: A released teacher, or an undefended one as if it were released.
            task: What it comes from.
            what: Names the images.
            schedule: Their views.
            epochs: How many of them will be seen.
        """
        if released.randomised:
            return None
        names = (
            REVISION,
            _whose(released, task),
            what,
            task.root.setting,
            task.root.seed,
            schedule,
            torch.__version__,
            machine.device_name(self.device),
            torch.get_num_threads(),
            self.compiled,
        )
        name = sha256(repr(names).encode()).hexdigest()[:16]
        seen = epochs if schedule.augment.codes > 1 else 1
        classes = len(self.dataset.classes)
        return Shelf(self.store.replies(name), schedule, seen, classes)


def _whose(released: Released, task: Protect | TrainTeacher) -> str:
    """A network of the usual form is known by its weights, whatever released it.

    So the undefended teacher, and `none`, which releases it, share their shelves.
    """
    usual = isinstance(task, TrainTeacher) or (
        type(task.defense.make()).skeleton is Defense.skeleton
    )
    name = task.root.network if usual else key(task)
    return f"{name} {digest(state_of(released.parts()))}"


def state_of(parts: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """The tensors of all `parts`, named `part.tensor`."""
    return {
        f"{name}.{k}": v
        for name, part in parts.items()
        for k, v in part.state_dict().items()
    }


def digest(tensors: Mapping[str, Tensor]) -> str:
    """64 hex digits from names and values."""
    found = sha256()
    for name, tensor in tensors.items():
        found.update(name.encode())
        found.update(
            tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        )
    return found.hexdigest()
