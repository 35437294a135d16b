"""``sfda-kit data make-shards``: write a data set of many files as a few tar files."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfda_kit.cli import flags, options

if TYPE_CHECKING:
    from sfda_kit.config.models import DatasetConfig
    from sfda_kit.shards.make import Made


def make_shards(
    dataset: options.DatasetName,
    out: Annotated[Path, typer.Argument(help="New or empty folder.")],
    data_root: options.DataRoot = None,
    shard_size: Annotated[int, typer.Option(min=1, help="Megabytes of one shard.")] = 1000,
    source: Annotated[str | None, typer.Option(help="MODALITY@DOMAIN, where only that task is complete.")] = None,
    target: Annotated[str | None, typer.Option(help="MODALITY@DOMAIN, with --source.")] = None,
    group_pattern: options.GroupPattern = None,
    unit: options.Unit = None,
    skip_bad: options.SkipBad = False,
    set_: options.Assignments = None,
) -> None:
    """Write a set as tar shards (WebDataset): the same bytes, with class, domain, role and group."""
    from sfda_kit.cli.output import notices, results
    from sfda_kit.plugins.discovery import build_part
    from sfda_kit.shards.make import make_shards as make
    from sfda_kit.verify.sensors import assumed_sensors

    given = {name: value for name, value in locals().items() if name in options.SETTINGS}
    config = flags.without_method(given, set_).dataset
    if source is None or target is None:
        assumed = assumed_sensors(config)
        config = config.model_copy(update=dict(zip(("source", "target"), assumed, strict=True)))
    opened = build_part("dataset", dataset, config=config)
    with notices().status("copying ...") as status:
        made = make(opened, out, shard_size * 10**6, lambda done, total: status.update(f"sample {done:,} of {total:,}"))
    line = f"{made.samples:,} samples written to {out}; shards: {made.shards:,}"
    results().print(line, soft_wrap=True, markup=False)
    told = config.unit or (opened.default_unit if "depth" in {modality for modality, _ in made.sensors} else "mm")
    results().print(f"try: sfda-kit run --method shot {_flags(made, out, config, told)}", soft_wrap=True, markup=False)


def _flags(made: Made, out: Path, config: DatasetConfig, unit: str) -> str:
    from sfda_kit.shards.make import SPLITS
    from sfda_kit.verify.sensors import most_used

    source, target = most_used(made.sensors)
    words = ["--dataset", "webdataset", "--data-root", str(out), "--source", source, "--target", target]
    words += ["--unit", unit] if unit != "mm" else []
    if made.splits:
        words += ["--set", f"dataset.options.splits={out / SPLITS}", "--split", config.split or made.splits[0]]
    elif config.name == "paired-folder":
        return f"{shlex.join(words)} --tr-classes A,B --ti-classes C"
    return shlex.join(words)
