"""Everything that can go wrong, as one tree.

BenchError                  exit code 2 unless said otherwise
├── UnknownName             no plugin, data set, network or protocol is called that
├── BadOption               an option that does not exist, or a value of the wrong type
├── BadProtocol             a protocol file that does not say what it must
├── BadPlugin               a plugin cannot be loaded, or breaks its contract
├── BadResults              a results file that is not one
├── BadData                 files of a data set that are not what they must be
├── Unfit                   exit code 3: this machine lacks what the command needs
└── Stopped                 ends one task; its row says how, the others go on
    ├── Diverged            a loss is not finite any more
    ├── TimedOut            the task ran past its limit
    ├── Skipped             the plugin declines this task, with the reason
    │   └── NotApplicable   the attack has no hold on a network of this kind
    └── Denied              an attack reached past its threat model
        └── BudgetExhausted it asked for more answers than it was granted
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum
from typing import ClassVar


class Status(StrEnum):
    """How a task ended; the column `status` of its row."""

    OK = "ok"
    FAILED = "failed"
    OOM = "oom"
    DIVERGED = "diverged"
    TIMEOUT = "timeout"
    SKIPPED = "skipped"
    NOT_APPLICABLE = "not_applicable"
    """The attack has no hold on a network of this kind: no result is missing."""
    UNFIT = "unfit"
    """The machine that was to do it lacks something, such as the data set."""

    @property
    def is_failure(self) -> bool:
        """Whether a command in which it happens ends with 1."""
        return self not in (Status.OK, Status.SKIPPED, Status.NOT_APPLICABLE)


class BenchError(Exception):
    """Base of every error that bench raises on purpose. Its text is one line."""

    exit_code: ClassVar[int] = 2


def one_line(error: BaseException) -> str:
    """The text of `error` in one line, whoever raised it."""
    return " ".join(str(error).split())


class UnknownName(BenchError):
    """No plugin, data set, network or protocol is called that."""

    @classmethod
    def among(
        cls, kind: str, name: str, known: Iterable[str], where: str
    ) -> UnknownName:
        """The error for `name`, with the nearest of the `known` names.

        Args:
            kind: What was looked for, such as "defense".
            name: What was asked.
            known: The names that exist.
            where: Where all of them are listed.
        """
        near = get_close_matches(name, list(known), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else "no name is near it"
        return cls(f"unknown {kind} {name!r}: {hint} ({where})")


class BadOption(BenchError):
    """An option that does not exist, or a value of the wrong type."""


class BadProtocol(BenchError):
    """A protocol file that does not say what it must."""


class BadPlugin(BenchError):
    """A plugin cannot be loaded, or breaks its contract."""


class BadResults(BenchError):
    """A results file that is not one."""


class BadData(BenchError):
    """Files of a data set that are not what they must be."""


class Unfit(BenchError):
    """This machine lacks what the command needs."""

    exit_code = 3


class Stopped(BenchError):
    """Ends one task; its row says how, the others go on."""

    status: ClassVar[Status] = Status.FAILED


class Diverged(Stopped):
    """A loss is not finite any more."""

    status = Status.DIVERGED


class TimedOut(Stopped):
    """The task ran past its limit."""

    status = Status.TIMEOUT


class Skipped(Stopped):
    """The plugin declines this task, with the reason."""

    status = Status.SKIPPED


class NotApplicable(Skipped):
    """The attack has no hold on a network of this kind, such as one without BatchNorm.

    It is for what the released network lacks, and no defense loses its rank by it;
    `Skipped` is for what the task lacks, such as images of a size that fits.
    """

    status = Status.NOT_APPLICABLE


class Denied(Stopped):
    """An attack reached past its threat model."""


class BudgetExhausted(Denied):
    """An attack asked for more answers than it was granted."""
