"""The classes of ImageNet that the classes of a task mean, found by their names in WordNet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sfda_kit.errors import UserError, did_you_mean

Words = tuple[str, ...]

CLASSES = 1000
"""The number of classes of ImageNet-1k."""


class ImageNetClass:
    """This is a class of ImageNet: its WordNet id, such as ``n03376595``, and its names, the usual one first."""

    def __init__(self, wordnet_id: str, names: str) -> None:
        self.wordnet_id, self.title = wordnet_id, names.partition(",")[0]
        self.names = tuple(words(name) for name in names.split(","))


@lru_cache(maxsize=1)
def imagenet_classes() -> tuple[ImageNetClass, ...]:
    """Return the 1,000 classes in the order of the classifiers. timm holds their names, so no network is needed."""
    from timm.data.imagenet_info import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    return tuple(ImageNetClass(info.index_to_label_name(i), info.index_to_description(i)) for i in range(CLASSES))


def words(name: str) -> Words:
    """Return the words of a name in small letters; ``_`` and ``-`` part words too."""
    return tuple(re.split(r"[\s_-]+", name.strip().lower()))


def match_classes(classes: Sequence[str], given: Mapping[str, Any] | None = None) -> dict[str, tuple[int, ...]]:
    """Return the indices of ImageNet classes that each of ``classes`` means, empty where it means none.

    A class means each ImageNet class with a name that ends in the words of its own name: ``chair`` means ``folding
    chair``, and ``table`` does not mean ``table lamp``. An index belongs to one class. Where several claim it, the
    earlier name of the ImageNet class decides, then the longer name of the class. ``given``: for some classes, names
    (whole) or WordNet ids of the ImageNet classes that they mean, in place of this rule.

    Raises ``UserError`` for a class or a name in ``given`` that there is not, or that is given twice.
    """
    chosen = _given(classes, given or {})
    owners = {index: name for name, found in chosen.items() for index in found}
    others = [name for name in classes if name not in chosen]
    for index, known in enumerate(imagenet_classes()):
        claims = [claim for name in others for claim in _claims(name, known)]
        if claims and index not in owners:
            owners[index] = min(claims)[2]
    return {name: tuple(sorted(index for index, owner in owners.items() if owner == name)) for name in classes}


def _claims(name: str, known: ImageNetClass) -> Iterator[tuple[int, int, str]]:
    own = words(name)
    for place, other in enumerate(known.names):
        if other[-len(own) :] == own:
            yield place, -len(own), name


def _given(classes: Sequence[str], given: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    owners: dict[int, str] = {}
    for name, told in given.items():
        if name not in classes:
            raise UserError(f"imagenet-head: synsets has a class {name!r}. {did_you_mean(name, classes)}")
        wanted = [told] if isinstance(told, str) else list(told or ())
        found[name] = tuple(index for one in wanted for index in _indices(str(one)))
        for index in found[name]:
            if index in owners:
                raise UserError(
                    f"imagenet-head: synsets gives {imagenet_classes()[index].title!r} to {owners[index]!r} and to "
                    f"{name!r}. An ImageNet class belongs to one class."
                )
            owners[index] = name
    return found


def _indices(told: str) -> list[int]:
    """Return the indices of classes with this WordNet id or whole name. Raises ``UserError`` where there is none."""
    known = imagenet_classes()
    found = [i for i, one in enumerate(known) if told == one.wordnet_id or words(told) in one.names]
    if not found:
        spelt = [" ".join(name) for one in known for name in one.names]
        hint = did_you_mean(" ".join(words(told)), spelt)
        raise UserError(
            f"imagenet-head: ImageNet has no class {told!r}. {hint} A WordNet id, such as n03376595, names a class too."
        )
    return found
