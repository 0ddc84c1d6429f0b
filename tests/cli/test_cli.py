"""The commands as a person types them: what is printed, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny

from bench.boards.board import Board, leaderboard
from bench.cli import main
from bench.cli.work import told
from bench.planning import protocol as protocols
from bench.results.index import Results
from bench.results.publish import published
from bench.results.rows import StealRow
from bench.results.store import Store

PROTOCOL = tiny.PROTOCOL.replace('["scratch", "kd", "dafl"]', '["scratch", "kd"]')

RUN = ("run", "--protocol", "tiny.toml", "--engine", "local")

PLUGIN = """
from dataclasses import dataclass
from bench import Defense, Released
@dataclass(frozen=True)
class Fog(Defense):
    '''Fog.'''
    depth: float = 1.0
    def protect(self, teacher, images, run):
        {body}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, with the tiny protocol in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    (tmp_path / "tiny.toml").write_text(PROTOCOL)
    return tmp_path


def fog(here: Path, body: str) -> str:
    (here / "fog.py").write_text(PLUGIN.format(body=body))
    return "fog.py:Fog"


def ranked(here: Path) -> list[Board]:
    """The boards of the tiny protocol that rank something."""
    own = protocols.load(str(here / "tiny.toml"))
    return leaderboard(Results(published(here / "results")), [own])


