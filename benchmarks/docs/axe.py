"""Looks at every page of the documentation site with axe, in both themes, as wide as a phone and as a desktop.

    make docs && python benchmarks/docs/axe.py [--site site] [--out benchmarks/docs/axe.json]

It writes how many pages were looked at and every serious or critical violation, and fails where there is one. It needs
Chromium, playwright and axe-playwright-python (``pip install sfda-kit[dev]``).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

WIDTHS, THEMES = (390, 1280), ("light", "dark")
BAD = ("serious", "critical")


def violations(page: Any, axe: Axe) -> list[str]:
    """Return the rules that a page breaks seriously, each with the first element that does."""
    found = axe.run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in BAD]


def main() -> None:
    """Look at all pages, write the result and fail where a page has a violation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", type=Path, default=Path("site"))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("axe.json"))
    given = parser.parse_args()
    files = sorted(given.site.rglob("*.html"))
    found: dict[str, list[str]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for width, theme in product(WIDTHS, THEMES):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
            for file in files:
                page.goto(file.resolve().as_uri())
                if told := violations(page, Axe()):
                    found[f"{file.relative_to(given.site)}, {width} px, {theme}"] = told
        browser.close()
    versions = {name: version(name) for name in ("mkdocs-material", "axe-playwright-python")}
    result = {"pages": len(files), "widths": WIDTHS, "themes": THEMES, "violations": found, "versions": versions}
    given.out.write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
