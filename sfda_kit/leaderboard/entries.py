"""Sorting of records into tables by task and network. The code trusts nothing that a record contains."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from sfda_kit.config.caveats import caveats_of
from sfda_kit.config.digest import digest
from sfda_kit.config.models import SUBSAMPLING
from sfda_kit.config.tracks import track_of
from sfda_kit.leaderboard.board import AdaptedNetwork, BoardTask, Kind, Track
from sfda_kit.leaderboard.scores import PredictionReader, Scored
from sfda_kit.plugins.information import in_order
from sfda_kit.results.collection import StoredRun
from sfda_kit.results.record import Record

SOURCE_ONLY = "source-only"
CONTROLS = frozenset({"majority", "rgb-ceiling", "imagenet-head", "oracle-plus", "probe"})
"""The methods of the core that are bounds and controls beside the oracle."""
PAIRS, INITIAL_WEIGHTS = "dataset.pairs", "adapt.initial_weights"
"""The settings that make a control of any method, where they are not at their defaults."""
MATCHED = "matched"
"""The pairs of every run that is no control."""

PARTS_OF_DATA = {"protocol": "grouped", "folds": "", "ti_groups": "training", "stress": ""}
"""Later fields of ``TableKey`` that say which images are held out and what was made worse, with their defaults."""
LATER = {**PARTS_OF_DATA, "weights": "", "follows": False, "frozen": False}
"""All later fields of ``TableKey`` with their defaults. Neither names nor ids of tables hold a default."""


@dataclass(frozen=True, order=True)
class TableKey:
    """A table's key holds the values that its rows share. Encoding and data revision may differ between rows.

    ``follows``: each seed has a split of its own, that of its number; ``split_seed`` is then 0. ``folds``: name and
    hash of the fold file, empty where the rows have one split. ``frozen``: source training left the backbone as it
    was. ``stress``: what was made worse on purpose; such rows never share a table with plain ones.
    """

    dataset: str
    options: str
    source: str
    target: str
    classes: tuple[str, ...]
    ti_classes: tuple[str, ...]
    split_seed: int
    backbone: str
    image_size: int
    pretrained: bool
    weights: str = ""
    follows: bool = False
    protocol: str = "grouped"
    folds: str = ""
    ti_groups: str = "training"
    frozen: bool = False
    stress: str = ""

    @property
    def is_paper(self) -> bool:
        """Whether nothing is held out: the protocol of published tables, which never shares a table with another."""
        return self.protocol == "paper"

    @property
    def parts_of_data(self) -> dict[str, str]:
        """The fields of ``PARTS_OF_DATA`` that are not at their defaults."""
        return {name: value for name, default in PARTS_OF_DATA.items() if (value := getattr(self, name)) != default}

    @property
    def network(self) -> AdaptedNetwork:
        """The network that the key names."""
        return AdaptedNetwork(self.backbone, self.image_size, self.pretrained, self.weights, self.frozen)


@dataclass(frozen=True)
class TunedAs:
    """The row for which an entry stands whose method has several configurations (``tuned.py``).

    ``kind``: that of the row, None for that of the run. ``of``: the same for all rows of the method. ``count``: the
    number of configurations among which the row was chosen.
    """

    kind: Kind | None
    label: str
    settings: tuple[tuple[str, str], ...]
    of: str
    count: int


@dataclass(frozen=True)
class Entry:
    """An entry is one record, with the values that the board reads from it.

    ``tuned``: the row for which it stands where its method has several configurations.
    """

    run: StoredRun
    tuned: TunedAs | None = None

    @property
    def record(self) -> Record:
        """The record of the run."""
        return self.run.record

    @property
    def kind(self) -> Kind:
        """The kind of the run: oracle, control, source-only or method; or that of the row for which it stands."""
        if self.tuned and self.tuned.kind:
            return self.tuned.kind
        if self.record.method in CONTROLS:
            return "control"
        if self.record.oracle:
            return "oracle"
        if self.control_settings:
            return "control"
        return "source-only" if self.record.method == SOURCE_ONLY else "method"

    @property
    def pairs(self) -> str:
        """How the halves of its TI pairs were put together: ``matched``, or shuffled in some way."""
        return text(mapping(self.record.config.get("dataset")).get("pairs") or MATCHED)

    @property
    def control_settings(self) -> dict[str, str]:
        """The settings by dotted key that make a control of the run, which would be a method without them."""
        weights = text(mapping(self.record.config.get("adapt")).get("initial_weights") or "source")
        found = {PAIRS: self.pairs} if self.pairs != MATCHED else {}
        return found | ({INITIAL_WEIGHTS: weights} if weights != "source" else {})

    @property
    def fold(self) -> int | None:
        """The fold of the run, None where it has a split of its own."""
        told = mapping(self.record.task.get("folds")) or mapping(self.record.config.get("dataset"))
        found = told.get("fold")
        return found if isinstance(found, int) and not isinstance(found, bool) else None

    @property
    def fingerprint(self) -> str:
        """The data revision; empty where the record does not have it."""
        return text(self.record.task.get("fingerprint"))

    @property
    def weights(self) -> str:
        """The hash of the source weights; empty where there are none."""
        return text(self.record.source.get("weights_sha256"))

    @property
    def age(self) -> tuple[str, str, str]:
        """A sort key by time; the run's id decides between equal times."""
        return (self.record.finished, self.record.started, self.record.run_id)

    def read(self, reader: PredictionReader) -> Scored | None:
        """Return the counts of its stored predictions, None where they cannot be used."""
        return reader.read(self.run.path, texts(self.record.task.get("classes")))

    @cached_property
    def track(self) -> Track | None:
        """What the run used, as its record says it, else as the installed parts of its recipe declare it."""
        record = self.record
        if record.track is not None:
            return in_order(record.track)
        return track_of(record.method, record.recipe, record.config, record.task)

    @cached_property
    def key(self) -> TableKey:
        """The key of its table, from what the record contains."""
        record, task = self.record, self.record.task
        asked = mapping(record.config.get("dataset"))
        model = mapping(record.source.get("model")) or mapping(record.config.get("model"))
        fewer = {key: asked[key] for key in SUBSAMPLING if asked.get(key) is not None}
        return TableKey(
            dataset=text(task.get("dataset") or asked.get("name")),
            options=json.dumps({**mapping(asked.get("options")), **fewer}, sort_keys=True, default=str),
            source=text(task.get("source") or asked.get("source")),
            target=text(task.get("target") or asked.get("target")),
            classes=texts(task.get("classes")),
            ti_classes=texts(task.get("ti_classes")),
            split_seed=whole(task.get("split_seed", asked.get("split_seed"))),
            backbone=text(model.get("backbone")),
            image_size=whole(model.get("image_size")),
            pretrained=bool(model.get("pretrained")),
            weights=text(model.get("backbone_weights")),
            protocol=text(task.get("protocol") or asked.get("protocol") or "grouped"),
            folds=folds_named(mapping(task.get("folds"))),
            ti_groups=text(task.get("ti_groups") or asked.get("ti_groups") or "training"),
            frozen=self.frozen,
            stress=", ".join(f"{key}={value}" for key, value in sorted(mapping(asked.get("stress")).items())),
        )

    @cached_property
    def asked(self) -> str:
        """The digest of the requested data and network; a run that never began has no other information."""
        config = self.record.config
        data = {key: value for key, value in mapping(config.get("dataset")).items() if key not in ("root", "pairs")}
        return digest([data, mapping(config.get("model")), self.frozen])

    @property
    def frozen(self) -> bool:
        """Whether the source model was trained with a frozen backbone."""
        trained = mapping(self.record.source.get("training")) or mapping(self.record.config.get("source"))
        return trained.get("freeze_backbone") is True

    @property
    def initial_weights(self) -> str:
        """The hash of the weights that the backbone began with; empty where the user named none."""
        return text(mapping(self.record.source.get("initial_weights")).get("sha256"))


