"""What an attack is denied is not there: no attribute holds it, and mypy says so."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bench.data import PLAIN, Augmentation, Images
from bench.errors import BadPlugin, Denied
from bench.plugins.base import Attack, Released
from bench.threat.grants import HardLabels, SoftLabels
from bench.threat.images import NoImages, SurrogateImages, TrainImages
from bench.threat.ledger import Ledger
from bench.threat.replies import Replies

DEALS = {"batches", "few", "grant", "in_order", "pixels", "views"}
HOME = Path(__file__).resolve().parents[1]
ORACLES = [SoftLabels, HardLabels]

PLUGINS = '''\
"""Attacks that reach past their grants, and one that does not."""

from dataclasses import dataclass

from torch import Tensor, nn

from bench import Attack, HardLabels, NoImages, Run, SoftLabels
from bench import SurrogateImages, TrainImages, Weights


@dataclass(frozen=True)
class Honest(Attack[SoftLabels, TrainImages]):
    """Uses what it was granted."""

    def steal(
        self, student: nn.Module, teacher: SoftLabels, images: TrainImages, run: Run
    ) -> None:
        for batch in images.batches(8, run.generator):
            reply: Tensor = teacher(batch.pixels, batch.view)
            gap: Tensor = student(batch.pixels).log_softmax(dim=1) - reply
            gap.square().mean().backward()


@dataclass(frozen=True)
class Opener(Attack[SoftLabels, TrainImages]):
    """Wants the network behind the replies."""

    def steal(
        self, student: nn.Module, teacher: SoftLabels, images: TrainImages, run: Run
    ) -> None:
        student.load_state_dict(teacher.network.state_dict())  # cheat


@dataclass(frozen=True)
class Forger(Attack[Weights, TrainImages]):
    """Puts another network in the teacher's place."""

    def steal(
        self, student: nn.Module, teacher: Weights, images: TrainImages, run: Run
    ) -> None:
        teacher.network = student  # cheat


@dataclass(frozen=True)
class Seer(Attack[Weights, NoImages]):
    """Looks at images where there are none."""

    def steal(
        self, student: nn.Module, teacher: Weights, images: NoImages, run: Run
    ) -> None:
        student(images.pixels)  # cheat


@dataclass(frozen=True)
class Reader(Attack[HardLabels, SurrogateImages]):
    """Reads labels that other people's images do not have."""

    def steal(
        self,
        student: nn.Module,
        teacher: HardLabels,
        images: SurrogateImages,
        run: Run,
    ) -> None:
        print(images.labels)  # cheat


@dataclass(frozen=True)
class Liar(Attack[HardLabels, NoImages]):
    """Takes another grant than the one it names."""

    def steal(
        self,
        student: nn.Module,
        teacher: Weights,  # cheat
        images: NoImages,
        run: Run,
    ) -> None:
        teacher.network.eval()


@dataclass(frozen=True)
class Inventor(Attack[nn.Module, NoImages]):  # cheat
    """Names a grant that does not exist."""

    def steal(
        self, student: nn.Module, teacher: nn.Module, images: NoImages, run: Run
    ) -> None:
        teacher.eval()
