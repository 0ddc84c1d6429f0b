"""The command line; nothing below it prints.

Exit codes: 0 done, 1 a cell failed, 2 usage, 3 environment, 4 a check failed,
130 interrupted.
"""

from __future__ import annotations

import sys

import typer

from bench.errors import BenchError, Unfit

# typer carries a click of its own in newer versions: take the classes from there.
ClickError: type[Exception] = typer.BadParameter.__mro__[2]
"""Base of all complaints about the command line."""

app = typer.Typer(
    help="How well do defenses keep a classifier from being copied?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="--debug with any command shows the traceback behind an error.",
)

from bench.cli import check, doctor, listing, publish, run, show, verify  # noqa: E402 - they use `app`

for part in (run, listing, show, publish, check, verify, doctor):
    part.register(app)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: In place of the process's own.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        return int(app(words, prog_name="bench", standalone_mode=False) or 0)
    except (BenchError, ClickError) as error:
        if debug:
            raise
        usage = getattr(error, "format_message", None)
        text = " ".join((usage() if usage else str(error)).split())
        if text:  # `bench` alone shows its help, and that is all
            print(f"bench: {text}", file=sys.stderr)  # noqa: T201
        return int(getattr(error, "exit_code", 2))
    except OSError as error:
        if debug:
            raise
        print(f"bench: {error}", file=sys.stderr)  # noqa: T201
        return Unfit.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("bench: interrupted", file=sys.stderr)  # noqa: T201
        return 130