def by_table(runs: Iterable[StoredRun]) -> dict[TableKey, list[Entry]]:
    """Return the entries of each table, with tables in order of keys and entries in order of run ids.
    The record of a run that never began has no classes, so the run joins the table of runs with the same request."""
    entries = sorted((Entry(run) for run in runs), key=lambda entry: (entry.record.run_id, entry.age))
    known: dict[str, TableKey] = {}
    for entry in entries:
        if entry.key.classes:
            known[entry.asked] = min(known.get(entry.asked, entry.key), entry.key)
    tables: dict[TableKey, list[Entry]] = defaultdict(list)
    for entry in entries:
        tables[entry.key if entry.key.classes else known.get(entry.asked, entry.key)].append(entry)
    return dict(sorted(_with_joined_splits(tables).items()))


def _with_joined_splits(tables: Mapping[TableKey, list[Entry]]) -> dict[TableKey, list[Entry]]:
    """Join tables of one task and network whose only seed is that of their split: there the split follows the seed."""
    alone: dict[TableKey, list[TableKey]] = defaultdict(list)
    for key, entries in tables.items():
        if {entry.record.seed for entry in entries} == {key.split_seed}:
            alone[replace(key, split_seed=0, follows=True)].append(key)
    joined = dict(tables)
    for key, parts in alone.items():
        if len(parts) > 1:
            joined[key] = [entry for part in sorted(parts) for entry in joined.pop(part)]
    return joined


