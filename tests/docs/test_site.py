"""The site builds without a warning, loads nothing from elsewhere, and can be used by everyone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("material", reason="needs mkdocs-material (pip install sfda-kit[docs])")

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SETTINGS = [
    {"viewport": {"width": width, "height": 900}, "color_scheme": theme}
    for width, theme in ((390, "dark"), (1280, "light"), (390, "light"), (1280, "dark"))
]
LOOKED_AT = [
    "index",
    "choose-a-method",
    "setting",
    "methods/socket",
    "methods/shot",
    "reference/interfaces",
    "reference/records",
    "datasets/nyuv2",
]
"""Pages with everything that a page can have; ``benchmarks/docs/axe.py`` looks at all of them."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    built = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    )
    assert (built.returncode, built.stderr) == (0, "")
    return out


def test_nothing_is_loaded_from_elsewhere(site: Path):
    loaded = re.compile(
        r'<(?:script|img|iframe)[^>]+src="(https?:[^"]+)|<link[^>]+rel="(?:stylesheet|preconnect|icon)"[^>]+href="(https?:[^"]+)'
    )
    for page in site.rglob("*.html"):
        assert loaded.findall(page.read_text()) == [], page.name


def test_links_to_the_code_lead_to_the_repository(site: Path):
    page = (site / "reference" / "interfaces.html").read_text()
    assert 'href="https://github.com/sfda-kit/sfda-kit/blob/main/sfda_kit/interfaces/aligner.py"' in page
    assert 'href="../packages/sfda-kit-shot.html' in (site / "methods" / "shot-plus-plus.html").read_text()


def test_equations_and_public_names_are_there(site: Path):
    assert (
        '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">'
        in (site / "methods" / "shot.html").read_text()
    )
    assert 'id="sfda_kit.config.loading.load_config"' in (site / "reference" / "api.html").read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install sfda-kit[dev])")
    with sync_api.sync_playwright() as playwright:
        found = shutil.which("chromium") or shutil.which("google-chrome")
        if found is None:
            pytest.skip("needs a browser: apt install chromium")
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def test_a_screen_reader_a_phone_and_both_themes(site: Path, browser: Any):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()
    problems = []
    for name, settings in zip(LOOKED_AT, cycle(SETTINGS)):
        page = browser.new_page(**settings)
        page.goto((site / f"{name}.html").as_uri())
        found = axe.run(page, options={"resultTypes": ["violations"]}).response["violations"]
        problems += [(name, settings, one["id"]) for one in found if one["impact"] in ("serious", "critical")]
        page.close()
    assert problems == []


def test_the_search_finds_a_page_on_the_disk(site: Path, browser: Any):
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "index.html").as_uri())
    page.locator("input.md-search__input").click()
    page.locator("input.md-search__input").press_sequentially("centikelvin", delay=50)
    page.locator(".md-search-result__link", has_text="centikelvin").first.wait_for(timeout=20_000)
    assert [url for url in asked if not url.startswith(("file:", "blob:", "data:"))] == []
    page.close()
