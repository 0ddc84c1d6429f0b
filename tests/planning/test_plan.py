"""Plans: which tasks a request becomes, which of them are official, and their keys."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from bench.data import load as load_data
from bench.errors import BadOption, BadProtocol, UnknownName
from bench.planning import tasks as tasks_room
from bench.planning.plan import Plan, Request, plan
from bench.planning.protocol import Protocol
from bench.planning.tasks import (
    Protect,
    Setting,
    Steal,
    Task,
    TrainTeacher,
    key,
    with_parents,
)
from bench.plugins.registry import resolve
from bench.recipe import Recipe

PROTOCOL = Protocol(
    name="small",
    version=1,
    dataset="digits",
    teachers=("resnet8",),
    students=("cnn2",),
    defenses=("nasty",),
    attacks=("kd", "dafl"),
    seeds=2,
    recipe={"default": {"epochs": 3}, "cnn2": {"epochs": 4}},
    options={"kd": {"tau": 2.0}, "nasty": {"omega": 0.5}},
)


@pytest.fixture(autouse=True)
def _search_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the import path and the imported modules back."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in set(sys.modules) - before:
        if name.startswith("bench_file_"):
            del sys.modules[name]


def planned(**asked: Any) -> Plan:
    return plan(Request(asked.pop("protocol", PROTOCOL), **asked))


def of_kind(found: Plan, kind: type[Any]) -> list[Any]:
    return [task for task in found.tasks if isinstance(task, kind)]


def cells(found: Plan) -> set[tuple[str, str]]:
    """Defense and attack of every steal, by label."""
    return {
        (steal.target.defense.label, steal.attack.label)
        for steal in of_kind(found, Steal)
    }


def written(tmp_path: Path, grants: str, name: str = "own") -> str:
    """The spec of an outsider's attack with these grants."""
    path = tmp_path / f"{name}.py"
    text = f"""
        from dataclasses import dataclass
        from bench import Attack, HardLabels, NoImages, SoftLabels, SurrogateImages
        from bench import TrainImages, Weights

        @dataclass(frozen=True)
        class Own(Attack{grants}):
            strength: float = 1

            def steal(self, student, teacher, images, run):
                pass
    """
    path.write_text(dedent(text))
    return f"{path}:Own"


def test_a_plan_is_the_product_with_its_controls() -> None:
    found = planned()

    assert cells(found) == {
        ("none", "scratch"),
        ("none", "kd"),
        ("none", "dafl"),
        ("nasty", "kd"),
        ("nasty", "dafl"),
    }
    assert len(of_kind(found, TrainTeacher)) == 2
    assert len(of_kind(found, Protect)) == 4
    assert len(of_kind(found, Steal)) == 10
    assert len(set(found.tasks)) == len(found.tasks) == 16
    assert (found.notes, found.broken) == ((), ())


def test_parents_come_before_children() -> None:
    found = planned()

    for place, task in enumerate(found.tasks):
        assert task.parent is None or task.parent in found.tasks[:place]


def test_every_seed_has_its_own_teacher() -> None:
    found = planned(seeds=3)

    assert [teacher.seed for teacher in of_kind(found, TrainTeacher)] == [0, 1, 2]
    assert {steal.root.seed for steal in of_kind(found, Steal)} == {0, 1, 2}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"defenses": ("nasty",), "attacks": ("kd",)}, {"none", "nasty"}),
        ({"defenses": ("none",), "attacks": ("kd",)}, {"none"}),
        ({"defenses": ("none", "nasty"), "attacks": ("kd",)}, {"none", "nasty"}),
    ],
)
def test_the_undefended_teacher_is_added_by_itself(
    asked: dict[str, Any], expected: set[str]
) -> None:
    assert {defense for defense, _ in cells(planned(**asked))} == expected


@pytest.mark.parametrize("attacks", [("kd",), ("scratch", "kd"), ("kd", "scratch")])
def test_scratch_is_added_by_itself_and_once(attacks: tuple[str, ...]) -> None:
    found = planned(attacks=attacks)

    names = [s.attack.label for s in of_kind(found, Steal) if s.root.seed == 0]
    assert sorted(names) == ["kd", "kd", "scratch"]


