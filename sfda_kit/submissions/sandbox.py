"""Runs the check in a process of its own, with limited memory and time, so that a crash ends only that process."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

from pydantic import ValidationError

from sfda_kit.submissions.findings import ArchiveFindings, shown
from sfda_kit.submissions.layout import MAX_ARCHIVE, MIB
from sfda_kit.submissions.verify import Rules, verify

MEMORY = 4096 * MIB
"""Bytes of address space that the check may take in addition to its loaded libraries."""


def verify_in_sandbox(data: bytes, rules: Rules | None = None, timeout_s: float = 900) -> ArchiveFindings:
    """Run ``verify`` in another process; if that dies or takes too long, refuse the archive."""
    request = _from_anywhere(rules or Rules()).model_dump_json().encode() + b"\n" + data
    command = [sys.executable, "-m", "sfda_kit.submissions.sandbox"]
    # Python must not look for modules in a folder of hostile files (a pull request), so it runs in an empty one.
    with tempfile.TemporaryDirectory() as empty:
        try:
            done = subprocess.run(
                command, input=request, capture_output=True, cwd=empty, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired:
            return _refused(f"checking it was not done after {timeout_s:.0f} s")
    try:
        return ArchiveFindings.model_validate_json(done.stdout)
    except ValidationError:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        return _refused(f"its check ended with code {done.returncode}: {shown(' '.join(words), 300)}")


def _from_anywhere(rules: Rules) -> Rules:
    """Return ``rules`` with absolute paths; a shipped suite wins over a file of its name in the current folder."""
    from sfda_kit.bench.suite import shipped_suites

    suite = rules.suite
    if suite and suite not in shipped_suites() and Path(suite).exists():
        suite = str(Path(suite).absolute())
    return Rules(suite=suite, roots={name: root.absolute() for name, root in rules.roots.items()})


def _refused(reason: str) -> ArchiveFindings:
    findings = ArchiveFindings()
    findings.refuse("archive", "", reason)
    return findings


def main() -> None:
    """Read the rules (first line) and the archive from the standard input; write the report to the standard output."""
    rules = Rules.model_validate_json(sys.stdin.buffer.readline())
    data = sys.stdin.buffer.read(MAX_ARCHIVE + 1)
    _load_libraries()
    _limit_memory()
    sys.stdout.write(verify(data, rules).model_dump_json())


def _load_libraries() -> None:
    """Load libraries before memory is limited, so that their own needs do not count.

    A method with a loop of its own is a class, whose module loads torch: with CUDA that takes most of ``MEMORY``.
    """
    import PIL.PngImagePlugin
    import pyarrow.compute
    import pyarrow.parquet
    import timm
    import torchvision

    import sfda_kit.source.source_card

    del PIL, pyarrow, timm, torchvision, sfda_kit


def _limit_memory() -> None:
    """Limit address space where the system can (Linux); elsewhere only the limits of each check apply."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main()
