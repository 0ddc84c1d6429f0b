"""Finding plugins: specs, options, files of outsiders, source hashes and cards."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from bench.entry_points import summaries
from bench.errors import BadOption, BadPlugin, UnknownName
from bench.plugins.option_values import options_of
from bench.plugins.registry import installed, load, resolve
from bench.plugins.spec import Kind, split
from bench.threat.access import ImageGrant, Needs, TeacherGrant

pytestmark = pytest.mark.usefixtures("own_modules")
DEFENSE = """
    from dataclasses import dataclass
    from bench import Defense, Released

    @dataclass(frozen=True)
    class Wall(Defense):
        height: float = 2.0
        floors: int = 3
        gate: bool = False
        colour: str = "red"
        guard: int | None = None

        def protect(self, teacher, images, run):
            return Released(teacher)
"""


def written(path: Path, text: str = DEFENSE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))
    return path


def wall(tmp_path: Path) -> str:
    """The spec of an outsider's defense."""
    return f"{written(tmp_path / 'wall.py')}:Wall"


@pytest.mark.parametrize(
    ("spec", "name", "options"),
    [
        ("kd", "kd", {}),
        (" kd ", "kd", {}),
        ("kd[]", "kd", {}),
        ("kd[tau=8]", "kd", {"tau": "8"}),
        ("kd[tau=8,alpha=0.5]", "kd", {"tau": "8", "alpha": "0.5"}),
        ("kd[ tau = 8 , alpha = 0.5, ]", "kd", {"tau": "8", "alpha": "0.5"}),
        ("nasty[adversary=]", "nasty", {"adversary": ""}),
        ("kd[note=a=b]", "kd", {"note": "a=b"}),
        ("some.where:Wall[height=2]", "some.where:Wall", {"height": "2"}),
        ("a/wall.py:Wall[height=2]", "a/wall.py:Wall", {"height": "2"}),
    ],
)
def test_a_spec_is_a_name_and_options_in_brackets(
    spec: str, name: str, options: dict[str, str]
) -> None:
    assert split(spec) == (name, options)


@pytest.mark.parametrize(
    "spec", ["kd[tau=8", "kd[tau]", "kd[=8]", "kd[tau=8]x", "kd[tau=8,alpha]"]
)
def test_a_spec_that_cannot_be_read_is_told_how_to_write_it(spec: str) -> None:
    with pytest.raises(BadOption) as caught:
        split(spec)

    assert str(caught.value) == (
        f"cannot read {spec!r}: write name[option=value,...], quoted for the shell"
    )


def test_options_are_parsed_by_their_types_and_have_defaults(tmp_path: Path) -> None:
    cls = load("defense", wall(tmp_path))

    given = {"height": "3", "floors": "4", "gate": "true", "colour": "8", "guard": "5"}
    decided = options_of(cls, "wall", given)

    assert list(decided.items()) == list(
        {"height": 3.0, "floors": 4, "gate": True, "colour": "8", "guard": 5}.items()
    )
    assert [type(value) for value in decided.values()] == [float, int, bool, str, int]
    assert [*options_of(cls, "wall", {}).values()] == [2.0, 3, False, "red", None]
    for none in ("none", "None"):
        plugin = resolve("defense", f"{wall(tmp_path)}[guard={none}]", {"guard": 5})
        assert dict(plugin.options)["guard"] is None


@pytest.mark.parametrize(
    ("kind", "spec", "text"),
    [
        ("attack", "kd[tau=hot]", "kd: tau=hot: Input should be a valid number"),
        ("attack", "dafl[latent=1.5]", "dafl: latent=1.5: Input should be a valid int"),
        ("attack", "kd[tau=none]", "kd: tau=none: Input should be a valid number"),
        ("attack", "kd[tau=0]", "kd: tau=0: Input should be greater than 0"),
        ("attack", "kd[tau=inf]", "kd: tau=inf: Input should be a finite number"),
        ("attack", "kd[alpha=1.1]", "kd: alpha=1.1: Input should be less than or eq"),
        ("attack", "dafl[batch_size=0]", "dafl: batch_size=0: Input should be greater"),
        ("defense", "nasty[omega=nan]", "nasty: omega=nan: Input should be"),
        ("defense", "nasty[omega=-1]", "nasty: omega=-1: Input should be greater than"),
    ],
)
def test_a_value_that_does_not_fit_is_told_in_one_line(
    kind: Kind, spec: str, text: str
) -> None:
    with pytest.raises(BadOption) as caught:
        resolve(kind, spec, {})

    assert str(caught.value).startswith(text)
    assert "\n" not in str(caught.value)


KD = "did you mean 'alpha'? (kd has: tau, alpha, form, label_smoothing)"


@pytest.mark.parametrize(
    ("kind", "spec", "preset", "told"),
    [
        ("attack", "kd[alhpa=1]", {}, KD),
        ("attack", "kd", {"alhpa": 1}, KD),
        ("defense", "none[alhpa=1]", {}, "no name is near it (none has: none)"),
    ],
)
def test_an_unknown_option_is_met_with_the_nearest_and_with_all(
    kind: Kind, spec: str, preset: dict[str, int], told: str
) -> None:
    with pytest.raises(BadOption) as caught:
        resolve(kind, spec, preset)

    name = spec.partition("[")[0]
    assert str(caught.value) == f"{name}: unknown option 'alhpa': {told}"


def test_an_unknown_plugin_is_met_with_the_nearest_and_an_attack_is_no_defense() -> (
    None
):
    with pytest.raises(UnknownName) as caught:
        resolve("defense", "nsaty", {})

    told = "unknown defense 'nsaty': did you mean 'nasty'? (bench list)"
    assert str(caught.value) == told
    with pytest.raises(UnknownName):
        resolve("defense", "kd", {})
    with pytest.raises(BadPlugin, match=r"not a subclass of bench\.Defense"):
        resolve("defense", "attacks.kd:VanillaKD", {})