def test_scratch_meets_the_undefended_teacher_alone() -> None:
    found = planned(attacks=("scratch", "scratch[label_smoothing=0.1]"))

    assert cells(found) == {
        ("none", "scratch"),
        ("none", "scratch[label_smoothing=0.1]"),
    }


def test_a_limited_attack_brings_the_zero_line_of_its_share() -> None:
    found = planned(attacks=("limited_kd", "kd[fraction=0.25]"))

    assert cells(found) == {
        ("none", "scratch"),
        ("none", "scratch[fraction=0.1]"),
        ("none", "scratch[fraction=0.25]"),
        ("none", "limited_kd"),
        ("nasty", "limited_kd"),
        ("none", "kd[fraction=0.25]"),
        ("nasty", "kd[fraction=0.25]"),
    }


def test_a_zero_line_that_was_asked_for_is_not_added_twice() -> None:
    found = planned(attacks=("limited_kd", "scratch[fraction=0.1]"), seeds=1)

    zeros = [s for s in of_kind(found, Steal) if s.attack.name == "Scratch"]
    assert [zero.attack.label for zero in zeros] == ["scratch", "scratch[fraction=0.1]"]


def test_two_attacks_with_one_share_have_one_zero_line() -> None:
    found = planned(attacks=("limited_kd", "kd[fraction=0.1]"), seeds=1)

    zeros = [s for s in of_kind(found, Steal) if s.attack.name == "Scratch"]
    assert len(zeros) == 2


def test_the_zero_line_of_a_share_stands_on_the_track_of_its_attack() -> None:
    found = planned(attacks=("limited_kd",), seeds=1)

    tracks = {s.attack.label: s.access()["track"] for s in of_kind(found, Steal)}
    assert tracks == {
        "scratch": "open",
        "scratch[fraction=0.1]": "limited",
        "limited_kd": "limited",
    }


def test_what_an_attacker_may_touch_is_told_by_its_type() -> None:
    found = planned(attacks=("dafl",), seeds=1)

    access = {s.attack.label: s.access() for s in of_kind(found, Steal)}
    assert access["dafl"] == {
        "teacher_grant": "Weights",
        "image_grant": "NoImages",
        "fraction": 1.0,
        "track": "data-free white-box",
        "teacherless": False,
    }
    assert access["scratch"]["teacherless"] is True


def test_specs_that_mean_the_same_are_planned_once() -> None:
    found = planned(attacks=("kd", "kd[tau=2]", "attacks.kd:VanillaKD[tau=2]"))

    assert cells(found) == {("none", "scratch"), ("none", "kd"), ("nasty", "kd")}


def test_recipes_are_the_protocols_for_each_network() -> None:
    found = planned(seeds=1)

    (teacher,) = of_kind(found, TrainTeacher)
    assert teacher.recipe == Recipe(epochs=3)
    assert {steal.recipe for steal in of_kind(found, Steal)} == {Recipe(epochs=4)}


def test_the_setting_is_the_protocols_and_the_datas() -> None:
    (teacher,) = of_kind(planned(seeds=1), TrainTeacher)

    assert teacher.setting == Setting(
        "small", 1, "digits", load_data("digits").fingerprint
    )
    assert teacher.network == "resnet8"


def test_a_sweep_is_a_grid() -> None:
    found = planned(
        attacks=("kd",),
        sweeps={
            "nasty": {"omega": ("0", "0.25")},
            "kd": {"tau": ("1", "2"), "alpha": ("0", "1")},
        },
    )

    attacks = {
        "kd[tau=1,alpha=0]",
        "kd[tau=1,alpha=1]",
        "kd[alpha=0]",
        "kd[alpha=1]",
    }
    defenses = {"none", "nasty[omega=0]", "nasty[omega=0.25]"}
    assert cells(found) == {
        ("none", "scratch"),
        *((defense, attack) for defense in defenses for attack in attacks),
    }


def test_a_sweep_over_the_protocols_own_value_is_the_plain_plugin() -> None:
    found = planned(attacks=("kd",), sweeps={"nasty": {"omega": ("0.5", "0.25")}})

    official = {p.defense.label: p.official for p in of_kind(found, Protect)}
    assert official == {"none": True, "nasty": True, "nasty[omega=0.25]": False}


