"""The user's own tables in the layout of the Hugging Face hub, one row an image.

DIR/<split>-XXXXX-of-YYYYY.parquet, with an image column (struct<bytes, path>) and an
integer label column of any name. Class names come from the schema's metadata.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.data.cache import Decoded, Source
from bench.data.decode import stacked
from bench.data.folder import listed, own
from bench.data.hf_schema import class_names, columns, numbered
from bench.data.images import Images
from bench.errors import BadData, Unfit, one_line

TRAIN, TEST = ("train",), ("test", "valid", "validation", "val")
"""Names of the splits; of several for testing, the first that is there."""
SHARD = re.compile(r"(?P<split>[\w-]+)-(?P<part>\d{5})-of-(?P<of>\d{5})\.parquet")


def parquet(root: Path) -> Source:
    """Your own tables: DIR/train-00000-of-00001.parquet and test-...

    The layout is that of image tables on the Hugging Face hub.

    Raises:
        BadData: a split or one of its files is missing.
        Unfit: there is no such folder.
    """
    if not root.is_dir():
        raise Unfit(f"there is no folder {root}")
    train, test = _shards(root, TRAIN), _shards(root, TEST)
    return Source(
        files=[*train, *test],
        decode=lambda: _decode(train, test),
        augment=own,
    )


def _shards(root: Path, splits: Sequence[str]) -> list[Path]:
    found: dict[str, list[Path]] = {}
    whole: dict[str, int] = {}
    for path in listed(root):
        if match := SHARD.fullmatch(path.name):
            found.setdefault(match["split"], []).append(path)
            whole[match["split"]] = int(match["of"])
    for split in splits:
        if split in found:
            if len(found[split]) != whole[split]:
                raise BadData(
                    f"{root} has {len(found[split])} of the {whole[split]} files of "
                    f"its split {split!r}"
                )
            return found[split]
    raise BadData(f"{root} has no file {splits[0]}-00000-of-00001.parquet or the like")


def _decode(train: Sequence[Path], test: Sequence[Path]) -> Decoded:
    files = [*train, *test]
    schema = _opened(files[0]).schema_arrow
    image, label = columns(schema, files[0])
    counts = [_opened(path).metadata.num_rows for path in files]
    if not sum(counts[: len(train)]) or not sum(counts[len(train) :]):
        raise BadData(f"{files[0].parent} has a split without rows")
    numbers: list[int] = []
    pixels = stacked(_rows(files, image, label, numbers), sum(counts))
    classes, labels = numbered(numbers, class_names(schema, label), files[0].parent)
    cut = sum(counts[: len(train)])
    return Decoded(
        classes,
        Images(pixels[:cut], labels[:cut]),
        Images(pixels[cut:], labels[cut:]),
    )


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise BadData(f"cannot read {path} as Parquet: {one_line(error)}") from error


def _rows(
    files: Iterable[Path], image: str, label: str, numbers: list[int]
) -> Iterator[tuple[str, bytes]]:
    """Where each image lies and its bytes; its label goes to `numbers`."""
    for path in files:
        table, row = _opened(path), 0
        try:
            for batch in table.iter_batches(1000, columns=[image, label]):
                pairs = zip(*(c.to_pylist() for c in batch.columns), strict=True)
                order = batch.schema.names.index(image)
                for pair in pairs:
                    picture, number = pair[order], pair[1 - order]
                    where = f"row {row} of {path}"
                    if number is None or not (picture and picture["bytes"]):
                        what = "label" if number is None else "image"
                        raise BadData(f"{where} has no {what}")
                    numbers.append(number)
                    yield where, picture["bytes"]
                    row += 1
        except (pa.ArrowException, OSError, KeyError) as error:
            raise BadData(f"cannot read {path}: {one_line(error)}") from error
