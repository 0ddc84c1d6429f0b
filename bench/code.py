"""The code of a plugin, a network or a data set: found, hashed, carried along, loaded.

A place is "module:Name" or "path/file.py:Name". Code in a file travels with its text,
so that a worker needs neither the path nor the disk of whoever planned the task.
"""

from __future__ import annotations

import ast
import sys
from atexit import register
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib import import_module, invalidate_caches
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from bench.errors import BadPlugin


@dataclass(frozen=True)
class Code:
    """One name in one module, as it was when it was found."""

    module: str
    """Dotted, or the stem of a file."""
    name: str
    """What is taken out of the module."""
    hash: str
    """16 hex digits from the text of its file and of the neighbours it imports."""
    files: tuple[tuple[str, str], ...] = field(default=(), compare=False, repr=False)
    """Name and text of its file and its neighbours; empty for an importable module."""

    @classmethod
    def at(cls, place: str) -> Code:
        """The code at `place`; it is read, not run.

        Raises:
            BadPlugin: there is no such file or module, or it is not Python.
        """
        module, _, name = place.rpartition(":")
        if module.endswith(".py"):
            path = Path(module).expanduser().resolve()
            if not path.is_file():
                raise BadPlugin(f"{place!r}: there is no file {path}")
            texts = _texts(path, place)
            return cls(path.stem, name, _hash(texts), tuple(texts.items()))
        return cls(module, name, _hash(_texts(_origin(module, place), place)))

    @property
    def short(self) -> str:
        """What rows call it: `stem:Name` for a file, `module:Name` for a module."""
        return f"{self.module}:{self.name}"

    def texts(self) -> list[tuple[str, str]]:
        """Name and text of its file and its neighbours, wherever they are.

        Raises:
            BadPlugin: they cannot be read.
        """
        if self.files:
            return list(self.files)
        return sorted(_texts(_origin(self.module, self.short), self.short).items())

    def load(self) -> object:
        """What stands there; the module runs at its first load.

        Raises:
            BadPlugin: it cannot be loaded, or is not what it was when it was found.
        """
        if not self.files and Code.at(self.short).hash != self.hash:
            raise BadPlugin(
                f"{self.short} was edited after this run was planned; run it again"
            )
        try:
            found: object = getattr(self._home(), self.name)
        except (Exception, SystemExit) as error:
            text = str(error).partition("\n")[0]
            raise BadPlugin(
                f"{self.short!r} cannot be loaded: {type(error).__name__}: {text}"
            ) from error
        return found

    def _home(self) -> object:
        if not self.files:
            _search_here()
            return import_module(self.module)
        own = f"bench_file_{self.hash}_{self.module}"
        if own in sys.modules:
            return sys.modules[own]
        # Python reads the text, and shows it in a traceback, from a file.
        folder = Path(mkdtemp(prefix="distill-bench-"))
        register(rmtree, folder, ignore_errors=True)
        for name, text in self.files:
            (folder / name).write_text(text, encoding="utf-8")
        return _run(own, folder / f"{self.module}.py", dict(self.files))


def _search_here() -> None:
    here = str(Path.cwd())
    if here not in sys.path:  # a console script does not search the current folder
        sys.path.append(here)


def _origin(module: str, place: str) -> Path:
    _search_here()
    try:
        spec = find_spec(module)
    except (ImportError, ValueError) as error:
        raise BadPlugin(f"{place!r} cannot be loaded: {error}") from error
    if spec is None or spec.origin is None:
        raise BadPlugin(f"{place!r} cannot be loaded: there is no module {module}")
    return Path(spec.origin)


def _texts(start: Path, place: str) -> dict[str, str]:
    """The text of `start` and of the neighbours that it imports, by file name.

    Neighbours are files of the same folder; they are followed to the end.
    """
    texts: dict[str, str] = {}
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path.name not in texts and path.is_file():
            try:
                texts[path.name] = path.read_text(encoding="utf-8")
                names = _imported(texts[path.name])
            except (OSError, SyntaxError, ValueError) as error:
                text = str(error).partition("\n")[0]
                raise BadPlugin(
                    f"{place!r} cannot be loaded: {type(error).__name__}: {text}"
                ) from error
            waiting += [path.with_name(f"{name}.py") for name in sorted(names)]
    return texts


def _hash(texts: Mapping[str, str]) -> str:
    joined = "\0".join(f"{name}\0{texts[name]}" for name in sorted(texts))
    return sha256(joined.encode()).hexdigest()[:16]


@cache
def _imported(text: str) -> set[str]:
    """The last part of every module that `text` imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name.rpartition(".")[2] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").rpartition(".")[2])
            names |= {alias.name for alias in node.names}
    return names


def _run(own: str, path: Path, texts: Mapping[str, str]) -> object:
    """Run the file at `path` as the module `own`."""
    spec = spec_from_file_location(own, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    home = module_from_spec(spec)
    sys.modules[own] = home
    with _neighbours(path, texts):
        try:
            spec.loader.exec_module(home)
        except BaseException:
            del sys.modules[own]
            raise
    return home


@contextmanager
def _neighbours(path: Path, texts: Mapping[str, str]) -> Iterator[None]:
    """Let the file at `path` import its neighbours by name, and nobody else's."""
    names = {Path(name).stem for name in texts} - {path.stem}
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(path.parent))
    invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(path.parent))
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(before)
