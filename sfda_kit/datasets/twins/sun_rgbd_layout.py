"""The names of folders and files in SUN RGB-D, which differ between its sensors."""

from __future__ import annotations

from typing import NamedTuple

FOREIGN_PREFIX = "/n/fs/sun3d/data/SUNRGBD/"
"""The beginning of the paths in the official ``allsplit.mat``: a folder on another machine."""

SCENE_NAMES = {
    "arch": "bathroom",
    "chair": "classroom",
    "cone": "computer_room",
    "cube": "conference_room",
    "cylinder": "discussion_area",
    "dumbbell": "home_office",
    "mug": "kitchen",
    "pyramid": "lab",
    "sphere": "living_room",
    "stairs": "office",
    "table": "rest_space",
    "torus": "study_space",
    "dome": "bedroom",
    "shelf": "bookstore",
    "snowman": "cafeteria",
    "stool": "dining_area",
    "tube": "furniture_store",
    "wedge": "gym",
}
"""Solid of ``rooms`` -> scene name of SUN RGB-D; the first twelve are of split ``socket17``."""

FOLDERS = {
    "kv1": ("kv1/NYUdata", "kv1/b3dodata"),
    "kv2": ("kv2/kinect2data", "kv2/align_kv2"),
    "realsense": ("realsense/lg", "realsense/sa", "realsense/sh", "realsense/shr"),
    "xtion": ("xtion/xtion_align_data", "xtion/sun3ddata"),
}


class FramePaths(NamedTuple):
    """A frame's folder below ``SUNRGBD`` and the names of its two images."""

    folder: str
    image: str
    depth: str


def place_of(sensor: str, folder: int, number: int, run: int) -> FramePaths:
    """Return the paths of frame ``number`` in one of a sensor's folders; ``run`` counts the stays in a room."""
    parent = FOLDERS[sensor][folder % len(FOLDERS[sensor])]
    name = parent.rpartition("/")[2]
    if name == "NYUdata":
        return FramePaths(f"{parent}/NYU{number:04d}", f"NYU{number:04d}.jpg", f"NYU{number:04d}.png")
    if name == "b3dodata":
        return FramePaths(f"{parent}/img_{number:04d}", f"img_{number:04d}.jpg", f"img_{number:04d}_abs.png")
    if sensor == "kv2":
        stamp = f"{number:06d}_2014-05-26_14-23-37_260595134347_rgbf{number:06d}-resize"
        return FramePaths(f"{parent}/{stamp}", f"{number:07d}.jpg", f"{number:07d}.png")
    stamp = f"2014_10_21-16_{run % 60:02d}_43-1311000{number:03d}"
    if name != "sun3ddata":
        return FramePaths(f"{parent}/{stamp}", f"{number:07d}.jpg", f"{number + 1:07d}.png")
    video = f"{parent}/hotel_room_{run}/room{run}_1"
    shot, measured = f"{number:07d}-{number * 33366:012d}", f"{number:07d}-{number * 33366 + 411:012d}"
    return FramePaths(f"{video}/{shot}", f"{shot}.jpg", f"{measured}.png")
