"""``sfda-kit source``: train, show and import source models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfda_kit.cli import flags, options
from sfda_kit.cli.groups import Command, OptionGroup, takes_options
from sfda_kit.cli.options import BasicOptions, ImageOptions, ModelOptions, SourceOptions, TaskOptions
from sfda_kit.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from sfda_kit.runs.plan import Plan
    from sfda_kit.source.importing import Matching
    from sfda_kit.source.source_card import SourceCard

app = typer.Typer(help="Source models and their cards.", no_args_is_help=True)
SHOWN = 8
"""Number of names of each kind that the report of an import lists."""
Out = Annotated[Path | None, typer.Option(help="Copy the card and its weights into this folder.")]
EXAMPLES = """Examples:
sfda-kit source train --backbone resnet18 --image-size 96 --out card
sfda-kit source train --pretrained --dataset sun-rgbd --data-root FOLDER
"""


class CardOptions(OptionGroup):
    panel = "Output"
    out: Out


class TrainOptions(BasicOptions, TaskOptions, ImageOptions, ModelOptions, SourceOptions, CardOptions):
    without = ("method", "source_card")
    target: Annotated[str | None, typer.Option(help="Target sensor of later runs; it decides the classes.")]
    tr_classes: Annotated[str | None, typer.Option(help="Classes to learn: A,B,...")]
    ti_classes: Annotated[str | None, typer.Option(help="Classes to leave to the pairs: C,D,...")]


@app.command("train", cls=Command, epilog=EXAMPLES)
@takes_options
def train(chosen: TrainOptions) -> None:
    """Train the source model of a data set (or find it in the cache) and print its card's folder."""
    from sfda_kit.runs.plan import plan_run

    given = options.given(chosen) | {"method": "source-only"}
    plan = plan_run(flags.configuration(given, chosen.config, chosen.set_))
    _deliver(_trained(plan), chosen.out)


def _trained(plan: Plan) -> Path:
    from sfda_kit.cli.live import reporting
    from sfda_kit.cli.output import results
    from sfda_kit.data.open_views import ViewOpener
    from sfda_kit.data.task import build_task
    from sfda_kit.device import autocast, choose_device
    from sfda_kit.events import Event, reading_progress
    from sfda_kit.source.source_stage import refuse_missing_weights, source_folders

    plan.check()
    config = plan.config
    task = build_task(plan.dataset, config.dataset)
    refuse_missing_weights(config, task, plan.encoding)
    device = choose_device(config.compute)
    opener = ViewOpener(task, plan.encoding, config.model.image_size, device)
    with reporting(results(json_wanted=True)) as listener:
        plan.dataset.progress = reading_progress(listener)
        for notice in task.notices:
            listener(Event("notice", data={"text": notice}))
        return source_folders(config, task, opener, listener, autocast(config.compute, device))[0]


def _deliver(folder: Path, out: Path | None) -> None:
    """Print where the card is, after copying it to ``out``."""
    from sfda_kit.cli.output import results

    if out is not None:
        folder = copy_card(folder, out)
    results().print(str(folder), soft_wrap=True, markup=False)


def copy_card(folder: Path, out: Path) -> Path:
    """Copy a card and its weights into ``out``. Raises ``UserError`` unless ``out`` is new or an empty folder."""
    import shutil

    from sfda_kit.files import atomic
    from sfda_kit.source.source_card import CARD_FILE, WEIGHTS_FILE

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"--out {out} is not an empty folder. Nothing was copied; name a new one. The card is {folder}")
    for name in (WEIGHTS_FILE, CARD_FILE):
        with atomic(out / name, "with --out.") as work:
            shutil.copyfile(folder / name, work)
    return out


