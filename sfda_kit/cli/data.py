"""``sfda-kit data``: look at data sets, and write synthetic twins of their layouts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfda_kit.cli import data_crops, data_folds, data_shards, data_stats, data_verify, flags, options

if TYPE_CHECKING:
    from sfda_kit.config.models import RunConfig
    from sfda_kit.interfaces.encoding import Encoding
    from sfda_kit.plugins.component import Component

app = typer.Typer(help="Look at data sets and write synthetic twins of their layouts.", no_args_is_help=True)
app.command("make-crops")(data_crops.make_crops)
app.command("make-shards")(data_shards.make_shards)
app.command("folds")(data_folds.folds)
app.command("fold-groups")(data_folds.fold_groups)
app.command("verify")(data_verify.verify)
app.command("stats")(data_stats.stats)


@app.command("list")
def list_(json: options.AsJson = False) -> None:
    """List the data sets that `sfda-kit run --dataset NAME` knows, with modalities, licence, citation and caveats."""
    from rich.markup import escape

    from sfda_kit.cli.output import results
    from sfda_kit.plugins.discovery import registry

    described = [_described(part) for part in registry().of_kind("dataset")]
    console = results(json)
    for one in described:
        console.print(f"[bold]{escape(one['name'])}[/]  {escape(one['modalities'])}", soft_wrap=True)
        for key in ("what", "licence", "citation", "from", "error"):
            if one.get(key):
                line = one[key] if key == "what" else f"{key}: {one[key]}"
                console.print(f"  {line}", soft_wrap=True, markup=False)
        for line in _caveats(one["caveats"]):
            console.print(f"  {line}", soft_wrap=True, markup=False)
    if json:
        flags.print_json({"datasets": described})


def _caveats(by_name: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield one line for equal caveats, with the splits or folds that they are of."""
    for told in dict.fromkeys(map(tuple, by_name.values())):
        names = ", ".join(name for name, own in by_name.items() if tuple(own) == told and name)
        yield f"caveats{f' of {names}' if names else ''}: {' '.join(told)}"


def _described(part: Component) -> dict[str, Any]:
    """Return the description of a data set; where it cannot be imported, return the error instead."""
    caveats = {of: list(said) for of, said in part.caveats.items()}
    told: dict[str, Any] = {"name": part.name, "modalities": "", "what": part.summary, "from": part.owner}
    told["caveats"] = caveats
    try:
        kind = part.load()
        told |= {"modalities": ", ".join(kind.modalities), "licence": kind.licence, "citation": kind.citation}
        return told | {"what": kind.summary}
    except Exception as error:
        return told | {"error": str(error)}


@app.command("show")
def show(
    dataset: options.DatasetName,
    out: Annotated[Path, typer.Option(help="PNG to write.")] = Path("sheet.png"),
    data_root: Annotated[Path | None, typer.Option(help="Folder of the data set on this disk.")] = None,
    modality: Annotated[list[str] | None, typer.Option(help="Rows of the sheet; default: all of the set.")] = None,
    domain: Annotated[str | None, typer.Option(help="One sensor only.")] = None,
    number: Annotated[int, typer.Option(min=1, help="Samples to draw.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Which samples.")] = 0,
    unit: options.Unit = None,
    encoding: Annotated[str | None, typer.Option(help="Show this encoding too: jet, normals, hha, ...")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="dataset.options.KEY=VALUE, ...")] = None,
) -> None:
    """Draw a sheet of samples as the loader delivers them, each in every modality, with class names.

    With a stress (--set dataset.stress.holes=0.2) one more row shows the changed images, as a run sees them.
    """
    from sfda_kit.cli.data_look import open_to_look, stress_to_look_at
    from sfda_kit.cli.output import notices, results
    from sfda_kit.datasets.channel_statistics import held
    from sfda_kit.datasets.sample_sheet import draw_pairs

    given = {"dataset": dataset, "data_root": data_root, "unit": unit}
    config = flags.without_method(given | {"encoding": encoding or "copy"}, set_)
    opened = open_to_look(config, modality)
    encode = _encoding(config) if encoding else None
    shown = modality or held(opened)
    size, worse = stress_to_look_at(config, shown)
    rows = draw_pairs(opened, out, shown, domain, number, seed, size, encode, worse)
    index = opened.index()
    for notice in (one for one in index.notices if not one.startswith("left out: ")):
        notices(on_stderr=False).print(f"notice: {notice}", soft_wrap=True, markup=False)
    line = (
        f"{len(index.names)} samples of {len(index.classes)} classes by {', '.join(index.domains)}; {len(rows)} drawn"
    )
    results().print(f"{line} to {out}", soft_wrap=True, markup=False)


def _encoding(config: RunConfig) -> Encoding:
    from sfda_kit.plugins.discovery import build_part

    built: Encoding = build_part("encoding", config.encoding.name, config.encoding.options)
    return built


@app.command("make-twin")
def make_twin(
    layout: Annotated[
        str,
        typer.Argument(
            help="sun-rgbd, diml, diml-full, nyuv2, rgb-nir, eurosat, domain-folder, list-file or webdataset."
        ),
    ],
    out: Annotated[Path, typer.Argument(help="New or empty folder.")],
    frames_per_class: Annotated[
        int | None, typer.Option(min=1, help="Scenes of each class and sensor; default: enough for a run.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which scenes.")] = 0,
) -> None:
    """Write synthetic scenes exactly as a public data set lies on a disk, to try its loader."""
    from sfda_kit.cli.output import notices, results
    from sfda_kit.datasets.twins import make_twin as write_twin
    from sfda_kit.datasets.twins import run_flags

    with notices().status("rendering ...") as status:
        count = write_twin(
            layout, out, frames_per_class, seed, lambda done, total: status.update(f"scene {done} of {total}")
        )
    results().print(f"{count} synthetic scenes written to {out}", soft_wrap=True, markup=False)
    results().print("Loaders and commands can be tried on them; scores mean nothing.", soft_wrap=True, markup=False)
    results().print(
        f"try: sfda-kit run --method shot {run_flags(layout, out, frames_per_class)}", soft_wrap=True, markup=False
    )
