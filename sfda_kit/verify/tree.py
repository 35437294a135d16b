"""Checks of names, folders and links, for any layout. No file is opened."""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sfda_kit.data.images import is_image_name
from sfda_kit.verify.findings import Finding

_Identity = tuple[int, int]


@dataclass
class Tree:
    """All images below ``root`` by relative path, all folders, and what is wrong with names and links."""

    root: Path
    images: list[str] = field(default_factory=list)
    folders: dict[str, list[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def add(self, code: str, path: str, what: str) -> None:
        """Note a finding about a path."""
        self.findings.append(Finding(code, path or ".", what))


def look_at_tree(root: Path, progress: Callable[[int], None] | None = None) -> Tree:
    """Visit each folder below ``root`` once, through links too; ``progress`` gets the number of images seen."""
    tree = Tree(root)
    waiting: list[tuple[str, frozenset[_Identity]]] = [("", frozenset())]
    seen: set[_Identity] = set()
    while waiting:
        path, above = waiting.pop()
        status = (root / path).stat()
        identity = (status.st_dev, status.st_ino)
        if identity in seen:
            continue
        seen.add(identity)
        entered = sorted(_look_at_folder(tree, path), reverse=True)
        tree.folders[path] = entered[::-1]
        waiting += [(name, above | {identity}) for name in entered if not _is_loop(tree, name, above | {identity})]
        if progress:
            progress(len(tree.images))
    return tree


def _is_loop(tree: Tree, path: str, above: frozenset[_Identity]) -> bool:
    """Note and return whether a folder is one of those that it lies in; only a link can be."""
    status = (tree.root / path).stat()
    if (status.st_dev, status.st_ino) not in above:
        return False
    tree.add("link-loop", path, "links to a folder that it lies in")
    return True


def _look_at_folder(tree: Tree, path: str) -> Iterator[str]:
    """Note what lies in one folder, and yield the folders in it."""
    names: list[str] = []
    try:
        entries = list(os.scandir(tree.root / path))
    except OSError as error:
        tree.add("unlistable-folder", path, f"cannot be listed ({error.strerror})")
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        below = f"{path}/{entry.name}" if path else entry.name
        names.append(entry.name)
        _judge_name(tree, below, entry.name)
        if entry.is_symlink() and not _judge_link(tree, below):
            continue
        if entry.is_dir():
            if is_image_name(entry.name):
                tree.add("folder-as-image", below, "is a folder with the name of an image")
            yield below
        elif is_image_name(entry.name):
            tree.images.append(below)
            if not entry.is_file():
                tree.add("special-file", below, f"is {_kind(entry)}, no regular file")
    _judge_alike(tree, path, names)


def _judge_name(tree: Tree, path: str, name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        tree.add("name-not-utf8", path, f"has a name that is not UTF-8 ({name!a})")
        return
    stem = name.rpartition(".")[0] if is_image_name(name) else name
    if not name.isprintable():
        tree.add("strange-name", path, "has a name with unprintable characters")
    elif name != name.strip() or stem != stem.strip() or not stem:
        tree.add("strange-name", path, "has a name with blanks at an end")


def _judge_link(tree: Tree, path: str) -> bool:
    """Return whether a link leads to something that can be checked, and note what is wrong with it."""
    try:
        there = (tree.root / path).resolve(strict=True)
    except (OSError, RuntimeError) as error:  # older Pythons raise RuntimeError for a loop
        if isinstance(error, RuntimeError) or error.errno == errno.ELOOP:
            tree.add("link-loop", path, "is a link that leads back to itself")
        else:
            tree.add("dangling-link", path, f"links to nothing ({(tree.root / path).readlink()})")
        return False
    root = tree.root.resolve()
    if root.is_relative_to(there) and there != root:
        tree.add("link-loop", path, f"links to {there}, which the data root lies in")
        return False
    if not there.is_relative_to(root):
        tree.add("link-out-of-root", path, f"leads out of the data root, to {there}")
    return True


def _judge_alike(tree: Tree, path: str, names: list[str]) -> None:
    """Note names that differ by case or by how accents are stored: other systems take them for one name."""
    first: dict[str, str] = {}
    for name in sorted(names):
        key = unicodedata.normalize("NFC", name).casefold()
        other = first.setdefault(key, name)
        if other != name:
            below = f"{path}/{name}" if path else name
            tree.add("names-alike", below, f"is one name with {other!r} where case or accents do not count")


def _kind(entry: os.DirEntry[str]) -> str:
    mode = entry.stat().st_mode
    kinds = {stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket", stat.S_ISBLK: "a device", stat.S_ISCHR: "a device"}
    return next((kind for test, kind in kinds.items() if test(mode)), "something else")
