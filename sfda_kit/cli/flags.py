"""From command-line flags to one validated configuration, and failures as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfda_kit.cli import options
from sfda_kit.errors import InterruptError, SfdaKitError, UserError

if TYPE_CHECKING:
    from sfda_kit.config.models import RunConfig


def configuration(
    given: Mapping[str, Any], file: Path | None = None, assignments: Sequence[str] | None = None
) -> RunConfig:
    """YAML file, then flags, then ``--set``: later wins. Raises ``UserError``."""
    from sfda_kit.config.loading import load_config
    from sfda_kit.config.merging import merge_settings
    from sfda_kit.config.yaml import parse_assignments, read_yaml

    data: dict[str, Any] = _of_a_run(read_yaml(file)) if file else {}
    data = merge_settings(data, settings_of(given))
    data = merge_settings(data, parse_assignments(assignments or ()))
    if "method" not in data:
        raise UserError("Which method? Give --method NAME; `sfda-kit plugins list --kind method` shows them.")
    return load_config(data)


def settings_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given (``options.SETTINGS``) as settings."""
    from sfda_kit.config.merging import merge_settings

    data: dict[str, Any] = {}
    for name, value in given.items():
        if value is not None and value is not False and value != []:
            data = merge_settings(data, options.SETTINGS[name].of_value(value))
    return data


def without_method(given: Mapping[str, Any], assignments: Sequence[str] | None = None) -> RunConfig:
    """As ``configuration``, where nothing is run: a configuration names a method all the same."""
    return configuration({"method": "source-only", **given}, assignments=assignments)


def _of_a_run(data: dict[str, Any]) -> dict[str, Any]:
    """The settings in the ``config.yaml`` of a run folder, which holds what followed from them too."""
    inner = data.get("config")
    return inner if isinstance(inner, dict) else data


@contextmanager
def json_on_failure(wanted: bool, method: str | None, runs_dir: Path) -> Iterator[None]:
    """Under ``--json`` a failure prints the same object, with ``error``; the exit code stays."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        was_stopped = isinstance(error, KeyboardInterrupt)
        raised = InterruptError("Interrupted; continue with --resume") if was_stopped else error
        if wanted:
            from sfda_kit.results.record import Record

            reason = str(raised) if isinstance(raised, SfdaKitError) else f"{type(error).__name__}: {error}"
            failed = Record(run_id="", status="failed", method=method or "", run_dir=str(runs_dir), error=reason)
            print_json(failed.summary())
        if was_stopped:
            raise raised from None
        raise


@contextmanager
def json_of_error(wanted: bool, **told: Any) -> Iterator[None]:
    """As ``json_on_failure`` where nothing is run and recorded: the object is ``told`` and the ``error``."""
    try:
        yield
    except Exception as error:
        if wanted:
            print_json({**told, "error": str(error)})
        raise


def print_json(value: Mapping[str, Any]) -> None:
    """One line on stdout."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()
