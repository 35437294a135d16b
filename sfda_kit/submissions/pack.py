"""Packs finished runs into one archive: the same runs give the same bytes, without paths of the submitter's disk."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from sfda_kit import __version__
from sfda_kit.config.explain import explain
from sfda_kit.config.models import OF_A_FILE
from sfda_kit.config.yaml import read_yaml
from sfda_kit.errors import DataError, UserError
from sfda_kit.files import atomic
from sfda_kit.results.collection import StoredRun, load_runs
from sfda_kit.results.record import Record
from sfda_kit.submissions.checks import is_own
from sfda_kit.submissions.findings import ArchiveFindings
from sfda_kit.submissions.layout import (
    CONFIG,
    FORMAT,
    HISTORY,
    MANIFEST,
    PREDICTIONS,
    RECORD,
    About,
    ArchiveManifest,
    SuiteName,
)
from sfda_kit.submissions.redaction import public, public_record
from sfda_kit.submissions.verify import Rules, verify

EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of every entry: the earliest that zip can store."""

DIAGRAMS = ("confusion.png", "curves.png")
"""Pictures of a run that show no image of the data set."""

ADVICE = "(--out for the archive), then run the same command again."


@dataclass(frozen=True)
class Packed:
    """Describes an archive that was written, with the findings of its own check, and the runs that were left out
    because they are ``damaged``."""

    path: Path
    size: int
    findings: ArchiveFindings
    damaged: tuple[str, ...] = ()


def pack(
    folders: Sequence[Path], out: Path, about: Mapping[str, Any], with_failed: bool = False, pictures: bool = False
) -> Packed:
    """Write the runs in ``folders`` (run folders, or folders of them) to the archive ``out``.

    ``about``: submitter, link, notes and suite (name or file) as the user gave them. Raises ``UserError`` where
    a run cannot be packed, or where the check of the archive would refuse it.
    """
    if out.suffix != ".zip":
        raise UserError(f"--out {out}: an archive is a zip file; name it like submission.zip.")
    runs, damaged = _chosen(folders, with_failed)
    data = archive_bytes(runs, _about(about, runs), pictures)
    findings = verify(data, Rules(suite=about.get("suite")))
    if not findings.accepted:
        reasons = "\n".join(f"  {problem}" for problem in findings.problems[:20])
        raise UserError(
            f"These runs would be refused, so nothing was written:\n{reasons}\n"
            "A run folder that was changed by hand or is damaged must be run again; leave it out to pack the others."
        )
    with atomic(out, ADVICE) as work:
        work.write_bytes(data)
    return Packed(out, len(data), findings, damaged)


def archive_bytes(runs: Sequence[StoredRun], about: About, pictures: bool = False) -> bytes:
    """Return the archive: the manifest first, then all files by name, with fixed times and permissions."""
    files: dict[str, bytes] = {}
    for run in runs:
        found = _files(run, pictures)
        if clash := sorted(set(found) & set(files)):
            raise UserError(f"Two runs have the name {clash[0].partition('/')[0]}. Pack them in two archives.")
        files |= found
    hashes = {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}
    manifest = ArchiveManifest(format=FORMAT, toolkit=__version__, about=about, files=hashes)
    return zipped({MANIFEST: _json(manifest.model_dump(mode="json")), **{name: files[name] for name in sorted(files)}})


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Return a zip of ``files`` in the order given, deflated, with nothing in the headers that could differ."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system, info.external_attr = 3, 0o100644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content, compresslevel=9)
    return stream.getvalue()


