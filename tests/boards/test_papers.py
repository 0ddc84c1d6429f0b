"""Published values keep their source, are shares, and meet only their own question."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench import names
from bench.boards.board import official_boards
from bench.boards.papers import (
    ACCURACIES,
    ATTACKS,
    DATASETS,
    DEFENSES,
    NETWORKS,
    Comparison,
    Published,
    compare,
    literature,
    read,
)
from bench.cli import main
from bench.errors import BadResults
from bench.pages import build
from bench.plugins.registry import installed
from bench.results.rows import ProtectRow, Row, StealRow, TeacherRow

COMMITTED = Path(__file__).parents[2] / "results" / "published.csv"
HEAD = (
    "paper,year,venue,table,dataset,defense,attack,teacher,student,setting,metric,"
    "value,std,note,source,url"
)
LINE = (
    "A <b>paper</b>,2019,ICCV,Table 3,CIFAR-10,none,vanilla KD,ResNet-34,ResNet-18,"
    "200 epochs,test top1 %,94.34,,best epoch,a file,https://example.org/a?b=1&c=2"
)
PAPER = Published(
    paper="A paper",
    venue="ICCV",
    table="Table 3",
    dataset="CIFAR-10",
    defense="none",
    attack="vanilla KD",
    teacher="ResNet-34",
    student="ResNet-18",
    setting="200 epochs",
    metric="test top1 %",
    value=0.94,
    note="",
    source="a file",
    url="https://example.org/a",
)
COMMON = {
    "status": "ok",
    "official": True,
    "protocol": "photographs",
    "protocol_version": 2,
    "data_fingerprint": "f" * 16,
    "teacher_recipe": "{}",
    "revision": 1,
    "version": "0.1.0",
    "torch": "2.11",
    "python": "3.11.7",
    "platform": "Linux",
    "device": "a processor",
    "threads": 1,
    "command": "bench run",
    "started": datetime(2026, 1, 2, tzinfo=UTC),
    "seconds": 1.0,
}
PLUGINS = {
    "defense": "none",
    "defense_options": "{}",
    "defense_source": "s",
    "attack_options": "{}",
    "attack_source": "s",
}


def measured(
    dataset: str = "cifar10",
    teacher: str = "resnet34",
    student: str = "resnet18",
    kd: tuple[float, ...] = (0.94, 0.95, 0.96),
) -> list[Row]:
    """Rows of an undefended teacher at 0.97, of `kd` and of `scratch` at 0.90."""
    rows: list[Row] = []
    for seed, accuracy in enumerate(kd):
        at = f"{dataset}{teacher}{student}{seed}"
        common = COMMON | {"dataset": dataset, "teacher": teacher, "seed": seed}
        release = {k: v for k, v in PLUGINS.items() if k.startswith("defense")}
        rows += [
            TeacherRow(**common, key=f"t{at}", accuracy=0.97),
            ProtectRow(
                **common | release, key=f"p{at}", parent=f"t{at}", accuracy=0.97
            ),
        ]
        rows += [
            StealRow(
                **common | PLUGINS,
                key=f"{attack}{at}",
                parent=f"p{at}",
                attack=attack,
                teacher_grant="SoftLabels",
                image_grant="TrainImages",
                fraction=1.0,
                track="open",
                teacherless=attack == "scratch",
                student=student,
                student_recipe="{}",
                accuracy=value,
            )
            for attack, value in (("kd", accuracy), ("scratch", 0.90))
        ]
    return rows


def beside(rows: list[Row], *published: Published) -> Comparison:
    return compare(official_boards(rows), published)


def found(comparison: Comparison) -> list[tuple[str, float]]:
    """Attack of ours and value of theirs, for every pair."""
    return [
        (ours.question.attack, pair.theirs.value)
        for ours, pairs in comparison.pairs.items()
        for pair in pairs
    ]


def csv_of(folder: Path, *lines: str) -> Path:
    (folder / "published.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")
    return folder / "published.csv"


def test_every_committed_value_has_a_source_that_says_nothing_of_a_machine():
    rows = read(COMMITTED)

    assert len(rows) > 900
    for row in rows:
        assert row.source.strip() == row.source != ""
        assert not re.search(r"/(home|tmp|work|root)/|file:", f"{row.source}{row.url}")
    assert sum(bool(row.url) for row in rows) > 850


def test_no_committed_value_stands_there_twice():
    rows = [replace(row, note="") for row in read(COMMITTED)]

    assert len(set(rows)) == len(rows)


def test_committed_accuracies_are_shares_and_other_metrics_stay_as_printed():
    rows = read(COMMITTED)

    shares = [row.value for row in rows if row.is_accuracy]
    hours = [row.value for row in rows if row.metric == "GPU hours (published)"]
    assert len(shares) > 600
    assert min(shares) >= 0.0 and 0.98 < max(shares) <= 1.0
    assert max(hours) == 42.1


def test_what_the_metrics_table_names_is_met_in_the_committed_file():
    assert set(ACCURACIES) <= {row.metric for row in read(COMMITTED)}


def test_names_of_the_literature_lead_to_things_that_the_bench_has():
    assert set(DATASETS.values()) <= set(names.DATASETS)
    assert set(NETWORKS.values()) <= set(names.NETWORKS)
    assert set(DEFENSES.values()) <= set(installed("defense"))
    assert set(ATTACKS.values()) - {""} <= set(installed("attack"))


@pytest.mark.parametrize(
    ("metric", "printed", "share"),
    [
        ("test top1 %", "94.34", 0.9434),
        ("top1", "1.44", 0.0144),
        ("clone_test_acc_%", "2.9", 0.029),
        ("test acc (fraction)", "0.955", 0.955),
        ("clone_test_acc", "0.889", 0.889),
    ],
)
def test_percent_and_fractions_become_shares_with_their_deviation(
    tmp_path, metric, printed, share
):
    line = LINE.replace("test top1 %,94.34,", f"{metric},{printed},{printed}")

    [row] = read(csv_of(tmp_path, HEAD, line))

    assert (row.value, row.std) == pytest.approx((share, share))


def test_a_pair_has_our_interval_less_the_published_value():
    comparison = beside(measured(), PAPER)

    [(ours, [pair])] = comparison.pairs.items()
    half = 4.302653 * 0.01 / 3**0.5  # Student's t, two degrees of freedom
    gap = pair.difference
    assert (ours.protocol, ours.version) == ("photographs", 2)
    assert (gap.value, gap.low, gap.high) == pytest.approx(
        (0.01, 0.01 - half, 0.01 + half), abs=1e-6
    )
    assert pair.inside is True


def test_a_published_value_far_away_is_outside_our_interval():
    [[pair]] = beside(measured(), replace(PAPER, value=0.90)).pairs.values()

    assert pair.inside is False
    assert pair.difference.value == pytest.approx(0.05)


def test_one_seed_has_no_interval_to_be_inside_of():
    [[pair]] = beside(measured(kd=(0.94,)), PAPER).pairs.values()

    assert pair.inside is None


@pytest.mark.parametrize(
    "other",
    [
        {"student": "ResNet-34"},
        {"student": "ResNet-18-8x"},
        {"teacher": "VGG-11"},
        {"teacher": ""},
        {"dataset": "CIFAR-100"},
        {"defense": "nasty (SUKD)"},
        {"attack": "KD on alternative similar data"},
        {"metric": "AutoAttack acc %"},
    ],
)
def test_whatever_differs_in_one_part_is_not_set_side_by_side(other):
    assert found(beside(measured(), replace(PAPER, **other))) == []


def test_a_teachers_own_value_meets_the_teacher_once_whatever_student_stands_there():
    theirs = replace(PAPER, attack="teacher (no attack)", student="WRN-16-1")

    both = [*measured(), *measured(student="resnet34")]
    comparison = beside(both, theirs)

    [ours] = comparison.pairs
    assert (round(ours.accuracy.value, 9), ours.question.student) == (0.97, "")


def test_scratch_meets_values_of_its_teacher_and_of_none():
    scratch = replace(PAPER, attack="train from scratch (labels)", value=0.9)

    comparison = beside(
        measured(),
        scratch,
        replace(scratch, teacher="", value=0.8),
        replace(scratch, teacher="WRN-40-2", value=0.7),
    )

    assert found(comparison) == [("scratch", 0.9), ("scratch", 0.8)]


def test_rows_that_depart_from_their_protocol_are_not_compared():
    odd = [replace(row, official=False) for row in measured()]

    assert found(beside(odd, PAPER)) == []


def test_cells_that_nobody_printed_are_told_by_data_set_and_networks():
    rows = [*measured(), *measured("digits", "resnet8", "cnn2")]

    rows += [replace(row, protocol="other", key=f"{row.key}-other") for row in rows]

    comparison = beside(rows, PAPER)

    assert comparison.unheard == ["digits"]
    assert {place: len(asked) for place, asked in comparison.alone.items()} == {
        ("cifar10", "resnet34", ""): 1,
        ("cifar10", "resnet34", "resnet18"): 1,
    }


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([HEAD.replace(",source", ""), LINE], "there is no column source"),
        ([""], "there is no column paper, year"),
        ([HEAD, LINE, LINE.replace("94.34", "FAILED")], "line 3: value: 'FAILED' is"),
        ([HEAD, LINE.replace("94.34", "nan")], "line 2: value: 'nan' is not finite"),
        ([HEAD, LINE.replace("94.34", "943")], "line 2: value: 943 is no accuracy in"),
        ([HEAD, LINE.replace("2019", "soon")], "line 2: year: 'soon' is not a number"),
        ([HEAD, LINE.replace("a file", "")], "line 2: source is empty"),
        ([HEAD, LINE.replace("https:", "javascript:")], "line 2: url: 'javascript:"),
        ([HEAD, LINE + ",more"], "line 2: it has not as many cells"),
        ([HEAD, LINE.rpartition(",")[0]], "line 2: it has not as many cells"),
    ],
)
def test_a_broken_file_is_one_line_that_says_where(tmp_path, lines, complaint):
    path = csv_of(tmp_path, *lines)

    with pytest.raises(BadResults) as error:
        read(path)
    text = str(error.value)
    assert complaint in text and str(path) in text
    assert "\n" not in text


def test_a_file_that_is_no_text_is_one_line(tmp_path, capsys):
    (tmp_path / "published.csv").write_bytes(b"\xff\xfe\x00")

    code = main(["site", "--results", str(tmp_path), "--out", str(tmp_path / "site")])

    told = capsys.readouterr().err
    assert (code, told.count("\n")) == (2, 1)
    assert "as published values" in told


def test_a_results_folder_has_its_own_file_or_that_of_the_bench(tmp_path):
    assert literature(tmp_path) == read(COMMITTED)

    csv_of(tmp_path, HEAD, LINE)

    assert [row.value for row in literature(tmp_path)] == [0.9434]


def test_the_page_links_to_sources_and_escapes_what_they_say(tmp_path):
    rows = [*measured(), *measured("digits", "resnet8", "cnn2")]

    build(rows, tmp_path / "site", read(csv_of(tmp_path, HEAD, LINE)))

    page = (tmp_path / "site" / "published.html").read_text(encoding="utf-8")
    assert '<a href="https://example.org/a?b=1&amp;c=2">a file</a>' in page
    assert "A &lt;b&gt;paper&lt;/b&gt;" in page and "<b>paper" not in page
    assert page.count("<details>") == 1
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "95.0 [92.5, 97.5] n = 3 94.34 %" in text
    assert "test top1 %; 200 epochs best epoch" in text
    assert "protocol photographs 2" in text
    assert "+0.7 [-1.8, 3.1] yes" in text
    assert "digits: no paper of the list below reports on it." in text
    assert "cifar10 resnet34 to resnet18 1 none: scratch" in text


def test_without_a_literature_file_the_page_says_so(tmp_path):
    build(measured(), tmp_path / "site")

    page = (tmp_path / "site" / "published.html").read_text(encoding="utf-8")
    assert "No literature file was found" in page
    assert 'href="published.html"' in (tmp_path / "site" / "index.html").read_text()
