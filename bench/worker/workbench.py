"""All that a task is done with: its data, networks, replies, scores, and its notes."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from torch import nn

from bench.data import PLAIN, Dataset, Images, ViewPlan, surrogate
from bench.errors import BadPlugin
from bench.networks.catalogue import Network
from bench.networks.precision import Mixed
from bench.plugins.base import Released
from bench.recipe import Recipe
from bench.results.store import Store
from bench.seeds import derive, seeded
from bench.threat.access import Access, ImageGrant
from bench.threat.images import TrainImages
from bench.threat.replies import Replies, Shelf
from bench.worker.harness import Handed, TaskRun
from bench.worker.notes import Notes
from bench.worker.referee import Referee
from bench.worker.reply_cache import shelf_name
from bench.worker.weights import load_parts

AS_THEY_ARE = ViewPlan(PLAIN, 0)
"""Test images are seen as they are."""


@dataclass(frozen=True)
class Workbench:
    """Made for one task, in the process that does it."""

    dataset: Dataset
    asked: str
    """What `bench.data.load` finds the data set by."""
    store: Store
    device: torch.device
    generator: torch.Generator
    seed: int
    precision: str
    compiled: bool
    notes: Notes

    @property
    def referee(self) -> Referee:
        """Scores networks on the test images."""
        return Referee(self.dataset, self.device)

    def network(self, network: Network) -> nn.Module:
        """A freshly initialised `network` for these images and classes."""
        facts = self.dataset
        built = network.build(
            facts.shape[0],
            len(facts.classes),
            facts.mean,
            facts.std,
            self.precision,
        )
        return self._ready(built)

    def _ready(self, network: nn.Module) -> nn.Module:
        network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.compiled:
            network.compile()
        return network

    def run(
        self,
        teacher: str,
        recipe: Recipe,
        student: str = "",
        subject: nn.Module | None = None,
        handed: Handed | None = None,
        curve: bool = True,
    ) -> TaskRun:
        """What the plugin meets beside its grants.

        Args:
            teacher: The name of the teacher's network.
            recipe: How the protocol trains the network at hand.
            student: The name of the student's network.
            subject: The only network whose curve is drawn; None draws any.
            handed: The teacher that a defense is given.
            curve: Whether any curve is drawn.
        """
        return TaskRun(
            shape=self.dataset.shape,
            classes=len(self.dataset.classes),
            seed=self.seed,
            device=self.device,
            generator=self.generator,
            teacher=teacher,
            student=student,
            recipe=recipe,
            _build=lambda network: self.network(network),  # a bound method holds more
            _settle=lambda module: self._ready(Mixed(module, precision=self.precision)),
            _score=(lambda network: self.referee.point(network)) if curve else None,
            _notes=self.notes,
            _subject=subject,
            _handed=handed,
        )

    def views(self, stage: str, recipe: Recipe) -> ViewPlan:
        """What each epoch shows to all who train by `recipe` at this `stage`.

        The stages differ: a student does not meet the very views on which its teacher
        was trained.
        """
        seed = derive("views", stage, self.dataset.name, self.seed)
        augment = self.dataset.augment
        if recipe.pad is not None:
            augment = replace(augment, pad=recipe.pad)
        return ViewPlan(augment, seed)

    def training_images(self, views: ViewPlan) -> TrainImages:
        """The whole training set, as its owner deals it."""
        images = self.dataset.train.to(self.device)
        return TrainImages(images, views.augment, views)

    def granted_images(
        self, access: Access, held_out: float = 0.0
    ) -> tuple[Images, Images | None]:
        """The images that `access` grants: to train on, and to validate on.

        Args:
            access: Grants some.
            held_out: Share of them to validate on, in [0, 1); 0 keeps none back. Test
                images are never among them.
        """
        if access.images is ImageGrant.SURROGATE_IMAGES:
            images = surrogate(self.asked)
        else:
            seed = derive("share", self.dataset.name, self.seed)
            chooser = torch.Generator().manual_seed(seed)
            images = self.dataset.train.sample(access.fraction, chooser)
        if not held_out:
            return images.to(self.device), None
        seed = derive("held out", self.dataset.name, self.seed)
        fit, rest = images.split(held_out, torch.Generator().manual_seed(seed))
        return fit.to(self.device), rest.to(self.device)

    def shelf(
        self,
        released: Released,
        origin: str,
        what: str,
        views: ViewPlan = AS_THEY_ARE,
        epochs: int = 1,
    ) -> Shelf | None:
        """Where the replies of `released` are remembered; None if they are random.

        Args:
            released: A released teacher, or an undefended one as if it were released.
            origin: Names what it is made of beside its weights.
            what: Names the images.
            views: What each epoch shows of them.
            epochs: How many of those will be seen.
        """
        if released.randomised:
            return None
        facts = (self.dataset.name, self.dataset.fingerprint, len(self.dataset.train))
        made = (self.precision, self.compiled, self.seed)
        name = shelf_name(released, self.device, origin, what, views, *facts, *made)
        tables = min(epochs, views.augment.codes)
        folder = self.store.replies(name)
        return Shelf(folder, views, tables, len(self.dataset.classes))

    def handed(
        self, undefended: Released, views: ViewPlan, shelf: Shelf | None
    ) -> Handed:
        """The teacher that a defense is given, with its replies to training images."""
        images = self.dataset.train.to(self.device)
        memory = Replies(undefended.reply, images, views.augment, shelf)
        return Handed(undefended.network, memory)

    def fill(self, parts: Mapping[str, nn.Module], key: str) -> None:
        """Load into `parts` the weights that the task called `key` kept.

        Raises:
            BadPlugin: they do not fit.
        """
        load_parts(parts, self.store.tensors(key))

    def check_equal(self, shell: Released, released: Released, who: str) -> None:
        """See that `shell`, which is filled from it, replies as `released` does.

        Raises:
            BadPlugin: it does not.
        """
        few = self.dataset.train.pixels[:64].to(self.device).float() / 255
        replies = []
        for each in (deepcopy(shell), deepcopy(released)):  # copies are not compiled
            with torch.no_grad(), seeded(0, self.device):  # an answer may draw
                replies.append(each.reply(few))
        if not torch.allclose(replies[0], replies[1], atol=1e-4, equal_nan=True):
            raise BadPlugin(f"loaded into its skeleton, {who} replies otherwise")
