"""Decoded images on disk, so that each file is decoded once on a machine.

    $BENCH_DATA/decoded/<set>-<stamp>.safetensors    pixels, labels and what is public
    $BENCH_DATA/raw/<set>/                           what was downloaded

The stamp is a hash of the source's file names, sizes and times, and of outside code
that decodes: a folder that changed is decoded again. A file is written aside and
renamed, so two workers that start together do the work twice and neither sees half a
file.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.data.augment import Augmentation
from bench.data.dataset import Dataset
from bench.data.images import Images, fingerprint_of
from bench.errors import BadData, Unfit, one_line

LAYOUT = 1
"""Raised when decoding changes, so that older files are left alone."""


@dataclass(frozen=True)
class Decoded:
    """All that a source holds."""

    classes: tuple[str, ...]
    train: Images
    test: Images


@dataclass(frozen=True)
class Source:
    """Where the images of a data set come from; `decode` runs when they are new."""

    files: Iterable[Path]
    decode: Callable[[], Decoded]
    augment: Callable[[int], Augmentation]
    """From the height of an image."""
    mean: tuple[float, ...] = ()
    """Empty: of the training pixels."""
    std: tuple[float, ...] = ()
    surrogate: Callable[[], Images] | None = None
    """As in `Dataset`."""


def home() -> Path:
    """The folder that $BENCH_DATA names."""
    named = os.environ.get("BENCH_DATA", "")
    return Path(named or "~/.cache/distill-bench").expanduser().absolute()


def cached(source: Source, name: str, version: str = "") -> Dataset:
    """The data set of `source`, decoded now or before.

    Args:
        source: Where its images come from.
        name: What rows call it.
        version: Of the code that decodes; empty for the bench's own, see `LAYOUT`.

    Raises:
        BadData: a file of the source is not what it must be.
        Unfit: the cache folder takes no files.
    """
    plain = re.sub(r"\W+", "-", Path(name).name)
    stamp = _stamp(source.files, f"{LAYOUT}{version} {name}")
    path = home() / "decoded" / f"{plain}-{stamp}.safetensors"
    if not _whole(path):
        _write(source, path)
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()["facts"])
    # A safetensors file is mapped, not read: workers share its pages, and one rename
    # brings pixels, labels and facts in together.
    held = load_file(path)
    train = Images(held["train.pixels"], held["train.labels"])
    return Dataset(
        name=name,
        classes=tuple(facts["classes"]),
        train=train,
        test=Images(held["test.pixels"], held["test.labels"]),
        augment=source.augment(train.pixels.shape[2]),
        mean=source.mean or tuple(facts["mean"]),
        std=source.std or tuple(facts["std"]),
        surrogate=source.surrogate,
        known=facts["fingerprint"],
    )


def _stamp(files: Iterable[Path], start: str) -> str:
    digest = sha256(start.encode())
    for path in files:
        try:
            stat = path.stat()
        except OSError as error:
            raise BadData(f"cannot read {path}: {error.strerror}") from error
        digest.update(f"\n{path} {stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def _whole(path: Path) -> bool:
    """Whether the file is there and as long as its header says."""
    try:
        with safe_open(path, framework="pt"):
            return True
    except (OSError, SafetensorError):
        return False


def _write(source: Source, path: Path) -> None:
    part = path.with_name(f"{path.stem}.{uuid4().hex[:8]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()  # decoding takes minutes: hear first whether there is a place
        tensors, facts = _packed(source.decode())
        save_file(tensors, part, metadata={"facts": json.dumps(facts)})
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        why = one_line(error)
        raise Unfit(
            f"cannot write to {path.parent}: {why}; name another folder with BENCH_DATA"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()


def _packed(found: Decoded) -> tuple[dict[str, Tensor], dict[str, object]]:
    """The tensors of a cache file, and what it tells of them."""
    train, test, classes = found.train, found.test, found.classes
    mean, std = spread(train.pixels)
    parts = {"train": train, "test": test}
    tensors = {f"{k}.pixels": v.pixels.contiguous() for k, v in parts.items()}
    tensors |= {f"{k}.labels": v.labels.contiguous() for k, v in parts.items()}
    facts = {"classes": classes, "mean": mean, "std": std}
    return tensors, {**facts, "fingerprint": fingerprint_of(train, test)}


def spread(pixels: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation a channel of `(N, C, H, W)`, from how often each value is."""
    values = torch.arange(256, dtype=torch.float64) / 255
    counts = torch.zeros(pixels.shape[1], 256, dtype=torch.float64)
    for part in pixels.split(10_000):
        for channel, count in enumerate(counts):
            count += part[:, channel].flatten().bincount(minlength=256)
    shares = counts / counts.sum(1, keepdim=True)
    mean = shares @ values  # (C,)
    std = (shares @ values**2 - mean**2).clamp(min=0).sqrt()
    return tuple(mean.tolist()), tuple(std.tolist())
