"""The bench's networks: their first layer, their last, their blocks, their size."""

from __future__ import annotations

import re
from copy import deepcopy
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from bench.data import load
from bench.entry_points import installed, summaries
from bench.networks import find
from bench.networks.layers import Normalise
from bench.networks.mobile import Inverted
from bench.networks.preactivation import Preactivated
from bench.networks.residual import basic, bottleneck
from bench.networks.shuffle import Unit
from bench.networks.small import Field

GREY = ((0.3,), (0.4,))
COLOUR = ((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))

COUNTS = {
    "cnn5": {10: 357_514, 100: 369_124},
    "resnet18": {10: 11_173_962, 100: 11_220_132, 200: 11_271_432},
    "resnet34": {10: 21_282_122, 100: 21_328_292, 200: 21_379_592},
    "resnet50": {10: 23_520_842, 100: 23_705_252, 200: 23_910_152},
    "resnet20": {10: 272_282, 100: 278_132},
    "resnet32": {10: 466_714, 100: 472_564},
    "resnext29": {10: 34_426_698, 100: 34_518_948, 200: 34_621_448},
    "mobilenet_v2": {10: 2_254_090, 100: 2_369_380, 200: 2_497_480},
    "shufflenet_v2": {10: 1_268_646, 100: 1_360_896, 200: 1_463_396},
}
"""Of the networks of the Nasty Teacher study, in colour, by the number of classes."""

LEFT = {
    "cnn2": 16,
    "cnn5": 4,
    "lenet5": 5,
    "resnet8": 8,
    "resnet18": 4,
    "resnet34": 4,
    "resnet50": 4,
    "resnet20": 8,
    "resnet32": 8,
    "resnext29": 8,
    "mobilenet_v2": 5,
    "shufflenet_v2": 4,
}
"""Pixels a side of 32 that reach the pooling over space."""

MEMORY = torch.channels_last
NAMES = [*installed("bench.networks")]
every = pytest.mark.parametrize("name", NAMES)


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def outline(name: str, channels: int, classes: int) -> nn.Module:
    """A network in evaluation mode whose tensors have shapes and no values."""
    with torch.device("meta"):
        flat = (0.5,) * channels
        return find(name).build(channels, classes, flat, flat).eval()


@cache
def grey(name: str) -> nn.Module:
    """A network for ten classes in grey, in evaluation mode; not to be changed."""
    torch.manual_seed(1)
    return find(name).build(1, 10, *GREY).eval()


def layers(network: nn.Module, *kinds: type[nn.Module]) -> list[nn.Module]:
    return [m for m in network.modules() if isinstance(m, kinds)]


def left_by(network: nn.Module, pixels: Tensor) -> torch.Size:
    """The shape of what reaches the pooling over space."""
    seen: list[torch.Size] = []
    pool = layers(network, nn.AdaptiveAvgPool2d)[-1]
    hook = pool.register_forward_pre_hook(lambda _, x: seen.append(x[0].shape))
    network(pixels)
    hook.remove()
    return seen[0]


def test_normalisation_is_pixels_minus_mean_over_spread_channel_by_channel() -> None:
    mean, std = COLOUR
    pixels = torch.rand(5, 3, 4, 4)

    normal = Normalise(mean, std)(pixels)

    for channel in range(3):
        expected = (pixels[:, channel] - mean[channel]) / std[channel]
        torch.testing.assert_close(normal[:, channel], expected)


@every
def test_images_are_normalised_first_by_what_travels_with_the_weights(
    name: str,
) -> None:
    other, unit = outline(name, 1, 10), deepcopy(grey(name))
    other.load_state_dict(grey(name).state_dict(), assign=True)
    plain = {"0.mean": torch.zeros(1, 1, 1), "0.std": torch.ones(1, 1, 1)}
    unit.load_state_dict(plain, strict=False)
    pixels = torch.rand(4, 1, 8, 8)

    first = next(m for m in other.modules() if not [*m.children()])

    assert isinstance(first, Normalise)
    assert first.mean.flatten().tolist() == pytest.approx([0.3])
    assert first.std.flatten().tolist() == pytest.approx([0.4])
    assert not [*first.parameters()]
    with torch.no_grad():
        torch.testing.assert_close(grey(name)(pixels), unit((pixels - 0.3) / 0.4))


