"""What a command asks for, as the set of tasks that answers it."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bench import REVISION
from bench.errors import BadOption
from bench.planning.coverage import Coverage
from bench.planning.cross import Cross
from bench.planning.panel import Panel
from bench.planning.protocol import Track
from bench.planning.request import Request
from bench.planning.tracks import tracks_of
from bench.results.rows import Row
from bench.stages import Task, with_parents


@dataclass(frozen=True)
class Plan:
    """All tasks of a request, parents before children."""

    request: Request
    tasks: tuple[Task, ...]
    notes: tuple[str, ...] = ()
    """What was left out, and why."""
    broken: tuple[str, ...] = ()
    """Plugins that cannot be loaded; the rest of the plan stands."""

    @property
    def ranked(self) -> set[Task]:
        """The tasks in which nothing departs from a protocol that ranks."""
        coverage = Coverage(self.request.protocol)
        if not coverage.ranks:
            return set()
        return {task for task in self.tasks if coverage.covers(preview(task))}


def needed(tasks: Sequence[Task], done: Container[Task]) -> list[Task]:
    """Those of `tasks` that are to be done, in their order.

    What is done is not; nor is what only such tasks build on, such as a try that did
    not end well and whose choice was made without it.

    Args:
        tasks: Parents before children.
        done: Ended well before.
    """
    builders = {parent for task in tasks for parent in task.parents}
    wanted: set[Task] = set()
    for task in reversed(tasks):
        if task not in done and (task in wanted or task not in builders):
            wanted |= {task, *task.parents}
    return [task for task in tasks if task in wanted and task not in done]


def preview(task: Task) -> Row:
    """The row of `task` before anything is done: what was computed, no result."""
    return task.row(
        **task.columns(),
        key=task.key,
        status="",
        revision=REVISION,
        version="",
        torch="",
        python="",
        platform="",
        device="",
        threads=0,
        command="",
        started=datetime.fromtimestamp(0, UTC),
        seconds=0.0,
    )


def plan(request: Request) -> Plan:
    """The product of defenses, attacks, accesses, students and seeds, with controls.

    A plugin that cannot be loaded is noted and left out, so that it spoils no other
    cell; a name or an option that does not exist is the user's mistake and raises.

    Raises:
        BadData: the files of the data set are not what they must be.
        BadOption: an option does not exist, or its value does not fit, or no track
            grants what an attack needs.
        BadProtocol: a recipe does not fit.
        Unfit: the data set is not on this machine and cannot be brought here.
        UnknownName: a plugin, a data set, a network or a track does not exist.
    """
    protocol = request.protocol
    panel = Panel(request)
    tracks = tracks_of(protocol, request.tracks)
    _check_needs(panel, tracks)
    cross = Cross(request, panel, tracks)
    steals = list(cross.steals())
    return Plan(
        request,
        tuple(with_parents(steals)),
        tuple(cross.notes),
        tuple(panel.broken),
    )


def _check_needs(panel: Panel, tracks: Mapping[str, Track]) -> None:
    """See that every attack has a track that grants what it needs.

    Raises:
        BadOption: none does.
    """
    accesses = [access for track in tracks.values() for access in track.accesses()]
    for attack in (*panel.attacks, *panel.studied):
        needs = attack.needs
        if needs is None or any(access.suffices(needs) for access in accesses):
            continue
        raise BadOption(
            f"{attack.label} needs {needs.teacher} and {needs.images}, and no track "
            f"here grants them ({', '.join(tracks)}): add --track "
            f"'NAME[teacher={needs.teacher},images={needs.images}]'"
        )
