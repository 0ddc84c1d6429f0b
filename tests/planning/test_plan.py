"""Plans: which tasks a request becomes, and which of them are ranked."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from bench.data import load as load_data
from bench.errors import BadData, BadOption, BadProtocol, UnknownName
from bench.planning import protocol as protocols
from bench.planning.plan import Plan, plan
from bench.planning.protocol import Protocol, Track
from bench.planning.request import Request
from bench.recipe import Recipe
from bench.stages import Protect, Steal, TrainTeacher

OPEN = Track(teacher="SoftLabels", images="TrainImages")
FEW = Track(teacher="SoftLabels", images="TrainImages", fraction=0.1)
WHITE = Track(teacher="Weights", images="NoImages")
PROTOCOL = Protocol(
    name="small",
    version=1,
    dataset="digits",
    teachers=("resnet8",),
    students=("cnn2",),
    defenses=("nasty",),
    attacks=("kd", "dafl"),
    tracks={"open": OPEN, "white": WHITE},
    seeds=2,
    recipe={"default": {"epochs": 3}, "cnn2": {"epochs": 4}},
    options={"kd": {"tau": 2.0}, "nasty": {"omega": 0.5}},
)


def planned(**asked: Any) -> Plan:
    update = asked.pop("update", {})
    protocol = asked.pop("protocol", PROTOCOL).model_copy(update=update)
    return plan(Request(protocol, **asked))


def of_kind(found: Plan, kind: type[Any]) -> list[Any]:
    return [task for task in found.tasks if isinstance(task, kind)]


def cells(found: Plan) -> set[tuple[str, str]]:
    """Defense and attack of every steal, by label."""
    return {
        (steal.target.defense.label, steal.attack.label)
        for steal in of_kind(found, Steal)
    }


def under(found: Plan, attack: str) -> set[str]:
    """The accesses of an attack's students, in words."""
    return {str(s.access) for s in of_kind(found, Steal) if s.attack.label == attack}


def ranked(found: Plan) -> dict[str, bool]:
    """Whether each task is ranked, by its label; equal for all seeds."""
    told: dict[str, bool] = {}
    for task in found.tasks:
        label = task.label.partition(" #")[0]
        assert told.setdefault(label, task in found.ranked) == (task in found.ranked)
    return told


def written(tmp_path: Path, body: str, name: str = "own") -> str:
    """The spec of an outsider's plugin in a file."""
    path = tmp_path / f"{name}.py"
    heads = "from dataclasses import dataclass\nfrom bench import *\n"
    path.write_text(heads + "@dataclass(frozen=True)\n" + dedent(body))
    return f"{path}:Own"


def attack_with(tmp_path: Path, grants: str) -> str:
    body = "def steal(self, student, teacher, images, run): pass"
    return written(tmp_path, f"class Own(Attack{grants}):\n    {body}\n")


def test_a_plan_is_the_product_with_its_controls_parents_first() -> None:
    found = planned()

    assert cells(found) == {
        ("none", "scratch"),
        *((defense, "kd") for defense in ("none", "nasty")),
        *((defense, "dafl") for defense in ("none", "nasty")),
    }
    kinds = [len(of_kind(found, k)) for k in (TrainTeacher, Protect, Steal)]
    assert kinds == [2, 4, 10]
    assert len(set(found.tasks)) == len(found.tasks) == 16
    assert (found.notes, found.broken) == ((), ())
    for place, task in enumerate(found.tasks):
        assert set(task.parents) <= set(found.tasks[:place])


def test_an_attack_is_run_in_every_track_whose_grants_suffice() -> None:
    tracks = {
        "open": OPEN,
        "limited": FEW,
        "white": WHITE,
        "replies": Track(teacher="SoftLabels", images="NoImages", queries=(500, 2000)),
        "labels": Track(teacher="HardLabels", images="TrainImages"),
    }

    found = planned(
        update={"tracks": tracks}, attacks=("kd", "label_kd", "dafl", "noise_kd")
    )

    everything, few = "all training images", "10 % of the training images"
    assert under(found, "kd") == {f"confidences, {everything}", f"confidences, {few}"}
    assert under(found, "label_kd") == {
        *under(found, "kd"),
        f"labels alone, {everything}",
    }
    assert under(found, "dafl") == {"weights, no images"}
    assert under(found, "noise_kd") == {
        "weights, no images",
        "confidences, no images, 500 queries",
        "confidences, no images, 2,000 queries",
    }
    assert under(found, "scratch") == under(found, "kd")


