"""``sfda-kit export``: write the adapted model as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sfda_kit.cli import flags, options
from sfda_kit.cli.options import NetworkFactory

FORMATS = ("safetensors", "onnx")


def export(
    run: options.RunFolder,
    format_: Annotated[str, typer.Option("--format", help="safetensors or onnx.")] = "safetensors",
    out: Annotated[Path | None, typer.Option(help="File to write; default: RUN/export/model.<format>.")] = None,
    network: NetworkFactory = None,
) -> None:
    """Write the model of a run as safetensors or ONNX, with classes and input description inside."""
    from sfda_kit.cli.output import results
    from sfda_kit.cli.predict import check_choice
    from sfda_kit.inference.adapted_card import read_adapted_card

    check_choice("--format", format_, FORMATS)
    read_adapted_card(run)  # A mistake is told before torch is imported.
    from sfda_kit.inference.adapted_model import load_model
    from sfda_kit.inference.export import SUFFIXES, export_onnx, export_safetensors

    flags.allow(network)
    model, card = load_model(run)
    path = out or run / "export" / f"model{SUFFIXES[format_]}"
    write = export_onnx if format_ == "onnx" else export_safetensors
    write(model, card, path)
    results().print(str(path), soft_wrap=True, markup=False)
