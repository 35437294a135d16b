"""From command-line flags to one validated configuration, and failures as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfda_kit.errors import InterruptError, SfdaKitError, UserError

if TYPE_CHECKING:
    from sfda_kit.config.models import RunConfig

PATHS = {
    "method": "method",
    "dataset": "dataset.name",
    "data_root": "dataset.root",
    "source": "dataset.source",
    "target": "dataset.target",
    "split": "dataset.split",
    "tr_classes": "dataset.tr_classes",
    "ti_classes": "dataset.ti_classes",
    "split_seed": "dataset.split_seed",
    "group_pattern": "dataset.group_pattern",
    "depth_unit": "dataset.depth_unit",
    "skip_bad": "dataset.skip_bad",
    "encoding": "encoding.name",
    "source_card": "source.card",
    "source_floor": "source.floor",
    "backbone": "model.backbone",
    "pretrained": "model.pretrained",
    "image_size": "model.image_size",
    "source_epochs": "source.epochs",
    "epochs": "adapt.epochs",
    "batch_size": "adapt.batch_size",
    "select": "adapt.select.name",
    "on_collapse": "adapt.on_collapse",
    "seed": "seed",
    "bridge_epochs": "bridge_training.epochs",
    "bridge": "recipe.bridge",
    "input_bridge": "recipe.input_bridge",
    "teacher_bridge": "recipe.teacher_bridge",
    "labeler": "recipe.labeler",
    "device": "compute.device",
}
"""Where each flag goes in the configuration (``--set`` reaches every other key)."""

LISTS = ("tr_classes", "ti_classes")


def configuration(
    given: Mapping[str, Any],
    file: Path | None = None,
    aligners: Sequence[str] | None = None,
    assignments: Sequence[str] | None = None,
) -> RunConfig:
    """YAML file, then flags, then ``--set``: later wins. Raises ``UserError``."""
    from sfda_kit.config.loading import load_config
    from sfda_kit.config.merging import merge_settings
    from sfda_kit.config.yaml import parse_assignments, read_yaml

    data: dict[str, Any] = _of_a_run(read_yaml(file)) if file else {}
    data = merge_settings(data, settings_of(given))
    if aligners:
        data = merge_settings(data, {"recipe": {"aligners": dict(map(_weight, aligners))}})
    data = merge_settings(data, parse_assignments(assignments or ()))
    if "method" not in data:
        raise UserError("Which method? Give --method NAME; `sfda-kit plugins list --kind method` shows them.")
    return load_config(data)


def settings_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that were given (``PATHS``) as settings."""
    from sfda_kit.config.merging import merge_settings

    data: dict[str, Any] = {}
    for flag, value in given.items():
        if value is not None and value is not False:
            data = merge_settings(data, _nested(PATHS[flag], _split(value) if flag in LISTS else value))
    return data


def without_method(given: Mapping[str, Any], assignments: Sequence[str] | None = None) -> RunConfig:
    """As ``configuration``, where nothing is run: a configuration names a method all the same."""
    return configuration({"method": "source-only", **given}, assignments=assignments)


def _of_a_run(data: dict[str, Any]) -> dict[str, Any]:
    """The settings in the ``config.yaml`` of a run folder, which holds what followed from them too."""
    inner = data.get("config")
    return inner if isinstance(inner, dict) else data


def _nested(path: str, value: Any) -> dict[str, Any]:
    for key in reversed(path.split(".")):
        value = {key: value}
    return value  # type: ignore[no-any-return]


def _split(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _weight(text: str) -> tuple[str, float]:
    name, equals, weight = text.partition("=")
    try:
        return name, float(weight) if equals else 1.0
    except ValueError:
        raise UserError(f"--aligner {text!r}: expected NAME=WEIGHT, for example --aligner bn-stats=0.1") from None


@contextmanager
def json_on_failure(wanted: bool, method: str | None, runs_dir: Path) -> Iterator[None]:
    """Under ``--json`` a failure prints the same object, with ``error``; the exit code stays."""
    try:
        yield
    except KeyboardInterrupt:
        stopped = InterruptError("Interrupted; continue with --resume")
        if wanted:
            print_json(_failed(str(stopped), method, runs_dir))
        raise stopped from None
    except SfdaKitError as error:
        if wanted:
            print_json(_failed(str(error), method, runs_dir))
        raise
    except Exception as error:
        if wanted:
            print_json(_failed(f"{type(error).__name__}: {error}", method, runs_dir))
        raise


def _failed(reason: str, method: str | None, runs_dir: Path) -> dict[str, Any]:
    from sfda_kit.results.record import Record

    record = Record(run_id="", status="failed", method=method or "", run_dir=str(runs_dir), error=reason)
    return record.summary()


def print_json(value: Mapping[str, Any]) -> None:
    """One line on stdout."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()