def test_the_zero_line_is_drawn_where_others_are_read_against_it() -> None:
    assert under(planned(attacks=("dafl",)), "scratch") == set()
    assert under(planned(attacks=("kd",)), "scratch") == {
        "confidences, all training images"
    }
    assert under(planned(attacks=("scratch", "dafl")), "scratch") == {
        "confidences, all training images"
    }


@pytest.mark.parametrize(
    ("defenses", "attacks"),
    [
        (("nasty",), ("kd",)),
        (("none", "nasty"), ("kd",)),
        (("nasty", "none"), ("kd",)),
        (("nasty",), ("scratch", "scratch[label_smoothing=0.1]")),
    ],
    ids=str,
)
def test_the_undefended_teacher_is_added_once_and_who_never_asks_meets_it_alone(
    defenses: tuple[str, ...], attacks: tuple[str, ...]
) -> None:
    found = planned(defenses=defenses, attacks=attacks, seeds=1)

    asking = {"none", "nasty"} if "kd" in attacks else {"none"}
    assert len(of_kind(found, Protect)) == len(asking)
    assert {defense for defense, _ in cells(found)} == asking
    assert len(cells(found)) == (3 if "kd" in attacks else 2)


@pytest.mark.parametrize(
    ("specs", "images"),
    [
        (("open",), "all training images"),
        (("open[fraction=0.2]",), "20 % of the training images"),
        (
            ("open", "mine[teacher=HardLabels,images=TrainImages,queries=50]"),
            "all training images",
        ),
    ],
)
def test_tracks_may_be_chosen_changed_and_added(
    specs: tuple[str, ...], images: str
) -> None:
    found = planned(attacks=("kd",), tracks=specs)

    assert under(found, "kd") == {f"confidences, {images}"}


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("opne", "unknown track 'opne': did you mean 'open'"),
        ("open[fractoin=0.2]", "unknown option 'fractoin': did you mean 'fraction'"),
        ("open[fraction=2]", "less than or equal to 1"),
        ("white[fraction=0.5]", "fraction is a share of the training images"),
        ("white[queries=10]", "who holds the Weights needs none"),
        ("open[teacher=Gradients]", "teacher: Input should be"),
    ],
)
def test_a_track_that_cannot_be_honoured_is_refused(spec: str, text: str) -> None:
    with pytest.raises((BadOption, UnknownName)) as caught:
        planned(attacks=("kd",), tracks=(spec,))

    assert text in str(caught.value)


def test_an_attack_that_no_track_suits_is_refused_with_the_track_to_add() -> None:
    with pytest.raises(BadOption) as caught:
        planned(attacks=("surrogate_kd",))

    assert "surrogate_kd needs SoftLabels and SurrogateImages" in str(caught.value)
    assert "'NAME[teacher=SoftLabels,images=SurrogateImages]'" in str(caught.value)


def test_surrogates_that_cannot_be_had_leave_their_track_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> None:
        raise BadData("no such images")

    monkeypatch.setattr("bench.data.surrogate", missing)
    service = Track(teacher="SoftLabels", images="SurrogateImages")
    tracks = {"open": OPEN, "service": service}

    found = planned(update={"tracks": tracks}, attacks=("kd", "surrogate_kd"))

    assert {attack for _, attack in cells(found)} == {"scratch", "kd"}
    assert found.notes == ("track service is left out: no such images",)


def test_specs_that_mean_the_same_are_planned_once() -> None:
    found = planned(attacks=("kd", "kd[tau=2]", "attacks.kd:VanillaKD[tau=2]"))

    assert cells(found) == {("none", "scratch"), ("none", "kd"), ("nasty", "kd")}


