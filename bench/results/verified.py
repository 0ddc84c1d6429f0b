"""Published rows that were done again elsewhere: how far one key moves."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from filelock import FileLock

from bench.errors import BadResults, one_line

FILE = "verified.csv"


@dataclass(frozen=True, kw_only=True)
class Verified:
    """One student that was published, and the same computation done again."""

    key: str
    what: str
    """Its attack, defense and access, in words."""
    published: float
    """Accuracy, in [0, 1]."""
    again: float
    """The accuracy of the second time."""
    low: float
    """Where it should lie at least; the published value within one environment."""
    high: float
    there: str
    """The published row's processor or GPU, torch release and threads."""
    here: str
    """Those of the second time."""
    commit: str
    """Of the checkout that did it again."""

    @property
    def difference(self) -> float:
        """Accuracy of the second time minus the published one."""
        return self.again - self.published

    @property
    def holds(self) -> bool:
        """It lies where it should."""
        return self.low <= self.again <= self.high


def verified(results: Path) -> list[Verified]:
    """All that the folder `results` tells of.

    Raises:
        BadResults: the file is not what it must be.
    """
    path = results / FILE
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [_typed(cells) for cells in csv.DictReader(file, strict=True)]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise BadResults(
            f"cannot read {path}: {one_line(error)}; correct it, or move it away"
        ) from error


def _typed(cells: dict[str, str]) -> Verified:
    numbers = {"published", "again", "low", "high"}
    names = [f.name for f in fields(Verified)]
    return Verified(**{n: float(cells[n]) if n in numbers else cells[n] for n in names})  # type: ignore[arg-type]


def add(one: Verified, results: Path) -> None:
    """Add a line to the file in `results`; it takes the place of an equal question's.

    The question is the key and the two environments.

    Raises:
        BadResults: the file that stands there is not what it must be.
    """
    with FileLock(results / ".lock"):
        kept = {(o.key, o.there, o.here): o for o in verified(results)}
        kept[one.key, one.there, one.here] = one
        part = (results / FILE).with_suffix(".part")
        with part.open("w", encoding="utf-8", newline="") as file:
            names = [f.name for f in fields(Verified)]
            writer = csv.DictWriter(file, names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(asdict(kept[which]) for which in sorted(kept))
        part.replace(results / FILE)