def test_a_setting_changes_options_and_label() -> None:
    found = planned(attacks=("kd",), settings={"kd": {"tau": "8"}}, seeds=1)

    assert cells(found) == {
        ("none", "scratch"),
        ("none", "kd[tau=8]"),
        ("nasty", "kd[tau=8]"),
    }
    steal = next(s for s in of_kind(found, Steal) if s.attack.name == "VanillaKD")
    assert dict(steal.attack.options)["tau"] == 8.0


def test_brackets_stand_above_a_setting_and_a_sweep_above_both() -> None:
    asked = {"attacks": ("kd[tau=8]",), "settings": {"kd": {"tau": "9"}}}

    bracket = planned(**asked)
    sweep = planned(**asked, sweeps={"kd": {"tau": ("10",)}})

    assert ("none", "kd[tau=8]") in cells(bracket)
    assert ("none", "kd[tau=10]") in cells(sweep)


def test_a_setting_of_the_recipe_reaches_every_network() -> None:
    found = planned(settings={"recipe": {"epochs": "7"}}, seeds=1)

    assert {t.recipe.epochs for t in of_kind(found, TrainTeacher)} == {7}
    assert {t.recipe.epochs for t in of_kind(found, Steal)} == {7}


def official(found: Plan) -> dict[str, bool]:
    """Whether each kind of task is official; equal for all seeds."""
    told: dict[str, bool] = {}
    for task in found.tasks:
        label = task.label.partition(" #")[0]
        assert told.setdefault(label, task.official) == task.official
    return told


def test_what_keeps_to_the_protocol_is_official() -> None:
    assert set(official(planned()).values()) == {True}
    assert set(official(planned(seeds=1)).values()) == {True}
    assert set(official(planned(attacks=("kd",), defenses=("none",))).values()) == {
        True
    }


def test_a_setting_is_unofficial_where_it_reaches() -> None:
    found = official(planned(attacks=("kd",), settings={"kd": {"tau": "8"}}))

    assert found == {
        "train resnet8": True,
        "protect by none": True,
        "protect by nasty": True,
        "scratch from none to cnn2": True,
        "kd[tau=8] from none to cnn2": False,
        "kd[tau=8] from nasty to cnn2": False,
    }


def test_an_option_of_a_defense_is_unofficial_with_its_students() -> None:
    found = official(planned(attacks=("kd",), defenses=("nasty[omega=1]",)))

    assert found == {
        "train resnet8": True,
        "protect by none": True,
        "protect by nasty[omega=1]": False,
        "scratch from none to cnn2": True,
        "kd from none to cnn2": True,
        "kd from nasty[omega=1] to cnn2": False,
    }


def test_a_setting_to_the_protocols_own_value_stays_official() -> None:
    assert set(official(planned(settings={"kd": {"tau": "2"}})).values()) == {True}


@pytest.mark.parametrize(
    "asked",
    [{"teachers": ("cnn2",)}, {"settings": {"recipe": {"epochs": "7"}}}],
)
def test_another_teacher_or_recipe_is_unofficial_throughout(
    asked: dict[str, Any],
) -> None:
    assert set(official(planned(**asked)).values()) == {False}


def test_another_student_is_unofficial_and_its_teacher_is_not() -> None:
    found = official(planned(attacks=("kd",), students=("cnn2", "resnet8")))

    assert found["kd from nasty to cnn2"] is True
    assert found["kd from nasty to resnet8"] is False
    assert found["protect by nasty"] is True


def test_an_attack_outside_the_panel_is_unofficial() -> None:
    found = official(planned(attacks=("limited_kd", "kd")))

    assert found["limited_kd from nasty to cnn2"] is False
    assert found["scratch[fraction=0.1] from none to cnn2"] is False
    assert found["kd from nasty to cnn2"] is True


def test_the_zero_line_of_a_limited_attack_in_the_panel_is_official() -> None:
    protocol = PROTOCOL.model_copy(update={"attacks": ("limited_kd",)})

    assert set(official(planned(protocol=protocol)).values()) == {True}


def test_a_seed_beyond_the_protocols_is_unofficial() -> None:
    found = planned(seeds=3)

    assert {t.root.seed: t.official for t in found.tasks} == {
        0: True,
        1: True,
        2: False,
    }


