"""DeepInversion: the terms of its loss, the statistics it reads, its pool, learning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from math import exp, log, sqrt
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from attacks import deepinversion
from attacks._inversion import (
    Pool,
    Watched,
    balanced,
    bn_gap,
    divergence,
    total_variation,
)
from attacks.deepinversion import DeepInversion
from bench.data import Images
from bench.errors import Skipped
from bench.plugins.run import Run
from bench.seeds import seeded
from bench.threat.grants import Weights
from bench.threat.images import NoImages

MakeRun = Callable[..., Run]
BRIEF = {"batches": 2, "batch_size": 16, "steps": 3, "lessons": 2, "jitter": 1}


def draw(*shape: int, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(*shape, generator=rng, dtype=torch.float64)


def naive_norm(values: list[float]) -> float:
    return sqrt(sum(v * v for v in values))


def naive_gap(inputs: Tensor, mean: Tensor, var: Tensor) -> float:
    off, wide = [], []
    for c in range(inputs.shape[1]):
        values = inputs[:, c].flatten().tolist()
        centre = sum(values) / len(values)
        off.append(centre - float(mean[c]))
        spread = sum((v - centre) ** 2 for v in values) / len(values)
        wide.append(spread - float(var[c]))
    return naive_norm(off) + naive_norm(wide)


def naive_variation(images: Tensor) -> float:
    count, channels, high, wide = images.shape
    total = 0.0
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        total += naive_norm(
            [
                float(images[n, c, y + dy, x + dx] - images[n, c, y, x])
                for n in range(count)
                for c in range(channels)
                for y in range(high - dy)
                for x in range(max(0, -dx), wide - max(0, dx))
            ]
        )
    return total


def naive_softmax(logits: list[float], tau: float = 1.0) -> list[float]:
    raised = [exp(z / tau) for z in logits]
    return [r / sum(raised) for r in raised]


def naive_divergence(student: Tensor, teacher: Tensor) -> float:
    total = 0.0
    for z_student, z_teacher in zip(student.tolist(), teacher.tolist(), strict=True):
        p, q = naive_softmax(z_student, 3.0), naive_softmax(z_teacher, 3.0)
        for a, b in zip(p, q, strict=True):
            m = (a + b) / 2
            total += (a * log(a / m) + b * log(b / m)) / 2
    return total / len(student)


def naive_cross_entropy(logits: Tensor, labels: Tensor) -> float:
    rows = zip(logits.tolist(), labels.tolist(), strict=True)
    return sum(-log(naive_softmax(z)[y]) for z, y in rows) / len(logits)


def convolutional(classes: int = 4) -> nn.Module:
    """From 1x8x8, with BatchNorm2d after both convolutions."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, 1, 1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 8, 3, 2, 1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(128, classes),
    )


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


def steal(run: Run, network: nn.Module, **options: float) -> nn.Module:
    student = run.network("mlp")
    attack = DeepInversion(**{**BRIEF, **options})
    attack.steal(student, Weights(network), NoImages(), run)
    return student


def test_the_gap_of_a_layer_equals_a_naive_one() -> None:
    inputs, mean, var = draw(5, 3, 4, 2), draw(3, seed=1), draw(3, seed=2).abs()

    got = bn_gap(inputs, mean, var)

    assert float(got) == pytest.approx(naive_gap(inputs, mean, var), abs=1e-5)


def test_the_variance_is_the_biased_one() -> None:
    inputs = torch.tensor([0.0, 2.0]).view(2, 1, 1, 1)

    got = bn_gap(inputs, torch.tensor([1.0]), torch.tensor([1.0]))

    assert float(got) == 0.0


def test_the_norms_of_a_gap_are_not_squared() -> None:
    inputs = torch.zeros(2, 2, 3, 3)

    off = bn_gap(inputs, torch.tensor([3.0, 4.0]), torch.zeros(2))
    wide = bn_gap(inputs, torch.zeros(2), torch.tensor([6.0, 8.0]))

    assert (float(off), float(wide)) == (5.0, 10.0)


def test_the_inputs_of_every_batchnorm_are_held_against_its_statistics(
    teacher: nn.Module,
) -> None:
    pixels = draw(7, 1, 8, 8)
    network = teacher.double()

    logits, gap = Watched(network)(pixels)

    before_first = network[0](pixels)
    before_second = network[:4](pixels)
    expected = sum(
        naive_gap(inputs, layer.running_mean, layer.running_var)
        for inputs, layer in ((before_first, network[1]), (before_second, network[4]))
    )
    assert float(gap) == pytest.approx(expected, abs=1e-5)
    torch.testing.assert_close(logits, network(pixels))