'''


@pytest.fixture
def network() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4))


def public(thing: object) -> dict[str, object]:
    """What can be read of `thing` without an underscore."""
    return {n: getattr(thing, n) for n in dir(thing) if not n.startswith("_")}


def slots(thing: object) -> list[str]:
    return [s for c in type(thing).__mro__ for s in getattr(c, "__slots__", ())]


@pytest.mark.parametrize("oracle", ORACLES)
def test_an_oracle_offers_how_much_is_left_and_nothing_else(
    oracle: type[SoftLabels], network: nn.Module, toy_images: Images
) -> None:
    known = Replies(Released(network).reply, toy_images, PLAIN)
    door = oracle(Released(network).reply, Ledger(7), known)

    assert public(door) == {"grant": oracle.grant, "remaining": 7}
    assert all(slot.startswith("_") for slot in slots(door))
    assert not hasattr(door, "__dict__")


@pytest.mark.parametrize("oracle", ORACLES)
@pytest.mark.parametrize("name", ["network", "ledger", "ask", "__ask", "__ledger"])
def test_an_oracle_has_neither_the_network_nor_the_ledger(
    oracle: type[SoftLabels], name: str, network: nn.Module
) -> None:
    door = oracle(Released(network).reply, Ledger(7))

    with pytest.raises(AttributeError):
        getattr(door, name)


@pytest.mark.parametrize("oracle", ORACLES)
def test_an_oracle_takes_no_new_attribute(
    oracle: type[SoftLabels], network: nn.Module
) -> None:
    door = oracle(Released(network).reply, Ledger(7))

    with pytest.raises(AttributeError):
        door.remaining = 1000
    with pytest.raises(AttributeError):
        door.network = network
    assert door.remaining == 7


@pytest.mark.parametrize("oracle", ORACLES)
@pytest.mark.parametrize("carry", [pickle.dumps, copy.copy, copy.deepcopy])
def test_an_oracle_cannot_be_carried_away(
    oracle: type[SoftLabels], carry: object, network: nn.Module
) -> None:
    door = oracle(Released(network).reply, Ledger(7))

    with pytest.raises(Denied, match="stays in the process"):
        carry(door)


@pytest.mark.parametrize("oracle", ORACLES)
def test_no_gradient_passes_an_oracle(
    oracle: type[SoftLabels], network: nn.Module
) -> None:
    ledger = Ledger(7)
    door = oracle(Released(network).reply, ledger)

    reply = door(torch.rand(2, 1, 8, 8))

    assert not reply.requires_grad
    with pytest.raises(Denied, match="no gradient passes"):
        door(torch.rand(2, 1, 8, 8, requires_grad=True))
    assert ledger.queries == 2


def test_no_images_has_nothing_at_all() -> None:
    assert public(NoImages()) == {"grant": NoImages.grant}
    assert vars(NoImages()) == {}


def test_surrogate_images_have_no_labels(toy_images: Images) -> None:
    images = SurrogateImages(toy_images, Augmentation(pad=1))

    dealt = [b.labels for b in images.batches(16, torch.Generator().manual_seed(0))]

    assert public(images).keys() == DEALS
    assert torch.equal(torch.cat(dealt), torch.full((48,), -1))
    assert not hasattr(images, "__dict__")


def test_train_images_have_their_labels_and_no_more(toy_images: Images) -> None:
    images = TrainImages(toy_images)

    offered = public(images)

    assert offered.keys() == DEALS | {"labels"}
    assert isinstance(offered["pixels"], Tensor)
    assert len(offered["pixels"]) == 48
    assert not hasattr(images, "__dict__")


def test_mypy_rejects_each_cheat_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    path = tmp_path / "cheating_attacks.py"
    path.write_text(PLUGINS)
    lines = PLUGINS.splitlines()
    cheats = [n for n, line in enumerate(lines, 1) if line.endswith("# cheat")]
    cache = HOME / ".mypy_cache"  # the project's: torch is read once, for a minute
    words = ["-m", "mypy", "--cache-dir", str(cache), str(path)]

    done = subprocess.run(
        [sys.executable, *words], cwd=HOME, capture_output=True, text=True, check=False
    )

    # By the file's name: a warm cache repeats the folder of an earlier run.
    found = re.findall(rf"{path.name}:(\d+): error: ", done.stdout)
    assert done.returncode == 1, done.stdout + done.stderr
    assert [int(line) for line in found] == cheats
    assert len(cheats) == 6


def test_only_the_grants_of_the_bench_are_grants() -> None:
    class Door:
        pass

    @dataclass(frozen=True)
    class Burglar(Attack[Door, NoImages]):  # type: ignore[type-var]
        """Names a grant of its own."""

        def steal(self, student, teacher, images, run) -> None:
            raise AssertionError("it must never be let in")

    with pytest.raises(BadPlugin, match="does not name its two grants"):
        Burglar.grants()


def test_what_is_dealt_is_a_copy_of_the_labels() -> None:
    raw = Images(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.arange(4))

    TrainImages(raw).labels.zero_()

    assert raw.labels.tolist() == [0, 1, 2, 3]