def test_a_new_defense_on_the_protocols_terms_is_official(tmp_path: Path) -> None:
    path = tmp_path / "wall.py"
    path.write_text(
        dedent(
            """
            from dataclasses import dataclass
            from bench import Defense, Released

            @dataclass(frozen=True)
            class Wall(Defense):
                def protect(self, teacher, images, run):
                    return Released(teacher)
            """
        )
    )

    found = official(planned(defenses=(f"{path}:Wall",)))

    assert found["protect by wall:Wall"] is True
    assert found["kd from wall:Wall to cnn2"] is True


@pytest.mark.parametrize("flag", ["settings", "sweeps"])
def test_a_setting_of_a_plugin_that_is_not_in_the_plan_is_refused(flag: str) -> None:
    value = "8" if flag == "settings" else ("8",)

    with pytest.raises(BadOption) as caught:
        planned(attacks=("kd",), **{flag: {"dk": {"tau": value}}})

    option = {"settings": "--set", "sweeps": "--sweep"}[flag]
    assert str(caught.value) == (
        f"{option} dk: unknown plugin 'dk': did you mean 'kd'? (not in this plan)"
    )


def test_a_setting_of_an_installed_plugin_outside_the_plan_is_refused() -> None:
    with pytest.raises(BadOption, match="not in this plan"):
        planned(attacks=("kd",), settings={"dafl": {"batch": "8"}})


def test_an_unknown_option_in_a_setting_is_met_with_the_nearest() -> None:
    with pytest.raises(BadOption, match="did you mean 'tau'"):
        planned(settings={"kd": {"tua": "8"}})


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"defenses": ("nsaty",)}, "unknown defense 'nsaty': did you mean 'nasty'"),
        ({"attacks": ("dalf",)}, "unknown attack 'dalf': did you mean 'dafl'"),
        ({"students": ("cn2",)}, "unknown network 'cn2': did you mean 'cnn2'"),
        ({"teachers": ("resnet",)}, "unknown network 'resnet': did you mean 'resnet8'"),
        ({"dataset": "digit"}, "unknown data set 'digit': did you mean 'digits'"),
    ],
)
def test_an_unknown_name_is_met_with_the_nearest(
    asked: dict[str, Any], text: str
) -> None:
    with pytest.raises(UnknownName) as caught:
        planned(**asked)

    assert str(caught.value).startswith(text)


def test_a_recipe_that_does_not_fit_is_refused() -> None:
    with pytest.raises(BadProtocol, match="unknown field 'epoch'"):
        planned(settings={"recipe": {"epoch": "7"}})


