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
MOVED = Augmentation(pad=1)
ORACLES = [SoftLabels, HardLabels]

HEAD = """
from dataclasses import dataclass
from torch import Tensor, nn
from bench import Attack, HardLabels, NoImages, Run, SoftLabels
from bench import SurrogateImages, TrainImages, Weights
"""
HONEST = """for batch in images.batches(8, run.generator):
            reply: Tensor = teacher(batch.pixels, batch.view)
            gap: Tensor = student(batch.pixels).log_softmax(dim=1) - reply
            gap.square().mean().backward()"""
SOFT, BLIND = "SoftLabels, TrainImages", "HardLabels, NoImages"
ATTACKS = [
    (SOFT, SOFT, HONEST, "nothing"),
    (SOFT, SOFT, "student.load_state_dict(teacher.network.state_dict())", "body"),
    (
        "Weights, TrainImages",
        "Weights, TrainImages",
        "teacher.network = student",
        "body",
    ),
    ("Weights, NoImages", "Weights, NoImages", "student(images.pixels)", "body"),
    (*["HardLabels, SurrogateImages"] * 2, "print(images.labels)", "body"),
    (BLIND, "Weights, NoImages", "teacher.network.eval()", "def"),
    (*["nn.Module, NoImages"] * 2, "teacher.eval()", "class"),
]
"""Grants that an attack names, those that it takes, what it does, where it cheats."""


def attack(number: int, named: str, taken: str, body: str, cheats_in: str) -> str:
    teacher, images = taken.split(", ")
    given = f"student: nn.Module, teacher: {teacher}, images: {images}, run: Run"
    lines = {
        "class": f"@dataclass(frozen=True)\nclass A{number}(Attack[{named}]):",
        "def": f"    def steal(self, {given}) -> None:",
        "body": f"        {body}",
    }
    marks = {cheats_in: "  # cheat"}
    return "\n".join(line + marks.get(part, "") for part, line in lines.items())


PLUGINS = "\n".join([HEAD, *(attack(n, *given) for n, given in enumerate(ATTACKS))])


@pytest.fixture
def network() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4))


def public(thing: object) -> dict[str, object]:
    """What can be read of `thing` without an underscore."""
    return {n: getattr(thing, n) for n in dir(thing) if not n.startswith("_")}


def slots(thing: object) -> list[str]:
    return [s for c in type(thing).__mro__ for s in getattr(c, "__slots__", ())]


@pytest.mark.parametrize("oracle", ORACLES)
def test_an_oracle_offers_how_much_is_left_and_takes_nothing_new(
    oracle: type[SoftLabels], network: nn.Module, toy_images: Images
) -> None:
    known = Replies(Released(network).reply, toy_images, PLAIN)
    door = oracle(Released(network).reply, Ledger(7), known)

    assert public(door) == {"grant": oracle.grant, "remaining": 7}
    assert all(slot.startswith("_") for slot in slots(door))
    for name in ("__dict__", "network", "ledger", "ask", "__ask", "__ledger"):
        assert not hasattr(door, name)
    for name in ("remaining", "network"):
        with pytest.raises(AttributeError):
            setattr(door, name, 1000)
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


def test_images_have_their_labels_at_most_and_surrogates_none(
    toy_images: Images,
) -> None:
    train, other = TrainImages(toy_images), SurrogateImages(toy_images, MOVED)

    dealt = [b.labels for b in other.batches(16, torch.Generator().manual_seed(0))]

    assert public(NoImages()) == {"grant": NoImages.grant}
    assert vars(NoImages()) == {}
    assert public(other).keys() == DEALS
    assert torch.equal(torch.cat(dealt), torch.full((48,), -1))
    assert public(train).keys() == DEALS | {"labels"}
    assert isinstance(train.pixels, Tensor) and len(train.pixels) == 48
    assert not hasattr(train, "__dict__") and not hasattr(other, "__dict__")
    before = toy_images.labels.clone()
    train.labels.zero_()
    assert torch.equal(toy_images.labels, before), "what is dealt is a copy"


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