@app.command("show")
def show(
    card: Annotated[Path, typer.Argument(help="Folder of a source card, or its JSON file.")],
    json: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> None:
    """Show what a source model is, knows and expects."""
    from sfda_kit.cli.output import results
    from sfda_kit.source.source_card import load_whole_card

    found = load_whole_card(card)
    if json:
        flags.print_json(found.model_dump(mode="json"))
        return
    _show_card(results(), found)


def _show_card(console: Console, card: SourceCard) -> None:
    from rich.markup import escape

    from sfda_kit.cli.tables import print_table, table_of

    table = table_of("", "", show_header=False)
    for name, value in _lines(card).items():
        table.add_row(f"[bold]{name}[/]", escape(value))
    print_table(console, table)


def _lines(card: SourceCard) -> dict[str, str]:
    model = card.model
    bottleneck = f"bottleneck of {model.bottleneck}" if model.bottleneck else "no bottleneck"
    accuracy = (
        "unknown" if card.accuracy is None else f"{card.accuracy:.1f} % of {card.held_out_images} held-out images"
    )
    return {
        "network": f"{model.backbone}, {bottleneck}, {model.image_size} px",
        "classes": f"{len(card.classes)}: {', '.join(card.classes)}",
        "modality": f"{card.modality}, encoding {card.encoding.name}",
        "accuracy": accuracy,
        "mean": ", ".join(f"{value:.4g}" for value in card.mean),
        "std": ", ".join(f"{value:.4g}" for value in card.std),
        "weights": card.weights_sha256[:16] + " (match the card)",
        "began with": _beginning(card),
        "training": ", ".join(f"{key} {value}" for key, value in card.training.items()) or "unknown",
        "versions": ", ".join(f"{key} {value}" for key, value in card.versions.items()) or "unknown",
    }


def _beginning(card: SourceCard) -> str:
    """Return the weights that the backbone began with, in words."""
    if card.initial_weights:
        told = {**card.initial_weights, "sha256": card.initial_weights.get("sha256", "")[:16]}
        return ", ".join(f"{key} {value}" for key, value in told.items() if value)
    return "the weights of timm" if card.model.pretrained else "random weights, or unknown"


@app.command("import")
def import_(
    classes: Annotated[str, typer.Option(help="A,B,... in the order of the outputs.")],
    image_size: Annotated[int, typer.Option(min=8, max=1024, help="Side of the input it was trained on.")],
    weights: Annotated[
        list[Path] | None,
        typer.Argument(help="A .safetensors file or a state dict (.pt, .pth), or the files of SHOT: F B C."),
    ] = None,
    backbone: Annotated[str | None, typer.Option(help="timm model the weights belong to.")] = None,
    model: Annotated[
        str | None, typer.Option(help="package.module:function that makes your torch module, instead of --backbone.")
    ] = None,
    classifier: Annotated[str | None, typer.Option(help="With --model: its last layer; default: found.")] = None,
    feature_maps: Annotated[str | None, typer.Option(help="With --model: a layer that returns feature maps.")] = None,
    mean: Annotated[str | None, typer.Option(help="R,G,B for values in [0, 1]; default: timm's.")] = None,
    std: Annotated[str | None, typer.Option(help="R,G,B for values in [0, 1]; default: timm's.")] = None,
    modality: Annotated[str, typer.Option(help="What it was trained on.")] = "rgb",
    ignore_unmatched: Annotated[
        bool, typer.Option("--ignore-unmatched", help="Leave out tensors that the backbone has no place for.")
    ] = False,
    out: Out = None,
) -> None:
    """Make a source card of a timm classifier, of the files of SHOT, or of your own torch module; print its folder."""
    from sfda_kit.plugins.modalities import modality as known

    names = _names(classes)
    known(modality)
    input_of = {"image_size": image_size, "mean": _triple("--mean", mean), "std": _triple("--std", std)}
    if model:
        layers = {"classifier": classifier, "feature_maps": feature_maps}
        _deliver(_module_card(model, weights or [], classes=names, modality=modality, **input_of, **layers), out)
    elif backbone and weights:
        _deliver(_timm_card(weights, backbone, names, modality, ignore_unmatched, **input_of), out)
    else:
        raise UserError(
            "Which network? Give weights and --backbone, a name of timm, or --model package.module:function."
        )


def _timm_card(
    weights: list[Path], backbone: str, names: tuple[str, ...], modality: str, ignore_unmatched: bool, **input_of: Any
) -> Path:
    from sfda_kit.cli.output import errors
    from sfda_kit.source.foreign_weights import read_states
    from sfda_kit.source.importing import check, match, network_for, normalisation_of, save_imported

    state = read_states(weights)
    network, model = network_for(state, backbone, input_of["image_size"], len(names))
    matching = match(state, network)
    _show_matching(errors(), matching)
    check(matching, backbone, ignore_unmatched)
    values = normalisation_of(network, input_of["mean"], input_of["std"])
    return save_imported(network, matching, model, names, modality, *values, weights)


def _module_card(reference: str, weights: list[Path], **described: Any) -> Path:
    """Return the card of the module that ``reference`` makes, with the weights in files where some are given."""
    from sfda_kit.errors import brief
    from sfda_kit.models.module_factories import make_module, trust
    from sfda_kit.source.foreign_weights import read_states
    from sfda_kit.source.module_card import import_module

    trust(reference)
    module = make_module(reference, len(described["classes"]))
    if weights:
        try:
            module.load_state_dict(read_states(weights))
        except RuntimeError as error:
            raise UserError(f"The weights do not fit {reference}: {brief(error, 400, quoted=False)}") from None
    return import_module(module, reference=reference, **described)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if len(names) < 2 or len(set(names)) < len(names):
        raise UserError(f"--classes {text!r}: expected at least two different names, A,B,...")
    return names


def _triple(option: str, text: str | None) -> Any:
    if text is None:
        return None
    try:
        red, green, blue = (float(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"{option} {text!r}: expected three numbers, for example 0.485,0.456,0.406") from None
    return red, green, blue


def _show_matching(console: Console, matching: Matching) -> None:
    from rich.markup import escape

    from sfda_kit.cli.tables import print_table, table_of

    wrong = [f"{name} {list(found)}, expected {list(wanted)}" for name, found, wanted in matching.mismatched]
    table = table_of("tensors", "number", "names")
    table.columns[1].justify = "right"
    rows = {
        "taken over": list(matching.placed),
        "of another shape": wrong,
        "missing in the file": matching.missing,
        "unmatched in the file": matching.unmatched,
    }
    for title, names in rows.items():
        shown = [] if title == "taken over" else names[:SHOWN]
        more = [f"... and {len(names) - SHOWN} more"] if shown and len(names) > SHOWN else []
        table.add_row(title, str(len(names)), escape("\n".join([*shown, *more])))
    print_table(console, table)
