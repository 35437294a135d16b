"""The sensors to check where the user names none, from the folders, the table or the shards."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from sfda_kit.data.images import is_image_name
from sfda_kit.data.walk import list_folder
from sfda_kit.errors import DataError

if TYPE_CHECKING:
    from sfda_kit.config.models import DatasetConfig


def assumed_sensors(config: DatasetConfig) -> tuple[str, str]:
    """Return source and target of a task that uses as much of the set as one task can. Raises ``DataError``."""
    root = (config.root or Path()).expanduser().absolute()
    if config.name == "paired-folder":
        return "", ""  # all modalities of all domains, each pair complete
    if config.name == "domain-folder" and root.is_dir():
        domains = [*_domains(root), "default"]
        kind = config.options.get("modality", "rgb")
        return f"{kind}@{domains[0]}", f"{kind}@{domains[1 if len(domains) > 2 else 0]}"
    if config.name == "list-file":
        return most_used(_of_table(root, config.options.get("images")))
    if config.name == "webdataset":
        from sfda_kit.shards.dataset import WebDataset

        return most_used(WebDataset(config).sensors())
    return config.source, config.target


def _domains(root: Path) -> list[str]:
    """Return the names of the domains: folders of ``root``, or of the first folder in it that holds some."""
    from sfda_kit.datasets.domain_folder import domain_name

    for holder in (root, *(root / name for name in _folders(root))):
        found = [domain_name(name) for name in _folders(holder) if _is_domain(holder / name)]
        if found:
            return found
    return []


def _is_domain(folder: Path) -> bool:
    """Return whether ``<class>/<image>`` lies in ``folder`` or its ``images/``, or a list file in or beside it."""
    lists = (folder / "image_list.txt", folder.parent / f"{folder.name}_list.txt")
    below = _folders(folder)
    classes = folder / "images" if below == ("images",) else folder
    return any(path.is_file() for path in lists) or any(
        is_image_name(name) for scene_class in _folders(classes) for name in _files(classes / scene_class)
    )


def _folders(path: Path) -> tuple[str, ...]:
    try:
        return list_folder(path).folders
    except DataError:
        return ()


def _files(path: Path) -> tuple[str, ...]:
    try:
        return list_folder(path).files
    except DataError:
        return ()


def _of_table(root: Path, images: object) -> Counter[tuple[str, str]]:
    """Return the number of images for training that a table lists, by modality and domain."""
    from sfda_kit.datasets.list_file import TABLES
    from sfda_kit.datasets.list_table import read_table

    table = root if root.is_file() else next((root / name for name in TABLES if (root / name).is_file()), root)
    lines, _ = read_table(table, Path(str(images)) if images else table.parent)
    return Counter((line.modality, line.domain) for line in lines if line.role != "target-test")


def most_used(sensors: Counter[tuple[str, str]]) -> tuple[str, str]:
    """Return source (rgb where there is any) and target (the other modality with most images)."""
    ranked = sorted(sensors, key=lambda one: (one[0] != "rgb", -sensors[one], one))
    source = next(iter(ranked), ("rgb", "default"))
    others = [one for one in ranked if one[0] != source[0]] or [one for one in ranked if one[1] != source[1]]
    target = max(others, key=lambda one: sensors[one], default=source)
    return "@".join(source), "@".join(target)
