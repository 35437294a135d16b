"""The base of data sets that state class, domain, role and group of each scene themselves."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sfda_kit.datasets.groups import groups_or_own
from sfda_kit.datasets.packed_rows import PackedRows, SceneRow
from sfda_kit.datasets.split_folder import SplitFolder
from sfda_kit.interfaces.dataset import PARTS, Split


class RoleFolder(SplitFolder):
    """The role of a scene is its part of the task; scenes without a role are split by groups."""

    def splits(self) -> Mapping[str, Split]:
        """Return ``roles`` first where scenes have roles: classes of source and target are TR, those of ti are TI."""
        index, named = self.index(), super().splits()
        of = {code: {int(label) for label in index.label[index.part == code]} for code in range(len(PARTS))}
        relevant, irrelevant = sorted(of[0] | of[1] | of[2]), sorted(of[3])
        if not relevant:
            return named
        names = index.classes
        roles = Split(tuple(names[code] for code in relevant), tuple(names[code] for code in irrelevant))
        return {"roles": roles, **named}

    def groups_of(self, rows: Sequence[SceneRow], told: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
        """Return groups and notices. A scene whose group in ``told`` is empty gets one as in other folders."""
        if all(told):
            return list(told), ()
        groups, notices = groups_or_own(self.root, _names(rows), self.config.group_pattern)
        return [own or other for own, other in zip(told, groups, strict=True)], notices

    def lacking(self, domain: str, role: str, held: Collection[str]) -> list[str]:
        """Return the modalities that the task needs of a scene and that are not among ``held``."""
        source, target = (sensor.partition("@") for sensor in (self.config.source, self.config.target))
        needed = set()
        if role in ("", "source", "ti") and domain == (source[2] or domain):
            needed.add(source[0])
        if role != "source" and domain == (target[2] or domain):
            needed.add(target[0])
        if role == "ti" and domain == (target[2] or domain):
            needed |= {source[0], target[0]}
        return sorted(needed - set(held))


def _names(rows: Sequence[SceneRow]) -> Sequence[str]:
    return rows.names if isinstance(rows, PackedRows) else [row.name for row in rows]


def part_codes(roles: Sequence[str]) -> list[int]:
    """Return the codes of ``roles`` as in ``Index.part``; -1 where a role is empty."""
    return [PARTS.index(role) if role else -1 for role in roles]
