"""The outcome of a verification: findings in order, counts, and whether a run could begin."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sfda_kit.verify.findings import RULES, Finding


@dataclass
class Report:
    """``left_out``: number of samples that a run with ``--skip-bad`` would leave out."""

    dataset: str
    root: str
    deep: bool
    skip_bad: bool = False
    synthetic: bool = False
    samples: int = 0
    files: int = 0
    bytes: int = 0
    domains: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    left_out: int = 0
    manifest: Path | None = None
    manifest_written: bool = False
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    def add(self, findings: Iterable[Finding]) -> None:
        """Add findings, each once."""
        known = set(self.findings)
        for finding in findings:
            if finding not in known:
                known.add(finding)
                self.findings.append(finding)

    def by_code(self) -> dict[str, list[Finding]]:
        """Return the findings of each code, errors first, then in the order of ``RULES``."""
        order = list(RULES)
        found: dict[str, list[Finding]] = {}
        for finding in sorted(
            self.findings, key=lambda one: (one.rule.severity != "error", order.index(one.code), one.path)
        ):
            found.setdefault(finding.code, []).append(finding)
        return found

    @property
    def errors(self) -> int:
        """Number of findings that stop a run; with ``skip_bad``, of those that still stop it."""
        wrong = [one for one in self.findings if one.rule.severity == "error"]
        return sum(not (self.skip_bad and one.rule.skippable) for one in wrong)

    @property
    def notices(self) -> int:
        """Number of all other findings."""
        return len(self.findings) - self.errors

    def as_dict(self) -> dict[str, Any]:
        """Return the report as values that JSON can hold."""
        return {
            "status": "errors" if self.errors else "ok",
            "dataset": self.dataset,
            "root": self.root.encode(errors="backslashreplace").decode(),
            "mode": "deep" if self.deep else "quick",
            "synthetic": self.synthetic,
            "samples": self.samples,
            "files": self.files,
            "bytes": self.bytes,
            "domains": list(self.domains),
            "classes": list(self.classes),
            "errors": self.errors,
            "notices": self.notices,
            "left_out": self.left_out,
            "manifest": str(self.manifest) if self.manifest else None,
            "manifest_written": self.manifest_written,
            "seconds": round(self.seconds, 3),
            "findings": [one.as_dict() for found in self.by_code().values() for one in found],
        }
