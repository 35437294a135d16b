"""Checks one run of an archive; each check goes on as far as it can, so that all reasons are reported at once."""

from __future__ import annotations

from collections.abc import Mapping

from sfda_kit.results.record import Record
from sfda_kit.submissions.checks import wrong_facts, wrong_identity, wrong_method, wrong_recipe
from sfda_kit.submissions.findings import ArchiveFindings, listed
from sfda_kit.submissions.history import wrong_history
from sfda_kit.submissions.identity_file import check_config_file
from sfda_kit.submissions.layout import CONFIG, HISTORY, PREDICTIONS, RECORD, About
from sfda_kit.submissions.pictures import check_picture
from sfda_kit.submissions.predictions import Predictions, read_predictions
from sfda_kit.submissions.rebuild import Rebuilder
from sfda_kit.submissions.schema import Facts, History, check_facts, validated
from sfda_kit.submissions.scores import wrong_scores
from sfda_kit.submissions.strict_json import parse


def check_run(
    run_id: str, files: Mapping[str, bytes], about: About, rebuilder: Rebuilder, findings: ArchiveFindings
) -> Facts | None:
    """Check a run and return its facts; None where it has not finished or its facts are broken."""
    if RECORD not in files:
        findings.refuse("schema", run_id, f"there is no {RECORD}")
        return None
    try:
        record = validated(Record, parse(files[RECORD]), "record")
    except ValueError as error:
        findings.refuse_lines("schema", f"{run_id}/{RECORD}", error)
        return None
    with findings.guard("run", run_id):
        for problem in wrong_identity(record, run_id):
            findings.refuse("run", run_id, problem)
    if CONFIG in files:
        with findings.guard("schema", f"{run_id}/{CONFIG}"):
            check_config_file(files[CONFIG], record)
    if record.status != "ok":
        _check_unfinished(run_id, files, record, findings)
        return None
    return _check_finished(run_id, files, record, about, rebuilder, findings)


def _check_unfinished(run_id: str, files: Mapping[str, bytes], record: Record, findings: ArchiveFindings) -> None:
    findings.notice("run", run_id, f"its status is {record.status}: it is listed and never ranks")
    if extra := sorted(set(files) - {RECORD, CONFIG, HISTORY}):
        findings.refuse("run", run_id, f"a run with status {record.status} brings no {listed(extra)}")
    if HISTORY in files:
        with findings.guard("schema", f"{run_id}/{HISTORY}"):
            validated(History, parse(files[HISTORY]), "history")


def _check_finished(
    run_id: str,
    files: Mapping[str, bytes],
    record: Record,
    about: About,
    rebuilder: Rebuilder,
    findings: ArchiveFindings,
) -> Facts | None:
    for name in (CONFIG, HISTORY, PREDICTIONS):
        if name not in files:
            findings.refuse("schema", run_id, f"there is no {name}: no score can be checked without it")
    _check_pictures(run_id, files, findings)
    try:
        facts = check_facts(record)
    except ValueError as error:
        findings.refuse_lines("schema", f"{run_id}/{RECORD}", error)
        return None
    with findings.guard("run", run_id):
        for problem in (*wrong_facts(facts), *wrong_method(facts, about.third_party)):
            findings.refuse("run", run_id, problem)
    with findings.guard("run", run_id):
        problem, notice = wrong_recipe(facts)
        if problem:
            findings.refuse("run", run_id, problem)
        elif notice:
            findings.notice("run", run_id, notice)
    predictions = _check_predictions(run_id, files, facts, findings)
    _check_history(run_id, files, facts, findings)
    _check_task(run_id, facts, predictions, rebuilder, findings)
    return facts


def _check_pictures(run_id: str, files: Mapping[str, bytes], findings: ArchiveFindings) -> None:
    for name, content in files.items():
        if name.startswith("pictures/"):
            with findings.guard("pictures", f"{run_id}/{name}"):
                check_picture(content)


def _check_predictions(
    run_id: str, files: Mapping[str, bytes], facts: Facts, findings: ArchiveFindings
) -> Predictions | None:
    if PREDICTIONS not in files:
        return None
    images = facts.task.images
    rows = {"transductive": images.target_train, "heldout": images.target_test}
    where = f"{run_id}/{PREDICTIONS}"
    found = None
    with findings.guard("predictions", where):
        found = read_predictions(files[PREDICTIONS], facts.task.classes, rows)
    if found is not None:
        with findings.guard("scores", where):
            for problem in wrong_scores(facts, found):
                findings.refuse("scores", run_id, problem)
    return found


def _check_history(run_id: str, files: Mapping[str, bytes], facts: Facts, findings: ArchiveFindings) -> None:
    if HISTORY not in files:
        return
    where = f"{run_id}/{HISTORY}"
    try:
        rows = validated(History, parse(files[HISTORY]), "history")
    except ValueError as error:
        findings.refuse_lines("history", where, error)
        return
    with findings.guard("history", where):
        for problem in wrong_history(facts, rows):
            findings.refuse("history", where, problem)


def _check_task(
    run_id: str, facts: Facts, predictions: Predictions | None, rebuilder: Rebuilder, findings: ArchiveFindings
) -> None:
    if not rebuilder.can_open(facts):
        return
    with findings.guard("task", run_id):
        for problem in rebuilder.wrong_task(facts, predictions):
            findings.refuse("task", run_id, problem)