def test_rows_tell_the_command_without_the_folders_of_this_machine() -> None:
    words = ["run", "--store", "/a b", "--defense", "nasty", "--results=/c"]

    assert told(words) == "bench run --defense nasty"


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The only line on stderr."""
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_a_run_prints_the_table_and_publishes_its_rows(here, capsys):
    code = main([*RUN])

    out = capsys.readouterr().out
    assert code == 0
    assert "open: digits, cnn2 to lenet5" in out
    assert "nasty" in out and "control" in out and "zero line Z" in out
    assert "6 tasks (1 teachers, 2 releases, 3 students), 0 cached" in out
    tables = {"protect.parquet", "steal.parquet", "teacher.parquet"}
    assert {p.name for p in (here / "results").glob("*.parquet")} == tables
    assert list((here / "results" / "store" / "replies").glob("*/*.safetensors"))
    assert len(list(Store(here / "results" / "store").rows())) == 6
    assert main(["doctor"]) == 0


def test_the_same_command_again_does_nothing_and_force_does_it_all(here, capsys):
    main([*RUN])
    first = capsys.readouterr().out
    stamps = {p: p.stat().st_mtime_ns for p in here.glob("results/store/*/row.parquet")}

    code = main([*RUN])

    second = capsys.readouterr().out
    assert code == 0
    assert second.split("6 tasks")[0] == first.split("6 tasks")[0]
    assert "6 cached, 0 done now" in second
    assert stamps == {p: p.stat().st_mtime_ns for p in stamps}
    main([*RUN, "--force"])
    assert "0 cached, 6 done now" in capsys.readouterr().out


def test_a_dry_run_shows_the_plan_and_what_is_cached_and_touches_nothing(here, capsys):
    code = main([*RUN, "--dry-run"])

    out = capsys.readouterr().out
    assert code == 0
    assert "to do   kd from nasty to lenet5 #0" in out
    assert "6 tasks" in out and "nothing was run" in out
    assert not (here / "results").exists()
    main([*RUN, "--attack", "scratch"])
    capsys.readouterr()
    main([*RUN, "--precision", "fp32", "--dry-run", "--json"])
    plan = json.loads(capsys.readouterr().out)
    cached = {task["task"]: task["cached"] for task in plan["tasks"]}
    assert cached["scratch from none to lenet5 #0"] is True
    assert cached["kd from nasty to lenet5 #0"] is False
    assert all(task["official"] for task in plan["tasks"])


def test_json_prints_rows_and_boards_and_nothing_else(capsys):
    code = main([*RUN, "--json"])

    streams = capsys.readouterr()
    found = json.loads(streams.out)
    assert code == 0
    assert len(found["rows"]) == 6
    assert found["ablations"] == []
    assert found["boards"][0]["scene"]["track"] == "open"
    assert streams.err == ""
    assert found["boards"][0]["entries"][0]["naive_damage"]["n"] == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--defense", "nsaty"), "unknown defense 'nsaty': did you mean 'nasty'?"),
        (("--attack", "kd[tua=8]"), "unknown option 'tua': did you mean 'tau'?"),
        (("--attack", "kd[tau=warm]"), "tau=warm: Input should be a valid number"),
        (("--attack", "kd[tau]"), "write name[option=value,...]"),
        (("--set", "kd.tua=8"), "unknown option 'tua': did you mean 'tau'?"),
        (("--set", "dk.tau=8"), "unknown plugin 'dk': did you mean 'kd'?"),
        (("--set", "tau"), "write plugin.option=value"),
        (("--sweep", "kd.tau=1,hot"), "tau=hot: Input should be a valid number"),
        (("--set", "recipe.epoch=3"), "unknown field 'epoch': did you mean 'epochs'?"),
        (("--set", "recipe.epochs=0"), "epochs: Input should be greater than"),
        (("--student", "cn2"), "unknown network 'cn2': did you mean 'cnn2'?"),
        (("--teacher", "resnt8"), "did you mean 'resnet8'?"),
        (("--dataset", "digit"), "unknown data set 'digit': did you mean 'digits'?"),
        (("--engine", "rya"), "unknown engine 'rya'"),
        (("--precision", "fp16"), "unknown precision 'fp16': write fp32 or bf16"),
        (("--timeout", "soon"), "write 90s, 30m or 2h"),
        (("--defence", "nasty"), "No such option: --defence"),
        (("--seeds", "many"), "Invalid value for '--seeds'"),
        (("--protocol", "tinny.toml"), "unknown protocol 'tinny.toml'"),
    ],
)
def test_a_slip_of_the_pen_is_one_line_and_exit_code_2(here, capsys, words, says):
    code = main([*RUN, *words])

    assert code == 2
    line = one_line(capsys)
    assert line.startswith("bench: ")
    assert says in line
    assert not (here / "results").exists()


def test_a_defense_that_raises_is_a_failed_row_that_is_tried_again(here, capsys):
    spec = fog(here, "raise ValueError('thick')")

    code = main([*RUN, "--defense", spec, "--defense", "nasty"])

    out = capsys.readouterr().out
    assert code == 1
    assert "failed: protect by fog:Fog #0: ValueError: thick" in out
    assert "log.txt" in out
    statuses = {
        (r.defense, r.attack): r.status
        for r in published(here / "results")
        if isinstance(r, StealRow)
    }
    assert statuses["fog:Fog", "kd"] == "skipped"
    assert statuses["nasty", "kd"] == statuses["none", "kd"] == "ok"
    fog(here, "return Released(teacher)")
    assert main([*RUN, "--defense", spec]) == 0
    assert "4 cached, 2 done now" in capsys.readouterr().out


def test_a_file_with_a_syntax_error_spoils_no_other_cell(here, capsys):
    (here / "torn.py").write_text("class Torn(:\n")

    code = main([*RUN, "--defense", "torn.py:Torn", "--defense", "nasty"])

    streams = capsys.readouterr()
    assert code == 1
    assert "defense 'torn.py:Torn' cannot be loaded: SyntaxError" in streams.err
    assert "nasty" in streams.out and "1 failed" in streams.out


def test_an_unreadable_table_is_named_before_any_work_is_done(here, capsys):
    (here / "results").mkdir()
    (here / "results" / "steal.parquet").write_bytes(b"not parquet")

    code = main([*RUN])

    line = one_line(capsys)
    assert code == 2
    assert "cannot read results/steal.parquet" in line
    assert not (here / "results" / "store").exists()
    assert (here / "results" / "steal.parquet").read_bytes() == b"not parquet"


@pytest.mark.parametrize(
    ("option", "told"), [("--store", "the store"), ("--results", "the results folder")]
)
def test_a_folder_that_takes_no_files_is_the_machine_s_fault(
    here, capsys, option, told
):
    (here / "file").touch()

    code = main([*RUN, option, "file/there"])

    line = one_line(capsys)
    assert code == 3
    assert f"cannot write to {told}" in line and option in line
    assert not list(here.glob("results/store/*/row.parquet"))


def test_a_sweep_ends_in_a_table_of_its_own_and_is_never_ranked(here, capsys):
    sweep = (*RUN, "--sweep", "nasty.omega=0,0.1", "--attack", "kd")
    code = main([*sweep])
    out = capsys.readouterr().out
    main([*sweep, "--json"])
    found = json.loads(capsys.readouterr().out)

    assert code == 0
    assert "nasty.omega, students by kd" in out
    assert "nasty[" not in out
    [ablation] = found["ablations"]
    labels = [point["label"] for point in ablation["points"]]
    assert labels == ["nasty[omega=0]", "nasty[omega=0.1]"]
    assert len(found["boards"][0]["entries"]) == 3
    assert "nasty" not in {e.defense for b in ranked(here) for e in b.entries}


def test_several_teachers_have_a_board_each_and_another_precision_ranks_nothing(
    here, capsys
):
    words = ("--attack", "kd", "--defense", "none", "--student", "self")
    words += ("--precision", "bf16", "--teacher", "cnn2", "--teacher", "lenet5")

    code = main([*RUN, *words, "--json"])

    found = json.loads(capsys.readouterr().out)
    assert code == 0
    places = [board["scene"]["place"] for board in found["boards"]]
    told = {(place["teacher"], place["student"]) for place in places}
    assert told == {("cnn2", "cnn2"), ("lenet5", "lenet5")}
    assert {row.precision for row in published(here / "results")} == {"bf16"}
    assert ranked(here) == []


def test_compiling_is_left_off_on_processors_with_one_line(here, capsys):
    words = ("--attack", "scratch", "--defense", "none", "--gpu-share", "0")

    code = main([*RUN, *words, "--compile", "--json"])

    assert code == 0
    assert one_line(capsys) == (
        "bench: --compile is left off: on processors it gains nothing"
    )
    assert not any(row.compiled for row in published(here / "results"))


def test_a_protocol_that_sweeps_ends_in_tables_and_ranks_nothing(here, capsys):
    text = PROTOCOL + "[sweeps.nasty]\nomega = [0.1]\n[sweeps.kd]\ntau = [1, 8]\n"
    (here / "tiny.toml").write_text(text)

    code = main([*RUN, "--json"])

    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert ranked(here) == []
    assert len([row for row in found["rows"] if "attack" in row]) == 8
    varied = {(one["varied"], one["option"]) for one in found["ablations"]}
    assert varied == {("defense", "omega"), ("attack", "tau")}


def test_debug_shows_the_traceback(here):
    with pytest.raises(Exception, match="unknown defense"):
        main([*RUN, "--defense", "nsaty", "--debug"])


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(here, capsys):
    spec = fog(here, "raise KeyboardInterrupt")

    with pytest.raises(SystemExit) as stop:
        main([*RUN, "--defense", spec])

    assert stop.value.code == 130
    assert "to go on: bench" in capsys.readouterr().err
    assert len(list(Store(here / "results" / "store").rows())) >= 2


def test_list_names_everything(capsys):
    assert main(["list", "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert {"none", "nasty"} <= found["defenses"].keys()
    assert {"scratch", "kd", "dafl"} <= found["attacks"].keys()
    assert {"cnn2", "resnet18"} <= found["networks"].keys()
    assert {"digits", "folder:DIR"} <= found["data sets"].keys()
    assert "digits" in found["protocols"]
    told = [text for group in found.values() for text in group.values()]
    assert all(told) and not any("broken" in text for text in told)


def test_show_tells_a_plugin_s_options_paper_and_grants(capsys):
    assert main(["show", "dafl"]) == 0

    out = capsys.readouterr().out
    assert "Weights, NoImages" in out
    assert "Data-Free Learning of Student Networks (2019)" in out
    assert "option iterations" in out and "240000" in out


def test_show_tells_a_row_by_its_key_or_the_leaderboard_or_a_hint(here, capsys):
    main([*RUN])
    key = published(here / "results")[0].key
    capsys.readouterr()

    assert main(["show", key[:6], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["key"] == key
    assert main(["show", "--protocol", "tiny.toml"]) == 0
    assert "open: digits, cnn2 to lenet5" in capsys.readouterr().out
    assert main(["show", "dafll"]) == 2
    assert "did you mean 'dafl'?" in one_line(capsys)
    assert main(["rum"]) == 2
    assert "rum" in one_line(capsys)


def test_check_counts_promises_names_the_broken_one_and_ends_with_4(here, capsys):
    assert main(["check", "none"]) == 0
    assert "8 of 8 promises kept" in capsys.readouterr().out
    assert main(["check", fog(here, "return Released(teacher.train()[1])")]) == 4
    assert "broken" in capsys.readouterr().out


def test_doctor_is_content_or_says_what_is_bad_and_ends_with_3(here, capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("torch", "ray", "plugins", "store", "results"))
    (here / "results").mkdir(exist_ok=True)
    (here / "results" / "steal.parquet").write_bytes(b"not parquet")
    assert main(["doctor"]) == 3
    assert "bad results: cannot read" in capsys.readouterr().out


def test_publish_gathers_a_store_and_site_names_the_page_to_open(here, capsys):
    main([*RUN, "--results", "elsewhere"])
    assert main(["publish", "--results", "results"]) == 0
    assert len(published(here / "results")) == 6
    capsys.readouterr()

    assert main(["site"]) == 0
    page = here / "site" / "build" / "index.html"
    assert str(page) in capsys.readouterr().out.replace("\n", "")
    assert page.exists()


def test_a_later_try_that_fails_does_not_undo_a_good_row(here, capsys):
    main([*RUN])
    before = {row.key: row for row in published(here / "results")}

    code = main([*RUN, "--force", "--timeout", "0.01s"])

    assert code == 1
    assert {row.key: row for row in published(here / "results")} == before
    assert all(row.status == "ok" for row in Store(here / "results" / "store").rows())


def test_other_words_for_the_protocol_s_own_values_are_official(here, capsys):
    main([*RUN, "--set", "recipe.epochs=1", "--defense", "defenses.nasty:NastyTeacher"])
    capsys.readouterr()

    main([*RUN])

    assert "6 cached" in capsys.readouterr().out
    [board] = ranked(here)
    assert {entry.defense for entry in board.entries} == {"none", "nasty"}


def test_a_run_that_departs_says_so_and_ranks_nothing(capsys):
    main([*RUN, "--set", "kd.tau=2"])

    out = " ".join(capsys.readouterr().out.split())
    assert "not ranked: a study, or apart from its protocol" in out
    assert "not ranked nasty" in out


@pytest.mark.parametrize("place", ["file", "import"])
def test_a_plugin_that_leaves_python_takes_nothing_along(here, capsys, place):
    spec = fog(here, "raise SystemExit(0)" if place == "file" else "pass")
    if place == "import":
        (here / "fog.py").write_text("raise SystemExit(0)")

    code = main([*RUN, "--defense", spec, "--defense", "nasty"])

    assert code == 1
    rows = published(here / "results")
    assert {r.status for r in rows if isinstance(r, StealRow) and r.defense == "nasty"}


def test_two_plugins_may_not_share_a_label(here, capsys):
    for name in ("a", "b"):
        (here / name).mkdir()
        text = PLUGIN.format(body="return Released(teacher)") + f"# {name}\n"
        (here / name / "fog.py").write_text(text)

    code = main([*RUN, "--defense", "a/fog.py:Fog", "--defense", "b/fog.py:Fog"])

    assert code == 2
    assert "two defenses would be called 'fog:Fog'" in one_line(capsys)