def test_each_call_has_a_gap_of_its_own(teacher: nn.Module) -> None:
    watched, pixels = Watched(teacher), draw(7, 1, 8, 8).float()

    gaps = [float(watched(x)[1]) for x in (pixels, pixels * 5, pixels)]

    assert gaps[0] == gaps[2] != gaps[1]


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

    assert caught.value.status == "skipped"
    assert "\n" not in str(caught.value)


def test_the_total_variation_equals_a_naive_one() -> None:
    images = draw(2, 3, 5, 4)

    got = total_variation(images)

    assert float(got) == pytest.approx(naive_variation(images), abs=1e-5)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ([[0, 0], [0, 1]], 1 + 1 + 1 + 0),
        ([[0, 1], [0, 0]], 1 + 1 + 0 + 1),
        ([[0, 1], [0, 1]], sqrt(2) + 0 + 1 + 1),
        ([[0, 0], [1, 1]], 0 + sqrt(2) + 1 + 1),
        ([[1, 0], [0, 1]], sqrt(2) + sqrt(2) + 0 + 0),
        ([[1, 1], [1, 1]], 0),
    ],
)
def test_the_total_variation_looks_right_down_and_along_both_diagonals(
    image: list[list[float]], expected: float
) -> None:
    got = total_variation(torch.tensor(image, dtype=torch.float64).view(1, 1, 2, 2))

    assert float(got) == pytest.approx(expected)


def test_the_total_variation_is_a_norm_over_the_whole_batch() -> None:
    image = draw(1, 2, 4, 4)

    four = total_variation(image.repeat(4, 1, 1, 1))

    assert float(four) == pytest.approx(2 * float(total_variation(image)))


def test_the_total_variation_of_a_plain_image_has_a_gradient() -> None:
    image = torch.ones(1, 1, 4, 4, requires_grad=True)

    total_variation(image).backward()

    assert bool(image.grad.isfinite().all())


def test_the_divergence_equals_a_naive_one() -> None:
    student, teacher = draw(6, 5), draw(6, 5, seed=1)

    got = divergence(student, teacher)

    assert float(got) == pytest.approx(naive_divergence(student, teacher), abs=1e-5)


def test_the_divergence_is_symmetric_and_zero_for_equals() -> None:
    student, teacher = draw(6, 5), draw(6, 5, seed=1)

    there, back = divergence(student, teacher), divergence(teacher, student)

    assert float(there) == pytest.approx(float(back), abs=1e-12)
    assert float(there) > 0.01
    assert float(divergence(student, student + 7)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0, 1e4])
def test_the_divergence_lies_between_zero_and_log_2(scale: float) -> None:
    for seed in range(5):
        got = divergence(scale * draw(4, 3, seed=seed), scale * draw(4, 3, seed=9))
        assert 0 < float(got) <= log(2) + 1e-12


def test_the_divergence_of_opposites_is_log_2_with_a_finite_gradient() -> None:
    student = torch.tensor([[1e4, -1e4]], requires_grad=True)

    got = divergence(student, torch.tensor([[-1e4, 1e4]]))
    got.backward()

    assert float(got.detach()) == pytest.approx(log(2))
    assert bool(student.grad.isfinite().all())


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
    expected = naive_cross_entropy(logits, targets)
    first = naive_gap(
        network[0](pixels), network[1].running_mean, network[1].running_var
    )
    second = naive_gap(
        network[:4](pixels), network[4].running_mean, network[4].running_var
    )
    expected += options["bn"] * (first + second)
    expected += options["tv"] * naive_variation(x)
    expected += options["l2"] * naive_norm(x.flatten().tolist())
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


@pytest.mark.parametrize("count", [3, 4, 10, 16])
def test_targets_are_balanced_and_in_random_order(
    count: int, make_run: MakeRun
) -> None:
    run = make_run()

    drawn = [balanced(count, run) for _ in range(20)]

    for targets in drawn:
        times = targets.bincount(minlength=4)
        assert targets.shape == (count,)
        assert int(times.max() - times.min()) <= 1
    assert len({tuple(t.tolist()) for t in drawn}) > 5


def test_the_pool_grows_and_deals_only_what_is_in_it(make_run: MakeRun) -> None:
    run = make_run()
    pool = Pool(8, run)
    lengths = [len(pool)]

    for value in (51, 255):
        pixels = torch.full((4, 1, 8, 8), value, dtype=torch.uint8)
        pool.add(pixels, torch.full((4, 4), float(value)))
        lengths.append(len(pool))
        dealt = [pool.draw(2, run.generator) for _ in range(32)]
        assert {images.shape for images, _ in dealt} == {(2, 1, 8, 8)}
        images, logits = (torch.cat(parts) for parts in zip(*dealt, strict=True))
        assert torch.equal(images[:, 0, 0, 0], logits[:, 0] / 255)
        assert set(logits[:, 0].tolist()) == {51.0, float(value)}

    assert lengths == [0, 4, 8]
    assert pool.pixels.dtype == torch.uint8


