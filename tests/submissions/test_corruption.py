"""Whatever is done to the bytes of an archive: a reason or the same content, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfda_kit.submissions.archive import read_archive
from sfda_kit.submissions.findings import ArchiveFindings, is_unprintable, shown
from sfda_kit.submissions.redaction import public
from sfda_kit.submissions.strict_json import StrictJsonError, parse
from sfda_kit.submissions.verify import verify

from .hostile import MANIFEST, Files, signed

pytestmark = pytest.mark.slow

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FLIPS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4)


@pytest.fixture(scope="session")
def original(packed: Path) -> Files:
    return Files(read_archive(packed.read_bytes(), ArchiveFindings()))


def flipped(data: bytes, flips: list[tuple[float, int]]) -> bytes:
    """Some bytes xored."""
    changed = bytearray(data)
    for place, mask in flips:
        changed[int(place * len(data))] ^= mask
    return bytes(changed)


@FEW
@given(flips=FLIPS)
def test_flipped_bytes_of_the_archive(packed: Path, original: Files, flips: list[tuple[float, int]]):
    data = flipped(packed.read_bytes(), flips)
    findings = verify(data)
    if findings.accepted:  # a date or a permission in a header: nothing that is read
        assert read_archive(data, ArchiveFindings()) == original
    else:
        assert all(problem.text for problem in findings.problems)


@FEW
@given(cut=st.floats(0, 1, exclude_max=True))
def test_archive_cut_off(packed: Path, cut: float):
    data = packed.read_bytes()
    assert not verify(data[: int(cut * len(data))]).accepted


@FEW
@given(junk=st.binary(max_size=300))
def test_anything_else(junk: bytes):
    assert not verify(junk).accepted


@FEW
@given(data=st.data(), flips=FLIPS)
def test_flipped_bytes_of_a_file_signed_again(original: Files, data: st.DataObject, flips: list[tuple[float, int]]):
    """Here no hash gives it away: the readers themselves must stand it, parquet and PNG among them."""
    files = Files(original)
    name = data.draw(st.sampled_from(sorted(set(files) - {MANIFEST})))
    files[name] = flipped(files[name], flips)
    findings = verify(signed(files))
    assert findings.accepted or all(problem.text for problem in findings.problems)
    if findings.accepted:  # what was accepted still tells the same story
        run = name.partition("/")[0]
        before, after = (json.loads(found[f"{run}/record.json"]) for found in (original, files))
        assert before["metrics"] == pytest.approx(after["metrics"], abs=1e-2)
        assert before["config"] == after["config"] and before["method"] == after["method"]


@FEW
@given(data=st.data())
def test_dropped_files(original: Files, data: st.DataObject):
    """Only pictures may be missing from what is signed."""
    files = Files(original)
    for name in data.draw(st.lists(st.sampled_from(sorted(set(files) - {MANIFEST})), min_size=1, unique=True)):
        del files[name]
    there = {name.partition("/")[0] for name in files if "/" in name}
    whole = all(
        f"{run}/{file}" in files
        for run in there
        for file in ("record.json", "history.json", "config.yaml", "predictions.parquet")
    )
    assert verify(signed(files)).accepted is (whole and bool(there))


@FEW
@given(data=st.data(), value=st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.floats(), st.just([])))
def test_any_value_anywhere_in_a_record(original: Files, data: st.DataObject, value: object):
    files = Files(original)
    record = files.read("record.json")
    place, key = record, data.draw(st.sampled_from(sorted(record)))
    while isinstance(place[key], dict) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place)))
    place[key] = value
    files.write("record.json", record)
    findings = verify(signed(files))
    texts = [problem.text for problem in [*findings.problems, *findings.notices]]
    assert not any(is_unprintable(character) for text in texts for character in text)


@given(text=st.text())
def test_what_is_shown_is_harmless(text: str):
    line = shown(text)
    assert len(line.splitlines()) <= 1 and "::" not in line and "\x1b" not in line and len(line) <= 400


@given(value=st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=8))
def test_what_is_packed_can_be_read_strictly(value: object):
    """Whatever a run has written, its public form is JSON that the check accepts."""
    told = public([value])
    try:
        parse(json.dumps(told, allow_nan=False).encode())
    except StrictJsonError as error:  # sizes alone are left to the one who packs
        assert any(word in str(error) for word in ("deeply", "digits", "longer"))
