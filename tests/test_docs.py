"""What the documents say is true: columns, commands, options, the version."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
import typer.main

import bench
from bench.boards.board import leaderboard
from bench.cli import app, main
from bench.cli.leaderboard import markdown as readme
from bench.planning import protocol
from bench.plugins import registry
from bench.results.index import Results
from bench.results.publish import published
from bench.results.rows import TABLES
from bench.results.schema_doc import markdown

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def commands() -> dict:
    return typer.main.get_command(app).commands


def test_the_column_dictionary_is_that_of_the_rows():
    text = (ROOT / "results" / "README.md").read_text()

    assert text == markdown(), "run: bench show columns > results/README.md"


def test_every_column_is_explained_or_speaks_for_itself():
    plain = {"seed", "dataset", "threads", "command"}
    plain |= {"defense", "attack", "python", "platform", "torch", "seconds"}

    for kind in TABLES.values():
        for column in fields(kind):
            row = re.search(rf"^\| {column.name} \|.*\| (.*) \|$", markdown(), re.M)
            assert row is not None
            assert row[1] or column.name in plain, column.name


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_stands_in_the_readme(name):
    assert f"`bench {name}" in README


def test_every_option_of_a_command_line_in_the_documents_exists():
    lines = re.findall(r"bench (\w+)((?: [^\n`|#]+)?)", README + CONTRIBUTING)
    used = [
        (command, option)
        for command, rest in lines
        if command in commands()
        for option in re.findall(r"--[a-z-]+", rest)
    ]

    assert len(used) > 5
    for command, option in used:
        options = {o for p in commands()[command].params for o in p.opts}
        assert option in options, f"bench {command} {option}"


def test_the_table_of_the_readme_is_that_of_the_published_rows():
    table = README.partition("<!-- table: begin -->")[2].partition("<!-- table: end")[0]

    rows = published(ROOT / "results")

    assert rows, "results/*.parquet are part of the repository"
    assert table.strip() == readme(leaderboard(Results(rows))), "bench show --markdown"


def test_every_plugin_and_protocol_stands_in_the_changelog():
    text = (ROOT / "CHANGELOG.md").read_text()

    names = [*registry.installed("defense"), *registry.installed("attack")]
    for name in [*names, *protocol.names()]:
        assert f"`{name}`" in text


def test_the_defense_on_the_contributing_page_keeps_the_contract(tmp_path, capsys):
    [code] = re.findall(r'```python\n("""Rounding.*?)```', CONTRIBUTING, re.S)
    (tmp_path / "rounding.py").write_text(code)

    code = main(["check", f"{tmp_path / 'rounding.py'}:Rounding"])

    assert (code, "8 of 8 promises kept" in capsys.readouterr().out) == (0, True)


def test_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == bench.__version__
