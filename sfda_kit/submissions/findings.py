"""The findings of the checks of an archive: problems, notices, and how often each check was made."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pydantic import BaseModel, ConfigDict, Field

from sfda_kit.interfaces.strict_model import StrictModel

MAX_LISTED = 200
"""Number of problems, and of notices, that are kept; further ones are only counted."""

CHECKS = {
    "archive": "names, sizes and compression of its files",
    "manifest": "every file is listed with its SHA-256",
    "schema": "records, histories and configurations: keys, types, ranges",
    "run": "seed, task, method, recipe, digest, dates and marks agree",
    "predictions": "columns, counts, classes, probabilities",
    "scores": "recomputed from the predictions",
    "history": "gives the final scores and the choice of an epoch",
    "pictures": "decode as PNG",
    "task": "samples, labels and groups are those of the data set",
    "runs": "no run is there twice",
    "suite": "configurations are those of the suite",
}
"""Every check, in the order of the report."""


class ArchiveFinding(StrictModel):
    """A finding is one problem or notice; its ``text`` holds no control characters for a terminal."""

    check: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}" if self.where else self.text


class ArchiveFindings(BaseModel):
    """The report on one archive. It is accepted when there is no problem."""

    model_config = ConfigDict(extra="forbid")

    problems: list[ArchiveFinding] = Field(default_factory=list)
    notices: list[ArchiveFinding] = Field(default_factory=list)
    checked: dict[str, int] = Field(default_factory=dict)
    left_out: int = 0
    runs: list[str] = Field(default_factory=list)
    sha256: str = ""

    @property
    def accepted(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def refuse(self, check: str, where: str, text: str) -> None:
        """Add a reason to refuse the archive."""
        self._keep(self.problems, check, where, text)

    def notice(self, check: str, where: str, text: str) -> None:
        """Add something that a reader must know but that is no reason to refuse."""
        self._keep(self.notices, check, where, text)

    def refuse_lines(self, check: str, where: str, error: ValueError) -> None:
        """Count a check that failed, and add each line of its message as a reason to refuse."""
        self.count(check)
        for line in str(error).splitlines() or ["it is not valid"]:
            self.refuse(check, where, line)

    def count(self, check: str, number: int = 1) -> None:
        """Note that a check was made ``number`` times."""
        self.checked[check] = self.checked.get(check, 0) + number

    @contextmanager
    def guard(self, check: str, where: str) -> Iterator[None]:
        """Turn every error inside into a reason to refuse, so that input made to break a check never passes it."""
        self.count(check)
        try:
            yield
        except ValueError as error:  # checks and libraries that read files raise it for wrong input
            self.count(check, -1)
            self.refuse_lines(check, where, error)
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else ""
            self.refuse(check, where, f"could not be checked ({type(error).__name__}: {shown(reason)})")

    def _keep(self, kept: list[ArchiveFinding], check: str, where: str, text: str) -> None:
        if len(kept) < MAX_LISTED:
            kept.append(ArchiveFinding(check=check, where=shown(where, 260), text=shown(text, 600)))
        else:
            self.left_out += 1


def shown(value: object, limit: int = 160) -> str:
    """Return ``value`` as one harmless line: no control or direction characters, no commands of a CI log."""
    text = str(value)
    cut = text[:limit] + ("..." if len(text) > limit else "")
    plain = "".join("?" if is_unprintable(character) else character for character in cut)
    return plain.replace("::", ": :").replace("##[", "# #[")  # workflow commands in a CI log begin with these


def is_unprintable(character: str) -> bool:
    """Return whether it is a control, format (bidirectional too), surrogate, private use, line or paragraph end."""
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def listed(values: Iterable[object], most: int = 5) -> str:
    """Return the first ``most`` values, each shortened, and the number of further ones as one text."""
    found = list(values)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(repr(shown(value, 60)) for value in found[:most]) + more
