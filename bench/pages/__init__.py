"""Tables -> HTML that needs no script to be read and makes no request to another host.

The templates and the style sheet lie in `site/` of a checkout and inside the wheel.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench import __version__
from bench.boards.ablations import ablations
from bench.boards.board import UNDEFENDED, Board, Entry, current, official_boards
from bench.boards.cells import Scene
from bench.boards.papers import Published, compare
from bench.errors import Unfit
from bench.pages import ablation_charts, charts, portrait_charts, words
from bench.plugins import registry
from bench.results.rows import ProtectRow, Row, StealRow, table_of
from bench.threat.tracks import TRACKS

MARK = ".distill-bench-site"
"""An empty file in every folder that holds a site, so that no other is replaced."""


def build(rows: Iterable[Row], out: Path, published: Sequence[Published] = ()) -> int:
    """Write the whole site into the folder `out`; returns how many pages it has.

    It is made aside and takes the place of an older one at once.

    Args:
        rows: Of all tables.
        out: The folder.
        published: What papers print, to be set beside the rows.

    Raises:
        Unfit: the folder takes no files, or holds other people's.
    """
    site = _Site(list(rows), _environment(), published)
    pages = site.pages()
    if out.exists() and any(out.iterdir()) and not (out / MARK).exists():
        raise Unfit(
            f"{out} holds files that are not of this site, and would be replaced; "
            "name an empty folder with --out"
        )
    fresh = out.with_name(f".{out.name}-{uuid4().hex[:8]}")
    try:
        for name in ("defense", "attack", "run", "assets"):
            (fresh / name).mkdir(parents=True)
        (fresh / MARK).touch()
        for path, text in pages.items():
            (fresh / path).write_text(text, encoding="utf-8")
        for row in site.rows:
            if isinstance(row, StealRow) and row.samples:
                (fresh / "run" / f"{row.key}.png").write_bytes(row.samples)
            if isinstance(row, ProtectRow) and row.response_images:
                (fresh / "run" / f"{row.key}.png").write_bytes(row.response_images)
        for asset in (_home() / "assets").iterdir():
            shutil.copyfile(asset, fresh / "assets" / asset.name)
        charts.copy_script(fresh / "assets")
        shutil.rmtree(out, ignore_errors=True)
        fresh.rename(out)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        why = error.strerror or type(error).__name__
        raise Unfit(
            f"cannot write the site to {out}: {why}; name another folder with --out"
        ) from error
    return len(pages)


def _home() -> Path:
    inside = Path(__file__).parents[1] / "_site"
    return inside if inside.exists() else Path(__file__).parents[2] / "site"


def _environment() -> Environment:
    loader = FileSystemLoader(_home() / "templates")
    made = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= words.FILTERS | {"colour": portrait_charts.colour}
    made.globals |= {"version": __version__, "tracks": TRACKS, "slug": words.slug}
    return made


@dataclass(frozen=True)
class _Site:
    """All rows, and how each page is made of them."""

    rows: Sequence[Row]
    environment: Environment
    published: Sequence[Published]

    def pages(self) -> dict[str, str]:
        """Every page by its path below the site's folder."""
        now = sorted(current(self.rows), key=words.title)
        boards = official_boards(self.rows)
        found = ablations(self.rows)
        steals = [row for row in now if isinstance(row, StealRow)]
        releases = [row for row in now if isinstance(row, ProtectRow)]
        pages = {
            "index.html": self._render(
                "index.html",
                "",
                boards=boards,
                runs={_address(row): row for row in self.rows},
            ),
            "published.html": self._render(
                "published.html", "", found=compare(boards, self.published)
            ),
        }
        released = _by(releases, "defense")
        labels = {row.defense for row in releases} | {row.defense for row in steals}
        for label in sorted(labels):
            mine = released.get(label, [])
            own: list[ProtectRow | StealRow] = [*mine]
            own += [row for row in steals if row.defense == label]
            pages[f"defense/{words.slug(label)}.html"] = self._render(
                "defense.html",
                "../",
                label=label,
                card=_card("defense", label),
                options=words.options(own, "defense"),
                releases=mine,
                steals=[row for row in steals if row.defense == label],
                entries=_entries(boards, label),
                figures=sorted({name for row in mine for name in row.figures}),
                charts=charts.defense(boards, label),
                ablations=ablation_charts.defense(found, label, labels),
                portraits=portrait_charts.portraits(mine, releases),
                samples=_samples(steals, label),
            )
        played = _by(steals, "attack")
        for label, mine in played.items():
            pages[f"attack/{words.slug(label)}.html"] = self._render(
                "attack.html",
                "../",
                label=label,
                card=_card("attack", label),
                steals=mine,
                first=mine[0],
                options=words.options(mine, "attack"),
                samples=[r for r in mine if isinstance(r, StealRow) and r.samples],
                ablations=ablation_charts.attack(found, label, played),
            )
        for row in self.rows:
            pages[_address(row)] = self._render(
                "run.html",
                "../",
                row=row,
                kind=table_of(row),
                title=words.title(row),
                parent=next(
                    (r for r in self.rows if r.key == getattr(row, "parent", "")), None
                ),
                facts=words.facts(row),
                charts=charts.run(row),
            )
        return pages

    def _render(self, template: str, up: str, **facts: Any) -> str:
        """A page of `facts`; `up` leads from its folder to the site's."""
        facts = {"charts": [], "ablations": None, "portraits": []} | facts
        return self.environment.get_template(template).render(up=up, **facts)


def _samples(steals: Sequence[StealRow], label: str) -> list[StealRow]:
    """What attacks made of seed 0 of this defense, each after the same from none."""
    made = [row for row in steals if row.samples and row.seed == 0]
    groups: dict[object, list[StealRow]] = defaultdict(list)
    for row in sorted(made, key=lambda row: (row.attack, row.defense != UNDEFENDED)):
        if row.defense in (label, UNDEFENDED):
            groups[row.attack, row.student, Scene.of(row)].append(row)
    shown = [rows for rows in groups.values() if any(r.defense == label for r in rows)]
    return [row for rows in shown for row in rows]


def _address(row: Row) -> str:
    return f"run/{row.key}.html"


def _by(rows: Sequence[Row], name: str) -> Mapping[str, list[Any]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[getattr(row, name)].append(row)
    return dict(sorted(groups.items()))


def _entries(boards: Sequence[Board], label: str) -> list[tuple[Board, Entry]]:
    return [(b, e) for b in boards for e in b.entries if e.defense == label]


def _card(kind: registry.Kind, label: str) -> registry.Card | None:
    """What the plugin's file says of itself, where it is installed."""
    name = registry.split(label)[0]
    return next((card for card in registry.cards(kind) if card.name == name), None)
