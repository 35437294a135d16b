"""The parts that a run's model needs: one that is missing here is named with the package and version of the run."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from packaging.utils import canonicalize_name

from sfda_kit.config.yaml import read_yaml
from sfda_kit.errors import UserError
from sfda_kit.plugins.discovery import installation, registry

CONFIG = "config.yaml"


def require_part(run: Path, kind: str, name: str) -> None:
    """Raise ``UserError`` where the part ``name`` of a run is not installed, with what to install.

    ``run``: the run folder, or the folder ``model`` in it.
    """
    try:
        registry().get(kind, name)
    except UserError:
        folder = run if (run / CONFIG).is_file() else run.parent
        if not (owner := _owner(folder, kind, name.rpartition(":")[2])):
            raise
        version = _version(folder, owner)
        needs = f"The model of {run} needs the {kind} {name!r} of {owner} {version}".rstrip()
        raise UserError(f"{needs}, {_why_missing(owner, f'{owner}=={version}' if version else owner)}") from None


def _owner(run: Path, kind: str, name: str) -> str:
    """Return the distribution that the part came from, as ``config.yaml`` of the run has it; empty where it has not."""
    with suppress(UserError, ValueError, TypeError):
        for of_kind, owner, called, _ in read_yaml(run / CONFIG).get("parts", ()):
            if (of_kind, called) == (kind, name):
                return str(owner)
    return ""


def _version(run: Path, owner: str) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads((run / "record.json").read_bytes())["versions"][owner])
    return ""


def _why_missing(owner: str, wanted: str) -> str:
    same = canonicalize_name(owner)
    here = next((plugin for plugin in installation().plugins if canonicalize_name(plugin.owner) == same), None)
    if here is None:
        return f"which is not installed here. Install it with: pip install {wanted}"
    if here.error:
        return f"which could not be loaded here: {here}. What to do: {here.remedy}."
    return f"and {here}, which is installed here, has no such part. Install that version: pip install {wanted}"
