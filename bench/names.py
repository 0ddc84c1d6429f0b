"""What can be named besides plugins and protocols, told without importing torch.

A test holds these tables against `data.SETS` and `networks.NETWORKS`.
"""

from __future__ import annotations

from typing import NamedTuple


class DatasetFacts(NamedTuple):
    """What is public about a data set before it is read."""

    classes: int
    summary: str


DATASETS = {
    "digits": DatasetFacts(10, "scikit-learn's 1,797 handwritten digits, 8x8 grey"),
}
NETWORKS = {
    "cnn2": "two convolutions, 5,178 parameters for digits",
    "resnet8": "three residual blocks, 77,754 parameters for digits",
}