def test_a_plugin_carries_and_makes_its_options_in_the_order_of_the_class() -> None:
    plugin = resolve("attack", "kd[alpha=0.25,tau=8]", {"alpha": 0.5})

    assert (plugin.kind, plugin.name, plugin.class_name) == (
        "attack",
        "kd",
        "VanillaKD",
    )
    assert plugin.options[:2] == (("tau", 8.0), ("alpha", 0.25))
    assert plugin.defaults[:2] == (("tau", 4.0), ("alpha", 0.9))
    made = plugin.make()
    assert (type(made).__name__, made.tau, made.alpha) == ("VanillaKD", 8.0, 0.25)


def test_an_attack_tells_what_it_needs_and_a_defense_needs_nothing() -> None:
    kd, scratch = resolve("attack", "kd", {}), resolve("attack", "scratch", {})

    assert kd.needs == Needs(TeacherGrant.SOFT_LABELS, ImageGrant.TRAIN_IMAGES)
    assert (kd.teacherless, scratch.teacherless) == (False, True)
    assert resolve("defense", "nasty", {}).needs is None


@pytest.mark.parametrize(
    ("spec", "label"),
    [
        ("kd", "kd"),
        ("kd[tau=8]", "kd[tau=8]"),
        ("kd[tau=8.0]", "kd[tau=8]"),
        ("kd[alpha=0.25,tau=8]", "kd[tau=8,alpha=0.25]"),
        ("dafl[iterations=1000000]", "dafl[iterations=1000000]"),
    ],
)
def test_a_label_is_the_name_with_the_options_that_were_asked_for(
    spec: str, label: str
) -> None:
    assert resolve("attack", spec, {}).label == label


def test_presets_are_the_usual_and_hide_from_the_label() -> None:
    preset = {"tau": 2.0}

    usual = resolve("attack", "kd", preset)
    asked = resolve("attack", "kd[tau=2]", preset)
    default = resolve("attack", "kd[tau=4]", preset)

    assert usual.label == asked.label == "kd"
    assert usual == asked
    assert dict(usual.options)["tau"] == 2.0
    assert default.label == "kd[tau=4]"


def test_a_label_can_be_written_again_as_a_spec() -> None:
    plugin = resolve("attack", "kd[tau=0.1,alpha=0.30000001]", {})

    assert resolve("attack", plugin.label, {}) == plugin
    assert resolve("attack", "kd[tau=0.1,alpha=0.3]", {}).label != plugin.label


def test_equal_plugins_are_equal_however_they_were_asked_for() -> None:
    by_name = resolve("attack", "kd[tau=8]", {})
    by_module = resolve("attack", "attacks.kd:VanillaKD[tau=8]", {})

    assert by_name == by_module
    assert hash(by_name) == hash(by_module)
    assert by_name != replace(by_name, code=replace(by_name.code, hash="0" * 16))


def test_a_file_of_an_outsider_is_a_plugin_that_travels_with_its_text(
    tmp_path: Path,
) -> None:
    here = resolve("defense", f"{wall(tmp_path)}[height=3]", {})
    plugin = pickle.loads(pickle.dumps(here))
    (tmp_path / "wall.py").unlink()

    assert plugin == here
    assert (plugin.name, plugin.class_name) == ("wall:Wall", "Wall")
    assert plugin.label == "wall:Wall[height=3]"
    assert plugin.make().height == 3.0


def test_modules_of_the_current_folder_are_plugins_with_labels_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "package_walls" / "__init__.py", "")
    written(tmp_path / "package_walls" / "brick.py")
    written(tmp_path / "package_walls" / "clay.py", DEFENSE.replace("2.0", "9.0"))
    monkeypatch.chdir(tmp_path)

    brick = resolve("defense", "package_walls.brick:Wall", {})
    clay = resolve("defense", "package_walls.clay:Wall", {})

    assert brick != clay
    assert brick.label == "package_walls.brick:Wall" != clay.label
    assert (brick.make().height, clay.make().height) == (2.0, 9.0)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("raise RuntimeError('first line\\nsecond')", "RuntimeError: first line"),
        ("x = 1", "AttributeError: module"),
        ("Wall = 3", "is not a subclass of bench.Defense"),
        ("class Wall: pass", "is not a subclass of bench.Defense"),
        (
            """
            from bench import Defense
            class Wall(Defense):
                def protect(self, teacher, images, run): ...
            """,
            "lacks @dataclass(frozen=True)",
        ),
        (
            """
            from dataclasses import dataclass
            from bench import Defense
            @dataclass
            class Wall(Defense):
                def protect(self, teacher, images, run): ...
            """,
            "cannot inherit non-frozen dataclass",
        ),
        (
            """
            from dataclasses import dataclass
            from bench import Defense
            @dataclass(frozen=True)
            class Wall(Defense):
                height: float
                def protect(self, teacher, images, run): ...
            """,
            "cannot be made with its defaults",
        ),
    ],
)
def test_a_file_that_is_no_plugin_is_told_in_one_line(
    text: str, found: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "broken.py", text)

    with pytest.raises(BadPlugin) as caught:
        resolve("defense", f"{path}:Wall", {})

    assert found in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["attack", "defense"])
def test_every_plugin_says_what_it_is_and_is_named_like_its_file(kind: Kind) -> None:
    told = summaries(f"bench.{kind}s")

    assert list(told) == sorted(installed(kind))
    for name, entry in installed(kind).items():
        assert told[name].endswith(".") and not told[name].startswith("broken")
        assert load(kind, name).__module__.rpartition(".")[2] == name
        assert entry.value.startswith(f"{kind}s.{name}:")
