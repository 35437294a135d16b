"""The data of a leaderboard: frozen classes that ``build_board`` makes and every renderer reads.

Accuracies, differences and calibration errors are in percent, times in seconds, memory in MiB. Texts come from
records, which third parties may have written, so a renderer escapes every string.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sfda_kit.results.record import Status

METRICS: dict[str, str] = {
    "heldout_accuracy": "held out",
    "heldout_mean_class_accuracy": "held out, mean over classes",
    "transductive_accuracy": "transductive",
    "transductive_mean_class_accuracy": "transductive, mean over classes",
    "heldout_calibration_error": "calibration error, held out",
    "transductive_calibration_error": "calibration error, transductive",
}
"""Every metric of a row, with the name that people read."""

LATER_METRICS: dict[str, str] = {"heldout_auroc": "AUROC, held out", "transductive_auroc": "AUROC, transductive"}
"""Metrics that records of older versions do not have. They are shown where a row of the board has them."""

METRIC_NAMES = METRICS | LATER_METRICS
"""All metrics, with the names that people read."""

ACCURACIES = tuple(METRICS)[:4]
"""The accuracies, plain and as means over classes."""

RANKING_METRICS = (*ACCURACIES, *LATER_METRICS)
"""The metrics that a board can be ranked by."""

Track = tuple[str, ...]
"""What a row used beyond source model and unlabelled target images, by the names of ``plugins/information.py``."""

Kind = Literal["method", "control", "source-only", "oracle", "oracle-tuned", "configuration"]

NEVER_RANK: frozenset[Kind] = frozenset({"oracle", "control", "oracle-tuned", "configuration"})
"""The kinds of rows that are no entries of a comparison, but show what one is worth."""

NotComparable = Literal["data", "weights", "seeds", "versions", "track", "predictions", "mismatch"]
MarkKind = Literal[NotComparable, "failed", "oracle", "control", "configuration"]

MARKS: dict[MarkKind, tuple[str, str]] = {
    "data": ("d", "other data revision: its images are not those of the other rows"),
    "weights": ("w", "other source weights: it started from another source model than the other rows"),
    "seeds": ("s", "missing seeds: it has no result for every seed of this table"),
    "versions": ("v", "other versions: made with another sfda-kit or torch than the other rows"),
    "track": ("t", "unknown track: neither its record nor the parts that are installed here say what it used"),
    "predictions": ("p", "no usable predictions: its score can be neither recomputed nor compared"),
    "mismatch": ("x", "its recorded score is not what its stored predictions give"),
    "failed": ("f", "some of its runs did not end well"),
    "oracle": ("o", "made with target labels: an upper bound that never ranks"),
    "control": ("c", "a control, which shows what the score of other rows is worth, and never ranks"),
    "configuration": ("n", "one of the n configurations of a method, whose own row shows the one that was chosen"),
}
"""The letter and the explanation of each mark. Every mark but ``failed`` excludes a row from ranks and comparisons."""


def spell_track(track: Track | None) -> str:
    """Return a track as text: ``none`` for nothing, ``unknown`` for None."""
    return "unknown" if track is None else ", ".join(track) or "none"


@dataclass(frozen=True)
class Spread:
    """A spread holds mean and sample standard deviation (divisor n - 1; None for one value) over ``n`` seeds."""

    mean: float
    std: float | None
    n: int


@dataclass(frozen=True)
class Mark:
    """A mark tells the reader about a problem of a row; ``detail`` says where it is, such as ``seeds 1, 2``."""

    kind: MarkKind
    detail: str = ""

    @property
    def letter(self) -> str:
        """The letter that stands beside the row's label."""
        return MARKS[self.kind][0]

    @property
    def sentence(self) -> str:
        """The general explanation, without the detail."""
        return MARKS[self.kind][1]


@dataclass(frozen=True)
class SeedResult:
    """A seed result is one run of a row. ``counted``: whether its figures are in the row's means.
    ``reason``: why the run did not end well, shortened to one line; empty when it did. ``fold``: None without folds."""

    seed: int
    status: Status
    run_id: str
    counted: bool
    reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    config_digest: str = ""
    source_weights: str = ""
    fingerprint: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    finished: str = ""
    fold: int | None = None

    @property
    def name(self) -> str:
        """The seed as text, behind the fold where there is one: ``0``, ``f1 s0``."""
        return str(self.seed) if self.fold is None else f"f{self.fold} s{self.seed}"


