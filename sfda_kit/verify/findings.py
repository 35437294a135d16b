"""The findings of a verification: each has a code, a path, what is wrong and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["error", "notice"]


@dataclass(frozen=True)
class Rule:
    """``remedy`` is shown where a finding has none of its own. ``skippable``: ``--skip-bad`` leaves the sample out."""

    severity: Severity
    title: str
    remedy: str
    skippable: bool = False


_COPY = "Copy it again from where it came."
_RENAME = "Rename it with letters, digits, - and _."
_LINK = "Remove the link, or put the files there."
_PARTS = "Remove all but one, or put them into one group (groups.csv, --group-pattern)."

RULES: dict[str, Rule] = {
    # The tree.
    "unlistable-folder": Rule("error", "folders that cannot be listed", "Mend its rights (chmod u+rx) or the disk."),
    "link-loop": Rule("error", "links that lead in a circle", _LINK, skippable=True),
    "dangling-link": Rule("error", "links to nothing", _LINK, skippable=True),
    "link-out-of-root": Rule("notice", "links out of the data root", "Files there can change unseen; copy them."),
    "folder-as-image": Rule("error", "folders with the name of an image", "Put the file there.", skippable=True),
    "special-file": Rule("error", "no regular files", "Put an image file there.", skippable=True),
    "name-not-utf8": Rule("error", "names that are not UTF-8", _RENAME),
    "strange-name": Rule("notice", "names with blanks at an end or unprintable characters", _RENAME),
    "names-alike": Rule("notice", "names that other systems take for one", "Rename one of them."),
    # The layout.
    "layout": Rule("error", "not the layout of the set", "Mend it as the page of the data set describes."),
    "incomplete-sample": Rule("error", "samples that lack something", "Restore what is missing.", skippable=True),
    "empty-class": Rule("error", "classes without images", "Copy its images or remove the folder.", skippable=True),
    "groups-table": Rule("error", "lines of groups.csv", "Mend the line; the columns are stem,group."),
    "groups-table-unused": Rule("notice", "lines of groups.csv without effect", "Remove the line or mend its stem."),
    "split": Rule("error", "relevant and irrelevant classes", "Name other classes (--tr-classes, --ti-classes)."),
    "split-unknown": Rule("notice", "classes that were not checked", "Name them as for a run, to have them checked."),
    "ti-beside-tr": Rule(
        "notice",
        "groups with TI and TR pictures",
        "Held-out groups give no pairs. To leave out those of the source too: --set dataset.ti_groups=target-train.",
    ),
    "class-without-content": Rule(
        "notice",
        "classes that files tell without their content",
        "Fine where such pictures differ so; else make the files of all classes in the same way.",
    ),
    "count": Rule("notice", "counts that are not the official ones", "Fine for a part or a twin; else copy again."),
    "unused-images": Rule("notice", "images of no sample", "Fine where the layout has them; else move them."),
    "loader": Rule("notice", "what the loader says", "See the page of the data set."),
    # Single files.
    "empty-file": Rule("error", "files of zero bytes", _COPY, skippable=True),
    "too-large": Rule("error", "images that claim too many pixels", "Scale it down, or copy it again.", skippable=True),
    "unusable-file": Rule("error", "files that cannot be used", _COPY, skippable=True),
    "decoder-died": Rule("error", "files on which the decoder died", "Remove the file, or save it anew."),
    "wrong-suffix": Rule("notice", "suffixes that do not tell the content", "Rename it, or save it as what it says."),
    "many-frames": Rule("notice", "files of several frames", "Only the first is used; save that one alone."),
    "print-colours": Rule("notice", "pictures in print colours (CMYK)", "They are converted roughly; save as RGB."),
    "one-bit": Rule("notice", "pictures of black and white alone", "Is it a mask? Put the picture there."),
    "alpha": Rule("notice", "pictures with transparency", "It is dropped; save without it."),
    "grey-as-rgb": Rule("notice", "grey pictures as rgb", "Is it the other half? Put the colour picture there."),
    "colour-as-one": Rule(
        "notice", "colour pictures for one channel", "Only the first is used. Is it the rgb half? Swap them."
    ),
    "constant": Rule("notice", "images of one value", "It shows nothing; remove the sample."),
    "not-finite": Rule("notice", "images with NaN or infinite values", "They count as missing (0); export it anew."),
    # Values.
    "doubtful-unit": Rule("notice", "values in a doubtful unit", "State it: --unit."),
    "small-part": Rule("notice", "images that use a small part of what their files can hold", "State it: --unit."),
    "mostly-missing": Rule("notice", "depth that is mostly missing", "Remove the pair, or fill its depth."),
    # Pairs and duplicates.
    "rotation-tag": Rule("notice", "rotation tags, which are not applied", "Save the pixels upright, without the tag."),
    "halves-turned": Rule("error", "pairs of which one half is turned", "Save both halves the same way round."),
    "duplicate-across-parts": Rule("error", "one image in two parts of the split", _PARTS),
    "duplicate-across-classes": Rule("error", "one image in two classes", "Keep it in the class that it shows."),
    "duplicate": Rule("notice", "one image in two groups", f"Another --split-seed may part them. {_PARTS}"),
    "near-duplicate": Rule("notice", "images that look the same across parts", f"Look at both. {_PARTS}"),
    # The manifest.
    "changed": Rule("error", "files that changed since the manifest", "Copy it again; or accept it: --fix-manifest."),
    "vanished": Rule("error", "files of the manifest that are gone", "Copy it again; or accept it: --fix-manifest."),
    "added": Rule("notice", "files that are not in the manifest", "Take them in with --fix-manifest."),
    "labels-changed": Rule("notice", "labels or groups other than in the manifest", "Accept them: --fix-manifest."),
}
"""Code -> its rule. The order is that of the report."""


@dataclass(frozen=True)
class Finding:
    """``path`` is relative to the root, or absolute where it lies elsewhere, and spelt as on the disk."""

    code: str
    path: str
    what: str
    remedy: str = ""

    @property
    def rule(self) -> Rule:
        """The rule of this code."""
        return RULES[self.code]

    def as_dict(self) -> dict[str, Any]:
        """Return the finding for JSON. Bytes of a name that are no text become escapes."""
        return {
            "code": self.code,
            "severity": self.rule.severity,
            "path": self.path.encode(errors="backslashreplace").decode(),
            "what": self.what.encode(errors="backslashreplace").decode(),
            "remedy": self.remedy or self.rule.remedy,
            "skippable": self.rule.skippable,
        }


def split_message(message: str) -> tuple[str, str]:
    """Split ``is empty (zero bytes). Copy it again.`` after its first sentence: what is wrong and what to do."""
    depth = 0
    for place, character in enumerate(message):
        depth += (character == "(") - (character == ")")
        rest = message[place + 1 : place + 3]
        if character == "." and depth <= 0 and rest[:1] == " " and (rest[1:].isupper() or rest[1:] == "`"):
            return message[:place], message[place + 2 :]
    return message.rstrip("."), ""