@every
def test_a_network_ends_in_a_linear_layer_of_features_with_one_logit_a_class(
    name: str,
) -> None:
    network = grey(name)
    last = [m for m in network.modules() if not [*m.children()]][-1]
    features: list[torch.Tensor] = []

    assert isinstance(last, nn.Linear)
    hook = last.register_forward_pre_hook(lambda _, x: features.append(x[0]))
    with torch.no_grad():
        logits = network(torch.rand(3, 1, 8, 8))
    hook.remove()

    linear = layers(network, nn.Linear)
    assert last is linear[-1]
    assert len(linear) == 1 or name in ("cnn5", "lenet5")
    assert features[0].shape == (3, last.in_features)
    torch.testing.assert_close(logits, last(features[0]))
    assert (logits.shape, logits.dtype) == ((3, 10), torch.float32)
    assert bool((logits < 0).any() or (logits.exp().sum(dim=1) != 1).any())


@every
def test_a_network_takes_images_of_any_size_and_shrinks_them_as_it_should(
    name: str,
) -> None:
    grey, colour = outline(name, 1, 100), outline(name, 3, 100)
    sizes = [(grey, 1, (28, 28)), (grey, 1, (1, 1))]
    sizes += [(colour, 3, size) for size in ((8, 8), (28, 28), (64, 64), (5, 17))]

    for network, channels, size in sizes:
        pixels = torch.rand(2, channels, *size, device="meta")
        assert network(pixels).shape == (2, 100), size
    pixels = torch.rand(2, 3, 32, 32, device="meta")
    assert left_by(colour, pixels)[2:] == (LEFT[name], LEFT[name])


@every
def test_channels_last_changes_the_memory_of_every_layer_and_not_the_logits(
    name: str,
) -> None:
    network = deepcopy(grey(name)).to(memory_format=MEMORY)  # type: ignore[call-overload]
    pixels, heard, orders = torch.rand(3, 1, 8, 8), [], []
    kinds = (nn.modules.batchnorm._BatchNorm, nn.Conv2d, nn.Linear)
    for layer in layers(network, *kinds):
        layer.register_forward_hook(lambda layer, _, __: heard.append(layer))
    for layer in layers(network, nn.BatchNorm2d):
        layer.register_forward_pre_hook(
            lambda _, x: orders.append(x[0].is_contiguous(memory_format=MEMORY))
        )

    with torch.no_grad():
        logits = network(pixels.contiguous(memory_format=MEMORY))
        expected = grey(name)(pixels)

    assert len(heard) == len(layers(network, *kinds)) == len(set(heard))
    assert bool(orders) == (name != "lenet5")
    assert all(orders[2:])  # a 1x1 kernel over one channel fits either order
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


@every
def test_every_parameter_of_a_network_can_learn(name: str) -> None:
    network = deepcopy(grey(name)).train()
    logits = network(torch.rand(3, 1, 8, 8))

    nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2])).backward()

    for key, weight in network.named_parameters():
        assert weight.grad is not None and bool(weight.grad.isfinite().all()), key


@pytest.mark.parametrize("name", list(COUNTS))
def test_the_networks_of_the_study_have_its_numbers_of_parameters(name: str) -> None:
    found = {classes: parameters(outline(name, 3, classes)) for classes in COUNTS[name]}

    assert found == COUNTS[name]
    assert parameters(outline("lenet5", 1, 10)) == 61_706, "what it is known for"


@every
def test_a_network_is_drawn_from_torchs_global_generator(name: str) -> None:
    first = grey(name).state_dict()  # drawn after torch.manual_seed(1)
    torch.manual_seed(1)
    again = find(name).build(1, 10, *GREY).state_dict()
    torch.manual_seed(2)
    other = find(name).build(1, 10, *GREY).state_dict()

    assert all(torch.equal(value, again[k]) for k, value in first.items())
    assert any(not torch.equal(value, other[k]) for k, value in first.items())


