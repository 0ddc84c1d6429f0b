"""How Ray is started on this machine, or a cluster joined."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

import ray

from bench.errors import Unfit


def start(address: str | None, held: Iterable[Mapping[str, float]]) -> None:
    """Start Ray on this machine, or join the cluster at `address`.

    Args:
        address: Of a running cluster; None starts one.
        held: What one task of each kind holds, such as `{"cpu": 1, "gpu": 0.25}`.

    Raises:
        Unfit: Ray does not start, or has not what a task holds.
    """
    quiet = logging.CRITICAL
    try:
        if address is None:
            # "local" starts a cluster of our own. Without it Ray joins one that it
            # finds, such as that of a driver that was killed a second ago.
            ray.init(
                address="local",
                include_dashboard=False,
                logging_level=quiet,
                log_to_driver=False,
            )
        else:
            ray.init(address=address, logging_level=quiet, log_to_driver=False)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        where = "on this machine" if address is None else f"at {address}"
        text = str(error).partition("\n")[0]
        raise Unfit(
            f"Ray does not start {where}: {text}; --engine local does without it"
        ) from error
    for name in ("ray", "ray.tune", "ray.air", "ray.train"):
        logging.getLogger(name).setLevel(quiet)  # what failed is told by its row
    have = ray.cluster_resources()
    for name, amount in [pair for need in held for pair in need.items()]:
        if amount > have.get(name.upper(), 0):
            ray.shutdown()
            raise Unfit(
                f"one task asks for {amount:g} {name} and Ray has "
                f"{have.get(name.upper(), 0):g}; see --cpus and --gpu-share"
            )
