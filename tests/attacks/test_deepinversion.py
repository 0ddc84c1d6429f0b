"""DeepInversion: its loss, who steps when, the images it makes, and learning."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import naive
import pytest
import torch
import torch.nn.functional as F
from inversion import convolutional, draw, naive_divergence, naive_gap, naive_variation
from service import agreement, stolen
from torch import nn

from attacks._distillation import soft_loss
from attacks._inversion import Watched, balanced
from attacks.deepinversion import DeepInversion
from bench.data import Images
from bench.errors import Skipped
from bench.seeds import seeded
from bench.testing.run import NotedRun

MakeRun = Callable[..., NotedRun]
BRIEF = {"batches": 2, "batch_size": 16, "steps": 3, "lessons": 2, "jitter": 1}


def steal(run: NotedRun, teacher: nn.Module, **options: float) -> nn.Module:
    return stolen(DeepInversion(**{**BRIEF, **options}), run, teacher)[0]


@pytest.fixture(scope="module")
def trained(toy_images: Images) -> nn.Module:
    """Knows the toy images; its BatchNorm has seen them."""
    with seeded(3, torch.device("cpu")):
        network = convolutional().train()
        sgd = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
        for _ in range(60):
            loss = F.cross_entropy(network(toy_images.as_float()), toy_images.labels)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
    network.eval()
    guess = network(toy_images.as_float()).argmax(dim=1)
    assert torch.equal(guess, toy_images.labels)
    return network


@pytest.fixture
def teacher(trained: nn.Module) -> nn.Module:
    return deepcopy(trained).requires_grad_(False)


def unhelpful(bias: list[float]) -> nn.Module:
    """Answers every image alike."""
    network = convolutional(len(bias)).eval()
    with torch.no_grad():
        network[-1].weight.zero_()
        network[-1].bias.copy_(torch.tensor(bias))
    return network


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(64, 4)),
        nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 4)),
        nn.Sequential(nn.GroupNorm(1, 1), nn.Flatten(), nn.Linear(64, 4)),
        nn.Sequential(
            nn.BatchNorm2d(1, track_running_stats=False),
            nn.Flatten(),
            nn.Linear(64, 4),
        ),
    ],
    ids=["none", "BatchNorm1d", "GroupNorm", "without statistics"],
)
def test_it_declines_a_network_without_batchnorm_in_one_line(
    network: nn.Module, make_run: MakeRun
) -> None:
    with pytest.raises(Skipped, match="has no BatchNorm2d with statistics") as caught:
        steal(make_run(), network.eval())

    assert caught.value.status == "not_applicable"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("term", ["class", "bn", "tv", "l2", "compete", "all"])
def test_the_loss_equals_a_naive_one(term: str, teacher: nn.Module) -> None:
    options = {name: 0.0 for name in ("bn", "tv", "l2", "compete")}
    chosen = {"bn": 2.0, "tv": 0.3, "l2": 0.7, "compete": 5.0}
    options |= {k: v for k, v in chosen.items() if term in (k, "all")}
    network, student = teacher.double(), convolutional().double().eval()
    x, targets = draw(6, 1, 8, 8) / 3, torch.tensor([0, 1, 2, 3, 0, 1])

    got = DeepInversion(**options).loss(x, targets, Watched(network), student)

    pixels = 0.5 + 0.2 * x
    logits = network(pixels)
    expected = naive.cross_entropy(logits, targets)
    first = naive_gap(
        network[0](pixels), network[1].running_mean, network[1].running_var
    )
    second = naive_gap(
        network[:4](pixels), network[4].running_mean, network[4].running_var
    )
    expected += options["bn"] * (first + second)
    expected += options["tv"] * naive_variation(x)
    expected += options["l2"] * naive.norm(x.flatten().tolist())
    apart = naive_divergence(student(pixels).detach(), logits)
    expected += options["compete"] * (1 - apart) if options["compete"] else 0.0
    assert float(got.detach()) == pytest.approx(expected, abs=1e-5)


def test_the_gradient_reaches_the_pixels_through_both_networks(
    teacher: nn.Module,
) -> None:
    attack = DeepInversion(bn=0.5, tv=0.1, l2=0.1, compete=20.0)
    student = convolutional().double().eval()
    watched, targets = Watched(teacher.double()), torch.tensor([0, 3])
    x = (draw(2, 1, 8, 8) / 3).requires_grad_()

    assert torch.autograd.gradcheck(
        lambda x: attack.loss(x, targets, watched, student), x, atol=1e-4, rtol=1e-3
    )


@pytest.mark.parametrize("compete", [0.0, 2.0])
def test_it_follows_the_plainest_loop(
    compete: float, make_run: MakeRun, teacher: nn.Module
) -> None:
    run, options = make_run(), {"compete": compete, "tau": 2.0, "lr": 0.5}
    taught = steal(run, teacher, steps=30, lessons=5, student_lr=0.2, **options)

    again, attack = make_run(), DeepInversion(**options)
    student, watched = again.network("mlp"), Watched(deepcopy(teacher))
    sgd = torch.optim.SGD(student.parameters(), momentum=0.9, weight_decay=5e-4)
    images, replies, gaps, hits, drawn = [], [], 0.0, 0, again.generator
    for batch in range(2):
        targets = balanced(16, again)
        x = torch.randn(16, 1, 8, 8, generator=drawn).clamp(-2.5, 2.5).requires_grad_()
        adam = torch.optim.Adam([x], lr=0.5)
        for shift in torch.randint(-1, 2, (30, 2), generator=drawn).tolist():
            rolled = x.roll(shift, dims=(2, 3))
            synthesis = attack.loss(rolled, targets, watched, student.eval())
            (x.grad,) = torch.autograd.grad(synthesis, [x])
            adam.step()
            x.data.clamp_(-2.5, 2.5)
        images.append(((0.5 + 0.2 * x.detach()) * 255).round() / 255)
        logits, gap = watched(images[-1])
        replies.append(logits)
        gaps, hits = gaps + float(gap), hits + int((logits.argmax(1) == targets).sum())
        for lesson in range(5):
            rows = torch.randint(16 * (batch + 1), (16,), generator=drawn)
            seen, said = torch.cat(images)[rows], torch.cat(replies)[rows]
            learn = soft_loss(student.train()(seen), said, 2.0)
            done = 5 * batch + lesson
            sgd.param_groups[0]["lr"] = 0.2 if done < 4 else 0.02 if done < 8 else 0.002
            sgd.zero_grad()
            learn.backward()
            sgd.step()

    assert {tuple(one.shape[1:]) for one in run.kept} == {(1, 8, 8)}
    kept = sorted(run.kept[0].flatten(1).tolist())
    assert kept == sorted(torch.cat(images).flatten(1).tolist())
    assert not run.kept[0].requires_grad
    assert (float(images[1].min()), float(images[1].max())) == (0.0, 1.0)
    assert run.figures["bn_loss"] == pytest.approx(gaps / 2, rel=1e-4)
    assert run.figures["target_accuracy"] == hits / 32
    assert run.told[1][2] == {
        "synthesis": pytest.approx(float(synthesis.detach()), rel=1e-4),
        "student": pytest.approx(float(learn.detach()), rel=1e-4),
        "bn": pytest.approx(float(gap), rel=1e-4),
    }
    for name, value in student.state_dict().items():
        torch.testing.assert_close(taught.state_dict()[name], value)


@pytest.mark.parametrize(
    ("bias", "share", "flags"),
    [
        ([9.0, 0.0, 0.0, 0.0], 0.25, ["inversion failed"]),
        ([0.0, 0.0, 9.0, 0.0], 0.25, ["inversion failed"]),
        ([9.0, 0.0], 0.5, []),
    ],
)
def test_it_flags_a_batch_of_which_less_than_half_is_in_its_class(
    bias: list[float], share: float, flags: list[str], make_run: MakeRun
) -> None:
    fresh = {"mlp": lambda *_: unhelpful([0.0] * len(bias))}
    run = make_run(classes=len(bias), makers=fresh)

    steal(run, unhelpful(bias))

    assert run.figures["target_accuracy"] == share
    assert run.flags == flags


def test_the_student_comes_to_agree_on_images_that_nobody_dealt(
    make_run: MakeRun, teacher: nn.Module, toy_images: Images
) -> None:
    untaught = make_run().network("mlp").eval()

    student = steal(
        make_run(), teacher, batches=6, batch_size=32, steps=60, lessons=40, jitter=0
    )

    assert agreement(untaught, teacher, toy_images) < 0.6
    assert agreement(student, teacher, toy_images) > 0.9


@pytest.mark.parametrize("student_loss", ["soft", "argmax"])
def test_a_lesson_may_move_the_images_and_ask_about_them_again(
    student_loss: str, make_run: MakeRun, teacher: nn.Module
) -> None:
    plain, moved = make_run(), make_run()
    options = {"steps": 3, "lessons": 2, "student_loss": student_loss}

    steal(plain, teacher, **options)
    steal(moved, teacher, shift=1, **options)

    first, second = (
        set(map(tuple, r.kept[0].flatten(1).tolist())) for r in (plain, moved)
    )
    assert len(first & second) == 16  # those of the first batch, before any lesson
    assert plain.told[0][2]["student"] != moved.told[0][2]["student"]
