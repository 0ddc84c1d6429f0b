"""The options of the command line that several commands, or long ones, share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Option = typer.Option

Defenses = Annotated[
    list[str] | None,
    Option(
        metavar="S",
        help="A defense; repeat for several. S is a name, module:Class or "
        "path/file.py:Class, with options as in 'nasty\\[omega=0.1]'.",
    ),
]
Attacks = Annotated[
    list[str] | None,
    Option(metavar="S", help="An attack, as above; repeat for several."),
]
Tracks = Annotated[
    list[str] | None,
    Option(
        metavar="S",
        help="A track of the protocol, or one of your own: 'limited\\[fraction=0.2]', "
        "'mine\\[teacher=SoftLabels,images=NoImages,queries=500]'; repeat for several.",
    ),
]
Students = Annotated[
    list[str] | None,
    Option(metavar="NETWORK", help="'self' is the teacher's own; repeat for several."),
]
ProtocolName = Annotated[str, Option(help="A name of `bench list`, or a TOML file.")]
DatasetName = Annotated[str, Option(help="In place of the protocol's.")]
Teachers = Annotated[
    list[str] | None,
    Option(metavar="NETWORK", help="In place of the protocol's; as above."),
]
Seeds = Annotated[int, Option(min=0, help="How many; 0 takes the protocol's.")]
Settings = Annotated[
    list[str] | None,
    Option(
        "--set",
        metavar="X.OPTION=VALUE",
        help="An option of a plugin, or of all recipes: kd.tau=8, recipe.epochs=5.",
    ),
]
Sweeps = Annotated[
    list[str] | None,
    Option(
        metavar="X.OPTION=A,B,...",
        help="Several values of an option; several sweeps make a grid.",
    ),
]
Untuned = Annotated[
    bool, Option("--untuned", help="Run attacks as the protocol's options stand.")
]
Effort = Annotated[
    int, Option(min=1, help="Train students so many times the protocol's steps.")
]
Engine = Annotated[str, Option(help="ray, or local: in this process.")]
PrecisionName = Annotated[str, Option(help="fp32 or bf16, in place of the protocol's.")]
Compiled = Annotated[
    bool, Option("--compile", help="torch.compile networks; off on processors.")
]
Cpus = Annotated[int, Option(min=1, help="CPUs and torch threads of one task.")]
GpuShare = Annotated[
    float,
    Option(min=0, max=1, help="GPU of one student; 0.25 puts four on one."),
]
TeacherGpuShare = Annotated[
    float, Option(min=0, max=1, help="GPU of one teacher or released teacher.")
]
Address = Annotated[str | None, Option(help="Of a running Ray cluster.")]
StoreFolder = Annotated[Path, Option(help="Where tasks keep their work.")]
ResultsFolder = Annotated[Path, Option(help="Where tables are published.")]
Timeout = Annotated[str | None, Option(help="Of one task: 90s, 30m, 2h.")]
Force = Annotated[bool, Option(help="Do again what is done.")]
DryRun = Annotated[bool, Option(help="Show the plan and stop.")]
AsJson = Annotated[
    bool, Option("--json", help="Print JSON, and nothing else, on stdout.")
]

STORE, RESULTS = Path("results/store"), Path("results")
