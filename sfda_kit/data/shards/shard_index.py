"""What one shard holds: its samples with labels and the places of their images, and all that is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sfda_kit.data.shards.labels import LARGEST, Labels, merged, parse_labels
from sfda_kit.data.shards.naming import LABELS, parse_name
from sfda_kit.data.shards.tar_members import Member, TarBytes, compression, members


class Sample(NamedTuple):
    """``images``: modality (``UNNAMED`` where the name tells none) -> where its pixels lie."""

    key: str
    labels: Labels
    images: dict[str, Member]


@dataclass
class ShardIndex:
    """``damage`` tells of the shard and its members, ``incomplete`` of samples; both are sentences without its path.

    ``members``: all regular files. ``passed_over``: ending -> number of members of no use here.
    """

    samples: list[Sample] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)
    members: int = 0


def scan_shard(path: Path) -> ShardIndex:
    """Read the headers of all members, and the labels; no image. Raises ``OSError`` where the disk does."""
    index = ShardIndex()
    length = path.stat().st_size
    if not length:
        index.damage.append("is empty (zero bytes). Copy the shard again from where it came.")
        return index
    with TarBytes(path.open("rb", buffering=0)) as file:
        if program := compression(file.peek(8)[:8]):
            index.damage.append(f"is compressed ({program}). {UNPACK}")
            return index
        for sample in _grouped(file, members(file, length, index.damage), index):
            if found := _finish(sample, index):
                index.samples.append(found)
    return index


UNPACK = "Nothing within can be read at random; unpack it to a plain .tar."


@dataclass
class _Gathered:
    """The members of one key, as they come."""

    key: str
    images: dict[str, Member] = field(default_factory=dict)
    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    wrong: str = ""


def _grouped(file: TarBytes, found: Iterator[Member], index: ShardIndex) -> Iterator[_Gathered]:
    """Samples in the order of the shard. A key that comes back is told, and its second part is not used."""
    seen: set[str] = set()
    current: _Gathered | None = None
    passed_over: Counter[str] = Counter()
    for member in found:
        index.members += 1
        name = parse_name(member.name)
        if name is None:
            passed_over["(no ending)"] += 1
            continue
        modality = name.modality
        if modality is None and name.ending not in LABELS:
            passed_over[name.ending] += 1
            continue
        if current is None or current.key != name.key:
            if current is not None:
                yield current
            current = _Gathered(name.key)
            if name.key in seen:
                current.wrong = "occurs twice. Files of one sample have to lie next to each other (tar --sort=name)."
            seen.add(name.key)
        if modality is None:
            _read_labels(file, member, name.ending, current)
        elif modality in current.images:
            first = current.images[modality].name
            current.wrong = (
                current.wrong or f"has {first} and {member.name} as {modality or 'image'}. Keep one of them."
            )
        else:
            current.images[modality] = member
    if current is not None:
        yield current
    index.passed_over = dict(passed_over)


def _read_labels(file: TarBytes, member: Member, ending: str, sample: _Gathered) -> None:
    try:
        if member.size > LARGEST:
            raise ValueError(f"holds {member.size:,} bytes, too many for labels; write class, domain, group and role")
        if ending in sample.labels:
            raise ValueError("is in the shard twice; keep one of them")
        file.seek(member.offset)
        sample.labels[ending] = parse_labels(ending, file.read(member.size))
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        sample.wrong = sample.wrong or f"cannot be used: {member.name} {what}. {remedy[:1].upper()}{remedy[1:]}."


def _finish(sample: _Gathered, index: ShardIndex) -> Sample | None:
    labels = merged(sample.labels)
    wrong = sample.wrong
    if not wrong and labels is None:
        wrong = f"has no class. Write it into {sample.key}.json or {sample.key}.cls."
    if not wrong and not sample.images:
        wrong = f"has no image. Name images as {sample.key}.rgb.jpg or {sample.key}.depth.png."
    if wrong or labels is None:
        index.incomplete.append(f"{sample.key} {wrong}")
        return None
    return Sample(sample.key, labels, sample.images)