def test_a_task_tells_its_recipe_data_and_precision() -> None:
    update = {"data_fraction": 0.25, "precision": "bf16"}
    found = planned(update=update, seeds=1)

    (teacher,) = of_kind(found, TrainTeacher)
    assert (teacher.data.name, teacher.data.fraction) == ("digits", 0.25)
    assert teacher.data.fingerprint == load_data("digits").fingerprint
    assert (teacher.precision, teacher.recipe) == ("bf16", Recipe(epochs=3))
    assert {steal.recipe for steal in of_kind(found, Steal)} == {Recipe(epochs=4)}
    changed = planned(settings={"recipe": {"epochs": "7"}}, seeds=1)
    for kind in (TrainTeacher, Steal):
        assert {task.recipe.epochs for task in of_kind(changed, kind)} == {7}


def test_a_sweep_is_a_grid() -> None:
    taus = {"tau": ("1", "2"), "alpha": ("0", "1")}

    found = planned(
        attacks=("kd",), sweeps={"nasty": {"omega": ("0", "0.25")}, "kd": taus}
    )

    attacks = ["kd[tau=1,alpha=0]", "kd[tau=1,alpha=1]", "kd[alpha=0]", "kd[alpha=1]"]
    defenses = ["none", "nasty[omega=0]", "nasty[omega=0.25]"]
    grid = {(defense, attack) for defense in defenses for attack in attacks}
    assert cells(found) == {("none", "scratch"), *grid}


def test_brackets_stand_above_a_setting_and_a_sweep_above_both() -> None:
    asked = {"attacks": ("kd[tau=8]",), "settings": {"kd": {"tau": "9"}}}

    assert ("none", "kd[tau=8]") in cells(planned(**asked))
    swept = planned(**asked, sweeps={"kd": {"tau": ("10",)}})
    assert ("none", "kd[tau=10]") in cells(swept)
    assert ("none", "kd[tau=9]") in cells(planned(**{**asked, "attacks": ("kd",)}))


@pytest.mark.parametrize(
    ("asked", "keeps"),
    [
        ({}, True),
        ({"seeds": 1}, True),
        ({"attacks": ("kd",), "defenses": ("none",)}, True),
        ({"settings": {"kd": {"tau": "2"}}}, True),
        ({"precision": "fp32"}, True),
        ({"teachers": ("cnn2",)}, False),
        ({"settings": {"recipe": {"epochs": "7"}}}, False),
        ({"precision": "bf16"}, False),
        ({"update": {"sweeps": {"nasty": {"omega": (0.1,)}}}}, False),
    ],
    ids=str,
)
def test_what_keeps_to_the_protocol_is_ranked_and_what_departs_throughout_is_not(
    asked: dict[str, Any], keeps: bool
) -> None:
    assert set(ranked(planned(**asked)).values()) == {keeps}


def test_a_departure_is_unranked_where_it_reaches() -> None:
    attack = ranked(planned(attacks=("kd",), settings={"kd": {"tau": "8"}}))
    defense = ranked(planned(attacks=("kd",), defenses=("nasty[omega=1]",)))
    student = ranked(planned(attacks=("kd",), students=("cnn2", "resnet8")))
    panel = ranked(planned(attacks=("label_kd", "kd")))

    assert {label for label, good in attack.items() if not good} == {
        "kd[tau=8] from none to cnn2",
        "kd[tau=8] from nasty to cnn2",
    }
    assert {label for label, good in defense.items() if not good} == {
        "protect by nasty[omega=1]",
        "kd from nasty[omega=1] to cnn2",
    }
    assert {label for label, good in student.items() if not good} == {
        f"{attack} from {who} to resnet8"
        for attack, who in (("scratch", "none"), ("kd", "none"), ("kd", "nasty"))
    }
    assert {label for label, good in panel.items() if not good} == {
        "label_kd from none to cnn2",
        "label_kd from nasty to cnn2",
    }


def test_a_seed_or_a_share_beyond_the_protocols_is_unranked() -> None:
    seeds = planned(seeds=3)
    share = planned(attacks=("kd",), tracks=("open", "open[fraction=0.5]"))

    assert {t.root.seed: t in seeds.ranked for t in seeds.tasks} == {
        0: True,
        1: True,
        2: False,
    }
    fractions = {s.access.fraction: s in share.ranked for s in of_kind(share, Steal)}
    assert fractions == {1.0: True, 0.5: False}


