"""``sfda-kit predict``: predict the classes of new images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from sfda_kit.cli import flags, options
from sfda_kit.cli.options import NetworkFactory
from sfda_kit.cli.output import errors, notices, stdout
from sfda_kit.errors import DataError, UserError

if TYPE_CHECKING:
    from sfda_kit.inference.adapted_card import AdaptedCard
    from sfda_kit.inference.predictor import Prediction

FORMATS = ("csv", "json")


def predict(
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.", show_default=False)],
    run: options.RunFolder,
    format_: Annotated[str, typer.Option("--format", help="csv or json.")] = "csv",
    out: Annotated[Path | None, typer.Option(help="File to write instead of stdout.")] = None,
    unit: Annotated[str | None, typer.Option(help="What files hold: mm, celsius, ...; default: as adapted.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 64,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Report unreadable images and go on.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, ...")] = "auto",
    network: NetworkFactory = None,
) -> None:
    """Predict path, class and probability of images with the model of a run."""
    from sfda_kit.data.unlabelled_folder import find_images
    from sfda_kit.inference.adapted_card import read_adapted_card

    flags.allow(network)
    check_choice("--format", format_, FORMATS)
    _check_unit(unit, read_adapted_card(run)[0])
    found = find_images(images)

    from sfda_kit.config.models import ComputeConfig  # Mistakes are told before torch is imported.
    from sfda_kit.device import choose_device
    from sfda_kit.inference.predictor import Predictor, refuse

    chosen = choose_device(ComputeConfig(device=device))
    predictor = Predictor.of_run(run, unit, chosen)
    skipped = []

    def report(error: DataError) -> None:
        skipped.append(error)
        errors().print(f"skipped: {error}", markup=False, soft_wrap=True)

    predictions = predictor.predict(found, batch_size, report if skip_bad else refuse)
    with _opened(out) as file:
        count = WRITERS[format_](predictions, file)
    if not count:
        raise DataError(f"None of the {len(found)} images can be read.")


def check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise ``UserError`` unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise UserError(f"{option} {value!r}: expected {' or '.join(choices)}.")


def _check_unit(wanted: str | None, card: AdaptedCard) -> None:
    """Raise ``UserError`` for a unit that the modality has not; print a notice where millimetres are assumed."""
    from sfda_kit.plugins.modalities import modality

    if wanted is not None:
        check_choice("--unit", wanted, tuple(modality(card.modality).units))
    elif card.modality == "depth" and card.unit is None:
        notices().print("notice: depth is read as millimetres (--unit says otherwise)")


@contextmanager
def _opened(out: Path | None) -> Iterator[TextIO]:
    """Yield stdout, or a file that appears whole or not at all."""
    if out is None:
        yield stdout()
        return
    from sfda_kit.files import atomic

    with atomic(out, "with --out.") as work, work.open("w", encoding="utf-8", newline="") as file:
        yield file


def _write_csv(predictions: Iterable[Prediction], file: TextIO) -> int:
    """Write rows as they come, so that a pipe sees them, and return their number."""
    import csv

    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("path", "class", "probability"))
    count = 0
    for count, row in enumerate(predictions, start=1):  # noqa: B007
        writer.writerow((row.path, row.label, f"{row.probability:.6f}"))
    return count


def _write_json(predictions: Iterable[Prediction], file: TextIO) -> int:
    """Write a JSON array of objects and return their number."""
    import json

    rows = [{"path": p.path, "class": p.label, "probability": p.probability} for p in predictions]
    json.dump(rows, file, indent=1)
    file.write("\n")
    return len(rows)


WRITERS = {"csv": _write_csv, "json": _write_json}