@dataclass(frozen=True)
class Comparison:
    """A comparison is ``first`` minus ``second`` on the board's metric, paired by seed and by image.

    ``low`` and ``high`` bound the 95 % percentile interval of the bootstrap, which is not adjusted for other
    comparisons. ``adjusted``: p-value adjusted for the false discovery rate over the comparisons of the same family;
    ``different``: it is below 0.05. ``groups``: number of resampled groups of images (scenes, videos).

    Over ``folds`` (0: there are none) the bounds and p are those of the t-test that is corrected for the overlap of
    folds, and ``adjusted`` is Holm's (``fold_statistics.py``). ``resampled``: the bounds of the hierarchical bootstrap;
    ``seen``: the smallest true difference that this comparison alone finds with 80 % power.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    p_value: float
    adjusted: float
    different: bool
    seeds: int
    groups: int
    folds: int = 0
    resampled: tuple[float, float] | None = None
    seen: float | None = None

    @property
    def only_uncorrected(self) -> bool:
        """Whether the interval leaves out 0, and the corrected p-value shows no difference."""
        return not self.different and not self.low <= 0 <= self.high


@dataclass(frozen=True)
class BoardRow:
    """A row is one variant of a method on one task and network.

    ``track``: what it used beyond source model and target images, None where that is not known. ``settings``: its
    differences from other variants of its method, by dotted key. ``rank``: 1 + number of rows of its track that are
    significantly better; None where the row does not rank. ``tied``: another row of the track has the same rank.
    ``versus_best``: this row minus the best row of its track. ``versus_source``: this row minus the source model it
    started from. ``worth_labels``: the labels a class that its score is worth, such as ``4.2`` or ``> 20``.
    ``versus_shuffled``: this row minus its controls with shuffled pairs, which are no part of any other comparison.
    ``pretraining``: what the backbone began with, empty on a board of which no backbone began with weights.
    ``configurations``: the number among which the runs of the row were chosen, 0 where no row of its table has several.
    ``tuned``: the same for all rows of a method with several configurations, else empty.
    ``gap_closed``: percent of the way from source-only to oracle. ``cost``: medians of ``wall_s``, ``peak_memory_mb``
    and ``trained_parameters`` over the counted seeds.
    """

    label: str
    method: str
    kind: Kind
    settings: Mapping[str, str]
    results: tuple[SeedResult, ...]
    metrics: Mapping[str, Spread]
    cost: Mapping[str, float]
    marks: tuple[Mark, ...] = ()
    synthetic: bool = False
    rank: int | None = None
    tied: bool = False
    versus_best: Comparison | None = None
    versus_source: Comparison | None = None
    gap_closed: float | None = None
    versus_shuffled: tuple[Comparison, ...] = ()
    worth_labels: str = ""
    pretraining: str = ""
    configurations: int = 0
    tuned: str = ""
    track: Track | None = None

    @property
    def never_ranks(self) -> bool:
        """Whether a row of its kind never ranks, whatever its runs are."""
        return self.kind in NEVER_RANK

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that the means are taken over."""
        return tuple(dict.fromkeys(result.seed for result in self.results if result.counted))

    @property
    def folds(self) -> tuple[int, ...]:
        """The folds that the means are taken over, empty where there are none."""
        return tuple(dict.fromkeys(one.fold for one in self.results if one.counted and one.fold is not None))

    @property
    def failures(self) -> tuple[SeedResult, ...]:
        """The runs that failed, timed out or were skipped."""
        return tuple(result for result in self.results if result.status != "ok")

    @property
    def rank_text(self) -> str:
        """The rank as text: ``1``, or ``1=`` for a tie; empty where the row does not rank."""
        return "" if self.rank is None else f"{self.rank}{'=' if self.tied else ''}"

    @property
    def track_text(self) -> str:
        """The track as text: ``none``, ``pairs``, ``pairs, tuned`` or ``unknown``."""
        return spell_track(self.track)


@dataclass(frozen=True)
class BoardTask:
    """This is the task of a table. ``fingerprint``: the data revision that the compared rows share.

    ``follows``: each seed has a split of its own, so there are several revisions, and ``images`` are those of one seed.
    ``caveats``: what must be said beside the numbers on this data, as its declaration has it.
    """

    dataset: str
    source: str
    target: str
    classes: tuple[str, ...]
    ti_classes: tuple[str, ...]
    split_seed: int
    options: Mapping[str, str]
    fingerprint: str
    images: Mapping[str, int]
    synthetic: bool
    follows: bool = False
    caveats: tuple[str, ...] = ()

    @property
    def split(self) -> str:
        """The seed of the split in words."""
        return "each seed has a split of its own" if self.follows else f"split seed {self.split_seed}"

    @property
    def name(self) -> str:
        """The task's name, such as ``rooms, rgb@kv1 -> depth@kv1``, with the data set's options if there are any."""
        options = "".join(f", {key}={value}" for key, value in self.options.items())
        return f"{self.dataset}{options}, {self.source} -> {self.target}"


