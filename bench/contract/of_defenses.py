"""What a defense promises, on the tiny problem of `bench.testing`."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.contract.of_all import check_same
from bench.errors import BadPlugin, one_line
from bench.plugins.base import Defense, Released
from bench.seeds import seeded
from bench.testing import problem
from bench.testing.run import CPU


def replies_with_log_probabilities(cls: type[Defense]) -> None:
    """Its replies are `(N, K)` log-probabilities: no NaN, and exp sums to one."""
    answers = _ask(problem.protect(cls), problem.dealt_images().pixels)
    expected = (problem.COUNT, problem.CLASSES)
    if answers.shape != expected:
        raise BadPlugin(f"replies are {tuple(answers.shape)}, not {expected}")
    sums = answers.exp().sum(dim=1)
    if bool(answers.isnan().any()) or not torch.allclose(
        sums, sums.new_ones(problem.COUNT)
    ):
        raise BadPlugin("replies are no log-probabilities: exp does not sum to one")


def replies_alike_alone_and_in_a_batch(cls: type[Defense]) -> None:
    """An image's reply does not depend on what else was asked, unless it says so."""
    released, pixels = problem.protect(cls), problem.dealt_images().pixels
    together, alone = _ask(released, pixels)[:1], _ask(released, pixels[:1])
    if released.randomised:
        return
    again = _ask(released, pixels, seed=1)[:1]
    if not torch.equal(together, again):
        raise BadPlugin(
            "the reply to an image changes by chance, or with what was asked before: "
            "if that is meant, release it with randomised=True"
        )
    if not torch.allclose(together, alone, atol=1e-4):
        raise BadPlugin(
            "the reply to an image changes with the batch around it: if that is meant, "
            "release it with randomised=True"
        )


def fits_its_skeleton(cls: type[Defense]) -> None:
    """What it releases can be stored and loaded into what `skeleton` builds."""
    released = problem.protect(cls)
    with problem.a_run(seed=3) as run:
        shell = cls(**cls.brief).skeleton(run)
    if shell.parts().keys() != released.parts().keys():
        raise BadPlugin("protect and skeleton release different parts")
    if shell.randomised != released.randomised:
        raise BadPlugin("protect and skeleton must say alike whether it is randomised")
    for name, part in shell.parts().items():
        try:
            part.load_state_dict(released.parts()[name].state_dict())
        except RuntimeError as error:
            text = one_line(error)
            raise BadPlugin(f"skeleton's {name} does not fit: {text}") from error
        part.eval()
    pixels = problem.dealt_images().pixels
    if not torch.allclose(_ask(shell, pixels), _ask(released, pixels), atol=1e-5):
        raise BadPlugin("loaded from the store, it replies otherwise")


def protects_alike_twice(cls: type[Defense]) -> None:
    """The same seed gives the same released teacher, to the bit."""
    first, second = problem.protect(cls), problem.protect(cls)
    for name, part in first.parts().items():
        check_same(part, second.parts()[name], "two runs with one seed released others")


def _ask(released: Released, pixels: Tensor, seed: int = 0) -> Tensor:
    with torch.no_grad(), seeded(seed, CPU):  # an answer may draw
        return released.reply(pixels)