@pytest.mark.parametrize("name", ["resnet20", "resnet32", "resnext29"])
def test_these_draw_their_convolutions_by_their_outputs(name: str) -> None:
    for layer in layers(grey(name), nn.Conv2d):
        assert isinstance(layer, nn.Conv2d)
        spread = (2 / (layer.kernel_size[0] ** 2 * layer.out_channels)) ** 0.5
        drawn = layer.weight.detach()
        far = 5 * spread / (2 * drawn.numel()) ** 0.5  # five standard errors
        assert drawn.std().item() == pytest.approx(spread, abs=far)


def test_a_block_adds_its_path_to_its_shortcut_and_rectifies_unless_pre_activated() -> (
    None
):
    rectified, plain = basic(4, 8, 2).eval(), Preactivated(4, 8, 2).eval()
    x = torch.rand(2, 4, 8, 8)

    with torch.no_grad():
        first, second = rectified(x), plain(x)
        added = rectified.path(x) + rectified.shortcut(x)
        torch.testing.assert_close(first, added.clamp(min=0))
        torch.testing.assert_close(second, plain.path(x) + plain.shortcut(x))

    assert first.shape == second.shape == (2, 8, 4, 4)
    assert bool((second < 0).any())
    for same in (basic(4, 4, 1), bottleneck(4, 2, 4, 1), Preactivated(4, 4, 1)):
        assert isinstance(same.shortcut, nn.Identity)


def test_a_bottleneck_convolves_in_groups_and_takes_its_stride_in_the_middle() -> None:
    block = bottleneck(4, 8, 16, 2, groups=2)

    found = [
        (layer.in_channels, layer.out_channels, layer.stride[0], layer.groups)
        for layer in layers(block.path, nn.Conv2d)
        if isinstance(layer, nn.Conv2d)
    ]

    assert found == [(4, 8, 1, 1), (8, 8, 2, 2), (8, 16, 1, 1)]


@pytest.mark.parametrize(
    ("outside", "stride", "adds"), [(4, 1, True), (8, 1, False), (4, 2, False)]
)
def test_an_inverted_block_adds_its_input_where_the_shapes_are_equal(
    outside: int, stride: int, adds: bool
) -> None:
    block = Inverted(4, outside, stride, 6).eval()
    x = torch.rand(2, 4, 8, 8)

    with torch.no_grad():
        path = block.path(x)
        torch.testing.assert_close(block(x), path + x if adds else path)


@pytest.mark.parametrize(("channels", "stride"), [(8, 1), (6, 2)])
def test_a_shuffle_unit_alternates_two_branches_and_convolves_one_or_both(
    channels: int, stride: int
) -> None:
    unit = Unit(channels, 8, stride).eval()
    x = torch.rand(2, channels, 4, 4)

    with torch.no_grad():
        out = unit(x)
        left = unit.left(x) if stride == 2 else x[:, :4]
        right = unit.right(x if stride == 2 else x[:, 4:])

    assert out.shape == (2, 8, 4 // stride, 4 // stride)
    torch.testing.assert_close(out[:, 0::2], left)
    torch.testing.assert_close(out[:, 1::2], right)


def test_a_field_centres_what_is_smaller_and_leaves_what_is_larger() -> None:
    x = torch.rand(2, 1, 5, 9) + 1

    out = Field(8)(x)

    assert out.shape == (2, 1, 8, 9)
    assert torch.equal(out[:, :, 1:6], x)
    assert out.count_nonzero() == x.numel()


@every
def test_the_summary_of_a_network_states_its_true_size(name: str) -> None:
    found = re.search(
        r"([\d,]+) parameters for (\d+ classes in RGB|digits)\.$",
        summaries("bench.networks")[name],
    )
    assert found
    channels, classes = 3, 10
    if found[2] == "digits":
        digits = load("digits")
        channels, classes = digits.shape[0], len(digits.classes)

    count = parameters(outline(name, channels, classes))

    assert f"{count:,}" == found[1]
