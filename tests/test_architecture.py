"""Who may import whom, and other rules that hold for every file of the source."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from statistics import median

import pytest

HOME = Path(__file__).resolve().parents[1]
PLUGINS = ("attacks", "defenses")
LONGEST, MEDIAN = 200, 110
LONG_FUNCTION, LONG_FUNCTIONS = 50, 3
MOST_TESTS = 1.0
"""Lines of tests a line of product."""
FACE = {"bench", "bench.options"}
"""What a plugin may import of bench: its face, and the types of options."""


@cache
def sources(*packages: str) -> tuple[Path, ...]:
    found = [p for package in packages for p in (HOME / package).rglob("*.py")]
    return tuple(sorted(found))


EVERYTHING = sources("bench", *PLUGINS)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def name_of(path: Path) -> str:
    """`bench/cli/run.py` as `bench.cli.run`."""
    parts = path.relative_to(HOME).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path) for path in EVERYTHING}


def modules_of(node: ast.AST, home: str) -> Iterator[str]:
    """What one import statement of the module `home` names, in full."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            base = ".".join([*home.split(".")[: -node.level], *filter(None, [base])])
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            yield inner if inner in MODULES else base


@cache
def imports(path: Path) -> set[str]:
    """Every module that the file imports, wherever in the file that is."""
    return {m for node in ast.walk(tree(path)) for m in modules_of(node, name_of(path))}


def imports_at_once(path: Path) -> set[str]:
    """The modules that come in with the file, those for mypy alone left out."""

    def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
        for node in body:
            yield node
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                yield from statements(node.orelse)
            elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for part in ("body", "orelse", "finalbody"):
                    yield from statements(getattr(node, part, []))
                for handler in getattr(node, "handlers", []):
                    yield from statements(handler.body)

    found = statements(tree(path).body)
    return {m for node in found for m in modules_of(node, name_of(path))}


def root(module: str) -> str:
    return module.partition(".")[0]


def users(*roots: str) -> set[str]:
    """The files that import one of `roots` anywhere."""
    return {
        path.relative_to(HOME).as_posix()
        for path in EVERYTHING
        if {root(m) for m in imports(path)} & set(roots)
    }


def among(*modules: str) -> set[str]:
    """The modules of bench that import one of `modules` or of what lies in them."""
    return {
        name_of(path)
        for path in EVERYTHING
        for found in imports(path)
        if any(found == m or found.startswith(f"{m}.") for m in modules)
    }


def test_the_source_is_found() -> None:
    assert {"bench", "bench.cli.run", "attacks.kd", "defenses.nasty"} <= MODULES
    assert "bench.threat.grants" in imports(HOME / "bench/plugins/base.py")
    assert "bench.data" in imports(HOME / "bench/worker/workbench.py")
    assert "torch" in imports(HOME / "bench/results/store.py")
    assert "torch" not in imports_at_once(HOME / "bench/results/store.py")


def test_heavy_and_foreign_packages_are_imported_where_they_belong_alone() -> None:
    engine = ("on_ray", "ray_cluster", "tune_search")

    assert users("ray") == {f"bench/engines/{name}.py" for name in engine}
    assert all(file.startswith("bench/pages/") for file in users("jinja2", "plotly"))
    assert all(file.startswith("bench/cli/") for file in users("typer", "rich"))
    assert users("site", "results", "tests") == set()


def test_bench_never_imports_a_plugin() -> None:
    for path in sources("bench"):
        assert not {root(m) for m in imports(path)} & set(PLUGINS), path.name


@pytest.mark.parametrize("path", sources(*PLUGINS), ids=name_of)
def test_a_plugin_imports_bench_torch_and_its_shared_neighbours_alone(
    path: Path,
) -> None:
    own = name_of(path).partition(".")[0]

    for module in imports(path):
        if root(module) == own:
            assert module.startswith(f"{own}._"), f"{module} is no shared neighbour"
        elif root(module) == "bench":
            assert module in FACE, f"{module} is not the face of bench"
        else:
            allowed = root(module) == "torch" or root(module) in sys.stdlib_module_names
            assert allowed, f"{module} is not for plugins"


def test_no_file_of_bench_imports_in_a_circle() -> None:
    graph = {
        name_of(path): {m for m in imports_at_once(path) if m in MODULES}
        for path in EVERYTHING
    }

    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_command_line_and_the_referee_are_imported_by_their_rooms_alone() -> None:
    users_of_cli = {m for m in among("bench.cli") if not m.startswith("bench.cli")}

    assert users_of_cli == {"bench.__main__"}
    assert among("bench.worker.referee") == {"bench.worker.workbench"}


