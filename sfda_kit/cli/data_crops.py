"""``sfda-kit data make-crops``: cut a data set of objects out of a data set of scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

LAYOUTS = ("nyuv2",)


def make_crops(
    layout: Annotated[str, typer.Argument(help="nyuv2.")],
    labelled: Annotated[Path, typer.Argument(help="nyu_depth_v2_labeled.mat.")],
    out: Annotated[Path, typer.Argument(help="New or empty folder.")],
    class_mapping: Annotated[
        Path | None, typer.Option(help="classMapping40.mat: names of the file to the usual 40 classes.")
    ] = None,
    official_split: Annotated[Path | None, typer.Option(help="splits.mat: take frames of one part only.")] = None,
    part: Annotated[str, typer.Option(help="Which part of the official split: train or test.")] = "train",
    min_side: Annotated[int, typer.Option(help="Least width and height of an object in pixels.")] = 40,
    max_side: Annotated[int, typer.Option(help="Larger crops are scaled down to this.")] = 128,
    raw_depth: Annotated[bool, typer.Option("--raw-depth", help="Depth as measured, with holes.")] = False,
) -> None:
    """Cut labelled objects out of scenes, as pairs in the paired-folder layout with groups.csv and crops.csv."""
    import shlex

    from sfda_kit.cli.output import notices, results
    from sfda_kit.datasets.nyuv2_crops import DOMAIN, CropRules
    from sfda_kit.datasets.nyuv2_crops import make_crops as cut
    from sfda_kit.errors import UserError, did_you_mean

    if layout not in LAYOUTS:
        raise UserError(f"No objects can be cut out of {layout!r}. {did_you_mean(layout, LAYOUTS)}")
    rules = CropRules(min_side, max_side, raw_depth)
    with notices().status("cutting ...") as status:
        counts = cut(
            labelled,
            out,
            rules,
            class_mapping,
            official_split,
            part,
            lambda done, total: status.update(f"frame {done} of {total}"),
        )
    table = ", ".join(f"{name} {count}" for name, count in counts.items())
    results().print(f"{sum(counts.values())} crops written to {out}: {table}", soft_wrap=True, markup=False)
    flags = f"--dataset paired-folder --data-root {shlex.quote(str(out))} --source rgb@{DOMAIN} --target depth@{DOMAIN}"
    results().print(f"try: sfda-kit run --method tgkt {flags} --split nyu11-ti21", soft_wrap=True, markup=False)
