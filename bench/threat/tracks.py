"""Threat tracks: which attacks may be compared with which. They are never mixed."""

from __future__ import annotations

TRACKS: dict[str, str] = {
    "open": "the teacher's confidences or weights, and all its training images",
    "limited": "the same, with a share of the training images",
    "data-free white-box": "the teacher's weights, and no image",
    "service": "replies alone, and other people's images",
    "data-free service": "replies alone, and no image",
}
"""Every track by name, in the order of the site: what its attackers hold."""


def track(teacher_grant: str, image_grant: str, fraction: float) -> str:
    """The track of an attack, from the names of its grants and its share of images."""
    if image_grant == "TrainImages":
        return "open" if fraction == 1 else "limited"
    if image_grant == "SurrogateImages":
        return "service"
    return "data-free white-box" if teacher_grant == "Weights" else "data-free service"