@pytest.mark.parametrize("kind", ["attacks", "defenses"])
def test_a_broken_plugin_is_noted_and_the_rest_of_the_plan_stands(
    kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "broken.py"
    path.write_text("def (")
    usual = {"attacks": ("kd", "dafl"), "defenses": ("nasty",)}

    found = planned(**{**usual, kind: (*usual[kind], f"{path}:Broken")})

    assert found.tasks == planned(**usual).tasks
    assert len(found.broken) == 1
    assert str(path) in found.broken[0]
    assert "SyntaxError" in found.broken[0]
    assert "\n" not in found.broken[0]


@pytest.mark.parametrize("grants", ["", "[TeacherGrant, ImageGrant]"])
def test_an_attack_without_grants_is_noted_and_the_rest_of_the_plan_stands(
    grants: str, tmp_path: Path
) -> None:
    spec = written(tmp_path, grants)
    path = Path(spec.removesuffix(":Own"))
    names = "from bench.threat.grants import ImageGrant, TeacherGrant\n"
    path.write_text(names + path.read_text())

    found = planned(attacks=("kd", spec))

    assert found.tasks == planned(attacks=("kd",)).tasks
    assert len(found.broken) == 1
    assert "does not name its two grants" in found.broken[0]


def test_a_white_box_with_images_may_not_train_the_teachers_own_architecture(
    tmp_path: Path,
) -> None:
    spec = written(tmp_path, "[Weights, TrainImages]")

    found = planned(attacks=(spec, "kd"), students=("cnn2", "resnet8"))

    students = {
        label: {s.student for s in of_kind(found, Steal) if s.attack.label == label}
        for label in ("own:Own", "kd")
    }
    assert students == {"own:Own": {"cnn2"}, "kd": {"cnn2", "resnet8"}}
    assert found.notes == (
        "own:Own to resnet8: left out, for a student of the teacher's own "
        "architecture could be a copy of its weights",
    )


@pytest.mark.parametrize(
    "grants",
    [
        "[Weights, NoImages]",
        "[SoftLabels, TrainImages]",
        "[HardLabels, SurrogateImages]",
    ],
)
def test_other_attacks_may_train_the_teachers_own_architecture(
    grants: str, tmp_path: Path
) -> None:
    spec = written(tmp_path, grants)

    found = planned(attacks=(spec,), students=("resnet8",))

    assert ("nasty", "own:Own") in cells(found)
    assert found.notes == ()


def test_students_named_self_have_the_teachers_own_network() -> None:
    protocol = PROTOCOL.model_copy(update={"students": ("self",)})

    found = planned(protocol=protocol, seeds=1)

    assert {s.student for s in of_kind(found, Steal)} == {"resnet8"}
    assert {s.recipe for s in of_kind(found, Steal)} == {Recipe(epochs=3)}
    assert set(official(found).values()) == {True}


@pytest.mark.parametrize("students", [("self", "resnet8"), ("resnet8", "self")])
def test_the_teachers_own_network_is_one_student_under_both_names(
    students: tuple[str, ...],
) -> None:
    protocol = PROTOCOL.model_copy(update={"students": students})
    alone = PROTOCOL.model_copy(update={"students": ("resnet8",)})

    assert planned(protocol=protocol).tasks == planned(protocol=alone).tasks


def test_self_may_be_asked_for() -> None:
    found = planned(students=("self", "cnn2"), attacks=("kd",), seeds=1)

    told = {s.student: s.official for s in of_kind(found, Steal)}
    assert told == {"resnet8": False, "cnn2": True}


def test_self_as_a_teacher_is_no_network() -> None:
    with pytest.raises(UnknownName, match="unknown network 'self'"):
        planned(teachers=("self",))


def test_each_teacher_meets_all_defenses_attacks_and_students() -> None:
    protocol = PROTOCOL.model_copy(
        update={"teachers": ("resnet8", "cnn2"), "students": ("self", "cnn2")}
    )

    found = planned(protocol=protocol, attacks=("kd",))

    trained = [(t.network, t.seed) for t in of_kind(found, TrainTeacher)]
    assert sorted(trained) == [
        ("cnn2", 0),
        ("cnn2", 1),
        ("resnet8", 0),
        ("resnet8", 1),
    ]
    recipes = {t.network: t.recipe.epochs for t in of_kind(found, TrainTeacher)}
    assert recipes == {"resnet8": 3, "cnn2": 4}
    stolen = [
        (s.root.network, s.student, s.target.defense.label, s.attack.label)
        for s in of_kind(found, Steal)
        if s.root.seed == 0
    ]
    met = [("none", "scratch"), ("none", "kd"), ("nasty", "kd")]
    couples = [("resnet8", "resnet8"), ("resnet8", "cnn2"), ("cnn2", "cnn2")]
    assert sorted(stolen) == sorted((*c, *m) for c in couples for m in met)
    assert all(task.official for task in found.tasks)


def test_one_of_several_teachers_may_be_asked_for_and_is_official() -> None:
    protocol = PROTOCOL.model_copy(update={"teachers": ("resnet8", "cnn2")})

    whole = planned(protocol=protocol)
    part = planned(protocol=protocol, teachers=("cnn2",))

    assert {task.root.network for task in part.tasks} == {"cnn2"}
    assert all(task.official for task in part.tasks)
    assert {key(task) for task in part.tasks} < {key(task) for task in whole.tasks}


def test_a_teacher_beside_the_protocols_is_unofficial_and_the_others_are_not() -> None:
    found = planned(teachers=("resnet8", "cnn2"))

    told = {(task.root.network, task.official) for task in found.tasks}
    assert told == {("resnet8", True), ("cnn2", False)}


def test_a_white_box_with_images_is_kept_from_each_teachers_own_architecture(
    tmp_path: Path,
) -> None:
    spec = written(tmp_path, "[Weights, TrainImages]")

    found = planned(
        teachers=("resnet8", "cnn2"), students=("self", "cnn2"), attacks=(spec,)
    )

    own = [s for s in of_kind(found, Steal) if s.attack.label == "own:Own"]
    assert {(s.root.network, s.student) for s in own} == {("resnet8", "cnn2")}
    assert len(found.notes) == 2


def test_the_setting_tells_share_and_precision() -> None:
    update = {"share": 0.25, "precision": "bf16"}
    found = planned(protocol=PROTOCOL.model_copy(update=update), seeds=1)

    fingerprint = load_data("digits").fingerprint
    assert {task.root.setting for task in found.tasks} == {
        Setting("small", 1, "digits", fingerprint, 0.25, "bf16")
    }
    assert all(task.official for task in found.tasks)


def test_another_precision_is_unofficial_throughout_and_its_own_is_not() -> None:
    assert set(official(planned(precision="bf16")).values()) == {False}
    assert set(official(planned(precision="fp32")).values()) == {True}
    assert planned(precision="fp32").tasks == planned().tasks
    other = {key(task) for task in planned(precision="bf16").tasks}
    assert not other & {key(task) for task in planned().tasks}


def studied(sweeps: dict[str, Any], **update: Any) -> Protocol:
    return PROTOCOL.model_copy(update={"sweeps": sweeps, **update})


def test_a_protocols_sweeps_vary_one_option_at_a_time() -> None:
    protocol = studied(
        {"nasty": {"omega": (0.1, 0.2), "tau": (2, 8)}, "kd": {"tau": (8, 16)}}
    )

    found = planned(protocol=protocol)

    points = ["nasty[omega=0.1]", "nasty[omega=0.2]", "nasty[tau=2]", "nasty[tau=8]"]
    assert cells(found) == cells(planned()) | {
        *((point, attack) for point in points for attack in ("kd", "dafl")),
        *((d, f"kd[tau={t}]") for d in ("none", "nasty") for t in (8, 16)),
    }
    (options,) = {
        p.defense.options
        for p in of_kind(found, Protect)
        if p.defense.label == "nasty[tau=8]"
    }
    assert (dict(options)["tau"], dict(options)["omega"]) == (8.0, 0.5)


def test_nothing_of_a_protocol_that_sweeps_is_official() -> None:
    found = planned(protocol=studied({"nasty": {"omega": (0.1,)}}))

    assert not any(task.official for task in found.tasks)


def test_the_protocols_own_value_in_a_sweep_is_the_plain_plugin() -> None:
    protocol = studied({"nasty": {"omega": (0.5, 0.25)}, "kd": {"tau": (2, 4)}})

    found = planned(protocol=protocol)

    assert {d for d, _ in cells(found)} == {"none", "nasty", "nasty[omega=0.25]"}
    assert {a for _, a in cells(found)} == {"scratch", "kd", "dafl", "kd[tau=4]"}
    assert len(set(found.tasks)) == len(found.tasks)
    stolen = [
        (s.target.defense.label, s.attack.label, s.root.seed)
        for s in of_kind(found, Steal)
    ]
    assert len(set(stolen)) == len(stolen)


def test_a_swept_share_brings_the_zero_line_of_each_value() -> None:
    protocol = studied({"kd": {"fraction": (0.1, 0.5, 1.0)}})

    found = planned(protocol=protocol, attacks=("kd",), seeds=1)

    points = ("kd[fraction=0.1]", "kd[fraction=0.5]")
    assert cells(found) == {
        ("none", "scratch"),
        ("none", "scratch[fraction=0.1]"),
        ("none", "scratch[fraction=0.5]"),
        *((defense, a) for defense in ("none", "nasty") for a in ("kd", *points)),
    }


def test_a_swept_control_meets_the_undefended_teacher_alone() -> None:
    protocol = studied({"scratch": {"label_smoothing": (0.1, 0.2)}})

    found = planned(protocol=protocol, attacks=("scratch",))

    assert cells(found) == {
        ("none", "scratch"),
        ("none", "scratch[label_smoothing=0.1]"),
        ("none", "scratch[label_smoothing=0.2]"),
    }


@pytest.mark.parametrize(
    ("asked", "swept"),
    [
        ({"defenses": ("none",), "attacks": ("kd",)}, {"kd[tau=8]"}),
        ({"defenses": ("nasty",), "attacks": ("dafl",)}, {"nasty[omega=0.1]"}),
        ({"defenses": ("nasty",)}, {"nasty[omega=0.1]", "kd[tau=8]"}),
        ({"attacks": ("dafl",)}, {"nasty[omega=0.1]"}),
        ({"defenses": ("none",), "attacks": ("dafl",)}, set()),
    ],
)
def test_sweeps_keep_to_the_plugins_that_are_asked_for(
    asked: dict[str, Any], swept: set[str]
) -> None:
    protocol = studied({"nasty": {"omega": (0.1,)}, "kd": {"tau": (8,)}})

    found = planned(protocol=protocol, **asked)

    labels = {label for pair in cells(found) for label in pair}
    assert {label for label in labels if "[" in label} == swept


def test_a_plugin_outside_the_panel_may_be_swept() -> None:
    protocol = studied({"limited_kd": {"tau": (8,)}})

    found = planned(protocol=protocol, seeds=1)

    assert cells(found) - cells(planned(seeds=1)) == {
        ("none", "limited_kd[tau=8]"),
        ("nasty", "limited_kd[tau=8]"),
        ("none", "scratch[fraction=0.1]"),
    }


def test_a_setting_of_a_swept_plugin_is_in_the_plan() -> None:
    protocol = studied({"limited_kd": {"tau": (8,)}})

    found = planned(protocol=protocol, settings={"limited_kd": {"alpha": "0.5"}})

    assert found.tasks


def test_an_unknown_plugin_in_the_sweeps_of_a_protocol_is_one_line() -> None:
    with pytest.raises(BadProtocol) as caught:
        planned(protocol=studied({"nsaty": {"omega": (0.1,)}}))

    assert str(caught.value) == (
        "protocol 'small', [sweeps]: unknown plugin 'nsaty': "
        "did you mean 'nasty'? (bench list)"
    )


@pytest.mark.parametrize(
    ("sweeps", "text"),
    [
        ({"nasty": {"omgea": (0.1,)}}, "unknown option 'omgea': did you mean 'omega'"),
        ({"kd": {"tau": (0,)}}, "tau=0: Input should be greater than 0"),
        ({"kd": {"alpha": ("much",)}}, "alpha=much: Input should be a valid number"),
    ],
)
def test_a_point_that_does_not_exist_is_told(sweeps: dict[str, Any], text: str) -> None:
    with pytest.raises(BadOption) as caught:
        planned(protocol=studied(sweeps))

    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_words_can_be_swept() -> None:
    protocol = studied({"noise_kd": {"distribution": ("uniform", "normal")}})

    found = planned(protocol=protocol, attacks=("kd", "noise_kd"), seeds=1)

    names = {attack for _, attack in cells(found) if attack.startswith("noise_kd")}
    assert names == {"noise_kd", "noise_kd[distribution=uniform]"}


SETTING = Setting("small", 1, "digits", "f" * 16)
TEACHER = TrainTeacher(SETTING, "resnet8", Recipe(epochs=3), seed=0)


def tasks() -> tuple[TrainTeacher, Protect, Steal]:
    release = Protect(TEACHER, resolve("defense", "nasty", {}))
    kd = resolve("attack", "kd", {})
    return TEACHER, release, Steal(release, kd, "cnn2", Recipe(epochs=4))


def test_equal_tasks_have_equal_keys_and_each_kind_its_own() -> None:
    first, again = [key(task) for task in tasks()], [key(task) for task in tasks()]

    assert first == again
    assert len(set(first)) == 3
    assert all(len(k) == 16 and int(k, 16) >= 0 for k in first)


def test_all_tasks_of_a_plan_have_keys_of_their_own() -> None:
    found = planned(sweeps={"nasty": {"omega": ("0", "0.1", "0.2")}}).tasks

    assert len({key(task) for task in found}) == len(found)


def test_a_key_does_not_depend_on_how_the_plan_came_to_the_task() -> None:
    whole, part = planned(), planned(attacks=("kd[tau=2]",), seeds=1)

    assert {key(task) for task in part.tasks} < {key(task) for task in whole.tasks}


def test_a_key_does_not_depend_on_labels_targets_or_being_official() -> None:
    teacher, release, steal = tasks()

    other = replace(
        steal,
        official=False,
        attack=replace(steal.attack, label="else", target="elsewhere"),
        target=replace(
            release,
            official=False,
            teacher=replace(teacher, official=False),
            defense=replace(release.defense, label="else", target="elsewhere"),
        ),
    )

    assert other == steal
    assert key(other) == key(steal)


def changed(**change: Any) -> list[Task]:
    """Each kind of task with another teacher."""
    _, release, steal = tasks()
    teacher = replace(TEACHER, **change)
    release = replace(release, teacher=teacher)
    return [teacher, release, replace(steal, target=release)]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"network": "cnn2"},
        {"recipe": Recipe(epochs=4)},
        {"setting": replace(SETTING, protocol="other")},
        {"setting": replace(SETTING, version=2)},
        {"setting": replace(SETTING, dataset="planets")},
        {"setting": replace(SETTING, fingerprint="0" * 16)},
        {"setting": replace(SETTING, share=0.5)},
        {"setting": replace(SETTING, precision="bf16")},
    ],
)
def test_every_key_depends_on_all_that_made_the_teacher(
    change: dict[str, Any],
) -> None:
    for task, other in zip(tasks(), changed(**change), strict=True):
        assert key(task) != key(other)


