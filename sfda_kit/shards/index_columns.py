"""An index as columns of numbers and texts: such JSON is read several times quicker than a list of samples."""

from __future__ import annotations

from typing import Any

from sfda_kit.shards.labels import Labels
from sfda_kit.shards.shard_index import Sample, ShardIndex
from sfda_kit.shards.tar_members import TarMember

_ABSENT = -1
"""It stands in place of an ending where a sample has no image of a modality."""


def to_columns(index: ShardIndex) -> dict[str, Any]:
    """Return the index for JSON. Few labels and few endings differ, so each is a number; names are key and ending."""
    labels = _codes(one.labels for one in index.samples)
    endings = _codes(_ending(one.key, member) for one in index.samples for member in one.images.values())
    modalities = dict.fromkeys(name for one in index.samples for name in one.images)
    return {
        **{name: value for name, value in vars(index).items() if name != "samples"},
        "keys": "\n".join(one.key for one in index.samples),
        "labels": list(labels),
        "label": [labels[one.labels] for one in index.samples],
        "endings": list(endings),
        "images": {name: _places(index.samples, name, endings) for name in modalities},
    }


def from_columns(columns: dict[str, Any]) -> ShardIndex:
    """Undo ``to_columns``. Raises ``KeyError``, ``TypeError``, ``ValueError`` or ``IndexError`` on anything else."""
    rest = dict(columns)
    text, code, endings = rest.pop("keys"), rest.pop("label"), rest.pop("endings")
    labels = [Labels(*one) for one in rest.pop("labels")]
    samples = [Sample(key, labels[one], {}) for key, one in zip(text.split("\n") if code else [], code, strict=True)]
    for modality, places in rest.pop("images").items():
        for sample, ending, offset, size in zip(samples, *places, strict=True):
            if ending != _ABSENT:
                sample.images[modality] = TarMember(f"{sample.key}.{endings[ending]}", offset, size)
    return ShardIndex(samples, **rest)


def _codes(values: Any) -> dict[Any, int]:
    return {value: number for number, value in enumerate(dict.fromkeys(values))}


def _ending(key: str, member: TarMember) -> str:
    return member.name[len(key) + 1 :]


def _places(samples: list[Sample], modality: str, endings: dict[str, int]) -> list[list[int]]:
    held = [(one.key, one.images.get(modality)) for one in samples]
    return [
        [endings[_ending(key, member)] if member else _ABSENT for key, member in held],
        [member.offset if member else 0 for _, member in held],
        [member.size if member else 0 for _, member in held],
    ]
