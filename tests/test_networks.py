"""Networks by name: their first layer, their last, their size, and what is told."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from bench import data, names
from bench.errors import UnknownName
from bench.networks import NETWORKS, Block, Normalise, build

GREY = ((0.3,), (0.4,))
COLOUR = ((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_normalisation_is_pixels_minus_mean_over_spread() -> None:
    mean, std = COLOUR
    pixels = torch.rand(5, 3, 4, 4)

    normal = Normalise(mean, std)(pixels)

    assert normal.shape == pixels.shape
    for channel in range(3):
        expected = (pixels[:, channel] - mean[channel]) / std[channel]
        torch.testing.assert_close(normal[:, channel], expected)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_normalisation_is_the_first_layer_of_every_network(name: str) -> None:
    first = next(m for m in build(name, 3, 7, *COLOUR).modules() if not [*m.children()])

    assert isinstance(first, Normalise)
    assert first.mean.flatten().tolist() == pytest.approx([0.5, 0.4, 0.3])
    assert first.std.flatten().tolist() == pytest.approx([0.2, 0.3, 0.4])


@pytest.mark.parametrize("name", list(NETWORKS))
def test_a_network_sees_its_images_normalised(name: str) -> None:
    network = build(name, 1, 10, *GREY).eval()
    unit = build(name, 1, 10, (0.0,), (1.0,)).eval()
    body = {k: v for k, v in network.state_dict().items() if not k.startswith("0.")}
    unit.load_state_dict(body, strict=False)
    pixels = torch.rand(4, 1, 8, 8)

    with torch.no_grad():
        torch.testing.assert_close(network(pixels), unit((pixels - 0.3) / 0.4))


@pytest.mark.parametrize("name", list(NETWORKS))
def test_normalisation_travels_with_the_weights_and_is_not_trained(name: str) -> None:
    one, other = build(name, 1, 10, *GREY), build(name, 1, 10, (0.0,), (1.0,))

    other.load_state_dict(one.state_dict())

    state = other.state_dict()
    constants = {k: float(v) for k, v in state.items() if k.endswith((".mean", ".std"))}
    assert constants == pytest.approx({"0.mean": 0.3, "0.std": 0.4})
    assert not constants.keys() & dict(other.named_parameters()).keys()


@pytest.mark.parametrize("name", list(NETWORKS))
@pytest.mark.parametrize(
    ("channels", "size", "classes"), [(1, 8, 10), (3, 32, 100), (3, 28, 7)]
)
def test_a_network_turns_images_into_one_logit_a_class(
    name: str, channels: int, size: int, classes: int
) -> None:
    mean, std = (0.5,) * channels, (0.5,) * channels
    network = build(name, channels, classes, mean, std).eval()

    with torch.no_grad():
        logits = network(torch.rand(2, channels, size, size))

    assert logits.shape == (2, classes)
    assert logits.dtype == torch.float32
    assert bool((logits < 0).any() or (logits.exp().sum(dim=1) != 1).any())


@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_network_ends_in_its_only_linear_layer(name: str) -> None:
    network = build(name, 1, 10, *GREY).eval()
    leaves = [m for m in network.modules() if not [*m.children()]]
    pixels = torch.rand(3, 1, 8, 8)
    features: list[torch.Tensor] = []

    linear = [m for m in network.modules() if isinstance(m, nn.Linear)]
    linear[0].register_forward_pre_hook(lambda _, inputs: features.append(inputs[0]))
    with torch.no_grad():
        logits = network(pixels)

    assert len(linear) == 1
    assert leaves[-1] is linear[0]
    assert linear[0].out_features == 10
    assert features[0].shape == (3, linear[0].in_features)
    torch.testing.assert_close(logits, linear[0](features[0]))


@pytest.mark.parametrize(("name", "count"), [("cnn2", 5_178), ("resnet8", 77_754)])
def test_the_networks_for_digits_have_this_many_parameters(
    name: str, count: int
) -> None:
    assert parameters(build(name, 1, 10, *GREY)) == count


@pytest.mark.parametrize("name", list(NETWORKS))
def test_a_network_is_drawn_from_torchs_global_generator(name: str) -> None:
    torch.manual_seed(1)
    first = build(name, 1, 10, *GREY).state_dict()
    torch.manual_seed(1)
    again = build(name, 1, 10, *GREY).state_dict()
    other = build(name, 1, 10, *GREY).state_dict()

    assert all(torch.equal(value, again[k]) for k, value in first.items())
    assert any(not torch.equal(value, other[k]) for k, value in first.items())


def test_a_block_adds_its_path_to_its_shortcut() -> None:
    block = Block(4, 8, 2).eval()
    x = torch.rand(2, 4, 8, 8)

    with torch.no_grad():
        out = block(x)
        expected = (block.path(x) + block.shortcut(x)).clamp(min=0)

    assert out.shape == (2, 8, 4, 4)
    torch.testing.assert_close(out, expected)


def test_a_block_that_changes_no_shape_passes_its_input_on_as_it_is() -> None:
    block = Block(4, 4, 1)

    assert isinstance(block.shortcut, nn.Identity)


def test_the_public_names_are_those_that_can_be_built() -> None:
    assert list(names.NETWORKS) == list(NETWORKS)
    assert list(names.DATASETS) == list(data.SETS)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_the_summary_of_a_network_states_its_true_size(name: str) -> None:
    found = re.search(r"([\d,]+) parameters for (\w+)", names.NETWORKS[name])
    assert found
    facts = data.load(found[2])

    network = build(
        name, facts.shape[0], len(facts.classes), tuple(facts.mean), tuple(facts.std)
    )

    assert parameters(network) == int(found[1].replace(",", ""))


@pytest.mark.parametrize("name", list(data.SETS))
def test_the_facts_of_a_data_set_are_true(name: str) -> None:
    dataset, facts = data.load(name), names.DATASETS[name]
    _, height, width = dataset.shape

    assert dataset.name == name
    assert facts.classes == len(dataset.classes)
    assert facts.classes == len(dataset.train.labels.unique())
    assert f"{len(dataset.train) + len(dataset.test):,}" in facts.summary
    assert f"{height}x{width}" in facts.summary


def test_an_unknown_network_is_met_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName) as caught:
        build("resnet9", 1, 10, *GREY)

    assert str(caught.value) == (
        "unknown network 'resnet9': did you mean 'resnet8'? (bench list)"
    )
