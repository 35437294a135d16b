"""What to cite for a run: each entry once, from the package that declares the part."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sfda_kit.errors import brief
from sfda_kit.plugins.discovery import registry
from sfda_kit.results.citations import citations, part_entry
from sfda_kit.results.record import Record

ROOT = Path(__file__).parents[2]


def record(method: str = "source-only", **more: object) -> Record:
    common = {"run_id": "one", "status": "ok", "method": method, "run_dir": "one", "versions": {"sfda-kit": "0.2.0"}}
    return Record.model_validate(common | more)


def keys(text: str) -> list[str]:
    return re.findall(r"^@\w+\{([^,]+),", text, flags=re.MULTILINE)


def test_a_run_names_the_toolkit_its_data_set_and_its_parts():
    phase = {"name": "adapt", "aligners": {"infomax": {"weight": 1.0}}, "labeler": {"name": "centroid"}}
    recipe = {"input_bridge": {"name": "copy"}, "teacher_bridge": None, "phases": [phase]}
    found = citations([record(recipe=recipe, task={"dataset": "sun-rgbd"}, config={"encoding": {"name": "hha"}})])
    assert sorted(keys(found)) == ["hha", "sfda-kit", "shot", "sun-rgbd", "timm"]
    assert found.startswith("% run one, made with sfda-kit 0.2.0\n")


def test_several_runs_name_each_entry_once():
    found = citations([record(task={"dataset": "eurosat"}), record(task={"dataset": "eurosat"})])
    assert keys(found).count("eurosat") == 1


def test_named_splits_and_mixtures_have_entries():
    found = citations([record(config={"dataset": {"split": "office-home"}}, source={"members": [{}, {}]})])
    assert {"office-home", "decision"} <= set(keys(found))


def test_a_part_that_is_not_installed_and_a_pretrained_backbone_are_remarks():
    found = citations([record("stranger", config={"model": {"pretrained": True, "backbone": "resnet50"}})])
    assert "% method stranger: not installed here, so its paper is not known\n" in found
    assert "% backbone resnet50: cite its authors too" in found


def test_weights_are_remarks_and_those_of_a_package_have_an_entry():
    begun = {"name": "lite0", "sha256": "0", "licence": "Apache-2.0", "source": "somewhere"}
    found = citations([record(source={"initial_weights": begun})])
    assert "% weights lite0: cite their authors too (Apache-2.0, somewhere)\n" in found
    assert ("efficientnet" in keys(found)) == (("weights", "lite0") in registry().components)
    assert "nothing is known" in citations([record(source={"initial_weights": {"name": "mine.pt"}})])


@pytest.mark.parametrize("part", registry().components.values(), ids=lambda part: f"{part.kind} {part.name}")
def test_every_paper_of_a_shipped_part_has_an_entry(part):
    if part.paper and part.kind not in ("executor", "tracker"):
        assert part_entry(part), f"{brief(part.paper)} stands in no references.bib of {part.owner}"


@pytest.mark.parametrize(
    "file", [*ROOT.glob("sfda_kit/references.bib"), *ROOT.glob("plugins/*/src/*/references.bib")], ids=str
)
def test_every_entry_is_whole(file: Path):
    text = file.read_text(encoding="utf-8")
    entries = re.findall(r"^@\w+\{.*?^\}$", text, flags=re.DOTALL | re.MULTILINE)
    assert len(entries) == text.count("@") and text.count("{") == text.count("}")
    for entry in entries:
        assert {"author", "title", "url"} <= set(re.findall(r"^  (\w+) = \{", entry, flags=re.MULTILINE)), entry


def test_the_toolkit_is_cited_as_its_citation_file_says():
    entry = citations([record()])
    title = re.search(r'^title: "(.*)"$', (ROOT / "CITATION.cff").read_text(), flags=re.MULTILINE)
    assert title and f"title = {{{title[1]}}}" in entry