def room_of(module: str) -> str:
    """The folder of a module, or its name where it stands on the ground floor."""
    parts = module.split(".")
    return parts[0] if parts[0] in PLUGINS else ".".join(parts[1:2])


def floors() -> list[set[str]]:
    """The rooms of the map in CONTRIBUTING.md, from the top floor down."""
    text = (HOME / "CONTRIBUTING.md").read_text()
    plan = text.partition("<!-- map: begin -->")[2].partition("<!-- map: end -->")[0]
    lines = [line for line in plan.splitlines() if line.startswith("| `")]
    return [set(re.findall(r"`(\w+)`", line.split("|")[1])) for line in lines]


def test_the_map_names_every_room_once() -> None:
    rooms = [room for floor in floors() for room in floor]

    assert sorted(rooms) == sorted({room_of(m) for m in MODULES} - {"", "__main__"})


def test_every_room_imports_from_floors_below_it_alone() -> None:
    """The face, `bench/__init__.py`, is exempt: it names what lies below by string."""
    level = {room: n for n, floor in enumerate(floors()) for room in floor}

    for path in EVERYTHING:
        home = room_of(name_of(path))
        for module in imports(path):
            room = room_of(module) if module in MODULES else ""
            if home in level and room in level and room != home:
                assert level[home] < level[room], f"{name_of(path)} -> {module}"


PUBLISHING = [*sources("bench/results"), *sources("bench/boards")]
PUBLISHING += sources("bench/pages")


@pytest.mark.parametrize("path", PUBLISHING, ids=name_of)
def test_the_publishing_wing_starts_without_torch_and_ray(path: Path) -> None:
    heavy = {"torch", "torchvision", "ray", "safetensors"}

    assert not {root(m) for m in imports_at_once(path)} & heavy


def loaded_after(code: str, cwd: Path) -> set[str]:
    """The packages in `sys.modules` after `code` ran in a fresh process."""
    ending = "import json, sys\nprint(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{ending}"],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_the_publishing_wing_loads_neither_torch_nor_ray(tmp_path: Path) -> None:
    names = [name_of(path) for path in PUBLISHING]

    loaded = loaded_after("\n".join(f"import {name}" for name in names), tmp_path)

    assert set(names) <= loaded
    assert not loaded & {"torch", "torchvision", "ray"}


def test_test_images_are_touched_by_the_referee_alone() -> None:
    readers = {
        name_of(path)
        for path in EVERYTHING
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr == "test"
    }

    assert readers <= {"bench.worker.referee"} | {
        m for m in MODULES if "bench.data." in m
    }


def test_nothing_below_the_command_line_prints() -> None:
    printers = {
        name_of(path)
        for path in EVERYTHING
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    }

    assert all(module.startswith("bench.cli") for module in printers)


@pytest.mark.parametrize("package", PLUGINS)
def test_every_plugin_file_is_an_entry_point_and_the_other_way_round(
    package: str,
) -> None:
    project = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]
    entries: dict[str, str] = project["entry-points"][f"bench.{package}"]
    files = {path.stem: path for path in sources(package) if path.stem[0] != "_"}

    assert entries.keys() == files.keys()
    for name, target in entries.items():
        module, _, attribute = target.partition(":")
        classes = {
            n.name for n in tree(files[name]).body if isinstance(n, ast.ClassDef)
        }
        assert module == f"{package}.{name}"
        assert attribute in classes


def test_no_file_is_longer_than_one_can_read() -> None:
    lengths = {
        path.relative_to(HOME).as_posix(): len(path.read_text().splitlines())
        for path in EVERYTHING
    }

    assert {file: n for file, n in lengths.items() if n > LONGEST} == {}
    assert median(lengths.values()) < MEDIAN


def test_few_functions_are_longer_than_a_screen() -> None:
    long = [
        f"{name_of(path)}.{node.name}"
        for path in EVERYTHING
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef)
        and (node.end_lineno or 0) - node.lineno >= LONG_FUNCTION
    ]

    assert len(long) <= LONG_FUNCTIONS, long


def test_tests_grow_no_faster_than_what_they_test() -> None:
    tests = sum(len(p.read_text().splitlines()) for p in (HOME / "tests").rglob("*.py"))
    product = sum(len(path.read_text().splitlines()) for path in EVERYTHING)

    assert tests <= MOST_TESTS * product
