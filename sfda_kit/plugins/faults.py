"""What is wrong with the installed plugins, as far as it can be seen without running a part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, entry_points, version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement

from sfda_kit.errors import brief
from sfda_kit.plugins.building import load_or_reason
from sfda_kit.plugins.component import LONGEST_SUMMARY, Component
from sfda_kit.plugins.core_requirement import CORE
from sfda_kit.plugins.declarations import GROUP
from sfda_kit.plugins.fresh_import import fresh_import
from sfda_kit.plugins.interface_version import ATTRIBUTE, INTERFACE_VERSION

if TYPE_CHECKING:
    from sfda_kit.plugins.discovery import Installation


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with the plugin ``owner``. ``is_error`` False: it works all the same."""

    code: str
    owner: str
    text: str
    remedy: str = ""
    is_error: bool = True

    def __str__(self) -> str:
        return f"{self.code.replace('-', ' ')}: {self.text}"


def faults_at_load(found: Installation) -> Iterator[Fault]:
    """Yield what was noticed while the plugins were loaded: failures, names that two declare, slow imports."""
    for plugin in found.failed:
        yield Fault("failed-to-load", plugin.owner, f"{plugin.owner} {plugin.version}: {plugin.error}", plugin.remedy)
    for clash in found.registry.clashes.values():
        yield Fault("one-name-twice", clash.others[-1].owner, str(clash), is_error=clash.is_open)
    for plugin in found.plugins:
        if plugin.is_slow:
            text = f"{plugin.owner} takes {plugin.seconds:.1f} s to load, which delays every command"
            remedy = "its module should import torch and the like only where a part is used"
            yield Fault("slow", plugin.owner, text, remedy, is_error=False)


def all_faults(found: Installation) -> list[Fault]:
    """Return everything that is wrong, errors first. This imports the modules of all parts."""
    failed = {plugin.owner for plugin in found.failed}
    loaded = [plugin.owner for plugin in found.plugins if plugin.owner not in failed]
    faults = [*faults_at_load(found), *_imports(loaded)]
    for owner in loaded:
        if owner != CORE:
            faults += _requirements(owner)
    faults += _interfaces(failed)
    for part in found.registry.components.values():
        faults += _declaration(part)
    return sorted(faults, key=lambda fault: not fault.is_error)


def _imports(owners: list[str]) -> Iterator[Fault]:
    """Import each plugin in a process of its own, so that what one imports is not hidden by another."""
    with ThreadPoolExecutor() as pool:
        for owner, done in zip(owners, pool.map(fresh_import, owners), strict=True):
            if done.heavy:
                text = f"{owner} imports {', '.join(done.heavy)} when it is listed, which delays every command"
                yield Fault("heavy-import", owner, text, "import them in the modules of parts, not beside the hooks")
            if done.printed:
                text = f"{owner} prints when it is imported: {brief(done.printed, 200)}"
                yield Fault("prints", owner, text, "remove the print, or use warnings.warn", is_error=False)


def _requirements(owner: str) -> Iterator[Fault]:
    """Yield the requirements of a distribution that what is installed does not meet, without those of extras."""
    for text in distribution(owner).requires or ():
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            yield Fault("unmet-requirement", owner, f"{owner} requires {text!r}, which is no requirement")
            continue
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            has = version(wanted.name)
        except PackageNotFoundError:
            has = ""
        if not has or not wanted.specifier.contains(has, prereleases=True):
            here = f"{wanted.name} {has} is installed" if has else "it is not installed"
            yield Fault("unmet-requirement", owner, f"{owner} requires {text}, and {here}", f"pip install '{text}'")


def _interfaces(failed: Iterable[str]) -> Iterator[Fault]:
    for entry in entry_points(group=GROUP):
        owner = entry.dist.name if entry.dist else entry.name
        if owner not in failed and not hasattr(entry.load(), ATTRIBUTE):
            text = f"{owner} does not say which version of the plugin interface it was written for"
            remedy = f'write {ATTRIBUTE} = "{INTERFACE_VERSION}" in {entry.module}'
            yield Fault("no-interface-version", owner, text, remedy, is_error=False)


def _declaration(part: Component) -> Iterator[Fault]:
    if not 0 < len(part.summary) <= LONGEST_SUMMARY:
        text = f"the summary of the {part} has {len(part.summary)} characters; expected 1 to {LONGEST_SUMMARY}"
        yield Fault("long-summary", part.owner, text, "shorten it, so that it fits in a row of a table")
    if missing := [module for module in part.requires if find_spec(module.partition(".")[0]) is None]:
        remedy = f"pip install '{part.owner}[{part.extra}]'" if part.extra else f"install {', '.join(missing)}"
        text = f"the {part} needs {', '.join(missing)}, so it cannot be used here"
        yield Fault("missing-package", part.owner, text, remedy, is_error=False)
        return
    _, why = load_or_reason(part)
    if why:
        yield Fault("dead-target", part.owner, why, "correct the target of the Component, or the module that it names")