@dataclass
class Notes:
    """What an attack aimed at, put into its pool, and drew from it."""

    targets: list[Tensor] = field(default_factory=list)
    added: list[Tensor] = field(default_factory=list)
    filled: list[int] = field(default_factory=list)
    drawn: list[tuple[Tensor, Tensor]] = field(default_factory=list)


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Notes:
    taken = Notes()

    class Noted(Pool):
        def add(self, pixels: Tensor, logits: Tensor) -> None:
            taken.added.append(pixels)
            super().add(pixels, logits)

        def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            taken.filled.append(len(self))
            taken.drawn.append(super().draw(count, generator))
            return taken.drawn[-1]

    def aim(count: int, run: Run) -> Tensor:
        taken.targets.append(balanced(count, run))
        return taken.targets[-1]

    monkeypatch.setattr(deepinversion, "Pool", Noted)
    monkeypatch.setattr(deepinversion, "balanced", aim)
    return taken


def test_the_student_learns_from_all_that_was_made(
    make_run: MakeRun, teacher: nn.Module, notes: Notes
) -> None:
    steal(make_run(), teacher, batches=3)

    assert [(p.dtype, len(p)) for p in notes.added] == [(torch.uint8, 16)] * 3
    assert notes.filled == [16, 16, 32, 32, 48, 48]
    for images, logits in notes.drawn:
        torch.testing.assert_close(logits, teacher(images))


@pytest.mark.parametrize("tau", [1.0, 3.0])
def test_a_lesson_is_the_soft_loss_on_images_of_the_pool(
    tau: float, make_run: MakeRun, teacher: nn.Module, notes: Notes
) -> None:
    untaught = make_run().network("mlp").train()
    run = make_run()

    steal(run, teacher, batches=1, lessons=1, tau=tau)

    (_, _, losses) = run.told[0]
    ((images, logits),) = notes.drawn
    expected = 0.0
    for z_student, z_teacher in zip(untaught(images), logits, strict=True):
        p = naive_softmax(z_teacher.tolist(), tau)
        q = naive_softmax(z_student.tolist(), tau)
        divergences = (a * log(a / b) for a, b in zip(p, q, strict=True))
        expected += tau**2 * sum(divergences) / len(images)
    assert losses["student"] == pytest.approx(expected, abs=1e-4)


Step = tuple[str, float]


@pytest.fixture
def steps() -> Iterator[list[Step]]:
    """Every make_optimizer step of the test: who stepped, at what rate."""
    seen: list[Step] = []
    handle = register_optimizer_step_pre_hook(
        lambda o, *_: seen.append((type(o).__name__, o.param_groups[0]["lr"]))
    )
    yield seen
    handle.remove()


def test_pixels_and_student_step_as_often_as_asked(
    make_run: MakeRun, teacher: nn.Module, steps: list[Step]
) -> None:
    steal(make_run(), teacher, batches=2, steps=7, lessons=5)

    assert Counter(who for who, _ in steps) == {"Adam": 14, "SGD": 10}
    assert [who for who, _ in steps[:12]] == ["Adam"] * 7 + ["SGD"] * 5