def _chosen(folders: Sequence[Path], with_failed: bool) -> tuple[list[StoredRun], tuple[str, ...]]:
    """Return the runs to pack, and what is wrong with those that are damaged and left out.
    Raises ``UserError`` naming every other run that cannot be packed."""
    for folder in folders:
        if (folder / CONFIG).exists() and not (folder / RECORD).exists():
            raise UserError(f"{folder} has not finished. Continue it: sfda-kit run ... --resume")
    damaged: list[DataError] = []
    runs = [run for run in load_runs(folders, damaged.append) if _is_whole(run, damaged)]
    told = tuple(map(str, damaged))
    if not runs:
        where = ", ".join(map(str, folders)) or "the command"
        said = "\n".join([f"There is no finished run in {where}. Name run folders, such as runs/RUN.", *told])
        raise UserError(said)
    reasons = [f"  {run.path}: {reason}" for run in runs if (reason := _reason(run, with_failed))]
    if reasons:
        raise UserError("These runs cannot be packed:\n" + "\n".join(reasons))
    return runs, told


def _is_whole(run: StoredRun, damaged: list[DataError]) -> bool:
    try:
        run.check()
        _identity(run)
    except DataError as error:
        damaged.append(error)
        return False
    return True


def _identity(run: StoredRun) -> dict[str, Any]:
    """Return what ``config.yaml`` says, empty without one. Raises ``DataError`` where it is damaged."""
    path = run.path / CONFIG
    if not path.exists():
        return {}
    try:
        found = read_yaml(path)
    except UserError as error:
        raise DataError(f"{path} is damaged. {error} Run it again with --resume.") from None
    if not found:
        raise DataError(f"{path} is damaged: it is empty. Run it again with --resume.")
    return found


def _reason(run: StoredRun, with_failed: bool) -> str:
    record = run.record
    if record.status != "ok":
        advice = "Run it again, leave it out, or hand it in as it is: --with-failed"
        return "" if with_failed else f"its status is {record.status}. {advice}"
    if "transductive_accuracy" not in record.metrics:
        return "it has no scores, because it was made without labels (`sfda-kit adapt`). Leave it out."
    missing = [name for name in (CONFIG, HISTORY, PREDICTIONS) if not (run.path / name).exists()]
    return f"{', '.join(missing)} is missing, so its scores cannot be checked. Run it again." if missing else ""


def _about(given: Mapping[str, Any], runs: Sequence[StoredRun]) -> About:
    from sfda_kit.bench.suite import load_suite

    facts = {key: value for key, value in given.items() if value is not None}
    if name := facts.get("suite"):
        suite = load_suite(name)
        facts["suite"] = SuiteName(name=suite.name, version=suite.version)
    methods = {run.record.method: run.record for run in runs}
    facts["third_party"] = {
        name: _owner(name) for name in sorted(methods) if not is_own(name) and not name.startswith(OF_A_FILE)
    }
    try:
        return About(**facts)
    except ValidationError as error:
        raise UserError(explain(error, "submission", About)) from None


def _owner(method: str) -> str:
    """Return the package of a third party's method. Raises ``UserError`` where it is not installed."""
    from sfda_kit.plugins.discovery import registry

    return registry().get("method", method).owner


def _files(run: StoredRun, pictures: bool) -> dict[str, bytes]:
    """Return the files of a run for the archive, by name: no weights, no events, no other file."""
    record = public_record(run.record)
    files = {RECORD: _json(record.model_dump(mode="json"))}
    if identity := _identity(run):
        told = {**public(identity), "config": record.config, "recipe": record.recipe}
        files[CONFIG] = yaml.safe_dump(told, sort_keys=False).encode()
    if (run.path / HISTORY).exists():
        files[HISTORY] = _json(public(run.history))
    if record.status == "ok":
        files[PREDICTIONS] = (run.path / PREDICTIONS).read_bytes()
        if pictures:
            found = [path for path in sorted((run.path / "pictures").glob("*.png")) if _may_show(path.name, record)]
            files |= {f"pictures/{path.name}": path.read_bytes() for path in found}
    return {f"{record.run_id}/{name}": content for name, content in files.items()}


def _may_show(picture: str, record: Record) -> bool:
    """Return whether a picture may be published: images of a real data set are only for its owner to publish."""
    return record.synthetic or picture in DIAGRAMS


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()
