"""Networks and data sets of outsiders: found, listed, built and loaded like ours."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bench.cli import main
from bench.data import load
from bench.entry_points import (
    GROUPS,
    installed,
    place_of,
    short_name,
    summaries,
    summary_of,
)
from bench.errors import BadPlugin, UnknownName
from bench.networks import Network, find

CODE = '''"""What an outsider wrote."""

import torch
from torch import nn

from bench.data import Augmentation, Dataset, Images


class Exact(nn.Sequential):
    float_on_cpu = True


def line(channels, classes):
    """One layer, as outsiders like it.

    It takes images of 8 pixels.
    """
    return Exact(nn.Flatten(), nn.Linear(64 * channels, classes))


def words(channels, classes):
    return "no network"


number = 3


def dots():
    """Four images of nothing."""
    images = Images(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.arange(4))
    return Dataset("", tuple("abcd"), images, images, Augmentation(), (0.5,), (0.5,))
'''
ENTRIES = """
[bench.networks]
zz_line = outsider.made:line
zz_lost = outsider.lost:line
[bench.datasets]
zz_dots = outsider.made:dots
"""
BUILD = (1, 4, (0.5,), (0.5,))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which the package `outsider` is installed; it needs torch."""
    home, facts = tmp_path / "outsider", tmp_path / "outsider-1.dist-info"
    home.mkdir()
    facts.mkdir()
    (home / "__init__.py").write_text("import torch\n")
    (home / "made.py").write_text(CODE)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: outsider\nVersion: 1")
    (facts / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(str(tmp_path))
    installed.cache_clear()
    load.cache_clear()
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("outsider")]:
        del sys.modules[name]
    installed.cache_clear()
    load.cache_clear()


@pytest.fixture(params=["zz_{}", "outsider.made:{}", "{folder}/outsider/made.py:{}"])
def way(request: pytest.FixtureRequest, package: Path) -> str:
    """How a thing of the package is named."""
    return str(request.param).replace("{folder}", str(package))


def test_a_network_of_outsiders_is_found_and_built(way: str) -> None:
    network = find(way.format("line"))

    made = network.build(*BUILD, precision="bf16")

    assert network.name == ("made:line" if ".py" in way else "zz_line")
    assert network.code is not None and len(network.code.hash) == 16
    assert [*map(len, made.state_dict().values())] == [1, 1, 4, 4]
    assert made[0].mean.flatten().tolist() == [0.5]
    assert made.float_on_cpu and made(torch.rand(2, 1, 8, 8)).dtype == torch.float32


def test_a_data_set_of_outsiders_is_found_and_loaded(way: str) -> None:
    found = load(way.format("dots"))

    assert found.name == ("made:dots" if ".py" in way else "zz_dots")
    assert (found.shape, found.classes) == ((1, 8, 8), tuple("abcd"))
    assert load(way.format("dots")) is found


def test_records_of_networks_are_equal_where_name_and_source_are(package: Path) -> None:
    file = package / "outsider/made.py"
    first, again = find(f"{file}:line"), find(f"{file}:line")

    file.write_text(CODE.replace("nn.Linear", "nn. Linear"))
    edited = find(f"{file}:line")
    travelled = pickle.loads(pickle.dumps(first))

    assert first == again == travelled != edited
    assert hash(first) == hash(again) == hash(travelled)
    assert first.name == edited.name
    for network in (travelled, edited):
        assert network.build(*BUILD)(torch.rand(1, 1, 8, 8)).shape == (1, 4)
    assert find("cnn2") == find("bench.networks.small:cnn2") == Network("cnn2")


def test_a_network_that_was_edited_since_it_was_found_is_refused(package: Path) -> None:
    file = package / "outsider/made.py"
    file.write_text(CODE + "# planned\n")
    network = find("zz_line")
    file.write_text(CODE + "# edited\n")

    with pytest.raises(BadPlugin, match="was edited after this run was planned"):
        network.build(*BUILD)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("outsider.made:words", "gives str, not an nn.Module"),
        ("outsider.made:number", "is no function that makes layers"),
        ("outsider.made:none", "AttributeError"),
        ("nowhere.at_all:line", "No module"),
        ("none.py:line", "there is no file"),
        ("zz_lost", "there is no module"),
    ],
)
def test_what_makes_no_network_or_is_not_there_is_told(
    package: Path, place: str, told: str
) -> None:
    with pytest.raises(BadPlugin, match=told):
        find(place).build(*BUILD)
    if place.endswith(":line"):
        with pytest.raises(BadPlugin, match=told):
            load(place)


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        find("resnt8")

    assert str(caught.value) == (
        "unknown network 'resnt8': did you mean 'resnet8'? (bench list)"
    )
    with pytest.raises(UnknownName, match="unknown attack 'k': did you mean 'kd'"):
        place_of("bench.attacks", "k")


def test_a_thing_has_one_short_name_and_the_first_line_of_its_docstring(
    package: Path,
) -> None:
    group, path = "bench.networks", f"{package}/outsider/made.py"

    for name in ("zz_line", "outsider.made:line"):
        assert short_name(group, name) == "zz_line"
        assert place_of(group, name) == "outsider.made:line"
    assert short_name(group, "some/where/made.py:line") == "made:line"
    assert short_name(group, "outsider.made:words") == "outsider.made:words"
    assert summaries("bench.datasets")["zz_dots"] == "Four images of nothing."
    assert summary_of(f"{path}:line") == "One layer, as outsiders like it."
    assert summary_of(f"{path}:line", of_file=True) == "What an outsider wrote."
    assert summary_of(f"{path}:number") == "What an outsider wrote."
    assert "broken: " in summaries(group)["zz_lost"]


@pytest.mark.parametrize("group", [*GROUPS])
def test_everything_of_ours_is_listed_with_a_summary(group: str) -> None:
    told = summaries(group)

    assert told.keys() == installed(group).keys()
    assert all(text and "broken" not in text for text in told.values())


def test_what_does_not_load_is_found_by_the_doctor(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--results", str(package), "--store", str(package)]) == 3

    out = capsys.readouterr().out
    assert "network zz_lost: " in out
    assert "zz_line" not in out and "zz_dots" not in out


def test_listing_outsiders_and_finding_ours_loads_no_torch(package: Path) -> None:
    code = (
        "import sys\n"
        "from bench.cli import main\n"
        "from bench.networks import find\n"
        "assert main(['--help']) == main(['list']) == 0\n"
        "assert find('cnn2').code is None\n"
        "assert not {'torch', 'ray', 'outsider'} & {*sys.modules}\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(package), "PATH": "", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    for text in ("One layer, as outsiders like it.", "Four images of nothing."):
        assert text in done.stdout
    assert summaries("bench.networks")["cnn2"] in done.stdout
