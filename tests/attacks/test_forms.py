"""Kinds of loss, what they forget of a teacher, and what else attackers try."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import naive
import pytest
import torch
import torch.nn.functional as F
from inversion import draw
from service import agreement, stolen
from torch import Tensor, nn

from attacks._distillation import Form, mixed_loss, soft_loss, target_loss
from attacks._made import KEPT, Latest, shifted
from attacks.dafl import DAFL
from attacks.noise_kd import NoiseKD
from attacks.own_teacher_kd import OwnTeacherKD
from bench.data import Images
from bench.recipe import Recipe
from bench.testing.run import NotedRun

MakeRun = Callable[..., NotedRun]
FORMS: tuple[Form, ...] = get_args(Form)
LONG = Recipe(steps=150, batch_size=16, lr=0.1, lr_schedule="cosine")


def naive_loss(student: Tensor, teacher: Tensor, tau: float, form: Form) -> float:
    if form == "dist":
        return naive.dist_loss(student, teacher, tau)
    if form == "standardised":
        student, teacher = naive.standardised(student), naive.standardised(teacher)
    return naive.soft_loss(student, teacher, tau)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("tau", [1.0, 4.0])
def test_each_form_equals_a_naive_one_and_so_do_its_slopes(
    form: Form, tau: float
) -> None:
    student, teacher = draw(5, 4, seed=1).double(), draw(5, 4, seed=2).double()
    student.requires_grad_()

    loss = soft_loss(student, teacher, tau, form)
    loss.backward()

    plain = student.detach()
    assert float(loss.detach()) == pytest.approx(
        naive_loss(plain, teacher, tau, form), abs=1e-5
    )
    assert student.grad is not None
    for place in [(0, 0), (2, 3), (4, 1)]:
        ends = []
        for step in (1e-4, -1e-4):
            moved = plain.clone()
            moved[place] += step
            ends.append(naive_loss(moved, teacher, tau, form))
        slope = (ends[0] - ends[1]) / 2e-4
        assert float(student.grad[place]) == pytest.approx(slope, abs=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_takes_log_probabilities_for_logits(form: Form) -> None:
    student, teacher = draw(6, 5, seed=3), draw(6, 5, seed=4)

    from_logits = soft_loss(student, teacher, 2.0, form)
    from_replies = soft_loss(student, teacher.log_softmax(dim=1), 2.0, form)

    torch.testing.assert_close(from_logits, from_replies, atol=1e-5, rtol=1e-4)


def test_who_flattens_the_replies_hides_nothing_from_standardised_logits() -> None:
    student, teacher = draw(8, 5, seed=5), 4 * draw(8, 5, seed=6)
    flat = (teacher * 1e-3).log_softmax(dim=1)

    sharp = soft_loss(student, teacher, 2.0, "standardised")

    torch.testing.assert_close(
        soft_loss(student, flat, 2.0, "standardised"), sharp, atol=1e-2, rtol=1e-2
    )
    # `dist` correlates probabilities, which at a small scale are affine in the logits.
    twice = (teacher * 2e-3).log_softmax(dim=1)
    torch.testing.assert_close(
        soft_loss(student, twice, 1.0, "dist"),
        soft_loss(student, flat, 1.0, "dist"),
        atol=1e-2,
        rtol=1e-2,
    )


@pytest.mark.parametrize("form", FORMS)
def test_a_class_that_is_ruled_out_leaves_every_form_finite(form: Form) -> None:
    student = draw(3, 4, seed=7).requires_grad_()
    ruled_out = torch.tensor([[0.75, 0.25, 0.0, 0.0]] * 3).log()

    soft_loss(student, ruled_out, 4.0, form).backward()

    assert student.grad is not None and bool(student.grad.isfinite().all())


@pytest.mark.parametrize("form", FORMS)
def test_the_mixture_smooths_labels_and_the_target_may_be_the_first_class(
    form: Form,
) -> None:
    student, teacher = draw(6, 4, seed=8), draw(6, 4, seed=9)
    labels = torch.tensor([0, 1, 2, 3, 0, 1])

    found = mixed_loss(student, labels, teacher, 0.3, 2.0, form, 0.2)

    hard = F.cross_entropy(student, labels, label_smoothing=0.2)
    soft = soft_loss(student, teacher, 2.0, form)
    torch.testing.assert_close(found, 0.3 * soft + 0.7 * hard)
    torch.testing.assert_close(target_loss(student, teacher, "soft", 2.0, form), soft)
    torch.testing.assert_close(
        target_loss(student, teacher, "argmax", 2.0, form),
        F.cross_entropy(student, teacher.argmax(dim=1)),
    )


def test_an_own_teacher_teaches_without_the_victim(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    run = make_run(recipe=LONG)

    student, service = stolen(OwnTeacherKD(tau=2.0), run, toy_teacher, toy_images)

    assert service.asked == [] and [name for name, _ in run.built] == ["mlp", "mlp"]
    pixels = toy_images.as_float()
    right = (student(pixels).argmax(dim=1) == toy_images.labels).float().mean()
    assert float(right) > 0.9
    assert OwnTeacherKD.teacherless and OwnTeacherKD.reference


def test_the_latest_images_are_kept_and_the_oldest_forgotten() -> None:
    latest = Latest()
    for number in range(40):
        latest.add(torch.full((20, 1, 2, 2), float(number), requires_grad=True))

    kept = latest.images()

    assert len(kept) == KEPT and not kept.requires_grad
    assert kept[:, 0, 0, 0].tolist() == [39.0 - place // 20 for place in range(KEPT)]


def test_shifts_move_whole_images_and_reach_every_place() -> None:
    image = torch.zeros(400, 2, 5, 5)
    image[:, :, 2, 2] = 1

    moved = shifted(image, 1, torch.Generator().manual_seed(0))

    assert torch.equal(moved[:, 0], moved[:, 1])
    assert torch.equal(moved.flatten(1).sum(dim=1), torch.full((400,), 2.0))
    places = {tuple(one.nonzero()[0].tolist()) for one in moved[:, 0]}
    assert places == {(y, x) for y in (1, 2, 3) for x in (1, 2, 3)}
    assert shifted(image, 0, torch.Generator()) is image


def test_noise_of_low_frequency_has_shapes_and_reaches_the_whole_range(
    make_run: MakeRun, toy_teacher: nn.Module
) -> None:
    attack = NoiseKD(distribution="low_frequency", iterations=2, batch_size=256)
    _, service = stolen(attack, make_run(), toy_teacher)

    pixels = torch.cat(service.asked)
    near = (pixels[..., 1:] - pixels[..., :-1]).abs().mean()
    far = (pixels[..., 4:] - pixels[..., :-4]).abs().mean()
    assert float(pixels.min()) == 0 and float(pixels.max()) == 1
    assert float(near) < 0.6 * float(far)
    assert 0.4 < float(pixels.mean()) < 0.6


@pytest.mark.parametrize(
    "attack",
    [
        DAFL(iterations=300, batch_size=32, latent=8, width=8, contrast=4.0,
             generator_lr=1e-3, one_hot=1.0, shift=1, student_loss="argmax"),
        NoiseKD(distribution="low_frequency", iterations=200, batch_size=64,
                student_loss="argmax"),
    ],
    ids=lambda attack: type(attack).__name__,
)  # fmt: skip
def test_with_other_losses_and_shifts_the_student_comes_to_agree(
    attack: DAFL | NoiseKD,
    make_run: MakeRun,
    toy_images: Images,
) -> None:
    teacher = make_run(seed=3).network("mlp").eval()
    run = make_run()

    student, _ = stolen(attack, run, teacher)

    assert agreement(student, teacher, toy_images) > 0.5  # chance is a quarter