def test_a_new_defense_on_the_protocols_terms_is_ranked(tmp_path: Path) -> None:
    body = "def protect(self, teacher, images, run): return Released(teacher)"
    spec = written(tmp_path, f"class Own(Defense):\n    {body}\n", "wall")

    found = ranked(planned(defenses=(spec,)))

    assert found["protect by wall:Own"] is True
    assert found["kd from wall:Own to cnn2"] is True


@pytest.mark.parametrize("flag", ["settings", "sweeps"])
def test_a_setting_of_a_plugin_that_is_not_in_the_plan_is_refused(flag: str) -> None:
    value = "8" if flag == "settings" else ("8",)

    with pytest.raises(BadOption) as caught:
        planned(attacks=("kd",), **{flag: {"dk": {"tau": value}}})

    option = {"settings": "--set", "sweeps": "--sweep"}[flag]
    assert str(caught.value).startswith(
        f"{option} dk: unknown plugin 'dk': did you mean 'kd'?"
    )
    with pytest.raises(BadOption, match="not in this plan"):
        planned(attacks=("kd",), **{flag: {"dafl": {"batch_size": value}}})


@pytest.mark.parametrize(
    ("asked", "error", "text"),
    [
        ({"teachers": ("self",)}, UnknownName, "unknown network 'self'"),
        ({"dataset": "digit"}, UnknownName, "data set 'digit': did you mean 'digits'"),
        ({"settings": {"kd": {"tua": "8"}}}, BadOption, "did you mean 'tau'"),
        ({"settings": {"recipe": {"epoch": "7"}}}, BadProtocol, "field 'epoch'"),
        ({"update": {"sweeps": {"nsaty": {"omega": (0.1,)}}}}, BadProtocol, "'nasty'"),
        ({"update": {"sweeps": {"kd": {"tau": (0,)}}}}, BadOption, "greater than 0"),
        ({"update": {"sweeps": {"kd": {"alpha": ("a",)}}}}, BadOption, "valid number"),
        ({"update": {"options": {"dk": {"tau": 1}}}}, BadProtocol, "mean 'kd'"),
        ({"update": {"recipe": {"cnn": {}}}}, BadProtocol, "unknown network 'cnn'"),
    ],
)
def test_a_name_or_an_option_that_does_not_fit_is_one_line(
    asked: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error) as caught:
        planned(**asked)

    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["attacks", "defenses", "grantless"])
def test_a_broken_plugin_is_noted_and_the_rest_of_the_plan_stands(
    kind: str, tmp_path: Path
) -> None:
    spec, told = f"{tmp_path / 'broken.py'}:Broken", "SyntaxError"
    (tmp_path / "broken.py").write_text("def (")
    if kind == "grantless":
        spec, told = attack_with(tmp_path, ""), "does not name its two grants"
        kind = "attacks"
    usual = {"attacks": ("kd", "dafl"), "defenses": ("nasty",)}

    found = planned(**{**usual, kind: (*usual[kind], spec)})

    assert found.tasks == planned(**usual).tasks
    [note] = found.broken
    assert spec.partition(":")[0] in note and told in note
    assert "\n" not in note


@pytest.mark.parametrize(
    ("grants", "students"),
    [
        ("[Weights, TrainImages]", ["cnn2"]),
        ("[Weights, NoImages]", ["cnn2"]),
        ("[SoftLabels, TrainImages]", ["cnn2", "resnet8"]),
    ],
)
def test_a_white_box_may_not_train_the_teachers_own_architecture(
    grants: str, students: list[str], tmp_path: Path
) -> None:
    both = Track(teacher="Weights", images="TrainImages")

    found = planned(
        update={"tracks": {"both": both, "white": WHITE}},
        attacks=(attack_with(tmp_path, grants),),
        students=("cnn2", "self"),
    )

    stolen = [s for s in of_kind(found, Steal) if s.attack.label == "own:Own"]
    assert sorted({s.student.name for s in stolen}) == students
    assert len(found.notes) == (len(students) == 1)


def test_the_teachers_own_network_is_one_student_under_both_names() -> None:
    alone = planned(students=("resnet8",))

    assert planned(students=("self", "resnet8")).tasks == alone.tasks
    assert planned(students=("resnet8", "self")).tasks == alone.tasks


