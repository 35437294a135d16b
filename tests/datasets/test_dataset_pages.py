"""The pages of the data sets name splits, options, classes and counts as the loaders have them."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from sfda_kit.config.yaml import parse_assignments
from sfda_kit.datasets.dataset_options import parse_options
from sfda_kit.datasets.eurosat import CLASSES, Eurosat
from sfda_kit.datasets.named_splits import shipped_splits
from sfda_kit.datasets.paired_folder import NAMED
from sfda_kit.datasets.rgb_nir import CATEGORIES
from sfda_kit.datasets.split_folder import SplitFolder
from sfda_kit.datasets.twins import TWINS
from sfda_kit.plugins.discovery import registry

FOLDER = Path(__file__).parents[2] / "docs" / "datasets"
PAGES = sorted(FOLDER.glob("*.md"))


def commands(page: Path) -> list[dict[str, list[str]]]:
    """Flag -> values, of each run on the page."""
    text = page.read_text().replace("\\\n", " ")
    found = []
    for line in re.findall(r"(?m)^sfda-kit run .*$", text):
        words: dict[str, list[str]] = {}
        for flag, value in pairwise(shlex.split(line)):
            words.setdefault(flag, []).append(value)
        found.append(words)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_splits_and_options_of_the_commands_exist(page):
    assert commands(page)
    for words in commands(page):
        (name,) = words["--dataset"]
        if name == "paired-folder":
            assert set(words["--split"]) <= set(NAMED) and "--folds" in words, words
            continue
        kind: type[SplitFolder] = registry().get("dataset", name).load()
        assert set(words.get("--split", [])) <= set(shipped_splits(name)), words
        settings = parse_assignments(words.get("--set", [])).get("dataset", {})
        parse_options(kind.options_model, settings.get("options", {}), name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_shipped_split_option_and_twin_is_described(page):
    text = page.read_text()
    name = page.stem
    kind: type[SplitFolder] = registry().get("dataset", name).load()
    for split in shipped_splits(name):
        seed = re.fullmatch(r"random6-seed(\d)", split)
        assert f"`{split}`" in text or (seed and "random6-seed0" in text), f"{name}: {split} is not described"
    for option in set(kind.options_model.model_fields) - {"splits"}:
        assert f"dataset.options.{option}" in text, f"{name}: {option} is not described"
    for layout in TWINS:
        if layout.removesuffix("-full") == name:
            assert f"make-twin {layout} OUT" in text


@pytest.mark.parametrize(("page", "classes", "total"), [("rgb-nir", CATEGORIES, 477), ("eurosat", CLASSES, 27000)])
def test_published_counts_are_complete(page, classes, total):
    lines = (FOLDER / f"{page}.md").read_text().splitlines()
    row = next(number for number, line in enumerate(lines) if classes[0] in line and line.startswith("|"))
    assert tuple(cell.strip() for cell in lines[row].strip("|").split("|")) == classes
    assert sum(int(cell.replace(",", "")) for cell in lines[row + 2].strip("|").split("|")) == total


def test_the_page_of_eurosat_names_the_scales_in_use():
    text = (FOLDER / "eurosat.md").read_text()
    options = Eurosat.options_model.model_validate({}).model_dump()
    for name in ("rgb_full_scale", "infrared_full_scale"):
        assert f"{options[name]:,} (`dataset.options.{name}`)" in text


SHEETS = ("diml", "domain-folder", "eurosat", "list-file", "nyuv2", "rgb-nir", "sun-rgbd", "webdataset")


@pytest.mark.parametrize("name", SHEETS)
def test_a_page_shows_its_set_and_tells_the_command_that_drew_it(name):
    text = (FOLDER / f"{name}.md").read_text()
    picture = f"docs/images/{name}.png"
    assert f"(../images/{name}.png)" in text
    assert f"sfda-kit data make-twin {name} OUT --frames-per-class 1\n" in text
    (drawn,) = re.findall(r"(?m)^sfda-kit data show .*$", text.replace("\\\n", " "))
    words = shlex.split(drawn)
    assert words[3] == name and words[words.index("--out") + 1] == picture
    given = [value for flag, value in pairwise(words) if flag == "--set"]
    options = parse_assignments(given).get("dataset", {}).get("options", {})
    parse_options(registry().get("dataset", name).load().options_model, options, name)
    with Image.open(FOLDER.parents[1] / picture) as image:
        image.verify()