def test_the_students_rate_drops_at_40_and_80_percent(
    make_run: MakeRun, teacher: nn.Module, steps: list[Step]
) -> None:
    steal(make_run(), teacher, batches=2, lessons=5, student_lr=0.5)

    student = [rate for who, rate in steps if who == "SGD"]
    assert student == pytest.approx([0.5] * 4 + [0.05] * 4 + [0.005] * 2)
    assert {rate for who, rate in steps if who == "Adam"} == {0.05}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What every step of every synthesis looked at, in units."""
    met: list[Tensor] = []
    loss = DeepInversion.loss

    def spy(self: DeepInversion, x: Tensor, *rest: Any) -> Tensor:
        met.append(x.detach().clone())
        return loss(self, x, *rest)

    monkeypatch.setattr(DeepInversion, "loss", spy)
    return met


@pytest.mark.parametrize("jitter", [0, 1])
def test_each_step_sees_the_images_rolled_by_up_to_the_jitter(
    jitter: int, make_run: MakeRun, teacher: nn.Module, seen: list[Tensor]
) -> None:
    run = make_run()

    steal(run, teacher, batches=1, steps=60, lr=1e-12, jitter=jitter)

    (kept,) = run.kept
    reach = range(-jitter, jitter + 1)
    rolls = {(dy, dx): kept.roll((dy, dx), (2, 3)) for dy in reach for dx in reach}
    met = [
        {name for name, y in rolls.items() if torch.allclose(pixels, y, atol=0.01)}
        for pixels in (0.5 + 0.2 * x for x in seen)
    ]
    assert [len(names) for names in met] == [1] * 60
    assert set.union(*met) == rolls.keys()


def test_images_stay_in_range_at_every_step_and_are_kept_in_256_steps(
    make_run: MakeRun, teacher: nn.Module, seen: list[Tensor]
) -> None:
    run = make_run()

    steal(run, teacher, steps=20, lr=3.0)

    (samples,) = run.kept
    assert len(seen) == 40
    assert all(float(x.abs().max()) <= 2.5 for x in seen)
    assert samples.shape == (16, 1, 8, 8)
    assert not samples.requires_grad
    assert (float(samples.min()), float(samples.max())) == (0.0, 1.0)
    assert torch.equal((samples * 255).round() / 255, samples)


def test_the_synthesis_lowers_its_own_loss(
    make_run: MakeRun, teacher: nn.Module
) -> None:
    losses, gaps = [], []

    for count in (1, 80):
        run = make_run()
        steal(run, teacher, batches=1, steps=count, jitter=0)
        (_, _, heard) = run.told[0]
        losses.append(heard["synthesis"])
        gaps.append(heard["bn"])

    assert losses[1] < 0.3 * losses[0]
    assert gaps[1] < 0.3 * gaps[0]


def test_competition_makes_images_on_which_the_two_disagree(
    make_run: MakeRun, teacher: nn.Module
) -> None:
    apart = []

    for compete in (0.0, 50.0):
        run = make_run()
        student = deepcopy(run.network("mlp")).eval()
        steal(run, teacher, batches=1, steps=60, bn=0.1, compete=compete)
        (samples,) = run.kept
        apart.append(float(divergence(student(samples), teacher(samples)).detach()))

    assert apart[1] > 1.2 * apart[0]


def test_the_student_competes_in_eval_mode_and_learns_in_train_mode(
    make_run: MakeRun, teacher: nn.Module
) -> None:
    met: list[tuple[bool, bool]] = []
    run = make_run()
    student = run.network("mlp")
    student.register_forward_pre_hook(
        lambda network, images: met.append((network.training, images[0].requires_grad))
    )

    attack = DeepInversion(**BRIEF, compete=1.0)
    attack.steal(student, Weights(teacher), NoImages(), run)

    competing, learning = [(False, True)] * 3, [(True, False)] * 2
    assert met == (competing + learning) * 2


@pytest.mark.parametrize(("compete", "same"), [(0.0, True), (5.0, False)])
def test_the_images_depend_on_the_student_in_competition_alone(
    compete: float, same: bool, make_run: MakeRun, teacher: nn.Module
) -> None:
    samples = []

    for rate in (0.1, 1e-6):
        run = make_run()
        steal(run, teacher, student_lr=rate, compete=compete)
        samples += run.kept

    assert torch.equal(*samples) is same


def test_it_reports_what_the_teacher_sees_in_the_images_that_it_keeps(
    make_run: MakeRun, teacher: nn.Module, notes: Notes
) -> None:
    run = make_run()

    steal(run, teacher, steps=40)

    gaps = hits = 0.0
    for pixels, targets in zip(notes.added, notes.targets, strict=True):
        samples = pixels.float() / 255
        hits += int((teacher(samples).argmax(dim=1) == targets).sum())
        for inputs, norm in (
            (teacher[0](samples), teacher[1]),
            (teacher[:4](samples), teacher[4]),
        ):
            gaps += naive_gap(inputs, norm.running_mean, norm.running_var)
    assert 16 < hits < 32
    assert torch.equal(samples, run.kept[0])
    assert run.figures["bn_loss"] == pytest.approx(gaps / 2, rel=1e-4)
    assert run.figures["target_accuracy"] == hits / 32
    assert run.flags == []


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
    run = make_run(classes=len(bias))
    student = nn.Sequential(nn.Flatten(), nn.Linear(64, len(bias)))

    attack = DeepInversion(**BRIEF)
    attack.steal(student, Weights(unhelpful(bias)), NoImages(), run)

    assert run.figures["target_accuracy"] == share
    assert run.flags == flags


def test_the_student_comes_to_agree_on_images_that_nobody_dealt(
    make_run: MakeRun, teacher: nn.Module, toy_images: Images
) -> None:
    pixels = toy_images.as_float()
    taught = teacher(pixels).argmax(dim=1)
    untaught = make_run().network("mlp").eval()

    student = steal(
        make_run(), teacher, batches=6, batch_size=32, steps=60, lessons=40, jitter=0
    )

    before = float((untaught(pixels).argmax(dim=1) == taught).float().mean())
    after = float((student(pixels).argmax(dim=1) == taught).float().mean())
    assert before < 0.6
    assert after > 0.9
