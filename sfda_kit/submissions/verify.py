"""Runs every check of an archive in order: its files, its manifest, each run, all runs together, their suite."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from sfda_kit.config.models import RunConfig
from sfda_kit.errors import UserError
from sfda_kit.submissions import layout
from sfda_kit.submissions.archive import read_archive
from sfda_kit.submissions.findings import ArchiveFindings, listed, shown
from sfda_kit.submissions.layout import MANIFEST, RECORD, About, ArchiveManifest
from sfda_kit.submissions.rebuild import Rebuilder
from sfda_kit.submissions.schema import Facts, validated
from sfda_kit.submissions.strict_json import parse
from sfda_kit.submissions.suite import check_suite, comparable, suite_cells
from sfda_kit.submissions.verify_run import check_run


class Rules(BaseModel):
    """Rules of a check. ``roots``: folders of data sets by name; ``suite``: the required suite, by name or file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    roots: dict[str, Path] = {}
    suite: str | None = None


def verify(data: bytes, rules: Rules | None = None) -> ArchiveFindings:
    """Check the archive ``data`` in this process; ``verify_in_sandbox`` protects the caller from a crash."""
    rules = rules or Rules()
    findings = ArchiveFindings(sha256=hashlib.sha256(data).hexdigest())
    contents = read_archive(data, findings)
    about = _check_manifest(contents, findings)
    rebuilder = Rebuilder(rules.roots)
    runs = _by_run(contents)
    if not runs and findings.accepted:
        findings.refuse("archive", "", "it holds no run")
    finished: dict[str, Facts] = {}
    for run_id, files in runs.items():
        with findings.guard("schema", f"{run_id}/{RECORD}"):
            if facts := check_run(run_id, files, about, rebuilder, findings):
                finished[run_id] = facts
    with findings.guard("runs", ""):
        _check_together(finished, findings)
    _tell_absent_data(finished, rebuilder, findings)
    _check_suite({run_id: facts.config for run_id, facts in finished.items()}, about, rules, findings)
    findings.runs = list(runs)
    return findings


def _by_run(contents: Mapping[str, bytes]) -> dict[str, dict[str, bytes]]:
    """Return the files of each run by name, with runs in order of their ids."""
    found: dict[str, dict[str, bytes]] = defaultdict(dict)
    for name, content in contents.items():
        run_id, inside, file = name.partition("/")
        if inside:
            found[run_id][file] = content
    return dict(sorted(found.items()))


def read_manifest(content: bytes) -> ArchiveManifest:
    """Return the manifest in ``content``. Raises ``ValueError``."""
    manifest = validated(ArchiveManifest, parse(content), "manifest")
    if manifest.format != layout.FORMAT:
        raise ValueError(
            f"its format is {manifest.format}, this version reads {layout.FORMAT}: use the version of sfda-kit that "
            f"wrote it ({shown(manifest.toolkit)})"
        )
    return manifest


def _check_manifest(contents: Mapping[str, bytes], findings: ArchiveFindings) -> About:
    if MANIFEST not in contents:
        findings.refuse("manifest", "", f"there is no {MANIFEST}. Pack the runs with `sfda-kit leaderboard pack`.")
        return About()
    try:
        manifest = read_manifest(contents[MANIFEST])
    except ValueError as error:
        findings.refuse_lines("manifest", MANIFEST, error)
        return About()
    there = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items() if name != MANIFEST}
    findings.count("manifest", len(there))
    for name in sorted(set(there) | set(manifest.files)):
        if name not in there:
            findings.refuse("manifest", name, "the manifest lists it, the archive does not hold it")
        elif name not in manifest.files:
            findings.refuse("manifest", name, "the archive holds it, the manifest does not list it")
        elif there[name] != manifest.files[name]:
            findings.refuse("manifest", name, "its SHA-256 is not that of the manifest: it was changed after packing")
    return manifest.about


def _tell_absent_data(finished: Mapping[str, Facts], rebuilder: Rebuilder, findings: ArchiveFindings) -> None:
    absent = Counter(facts.task.dataset for facts in finished.values() if not rebuilder.can_open(facts))
    for name, count in absent.items():
        text = f"the data set {shown(name)} is not here: samples and labels of {count} runs were not compared with it"
        findings.notice("task", "", f"{text} (--data-root {shown(name)}=FOLDER)")


def _check_together(finished: Mapping[str, Facts], findings: ArchiveFindings) -> None:
    """Refuse one run under two names, and add a notice where one seed has different source models."""
    same: dict[str, list[str]] = defaultdict(list)
    sources: dict[tuple[str, int], set[str]] = defaultdict(set)
    for run_id, facts in finished.items():
        same[comparable(facts.config) + facts.task.fingerprint].append(run_id)
        key = (facts.task.fingerprint, facts.record.seed)
        sources[key].add(str(facts.record.source.get("weights_sha256")))
    for runs in same.values():
        if len(runs) > 1:
            findings.refuse("runs", "", f"one configuration and seed, handed in {len(runs)} times: {listed(runs)}")
    for (fingerprint, seed), weights in sources.items():
        if len(weights) > 1:
            text = "start from different source models, so they differ in more than the method"
            findings.notice("runs", "", f"runs of task {fingerprint} with seed {seed} {text}")


def _check_suite(runs: Mapping[str, RunConfig], about: About, rules: Rules, findings: ArchiveFindings) -> None:
    if not (rules.suite or about.suite):
        return
    if not about.suite:
        findings.refuse("suite", "", f"it is not packed as one of the suite {shown(rules.suite)} (pack --suite NAME)")
        return
    try:
        cells = suite_cells(rules.suite or about.suite.name, about.suite)
    except UserError as error:
        tell = findings.refuse if rules.suite else findings.notice
        tell("suite", "", f"{error}; its runs were not compared with the suite")
        return
    with findings.guard("suite", ""):
        report = check_suite(runs, cells)
        for run_id, reason in report.strangers.items():
            findings.refuse("suite", run_id, reason)
        if report.missing:
            findings.notice(
                "suite", "", f"{len(report.missing)} cells of the suite have no run: {listed(report.missing)}"
            )
