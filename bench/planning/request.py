"""What a command asks for, before it is known what that takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.planning.protocol import Protocol


@dataclass(frozen=True)
class Request:
    """What the user asked for; what is left empty is the protocol's."""

    protocol: Protocol
    defenses: tuple[str, ...] = ()
    attacks: tuple[str, ...] = ()
    tracks: tuple[str, ...] = ()
    """Specs: `limited`, `limited[fraction=0.2]`, `mine[teacher=...,images=...]`."""
    students: tuple[str, ...] = ()
    dataset: str = ""
    teachers: tuple[str, ...] = ()
    precision: str = ""
    seeds: int = 0
    untuned: bool = False
    """Every attack is run as its options say."""
    effort: int = 1
    """How many times the protocol's steps students are trained."""
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """`--set`: values by option by plugin; `recipe` stands for every recipe."""
    sweeps: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    """`--sweep`: lists of values by option by plugin; several make a grid."""
