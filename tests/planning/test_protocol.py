"""Protocol files: what comes with the bench, and what is told of a bad one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.entry_points import installed as found_in
from bench.errors import BadProtocol, UnknownName
from bench.planning import protocol
from bench.planning.protocol import SELF, Protocol, Track, load
from bench.plugins.option_values import options_of
from bench.plugins.registry import installed
from bench.plugins.registry import load as load_plugin
from bench.plugins.spec import split
from bench.recipe import Recipe

DATASETS, NETWORKS = found_in("bench.datasets"), found_in("bench.networks")
GOOD = """
name = "mine"
version = 2
dataset = "digits"
teachers = ["resnet8"]
students = ["cnn2"]
defenses = ["nasty"]
attacks = ["kd"]

[tracks.open]
teacher = "SoftLabels"
images = "TrainImages"

[recipe.default]
epochs = 3
lr_schedule = "cosine"

[recipe.cnn2]
epochs = 5

[options.kd]
tau = 8
"""


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


def told(tmp_path: Path, text: str) -> str:
    """What is said of a protocol file that holds `text`."""
    path = written(tmp_path, text)
    with pytest.raises(BadProtocol) as caught:
        load(path)
    assert path in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", protocol.names())
def test_all_names_in_a_bundled_protocol_exist(name: str) -> None:
    found = load(name)

    assert found.name == name and found.version >= 1 and found.summary
    assert found.dataset in DATASETS
    assert {*found.teachers, *found.students} <= {*NETWORKS, SELF}
    defenses, attacks = (
        {split(spec)[0] for spec in specs} for specs in (found.defenses, found.attacks)
    )
    assert defenses <= set(installed("defense"))
    assert attacks <= set(installed("attack"))
    assert set(found.recipe) <= {"default", *NETWORKS}


@pytest.mark.parametrize("name", protocol.names())
def test_all_options_and_recipes_of_a_bundled_protocol_fit(name: str) -> None:
    found = load(name)

    for teacher in found.teachers:
        for network in (teacher, *found.students_of(teacher)):
            assert isinstance(found.recipe_of(network, {}), Recipe)
    asked = [(plugin, preset) for plugin, preset in found.options.items()]
    for plugin, sweeps in found.sweeps.items():
        for option, values in sweeps.items():
            asked += [(plugin, {option: value}) for value in values]
    for plugin, preset in asked:
        kind = "attack" if plugin in installed("attack") else "defense"
        decided = options_of(load_plugin(kind, plugin), plugin, preset)
        assert {option: decided[option] for option in preset} == preset


def test_a_protocol_is_read_from_a_path(tmp_path: Path) -> None:
    found = load(written(tmp_path, GOOD))

    assert found == Protocol(
        name="mine",
        version=2,
        dataset="digits",
        teachers=("resnet8",),
        students=("cnn2",),
        defenses=("nasty",),
        attacks=("kd",),
        tracks={"open": Track(teacher="SoftLabels", images="TrainImages")},
        seeds=3,
        recipe={
            "default": {"epochs": 3, "lr_schedule": "cosine"},
            "cnn2": {"epochs": 5},
        },
        options={"kd": {"tau": 8}},
        data_fraction=1.0,
        precision="fp32",
        sweeps={},
    )
    with pytest.raises(ValueError, match="frozen"):
        found.seeds = 9  # type: ignore[misc]


def test_a_networks_own_recipe_stands_above_the_default_and_what_is_asked_above_both(
    tmp_path: Path,
) -> None:
    found = load(written(tmp_path, GOOD))
    asked = {"epochs": "7", "lr": "0.5", "nesterov": "true"}

    assert found.recipe_of("resnet8", {}) == Recipe(epochs=3, lr_schedule="cosine")
    assert found.recipe_of("cnn2", {}) == Recipe(epochs=5, lr_schedule="cosine")
    assert found.recipe_of("cnn2", asked) == Recipe(
        epochs=7, lr_schedule="cosine", lr=0.5, nesterov=True
    )


@pytest.mark.parametrize(
    ("named", "asked", "students"),
    [
        (("self",), (), ("resnet8",)),
        (("cnn2", "self"), (), ("cnn2", "resnet8")),
        (("self", "resnet8", "self"), (), ("resnet8",)),
        (("cnn2",), ("self",), ("resnet8",)),
        (("self",), ("cnn2", "cnn2"), ("cnn2",)),
    ],
)
def test_self_is_the_teachers_network_and_no_student_is_named_twice(
    named: tuple[str, ...],
    asked: tuple[str, ...],
    students: tuple[str, ...],
    tmp_path: Path,
) -> None:
    found = load(written(tmp_path, GOOD)).model_copy(update={"students": named})

    assert found.students_of("resnet8", asked) == students


def test_fraction_precision_teachers_and_sweeps_are_read(tmp_path: Path) -> None:
    text = GOOD.replace('["resnet8"]', '["resnet8", "cnn2"]')
    text = f'data_fraction = 0.2\nprecision = "bf16"\n{text}'
    text += "[sweeps.nasty]\nomega = [0, 0.1]\n[sweeps.kd]\ntau = [1, 2.5]\n"

    found = load(written(tmp_path, text))

    assert (found.data_fraction, found.precision) == (0.2, "bf16")
    assert found.teachers == ("resnet8", "cnn2")
    assert found.sweeps == {"nasty": {"omega": (0, 0.1)}, "kd": {"tau": (1, 2.5)}}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"epochs": "many"}, "recipe of cnn2: epochs: Input should be a valid integer"),
        (
            {"epochs": 0},
            "recipe of cnn2: epochs: Input should be greater than or",
        ),
        ({"lr": -1}, "recipe of cnn2: lr: Input should be greater than 0"),
        ({"momentum": 2}, "recipe of cnn2: momentum: Input should be less than or eq"),
        ({"optimizer": "lion"}, "recipe of cnn2: optimizer: Input should be 'sgd' or"),
        ({"lr_schedule": "linear"}, "recipe of cnn2: lr_schedule: Input should be 'st"),
        (
            {"lr_shedule": "cosine"},
            "unknown field 'lr_shedule': did you mean 'lr_schedule'? (a recipe has: ",
        ),
    ],
)
def test_a_value_that_does_not_fit_a_recipe_is_told_with_its_field(
    asked: dict[str, object], found: str, tmp_path: Path
) -> None:
    with pytest.raises(BadProtocol) as caught:
        load(written(tmp_path, GOOD)).recipe_of("cnn2", asked)

    assert found in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "key",
    ["name", "version", "dataset", "teachers", "students", "defenses", "attacks"],
)
def test_a_key_that_is_missing_is_told_by_its_name(key: str, tmp_path: Path) -> None:
    lines = [line for line in GOOD.splitlines() if not line.startswith(f"{key} =")]

    assert f"{key}: Field required" in told(tmp_path, "\n".join(lines))


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("version = 2", 'version = "two"', "version: Input should be a valid integer"),
        ("version = 2", "version = 0", "version: Input should be greater than or"),
        ('["cnn2"]', "[]", "students: Tuple should have at least 1 item"),
        ('["nasty"]', '"nasty"', "defenses: Input should be a valid tuple"),
        ('["kd"]', "[3]", "attacks.0: Input should be a valid string"),
        ('["resnet8"]', '"resnet8"', "teachers: Input should be a valid tuple"),
        ('["resnet8"]', "[]", "teachers: Tuple should have at least 1 item"),
        (
            "version = 2",
            "version = 2\ndata_fraction = 0",
            "data_fraction: Input should be greater",
        ),
        (
            "version = 2",
            "version = 2\ndata_fraction = 1.5",
            "data_fraction: Input should be less",
        ),
        (
            "version = 2",
            'version = 2\nprecision = "fp16"',
            "precision: Input should be 'fp32' or 'bf16'",
        ),
        ("version = 2", "version = 2\ndefences = []", "defences: Extra inputs are not"),
        ('"SoftLabels"', '"Logits"', "tracks.open.teacher: Input should be"),
        ('"TrainImages"', '"TrainImages"\nbudget = 5', "tracks.open.budget: Extra"),
        (
            '"TrainImages"',
            '"NoImages"\nfraction = 0.1',
            "tracks.open: fraction is a share of the training images",
        ),
        (
            '"SoftLabels"',
            '"Weights"\nqueries = 5',
            "tracks.open: queries are counted where replies are granted",
        ),
        (
            "[options.kd]",
            "[sweeps.kd]\ntau = 4\n[options.kd]",
            "sweeps.kd.tau: Input should be a valid tuple",
        ),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_with_its_key(
    old: str, new: str, found: str, tmp_path: Path
) -> None:
    assert found in told(tmp_path, GOOD.replace(old, new))


@pytest.mark.parametrize(
    ("track", "accesses", "ranked"),
    [
        (
            '"NoImages"\nqueries = [500, 8000, 2000]',
            [(1.0, 500), (1.0, 8000), (1.0, 2000)],
            (1.0, 8000),
        ),
        (
            '"TrainImages"\nfraction = [0.1, 1]',
            [(0.1, None), (1.0, None)],
            None,
        ),
    ],
    ids=["a curve ranks at the largest", "a study ranks nothing"],
)
def test_a_track_may_have_several_budgets_or_fractions(
    track: str, accesses: list[object], ranked: object, tmp_path: Path
) -> None:
    text = GOOD.replace('"TrainImages"', track)
    [found] = load(written(tmp_path, text)).tracks.values()

    assert [(a.fraction, a.queries) for a in found.accesses()] == accesses
    top = found.ranked and (found.ranked.fraction, found.ranked.queries)
    assert top == ranked


@pytest.mark.parametrize("text", ["name = ", "[recipe", 'name = "a"\nname = "b"'])
def test_a_file_that_is_no_toml_is_told_with_the_place(
    text: str, tmp_path: Path
) -> None:
    assert " (at " in told(tmp_path, text)


def test_a_file_that_is_no_text_and_a_protocol_that_is_not_there_are_told(
    tmp_path: Path,
) -> None:
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe\x00name")

    with pytest.raises(BadProtocol, match="cannot read protocol"):
        load(str(tmp_path / "mine.toml"))
    with pytest.raises(UnknownName, match="unknown protocol"):
        load(str(tmp_path / "nowhere.toml"))
    with pytest.raises(UnknownName) as caught:
        load("digit")
    told = "unknown protocol 'digit': did you mean 'digits'? (bench list)"
    assert str(caught.value) == told
