"""Reported values keep their source, and their accuracies are read as shares."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench.errors import BadResults
from bench.results.literature import ACCURACIES, literature, read

COMMITTED = Path(__file__).parents[2] / "results" / "published.csv"
HEAD = (
    "paper,year,venue,table,dataset,defense,attack,teacher,student,setting,metric,"
    "value,std,note,source,url"
)
LINE = (
    "A <b>paper</b>,2019,ICCV,Table 3,CIFAR-10,none,vanilla KD,ResNet-34,ResNet-18,"
    "200 epochs,test top1 %,94.34,,best epoch,a file,https://example.org/a?b=1&c=2"
)


def csv_of(folder: Path, *lines: str) -> Path:
    (folder / "published.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")
    return folder / "published.csv"


def test_committed_values_have_a_source_and_accuracies_are_shares() -> None:
    rows = read(COMMITTED)

    assert len(rows) > 900
    for row in rows:
        assert row.source.strip() == row.source != ""
        assert not re.search(r"/(home|tmp|work|root)/|file:", f"{row.source}{row.url}")
    assert sum(bool(row.url) for row in rows) > 850
    assert len({replace(row, note="") for row in rows}) == len(rows)
    shares = [row.value for row in rows if row.is_accuracy]
    hours = [row.value for row in rows if row.metric == "GPU hours (published)"]
    assert len(shares) > 600
    assert min(shares) >= 0.0 and 0.98 < max(shares) <= 1.0
    assert max(hours) == 42.1
    assert set(ACCURACIES) <= {row.metric for row in rows}


@pytest.mark.parametrize(
    ("metric", "printed", "value"),
    [
        ("test top1 %", "94.34", 0.9434),
        ("top1", "1.44", 0.0144),
        ("clone_test_acc_%", "2.9", 0.029),
        ("test acc (fraction)", "0.955", 0.955),
        ("clone_test_acc", "0.889", 0.889),
        ("GPU hours", "12.5", 12.5),
    ],
)
def test_percent_and_fractions_become_shares_with_their_deviation(
    tmp_path: Path, metric: str, printed: str, value: float
) -> None:
    line = LINE.replace("test top1 %,94.34,", f"{metric},{printed},{printed}")

    [row] = read(csv_of(tmp_path, HEAD, line))

    assert (row.value, row.std) == pytest.approx((value, value))


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
        (["\udcff"], "can't decode"),
    ],
)
def test_a_broken_file_is_one_line_that_says_where(
    tmp_path: Path, lines: list[str], complaint: str
) -> None:
    path = tmp_path / "published.csv"
    path.write_text("\n".join([*lines, ""]), "utf-8", errors="surrogateescape")

    with pytest.raises(BadResults) as error:
        read(path)
    text = str(error.value)
    assert complaint in text and str(path) in text
    assert "\n" not in text


def test_a_results_folder_has_its_own_file_or_that_of_the_bench(tmp_path: Path) -> None:
    assert literature(tmp_path) == read(COMMITTED)

    csv_of(tmp_path, HEAD, LINE)

    assert [row.value for row in literature(tmp_path)] == [0.9434]