@pytest.mark.parametrize(
    "change", [{"source": "0" * 16}, {"name": "Other"}, {"options": ()}]
)
def test_a_key_depends_on_plugins_with_their_options_and_sources(
    change: dict[str, Any],
) -> None:
    _, release, steal = tasks()

    other_attack = replace(steal, attack=replace(steal.attack, **change))
    other_release = replace(release, defense=replace(release.defense, **change))
    below = replace(steal, target=other_release)

    assert key(other_release) != key(release)
    assert len({key(steal), key(other_attack), key(below)}) == 3


@pytest.mark.parametrize("option", ["tau=8", "alpha=0.5", "queries=9", "fraction=0.5"])
def test_a_key_depends_on_every_option(option: str) -> None:
    *_, steal = tasks()

    other = replace(steal, attack=resolve("attack", f"kd[{option}]", {}))

    assert key(other) != key(steal)


@pytest.mark.parametrize("change", [{"student": "resnet8"}, {"recipe": Recipe()}])
def test_a_key_depends_on_the_student(change: dict[str, Any]) -> None:
    *_, steal = tasks()

    assert key(replace(steal, **change)) != key(steal)


def test_every_key_depends_on_the_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [key(task) for task in tasks()]

    monkeypatch.setattr(tasks_room, "REVISION", tasks_room.REVISION + 1)
    after = [key(task) for task in tasks()]

    assert not set(before) & set(after)


