"""Training without a teacher: it learns the labels, and no question is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Never

from attacks.scratch import Scratch
from bench.data import Images
from bench.plugins.run import Run
from bench.recipe import Recipe
from bench.threat.images import TrainImages

MakeRun = Callable[..., Run]
LONG = Recipe(epochs=30, batch_size=16, lr=0.05, lr_schedule="constant")


class Untouchable:
    """A teacher that cannot even be looked at."""

    def __getattribute__(self, name: str) -> Never:
        raise AssertionError(f"the teacher was asked for {name}")

    def __call__(self, *_: object) -> Never:
        raise AssertionError("the teacher was asked")


def test_it_ignores_the_teacher_altogether(
    make_run: MakeRun, toy_images: Images
) -> None:
    run = make_run(recipe=LONG)
    student = run.network("mlp")

    Scratch().steal(student, Untouchable(), TrainImages(toy_images), run)

    guess = student(toy_images.as_float()).argmax(dim=1)
    assert float((guess == toy_images.labels).float().mean()) == 1.0
    assert not student.training
