"""What the schema of a Hugging Face image table says: its columns and class names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from bench.errors import BadData


def columns(schema: pa.Schema, path: Path) -> tuple[str, str]:
    """The names of the image column and of the label column.

    Raises:
        BadData: there is none or a choice; of several labels, `label` is the one.
    """
    images = [
        column.name
        for column in schema
        if pa.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0
    ]
    labels = [column.name for column in schema if pa.types.is_integer(column.type)]
    if len(labels) > 1 and "label" in labels:
        labels = ["label"]
    if len(images) != 1 or len(labels) != 1:
        raise BadData(
            f"{path} must have one image column (struct<bytes, path>) and one integer "
            f"label column; it has: {', '.join(schema.names)}"
        )
    return images[0], labels[0]


def class_names(schema: pa.Schema, label: str) -> list[str] | None:
    """The class names of the column `label`; None where the table tells none."""
    text = (schema.metadata or {}).get(b"huggingface", b"{}")
    try:
        features: Any = json.loads(text)["info"]["features"]
        if isinstance(features, list):
            features = {feature["name"]: feature for feature in features}
        names = _listed(features[label])
    except (ValueError, KeyError, TypeError):
        return None
    return [str(name) for name in names] if names else None


def _listed(feature: Mapping[str, Any]) -> Any:
    """From {names: [...]}, or from {dtype: {class_label: {names: {"0": ...}}}}."""
    if "names" in feature:
        return feature["names"]
    names = feature["dtype"]["class_label"]["names"]
    return [names[str(i)] for i in range(len(names))] if names else None


def numbered(
    numbers: Sequence[int], names: Sequence[str] | None, root: Path
) -> tuple[tuple[str, ...], Tensor]:
    """The classes, and for each image the place of its own among them.

    Args:
        numbers: The labels in the table.
        names: Of the classes; None: they are called by their numbers.
        root: Where the table lies, for messages.

    Raises:
        BadData: a label has no name.
    """
    labels = np.array(numbers, dtype=np.int64)
    if names is None:
        present, labels = np.unique(labels, return_inverse=True)
        return tuple(map(str, present.tolist())), torch.from_numpy(labels)
    if labels.min() < 0 or labels.max() >= len(names):
        wrong = labels[(labels < 0) | (labels >= len(names))][0]
        raise BadData(f"{root} has the label {wrong}, but names {len(names)} classes")
    return tuple(names), torch.from_numpy(labels)
