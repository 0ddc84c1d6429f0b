"""What tests of files share: an empty cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.data import load, surrogate


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache; the working folder is an empty one too."""
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    load.cache_clear()
    surrogate.cache_clear()
    yield tmp_path / "cache"
    load.cache_clear()
    surrogate.cache_clear()
