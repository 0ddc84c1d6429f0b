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
    "fashion_mnist": DatasetFacts(10, "70,000 articles of clothing, 28x28 grey"),
    "cifar10": DatasetFacts(10, "60,000 photographs of 10 classes, 32x32 RGB"),
    "cifar100": DatasetFacts(100, "60,000 photographs of 100 classes, 32x32 RGB"),
    "tiny_imagenet": DatasetFacts(200, "110,000 photographs, 200 classes, 64x64 RGB"),
}
FORMATS = {
    "folder:DIR": "your own images: DIR/train/<class>/* and DIR/test/<class>/*",
    "parquet:DIR": "your own tables: DIR/train-00000-of-00001.parquet and test-...",
}
"""Data sets of the user's own, by how they are named."""
NETWORKS = {
    "cnn2": "two convolutions, 5,178 parameters for digits",
    "cnn5": "three convolutions, two layers, 357,514 parameters for 10 classes, RGB",
    "lenet5": "LeNet-5 without BatchNorm, 62,006 parameters for 10 classes, RGB",
    "resnet8": "three residual blocks, 77,754 parameters for digits",
    "resnet18": "eight residual blocks, 11,173,962 parameters for 10 classes, RGB",
    "resnet34": "sixteen residual blocks, 21,282,122 parameters for 10 classes, RGB",
    "resnet50": "sixteen bottlenecks, 23,520,842 parameters for 10 classes, RGB",
    "resnet20": "nine pre-activation blocks, 272,282 parameters for 10 classes, RGB",
    "resnet32": "fifteen pre-activation blocks, 466,714 parameters for 10 classes, RGB",
    "resnext29": "nine grouped bottlenecks, 34,426,698 parameters for 10 classes, RGB",
    "mobilenet_v2": "inverted bottlenecks, 2,254,090 parameters for 10 classes, RGB",
    "shufflenet_v2": "sixteen shuffle units, 1,268,646 parameters for 10 classes, RGB",
}
