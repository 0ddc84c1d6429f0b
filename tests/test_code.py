"""Code that is found, hashed, carried along and loaded, as it was when found."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.code import Code
from bench.errors import BadPlugin

pytestmark = pytest.mark.usefixtures("own_modules")
CHAIN = {
    "wall.py": "from beside_first import A\nimport beside_second as second\nWall = A\n",
    "beside_first.py": "from beside_third import A\n",
    "beside_second.py": "B = 1\n",
    "beside_third.py": "def circle():\n    from wall import Wall\nA = 1\n",
    "stranger.py": "C = 1\n",
}


def chain(folder: Path, **texts: str) -> Code:
    """The code of `wall.py` and its neighbours, some with another text."""
    folder.mkdir(exist_ok=True)
    for name, text in CHAIN.items():
        (folder / name).write_text(texts.get(Path(name).stem, text))
    return Code.at(f"{folder / 'wall.py'}:Wall")


@pytest.mark.parametrize("name", [Path(n).stem for n in CHAIN if n != "stranger.py"])
def test_the_hash_changes_with_every_file_that_is_imported(
    name: str, tmp_path: Path
) -> None:
    text = CHAIN[f"{name}.py"] + "# edited\n"

    assert chain(tmp_path, **{name: text}) != chain(tmp_path)


def test_the_hash_does_not_change_with_a_file_that_is_not_imported(
    tmp_path: Path,
) -> None:
    assert chain(tmp_path, stranger="D = 1") == chain(tmp_path)


def test_an_edit_is_seen_though_the_file_is_as_old_as_before(tmp_path: Path) -> None:
    path, found = tmp_path / "wall.py", []

    for text in ("Wall = 1", "Wall = 2"):
        path.write_text(text)
        os.utime(path, (0, 0))
        found.append(Code.at(f"{path}:Wall"))

    assert found[0] != found[1]
    assert [code.load() for code in found] == [1, 2]


def test_a_neighbour_that_appears_later_changes_the_hash(tmp_path: Path) -> None:
    path = tmp_path / "wall.py"
    path.write_text("try:\n    import beside_new\nexcept ImportError:\n    pass\n")
    os.utime(path, (0, 0))
    before = Code.at(f"{path}:Wall")

    (tmp_path / "beside_new.py").write_text("A = 1")

    assert Code.at(f"{path}:Wall") != before


def test_the_hash_is_the_same_in_every_folder(tmp_path: Path) -> None:
    here, there = chain(tmp_path / "here"), chain(tmp_path / "there")

    assert here == there
    assert len(here.hash) == 16
    assert int(here.hash, 16) >= 0


def test_the_hash_of_a_module_is_that_of_its_file() -> None:
    import attacks.kd

    file = Code.at(f"{attacks.kd.__file__}:VanillaKD")

    assert Code.at("attacks.kd:VanillaKD").hash == file.hash
    assert Code.at("attacks.dafl:DAFL").hash != file.hash


def deleted(folder: Path) -> None:
    for path in folder.glob("*.py"):
        path.unlink()


def edited(folder: Path) -> None:
    for path in folder.glob("*.py"):
        path.write_text("Wall = A = 666\n")


@pytest.mark.parametrize("change", [deleted, edited])
@pytest.mark.parametrize("travels", [False, True], ids=["here", "pickled"])
def test_a_file_runs_from_the_text_it_carries_whatever_becomes_of_it(
    change: Callable[[Path], None], travels: bool, tmp_path: Path
) -> None:
    text = f"{CHAIN['wall.py']}# {change.__name__} {travels}\n"  # runs here at first
    code = chain(tmp_path / "own", wall=text)
    change(tmp_path / "own")

    arrived = pickle.loads(pickle.dumps(code)) if travels else code

    assert arrived == code
    assert arrived.load() == 1
    assert not {"beside_first", "beside_second", "beside_third"} & sys.modules.keys()


def test_a_module_carries_no_text(tmp_path: Path) -> None:
    assert Code.at("attacks.kd:VanillaKD").files == ()
    assert {name for name, _ in chain(tmp_path).files} == CHAIN.keys() - {"stranger.py"}


@pytest.mark.parametrize("name", ["wall", "beside_third"])
def test_a_file_that_is_not_python_is_told_in_one_line_and_not_run(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(BadPlugin, match="cannot be loaded: SyntaxError") as caught:
        chain(tmp_path, **{name: "def (\n\n"})

    assert "\n" not in str(caught.value)
    assert str(tmp_path / "wall.py") in str(caught.value)


def test_a_file_is_read_and_not_run_to_be_found(tmp_path: Path) -> None:
    code = chain(tmp_path, wall="raise RuntimeError('first line\\nsecond')\n")

    with pytest.raises(BadPlugin, match="'wall:Wall' cannot be loaded") as caught:
        code.load()

    assert str(caught.value).endswith("RuntimeError: first line")


def test_files_of_two_folders_each_have_their_own_neighbours(tmp_path: Path) -> None:
    low = chain(tmp_path / "low")
    high = chain(tmp_path / "high", beside_third="A = 9\n")

    assert (low.load(), high.load(), low.load()) == (1, 9, 1)


def test_a_file_runs_once_as_long_as_it_is_as_it_was(tmp_path: Path) -> None:
    first = chain(tmp_path, wall="Wall = object()\n")
    again = chain(tmp_path, wall="Wall = object()\n")
    other = chain(tmp_path, wall="Wall = object() # edited\n")

    assert first.load() is again.load()
    assert first.load() is not other.load()


def test_a_relative_path_is_followed_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain(tmp_path)
    monkeypatch.chdir(tmp_path)

    code = Code.at("wall.py:Wall")
    monkeypatch.chdir("/")

    assert code.load() == 1


def test_a_module_that_was_edited_after_it_was_found_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "package_edited.py"
    path.write_text("Wall = 3")
    monkeypatch.chdir(tmp_path)
    code = Code.at("package_edited:Wall")

    path.write_text("Wall = 4")

    with pytest.raises(BadPlugin, match="was edited after this run was planned"):
        code.load()


@pytest.mark.parametrize(
    "place", ["package_nowhere:Wall", "package_no.where:Wall", "no/where.py:Wall"]
)
def test_code_that_is_not_there_is_told_in_one_line(place: str) -> None:
    with pytest.raises(BadPlugin, match=r"be loaded|: there is no file ") as told:
        Code.at(place)

    assert "\n" not in str(told.value)


def test_a_file_that_failed_is_tried_again_once_it_is_mended(tmp_path: Path) -> None:
    with pytest.raises(BadPlugin, match="ZeroDivisionError"):
        chain(tmp_path, beside_first="A = 1 / 0").load()

    assert chain(tmp_path).load() == 1