def test_a_default_that_is_written_as_an_integer_is_the_same_task(
    tmp_path: Path,
) -> None:
    spec = written(tmp_path, "[SoftLabels, TrainImages]")
    *_, steal = tasks()

    plain = replace(steal, attack=resolve("attack", spec, {}))
    asked = replace(steal, attack=resolve("attack", f"{spec}[strength=1]", {}))

    assert plain == asked
    assert key(plain) == key(asked)


def test_an_edited_plugin_is_another_task(tmp_path: Path) -> None:
    spec = written(tmp_path, "[SoftLabels, TrainImages]")
    before = planned(attacks=(spec,), seeds=1)

    path = Path(spec.removesuffix(":Own"))
    path.write_text(path.read_text() + "\n# edited\n")
    after = planned(attacks=(spec,), seeds=1)

    shared = {key(t) for t in before.tasks} & {key(t) for t in after.tasks}
    expected = planned(attacks=("scratch",), seeds=1).tasks
    assert {key(t) for t in expected} <= shared
    assert len(before.tasks) - len(shared) == 2


def test_equal_tasks_are_gathered_once_with_their_parents() -> None:
    teacher, release, steal = tasks()

    assert with_parents([steal, release, steal]) == [teacher, release, steal]
    assert with_parents([]) == []