def split_follows(entries: Sequence[Entry]) -> bool:
    """Return whether each seed of ``entries`` has a split of its own."""
    seeds = {entry.record.seed for entry in entries}
    return len(seeds) > 1 and all(entry.record.seed == entry.key.split_seed for entry in entries)


def describe(key: TableKey, entries: Sequence[Entry], fingerprint: str) -> BoardTask:
    """Return the task of a table; the counts of images are those of the data revision ``fingerprint``."""
    same = [entry for entry in entries if entry.fingerprint == fingerprint] or list(entries)
    counts = next((images for entry in same if (images := mapping(entry.record.task.get("images")))), {})
    options = {str(name): json.dumps(value, default=str) for name, value in sorted(json.loads(key.options).items())}
    return BoardTask(
        dataset=key.dataset,
        source=key.source,
        target=key.target,
        classes=key.classes,
        ti_classes=key.ti_classes,
        split_seed=key.split_seed,
        follows=key.follows,
        options={name: value.strip('"') for name, value in options.items()} | key.parts_of_data,
        fingerprint=fingerprint,
        images={str(part): whole(count) for part, count in counts.items()},
        synthetic=any(entry.record.synthetic for entry in same),
        caveats=tuple(dict.fromkeys(said for entry in same for said in caveats_of(entry.record.config))),
    )


def folds_named(told: Mapping[str, Any]) -> str:
    """Return the name of a fold file and how often it is dealt, with the beginning of its hash; empty without folds."""
    if not told:
        return ""
    return f"{text(told.get('name'))} ({whole(told.get('folds'))} folds, {text(told.get('sha256'))[:8]})"


def mapping(value: Any) -> Mapping[str, Any]:
    """Return ``value`` where it is a mapping, else an empty mapping."""
    return value if isinstance(value, Mapping) else {}


def text(value: Any) -> str:
    """Return ``value`` as text, empty for None."""
    return "" if value is None else str(value)


def texts(value: Any) -> tuple[str, ...]:
    """Return the items of a list or tuple as texts, and an empty tuple for anything else."""
    return tuple(map(str, value)) if isinstance(value, (list, tuple)) else ()


def whole(value: Any) -> int:
    """Return ``value`` where it is a whole number, else 0."""
    return value if isinstance(value, int) else 0
