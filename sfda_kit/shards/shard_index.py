"""The index of one shard: its samples with labels and places of their images, and all that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sfda_kit.shards.labels import LARGEST, Labels, merged, parse_labels
from sfda_kit.shards.naming import LABELS, parse_name
from sfda_kit.shards.tar_members import TarBytes, TarMember, compression, members

UNPACK = "Nothing within can be read at random; unpack it to a plain .tar."


class Sample(NamedTuple):
    """``images``: modality (``UNNAMED`` where the name gives none) -> the member with its pixels."""

    key: str
    labels: Labels
    images: dict[str, TarMember]


@dataclass
class ShardIndex:
    """``damage``: sentences about the shard and its members; ``incomplete``: about samples. Both leave out its path.

    ``members``: number of regular files. ``passed_over``: ending -> number of members that are not used here.
    """

    samples: list[Sample] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)
    members: int = 0

    def pass_over(self, ending: str) -> None:
        """Count a member that is not used."""
        self.passed_over[ending] = self.passed_over.get(ending, 0) + 1


def scan_shard(path: Path) -> ShardIndex:
    """Read all headers and the labels, but no image. Raises ``OSError`` where the file cannot be read."""
    index = ShardIndex()
    length = path.stat().st_size
    if not length:
        index.damage.append("is empty (zero bytes). Copy the shard again from where it came.")
        return index
    with TarBytes(path.open("rb", buffering=0)) as file:
        if program := compression(file.peek(8)[:8]):
            index.damage.append(f"is compressed ({program}). {UNPACK}")
            return index
        for gathered in _grouped(file, members(file, length, index.damage), index):
            if sample := _finished(gathered, index):
                index.samples.append(sample)
    return index


@dataclass
class _Gathered:
    """The members of one key, in the order of the shard. ``wrong``: the first reason not to use them."""

    key: str
    wrong: str = ""
    images: dict[str, TarMember] = field(default_factory=dict)
    labels: dict[str, dict[str, str]] = field(default_factory=dict)

    def refuse(self, why: str) -> None:
        self.wrong = self.wrong or why

    def add_image(self, modality: str, member: TarMember) -> None:
        first = self.images.setdefault(modality, member)
        if first is not member:
            self.refuse(f"has {first.name} and {member.name} as {modality or 'image'}. Keep one of them.")

    def add_labels(self, ending: str, member: TarMember, file: TarBytes) -> None:
        try:
            if member.size > LARGEST:
                raise ValueError(f"holds {member.size:,} bytes, too many for labels; write class and domain alone")
            if ending in self.labels:
                raise ValueError("is in the shard twice; keep one of them")
            file.seek(member.offset)
            self.labels[ending] = parse_labels(ending, file.read(member.size))
        except ValueError as error:
            what, _, remedy = str(error).partition("; ")
            self.refuse(f"cannot be used: {member.name} {what}. {remedy[:1].upper()}{remedy[1:]}.")


def _grouped(file: TarBytes, found: Iterator[TarMember], index: ShardIndex) -> Iterator[_Gathered]:
    """Yield samples in the order of the shard. A key that occurs again is refused, and its second part is not used."""
    seen: set[str] = set()
    current: _Gathered | None = None
    for member in found:
        index.members += 1
        name = parse_name(member.name)
        modality = name.modality if name else None
        if name is None or (modality is None and name.ending not in LABELS):
            index.pass_over(name.ending if name else "(no ending)")
            continue
        if current is None or current.key != name.key:
            if current is not None:
                yield current
            current = _Gathered(name.key)
            if name.key in seen:
                current.refuse("occurs twice. Files of one sample have to lie next to each other (tar --sort=name).")
            seen.add(name.key)
        if modality is None:
            current.add_labels(name.ending, member, file)
        else:
            current.add_image(modality, member)
    if current is not None:
        yield current


def _finished(sample: _Gathered, index: ShardIndex) -> Sample | None:
    labels = merged(sample.labels)
    if not (sample.wrong or labels or sample.images):  # labels without a class or an image describe something else
        for ending in sample.labels:
            index.pass_over(ending)
        return None
    if labels is None:
        sample.refuse(f"has no class. Write it into {sample.key}.json or {sample.key}.cls.")
    if not sample.images:
        sample.refuse(f"has no image. Name images as {sample.key}.rgb.jpg or {sample.key}.depth.png.")
    if sample.wrong or labels is None:
        index.incomplete.append(f"{sample.key} {sample.wrong}")
        return None
    return Sample(sample.key, labels, sample.images)