@dataclass(frozen=True)
class AdaptedNetwork:
    """This is the network that every row of a table adapts. ``weights``: those that the user named to begin with.

    ``frozen``: the source model was trained with a frozen backbone.
    """

    backbone: str
    image_size: int
    pretrained: bool
    weights: str = ""
    frozen: bool = False

    @property
    def name(self) -> str:
        """The network's name, such as ``resnet10t, 64 px, from scratch``."""
        begun = f"weights {self.weights}" if self.weights else "pretrained" if self.pretrained else "from scratch"
        frozen = ", frozen in source training" if self.frozen else ""
        return f"{self.backbone}, {self.image_size} px, {begun}{frozen}"


@dataclass(frozen=True)
class TaskTable:
    """A table holds all rows of one task and network: first the ranked rows, then the others.

    ``id``: unique in the board, made of a-z, 0-9 and ``-``; equal tasks and networks give an equal ``id``. ``seeds``:
    the seeds on which rows are compared. ``source_weights`` (by seed) and ``versions``: those that the compared rows
    share. ``comparisons``: all comparisons between ranked rows of one track, the better row first. ``groups``: number
    of groups of images behind the metric, 0 where no predictions could be read. ``notices``: sentences for the reader.
    ``folds``: those on which rows are compared, empty where the rows have one split.
    """

    id: str
    metric: str
    task: BoardTask
    network: AdaptedNetwork
    rows: tuple[BoardRow, ...]
    comparisons: tuple[Comparison, ...]
    seeds: tuple[int, ...]
    groups: int
    source_weights: Mapping[int, str]
    source_accuracy: Spread | None
    versions: Mapping[str, str]
    notices: tuple[str, ...] = ()
    folds: tuple[int, ...] = ()

    @property
    def title(self) -> str:
        """The task and the network in one line."""
        return f"{self.task.name}; {self.network.name}"

    @property
    def ranked(self) -> tuple[BoardRow, ...]:
        """The rows that are compared with others of their track."""
        return tuple(row for row in self.rows if row.rank is not None)

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The tracks in which rows rank, in order."""
        return tuple(dict.fromkeys(row.track for row in self.ranked if row.track is not None))

    def leads(self, row: BoardRow) -> bool:
        """Return whether ``row`` ranks and has the highest mean of its track."""
        own = [other for other in self.ranked if other.track == row.track]
        return bool(own) and row is max(own, key=lambda one: one.metrics[self.metric].mean)


@dataclass(frozen=True)
class RankTests:
    """Rank tests are Friedman's test over complete blocks and Nemenyi's test for every pair (Demsar 2006).

    ``mean_ranks``: 1 is best. ``nemenyi``: p-value by pair of labels, in the order of ``mean_ranks``, corrected for all
    pairs. ``critical_difference``: the difference of mean ranks that is significant at 0.05.
    """

    blocks: int
    mean_ranks: Mapping[str, float]
    statistic: float
    p_value: float
    critical_difference: float
    nemenyi: Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class OverallRow:
    """An overall row is one variant over the blocks of ``Overall``; ``mean`` is the mean of its means on each task."""

    label: str
    mean: float
    rank: int
    tied: bool
    versus_best: Comparison | None = None

    @property
    def rank_text(self) -> str:
        """The rank as text: ``1``, or ``1=`` for a tie."""
        return f"{self.rank}{'=' if self.tied else ''}"


@dataclass(frozen=True)
class Overall:
    """This part compares variants of a track over all blocks (tables) in which each of them ranks.

    ``blocks``: ids of the tables. ``rank_tests``: None where there are too few blocks or variants for such tests;
    ``note`` then says so.
    """

    rows: tuple[OverallRow, ...]
    comparisons: tuple[Comparison, ...]
    blocks: tuple[str, ...]
    rank_tests: RankTests | None
    note: str = ""
    track: Track = ()


@dataclass(frozen=True)
class Board:
    """A board holds ``tables`` ranked by ``metric``; ``records``: number of records; ``notices``: on several tables.
    ``overall`` has a part for each track in which two tables share two ranked variants; ``overall_note`` says where it
    is empty."""

    metric: str
    tables: tuple[TaskTable, ...]
    overall: tuple[Overall, ...]
    overall_note: str
    records: int
    notices: tuple[str, ...] = ()

    @property
    def metrics(self) -> dict[str, str]:
        """The metrics to show, with the names that people read: ``METRICS``, and later ones that any row has."""
        had = {self.metric} | {name for table in self.tables for row in table.rows for name in row.metrics}
        return METRICS | {name: text for name, text in LATER_METRICS.items() if name in had}

    @property
    def synthetic(self) -> bool:
        """True where any table shows results on synthetic images."""
        return any(table.task.synthetic for table in self.tables)
