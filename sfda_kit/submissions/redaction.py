"""Removes private facts from a record: where files lie on the submitter's disk."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from sfda_kit.config.digest import digest
from sfda_kit.results.record import Record
from sfda_kit.results.redaction import last_name, without_folders
from sfda_kit.source.backbone_weights import portable_name
from sfda_kit.submissions.findings import is_unprintable
from sfda_kit.submissions.layout import is_run_id


def public_record(record: Record) -> Record:
    """Return ``record`` without paths of this disk, with texts of one line, finite numbers and a matching digest.

    The data set's root is removed. Source cards, weights and paths in texts keep only their last names.
    """
    found = record.model_dump(mode="json")
    hidden = _folders(found)
    for section, key in (("dataset", "root"), ("source", "card")):
        settings = found["config"].get(section)
        if isinstance(settings, dict) and settings.get(key):
            settings[key] = None if key == "root" else _last_names(settings[key])
    model = found["config"].get("model")
    if isinstance(model, dict) and model.get("backbone_weights"):
        model["backbone_weights"] = portable_name(str(model["backbone_weights"]))
    found["run_id"] = found["run_dir"] = public_run_id(record.run_id)
    found = public(found, hidden)
    found["cost"] = {name: value for name, value in found["cost"].items() if value is not None}
    if record.status != "ok":  # no predictions come with it, so its scores cannot be checked
        found["metrics"], found["baselines"] = {}, {}
    if found["config_digest"]:
        found["config_digest"] = digest({part: found[part] for part in ("config", "recipe")})
    return Record.model_validate(found)


def public(value: Any, hidden: tuple[str, ...] = ()) -> Any:
    """Return ``value`` (JSON data) without absolute paths, control characters and numbers that are not finite."""
    if isinstance(value, dict):
        return {key: public(item, hidden) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [public(item, hidden) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return _public_text(value, hidden) if isinstance(value, str) else value


def public_run_id(run_id: str) -> str:
    """Return ``run_id`` in characters that every file system accepts."""
    found = re.sub(r"[^A-Za-z0-9_+=.-]", "_", run_id)[:180]
    return found if is_run_id(found) else f"run-{found}".rstrip(".-+=")


def _last_names(paths: str | list[str]) -> str | list[str]:
    return [last_name(path) for path in paths] if isinstance(paths, list) else last_name(paths)


def _folders(record: dict[str, Any]) -> tuple[str, ...]:
    """Return this computer's folders that texts may name, the longest first; this also finds names with spaces."""
    dataset = record["config"].get("dataset")
    root = dataset.get("root") if isinstance(dataset, dict) else None
    run_dir = Path(record["run_dir"])
    known = {str(path) for path in (Path.home(), Path.cwd(), Path(root or ""), run_dir, run_dir.parent)}
    return tuple(sorted((path for path in known if Path(path).is_absolute() and len(path) > 3), key=len, reverse=True))


def _public_text(text: str, hidden: tuple[str, ...]) -> str:
    for folder in hidden:
        text = re.sub(re.escape(folder) + r"(?:[\\/]+|(?![\w.-]))", "", text)
    return "".join(" " if is_unprintable(character) else character for character in without_folders(text))[:4000]
