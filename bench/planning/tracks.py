"""The tracks of a request: a protocol's, with what the command line says of them."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from bench.errors import BadOption, UnknownName
from bench.planning.protocol import Protocol, Track, first_error
from bench.plugins.spec import split


def tracks_of(protocol: Protocol, asked: Iterable[str]) -> dict[str, Track]:
    """The tracks that `asked` name, or all of the protocol's.

    Args:
        protocol: Has tracks by name.
        asked: Specs. Options stand above those of the protocol's track; a name that it
            lacks needs `teacher` and `images`.

    Raises:
        BadOption: an option does not exist, or does not fit, or limits nothing.
        UnknownName: the protocol has no such track, and it is not fully described.
    """
    specs = list(asked)
    if not specs:
        return dict(protocol.tracks)
    return {spec: _track(protocol, spec) for spec in dict.fromkeys(specs)}


def _track(protocol: Protocol, spec: str) -> Track:
    name, options = split(spec)
    known = protocol.tracks.get(name)
    if known is None and not {"teacher", "images"} <= options.keys():
        where = f"tracks of protocol {protocol.name}; or say its teacher and images"
        raise UnknownName.among("track", name, protocol.tracks, where)
    for option in options:
        if option not in Track.model_fields:
            fields = ", ".join(Track.model_fields)
            wrong = UnknownName.among("option", option, Track.model_fields, fields)
            raise BadOption(f"track {name}: {wrong}")
    base = known.model_dump() if known else {}
    try:
        return Track.model_validate(base | options)
    except ValidationError as error:
        raise BadOption(f"track {spec}: {first_error(error)}") from error
