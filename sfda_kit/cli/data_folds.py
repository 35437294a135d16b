"""``sfda-kit data folds``: a fold file for a data set of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfda_kit.cli import flags, options

if TYPE_CHECKING:
    from sfda_kit.data.fold_file import FoldFile


def folds(
    dataset: options.DatasetName,
    data_root: options.DataRoot = None,
    split: options.Split = None,
    tr_classes: Annotated[str | None, typer.Option(help="Classes that each part needs: A,B; default: all.")] = None,
    group_pattern: options.GroupPattern = None,
    source: Annotated[str | None, typer.Option(help="MODALITY@DOMAIN, as a run names it.")] = None,
    target: Annotated[str | None, typer.Option(help="MODALITY@DOMAIN, as a run names it.")] = None,
    number: Annotated[int, typer.Option(min=2, help="Folds of a repetition; each group is held out once.")] = 4,
    repeats: Annotated[int, typer.Option(min=1, help="Repetitions, each with other folds.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Which folds are drawn.")] = 0,
    name: Annotated[str | None, typer.Option(help="Name in records; default: that of the data's folder.")] = None,
    version: Annotated[int, typer.Option(min=1, help="Raise it when the data change.")] = 1,
    about: Annotated[str, typer.Option(help="A sentence about the data, kept in the file.")] = "",
    out: Annotated[Path | None, typer.Option(help="JSON to write.", show_default="folds.json at --data-root")] = None,
    set_: options.Assignments = None,
) -> None:
    """Fix folds for all runs on a data set: whole groups held out in turn, with the classes spread evenly."""
    from sfda_kit.cli.output import results
    from sfda_kit.data.fold_file import OWN
    from sfda_kit.data.fold_making import make_folds
    from sfda_kit.data.task import choose_split
    from sfda_kit.datasets.open_dataset import open_dataset
    from sfda_kit.errors import UserError
    from sfda_kit.files import atomic

    given = {"dataset": dataset, "data_root": data_root, "split": split, "tr_classes": tr_classes}
    given |= {"group_pattern": group_pattern, "source": source, "target": target}
    config = flags.without_method(given, set_).dataset
    path = out or (config.root / OWN if config.root else None)
    if path is None:
        raise UserError(
            "Where should the folds be written? Give --out FILE, or the folder of the data: --data-root DIR"
        )
    if path.exists():
        raise UserError(
            f"{path} exists already, and runs may stand on it. Move it away, or write another file with --out."
        )
    opened = open_dataset(config)
    index = opened.index()
    asked = bool(config.split or config.tr_classes)
    classes = choose_split(opened, config, index).tr_classes if asked else index.classes
    classes = tuple(one for one in classes if one in index.classes)
    called = name or (config.root.expanduser().resolve().name if config.root else config.name)
    made = make_folds(opened, index, classes, called, number, repeats, seed, version, about)
    with atomic(path) as work:
        work.write_text(made.text(), encoding="utf-8")
    for line in described(made):
        results().print(line, soft_wrap=True, markup=False)
    results().print(f"written to {path}", soft_wrap=True, markup=False)


def fold_groups(
    name: Annotated[str, typer.Argument(help="Shipped folds, such as nyuv2-objects-v1.")],
    out: Annotated[Path, typer.Option(help="CSV to write, groups.csv at the root of the data.")],
) -> None:
    """Write the groups of shipped folds as a groups.csv, for data with the same samples and other groups."""
    import csv

    from sfda_kit.cli.output import results
    from sfda_kit.data.fold_file import read_folds
    from sfda_kit.errors import UserError
    from sfda_kit.files import atomic

    if out.exists():
        raise UserError(
            f"{out} exists already, and splits stand on it. Move it away, or write another file with --out."
        )
    groups = read_folds(name, None).groups
    rows = sorted((sample, group) for group, held in groups.items() for sample in held.samples)
    with atomic(out) as work, work.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("stem", "group"), *rows])
    results().print(f"{len(rows)} samples in {len(groups)} groups written to {out}", soft_wrap=True, markup=False)


def described(made: FoldFile) -> list[str]:
    """Return lines about the folds, with the classes that a part lacks in any of them."""
    groups = made.groups.values()
    lines = [f"{made.count} folds ({made.repeats} times {made.folds}) over {len(made.groups)} groups"]
    for one in made.classes:
        own = [group.parts for group in groups if one in group.classes]
        lacking = sum(len({parts[fold] for parts in own}) < 3 for fold in range(made.count))
        if lacking:
            lines.append(
                f"{one}: {len(own)} groups, too few for every part of every fold; a part lacks it in {lacking} folds"
            )
    return [*lines, f"sha256 {made.sha256}"]
