"""Turns command-line flags into one validated configuration, and prints failures as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfda_kit.cli import options
from sfda_kit.errors import InterruptError, SfdaKitError, UserError
from sfda_kit.files import scarcity

if TYPE_CHECKING:
    from sfda_kit.config.models import RunConfig


def configuration(
    given: Mapping[str, Any], file: Path | None = None, assignments: Sequence[str] | None = None
) -> RunConfig:
    """Merge YAML file, flags and ``--set``; the later one wins. Raises ``UserError`` where the result is invalid."""
    from sfda_kit.config.loading import load_config
    from sfda_kit.config.merging import merge_settings
    from sfda_kit.config.method_files import beside
    from sfda_kit.config.yaml import parse_assignments, read_yaml
    from sfda_kit.models.module_factories import trust_backbone

    data: dict[str, Any] = beside(_of_a_run(read_yaml(file)), file.parent) if file else {}
    for typed in (settings_of(given), parse_assignments(assignments or ())):
        model = typed.get("model")
        trust_backbone(str(model.get("backbone", "")) if isinstance(model, dict) else "")  # a file must not run code
        data = merge_settings(data, typed)
    if "method" not in data:
        raise UserError("Which method? Give --method NAME; `sfda-kit plugins list --kind method` shows them.")
    return load_config(data)


def settings_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given (``options.SETTINGS``) as settings."""
    from sfda_kit.config.merging import merge_settings

    data: dict[str, Any] = {}
    for name, value in given.items():
        if value is not None and value is not False and value != []:
            data = merge_settings(data, options.SETTINGS[name].of_value(value))
    return data


def without_method(given: Mapping[str, Any], assignments: Sequence[str] | None = None) -> RunConfig:
    """Return a configuration for a command that runs nothing; it must name a method all the same."""
    return configuration({"method": "source-only", **given}, assignments=assignments)


def _of_a_run(data: dict[str, Any]) -> dict[str, Any]:
    """Return the settings in the ``config.yaml`` of a run folder, which holds more than them, or in a plain file."""
    from sfda_kit.config.renamed import with_present_names

    inner = data.get("config")
    return with_present_names(inner)[0] if isinstance(inner, dict) else data


def allow(model: str | None) -> None:
    """Allow the cards of this command to make their networks with ``model``, package.module:function."""
    from sfda_kit.models.module_factories import is_reference, trust

    if model is not None and not is_reference(model):
        raise UserError(f"--model {model!r}: expected package.module:function, for example --model my_networks:build")
    if model:
        trust(model)


@contextmanager
def json_on_failure(wanted: bool, method: str | None, runs_dir: Path) -> Iterator[None]:
    """Print a failure under ``--json`` as the usual object with ``error``; the exit code does not change."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        was_stopped = isinstance(error, KeyboardInterrupt)
        raised = InterruptError("Interrupted; continue with --resume") if was_stopped else scarcity(error) or error
        if wanted:
            from sfda_kit.results.record import Record

            reason = str(raised) if isinstance(raised, SfdaKitError) else f"{type(error).__name__}: {error}"
            failed = Record(run_id="", status="failed", method=method or "", run_dir=str(runs_dir), error=reason)
            print_json(failed.summary())
        if raised is not error:
            raise raised from (None if was_stopped else error)
        raise


@contextmanager
def json_of_error(wanted: bool, **told: Any) -> Iterator[None]:
    """Print a failure under ``--json`` as ``told`` with ``error``, for commands that record no run."""
    try:
        yield
    except Exception as error:
        if wanted:
            print_json({**told, "error": str(error)})
        raise


def print_json(value: Mapping[str, Any]) -> None:
    """Print one line of JSON on stdout."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()
