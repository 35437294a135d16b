"""Adds an archive to a folder of records: only checked bytes, all runs or none, and nothing is overwritten."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from sfda_kit.errors import UserError
from sfda_kit.files import explain_write_errors, read_regular
from sfda_kit.submissions.archive import read_archive
from sfda_kit.submissions.findings import ArchiveFindings
from sfda_kit.submissions.layout import MANIFEST, MAX_ARCHIVE
from sfda_kit.submissions.sandbox import verify_in_sandbox
from sfda_kit.submissions.verify import Rules, read_manifest

SUBMISSION = "submission.json"
"""File beside each record: the hash of the archive that it came in, and what its submitter says."""

ADVICE = "(--records for another folder), then run the same command again."


@dataclass(frozen=True)
class Added:
    """The result of ``add``: ``added`` and ``known`` are run ids; nothing is added where the archive is refused."""

    findings: ArchiveFindings
    added: tuple[str, ...] = ()
    known: tuple[str, ...] = ()


def add(archive: Path, records: Path, rules: Rules | None = None) -> Added:
    """Check ``archive`` and copy its runs to ``records``/RUN_ID.

    The file is read once, so what is written is what was checked, even if the file changes meanwhile.
    Raises ``UserError`` when the file cannot be read, or a different run of the same name is there.
    """
    data = read_archive_file(archive)
    findings = verify_in_sandbox(data, rules)
    if not findings.accepted:
        return Added(findings)
    runs, about = _contents(data, findings)
    with explain_write_errors(records, ADVICE):
        records.mkdir(parents=True, exist_ok=True)
        with FileLock(str(records / ".lock")):
            known = tuple(run_id for run_id, files in runs.items() if _is_there(records / run_id, files))
            new = {run_id: {**files, SUBMISSION: about} for run_id, files in runs.items() if run_id not in known}
            _place(new, records)
    return Added(findings, tuple(new), known)


def read_archive_file(path: Path) -> bytes:
    """Return the bytes of an archive. Raises ``UserError`` naming what is wrong with the file."""
    try:
        return read_regular(path, MAX_ARCHIVE + 1)
    except (OSError, ValueError) as error:
        raise UserError(f"Cannot read the archive {path}: {getattr(error, 'strerror', None) or error}.") from None


def _contents(data: bytes, findings: ArchiveFindings) -> tuple[dict[str, dict[str, bytes]], bytes]:
    """Return the files by run, and the text of ``submission.json``, from the bytes that were checked."""
    contents = read_archive(data, ArchiveFindings())
    manifest = read_manifest(contents.pop(MANIFEST))
    runs: dict[str, dict[str, bytes]] = defaultdict(dict)
    for name, content in contents.items():
        run_id, _, file = name.partition("/")
        runs[run_id][file] = content
    about = {"archive_sha256": findings.sha256, "toolkit": manifest.toolkit, **manifest.about.model_dump(mode="json")}
    return dict(sorted(runs.items())), (json.dumps(about, indent=2) + "\n").encode()


def _is_there(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Return whether the same run is there already. Raises ``UserError`` when another one has its name."""
    if not folder.exists() and not folder.is_symlink():
        return False
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    there.pop(SUBMISSION, None)
    if set(there) == set(files) and all(there[name].read_bytes() == content for name, content in files.items()):
        return True
    raise UserError(
        f"{folder} holds another run of the same name, so nothing was added. Remove that folder if the archive is "
        "to replace it, or refuse the archive."
    )


def _place(runs: Mapping[str, Mapping[str, bytes]], records: Path) -> None:
    """Write all runs to a temporary folder, then rename each into place; on a failure none of them stays."""
    aside = Path(tempfile.mkdtemp(prefix=".incoming-", dir=records))
    placed: list[Path] = []
    try:
        for run_id, files in runs.items():
            for name, content in files.items():
                path = aside / run_id / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        for run_id in runs:
            (aside / run_id).rename(records / run_id)
            placed.append(records / run_id)
    except BaseException:
        for folder in placed:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
