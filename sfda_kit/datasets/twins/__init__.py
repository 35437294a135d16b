"""Synthetic twins: ``rooms`` scenes in exactly the files and folders of a public data set, to try its loader."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from sfda_kit.datasets.twins.writing import Progress
from sfda_kit.errors import UserError, did_you_mean
from sfda_kit.files import write_whole

Writer = Callable[[Path, int, int, Progress], int]
"""It is called with the folder to fill, images per class, seed and progress, and returns the number of scenes."""


@dataclass(frozen=True)
class Twin:
    """``module`` has a function ``write``, which by default writes ``per_class`` scenes of each class.

    With fewer than ``enough``, a run needs a lower ``dataset.minimum_images``. ``flags``: those of a run on the twin.
    """

    module: str
    flags: str
    per_class: int = 30
    enough: int = 24


TWINS = {
    "sun-rgbd": Twin(
        "sfda_kit.datasets.twins.sun_rgbd", "--dataset sun-rgbd --source rgb@kv1 --target depth@kv1", 40, 30
    ),
    "diml": Twin("sfda_kit.datasets.twins.diml", "--dataset diml --source rgb@indoor --target depth@indoor"),
    "diml-full": Twin("sfda_kit.datasets.twins.diml_full", "--dataset diml --source rgb@indoor --target depth@indoor"),
    "nyuv2": Twin("sfda_kit.datasets.twins.nyuv2", "--dataset nyuv2 --source rgb --target depth"),
    "rgb-nir": Twin("sfda_kit.datasets.twins.rgb_nir", "--dataset rgb-nir --source rgb --target nir"),
    "eurosat": Twin("sfda_kit.datasets.twins.eurosat", "--dataset eurosat --source rgb --target nir"),
    "domain-folder": Twin(
        "sfda_kit.datasets.twins.domain_folder", "--dataset domain-folder --source rgb@amazon --target rgb@webcam"
    ),
    "list-file": Twin("sfda_kit.datasets.twins.list_file", "--dataset list-file --source rgb@cam --target depth@cam"),
    "webdataset": Twin("sfda_kit.shards.twin", "--dataset webdataset --source rgb@cam --target depth@cam"),
}
"""Layout -> its twin, by the name that ``data make-twin`` takes."""


def make_twin(
    layout: str, out: Path, per_class: int | None = None, seed: int = 0, progress: Progress | None = None
) -> int:
    """Write the twin of ``layout``; return the number of scenes. ``out`` appears whole or not at all.

    Raises ``UserError`` on an unknown layout, and when ``out`` is not empty or cannot be written.
    """
    if layout not in TWINS:
        raise UserError(f"There is no twin of {layout!r}. {did_you_mean(layout, TWINS)}")
    twin = TWINS[layout]
    count = twin.per_class if per_class is None else per_class
    if count < 1:
        raise UserError(f"frames_per_class is {count}; give at least 1.")
    write: Writer = import_module(twin.module).write
    return write_whole(out, lambda work: write(work, count, seed, progress or _silent))


def run_flags(layout: str, out: Path, per_class: int | None = None) -> str:
    """Return flags of ``sfda-kit run`` for the twin at ``out``: few images may leave the source model near chance."""
    twin = TWINS[layout]
    few = per_class is not None and per_class < twin.enough
    return (
        f"{twin.flags} --data-root {shlex.quote(str(out))} --source-floor 0" + " --set dataset.minimum_images=1" * few
    )


def _silent(done: int, total: int) -> None:
    del done, total