def test_each_teacher_meets_all_defenses_attacks_and_students() -> None:
    update = {"teachers": ("resnet8", "cnn2"), "students": ("self", "cnn2")}

    found = planned(update=update, attacks=("kd",))

    stolen = [
        (
            s.target.teacher.network.name,
            s.student.name,
            s.target.defense.label,
            s.attack.label,
        )
        for s in of_kind(found, Steal)
        if s.root.seed == 0
    ]
    met = [("none", "scratch"), ("none", "kd"), ("nasty", "kd")]
    couples = [("resnet8", "resnet8"), ("resnet8", "cnn2"), ("cnn2", "cnn2")]
    assert sorted(stolen) == sorted((*c, *m) for c in couples for m in met)
    assert found.ranked == set(found.tasks)
    part = planned(update=update, attacks=("kd",), teachers=("cnn2",))
    assert set(part.tasks) < set(found.tasks)


def test_a_protocols_sweeps_vary_one_option_at_a_time() -> None:
    sweeps = {"nasty": {"omega": (0.1, 0.5), "tau": (8,)}, "kd": {"tau": (2, 16)}}

    found = planned(update={"sweeps": sweeps})

    points = ["nasty[omega=0.1]", "nasty[tau=8]"]
    assert cells(found) == cells(planned()) | {
        *((point, attack) for point in points for attack in ("kd", "dafl")),
        *((defense, "kd[tau=16]") for defense in ("none", "nasty")),
    }
    (options,) = {
        p.defense.options
        for p in of_kind(found, Protect)
        if p.defense.label == "nasty[tau=8]"
    }
    assert (dict(options)["tau"], dict(options)["omega"]) == (8.0, 0.5)


def test_a_point_of_a_sweep_is_run_where_the_track_ranks() -> None:
    tracks = {
        "open": OPEN,
        "shares": Track(
            teacher="SoftLabels", images="TrainImages", fraction=(0.1, 0.5)
        ),
        "budgets": Track(teacher="SoftLabels", images="TrainImages", queries=(9, 99)),
    }
    update = {"tracks": tracks, "sweeps": {"kd": {"tau": (8,)}}}

    found = planned(update=update, attacks=("kd",))

    everything = "confidences, all training images"
    assert under(found, "kd[tau=8]") == {everything, f"{everything}, 99 queries"}
    assert len(under(found, "kd")) == 5


@pytest.mark.parametrize(
    ("asked", "swept"),
    [
        ({"defenses": ("none",), "attacks": ("kd",)}, ["kd[tau=8]"]),
        ({"defenses": ("nasty",)}, ["kd[tau=8]", "nasty[omega=0.1]"]),
        ({"attacks": ("dafl",)}, ["nasty[omega=0.1]"]),
        ({"defenses": ("none",), "attacks": ("dafl",)}, []),
    ],
    ids=str,
)
def test_sweeps_keep_to_the_plugins_that_are_asked_for(
    asked: dict[str, Any], swept: list[str]
) -> None:
    sweeps = {"nasty": {"omega": (0.1,)}, "kd": {"tau": (8,)}}

    found = planned(update={"sweeps": sweeps}, **asked)

    labels = {label for pair in cells(found) for label in pair}
    assert sorted(label for label in labels if "[" in label) == swept


def test_a_panel_that_grows_by_one_defense_runs_that_defenses_cells_alone(
    tmp_path: Path,
) -> None:
    protocol = protocols.load("digits")
    body = "def protect(self, teacher, images, run): return Released(teacher)"
    spec = written(tmp_path, f"class Own(Defense):\n    {body}\n", "wall")
    update = {"defenses": (*protocol.defenses, spec), "version": protocol.version + 1}

    before = plan(Request(protocol))
    after = plan(Request(protocol.model_copy(update=update)))

    new = set(after.tasks) - set(before.tasks)
    assert set(before.tasks) < set(after.tasks)
    assert {t.label.partition(" #")[0] for t in new if isinstance(t, Protect)} == {
        "protect by wall:Own"
    }
    assert all(
        t.target.defense.label == "wall:Own" for t in new if isinstance(t, Steal)
    )
