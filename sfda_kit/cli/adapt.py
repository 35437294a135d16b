"""``sfda-kit adapt``: adapt the model of a source card to a folder of unlabelled images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfda_kit.cli import flags, options
from sfda_kit.cli.groups import OptionGroup, takes_options
from sfda_kit.cli.options import (
    AdaptationOptions,
    BasicOptions,
    ImageOptions,
    ModelOptions,
    OutputOptions,
    PartOptions,
    SourceOptions,
)

if TYPE_CHECKING:
    from sfda_kit.config.models import RunConfig
    from sfda_kit.results.record import Record

EXAMPLES = """Examples:
sfda-kit adapt --method shot --source-card card --target-dir depth
sfda-kit adapt --method tgkt --source-card card --target-dir depth --ti-dir ti
sfda-kit adapt --config mine.yaml --target-dir nir --modality nir
"""


class FolderOptions(OptionGroup):
    panel = "Data"
    target_dir: Annotated[Path | None, typer.Option(help="Folder of unlabelled target images.")]
    ti_dir: Annotated[Path | None, typer.Option(help="Pairs of other subjects: DIR/rgb and DIR/target, same stems.")]
    modality: Annotated[str, typer.Option(help="What the target images are: depth, nir, thermal, ...")] = "depth"


class AdaptOptions(
    BasicOptions,
    FolderOptions,
    ImageOptions,
    ModelOptions,
    SourceOptions,
    AdaptationOptions,
    PartOptions,
    OutputOptions,
):
    without = ("backbone", "pretrained", "backbone_weights", "image_size", "source_epochs", "evaluate")
    source_card: Annotated[list[Path] | None, typer.Option(help="Folder of a source card; repeat to mix several.")]
    model: options.NetworkFactory


@takes_options
def adapt(chosen: AdaptOptions) -> None:
    """Adapt a source model to your own unlabelled images; no label is needed anywhere."""
    flags.allow(chosen.model)
    with flags.json_on_failure(chosen.json, chosen.method, chosen.runs_dir):
        config = flags.configuration(options.given(chosen), chosen.config, chosen.set_)
        record = execute(_with_encoding(config, chosen.modality), chosen)
    if chosen.json:
        flags.print_json(record.summary())


def _with_encoding(config: RunConfig, modality: str) -> RunConfig:
    """Return ``config`` with the default encoding of the images, where nobody named another."""
    from sfda_kit.config.loading import default_encoding
    from sfda_kit.interfaces.recipe import PartConfig

    wanted = default_encoding({"target": modality, "unit": config.dataset.unit})
    if not wanted or "encoding" in config.model_fields_set:
        return config
    return config.model_copy(update={"encoding": PartConfig(name=wanted["encoding"])})


def execute(config: RunConfig, chosen: AdaptOptions) -> Record:
    """Resolve the configuration, adapt with a live view, and show the report."""
    from sfda_kit.cli.label_free_table import show_label_free
    from sfda_kit.cli.live import reporting
    from sfda_kit.cli.output import notices, results, tell_failed_plugins
    from sfda_kit.cli.profile_table import profiled
    from sfda_kit.cli.result_table import show_next
    from sfda_kit.events import to_all
    from sfda_kit.processes import is_follower, joined
    from sfda_kit.runs.plan import plan_method

    console = results(chosen.json)
    tell_failed_plugins()
    plan_method(config)  # Wrong names are told before torch is imported.
    from sfda_kit.data.folder_task import ImageFolders
    from sfda_kit.runs.unlabelled import adapt_folders

    data = config.dataset
    where = ImageFolders(chosen.target_dir, chosen.ti_dir, chosen.modality, data.unit or "mm", data.skip_bad)
    following = chosen.tracker or ()
    profile = chosen.profile and not is_follower()
    with joined(), reporting(console) as listener, profiled(profile, console, chosen.runs_dir) as told:
        heard = to_all(listener, told)
        record = adapt_folders(config, where, chosen.runs_dir, resume=chosen.resume, listener=heard, trackers=following)
    show_label_free(console, record)
    show_next(notices(chosen.json), record)
    return record
