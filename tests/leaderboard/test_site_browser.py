"""The site in a browser, opened as a file: sorting, filtering, screen readers, phones, hostile records."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .made_site import built, hostile, ordinary

pytestmark = pytest.mark.slow

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install sfda-kit[dev])")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        found = shutil.which("chromium") or shutil.which("google-chrome") or (own if own.exists() else None)
        if found is None:
            pytest.skip("needs a browser: apt install chromium, or playwright install chromium")
        browser = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ordinary")
    return built(ordinary(root / "runs"), root / "board")


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    return built(hostile(root / "runs"), root / "board")


class Visitor:
    """A page and everything it complained of or asked for elsewhere."""

    def __init__(self, browser: Any, **settings: Any) -> None:
        self.context = browser.new_context(**{"viewport": DESKTOP, **settings})
        self.page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.complaints: list[str] = []
        self.page.on("console", lambda said: self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("request", self._requested)

    def _requested(self, request: Any) -> None:
        if not request.url.startswith("file://"):
            self.complaints.append(request.url)

    def open(self, site: Path, pattern: str = "index.html") -> Any:
        self.page.goto(next(iter(sorted(site.glob(pattern)))).as_uri())
        return self.page


@pytest.fixture
def visit(browser: Any) -> Iterator[Any]:
    visitors: list[Visitor] = []

    def start(**settings: Any) -> Visitor:
        visitors.append(Visitor(browser, **settings))
        return visitors[-1]

    yield start
    for visitor in visitors:
        visitor.context.close()
    assert [visitor.complaints for visitor in visitors if visitor.complaints] == []


def column(page: Any, title: str, table: str = "table.board >> nth=0") -> list[str]:
    """Texts below the first heading that begins with ``title``, in the first board table, as the reader sees them."""
    headings = page.locator(table).locator("thead tr").last.locator("th").all_inner_texts()
    number = next(place for place, text in enumerate(headings, start=1) if text.strip().startswith(title))
    cells = page.locator(table).locator(f"tbody tr > :nth-child({number})")
    return [" ".join(text.split()) for text in cells.all_inner_texts()]


def test_a_click_sorts_by_value_and_says_so(site: Path, visit: Any):
    page = visit().open(site)
    header = page.locator("table.board >> nth=0").locator("th", has_text="held out").first
    assert header.get_attribute("aria-sort") in (None, "none")
    header.click()
    sync_api.expect(header).to_have_attribute("aria-sort", "ascending")
    ascending = [float(text.split()[0]) for text in column(page, "held out") if text != "–"]
    assert ascending == sorted(ascending)
    header.click()
    sync_api.expect(header).to_have_attribute("aria-sort", "descending")
    assert column(page, "method")[0].startswith("oracle")


def test_keys_alone_sort(site: Path, visit: Any):
    page = visit().open(site, "runs.html")
    button = page.locator("table th", has_text="held out").locator("[role=button]")
    for _ in range(60):
        page.keyboard.press("Tab")
        if button.evaluate("it => it === document.activeElement"):
            break
    assert button.evaluate("it => it === document.activeElement")
    assert button.evaluate("it => getComputedStyle(it).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    header = page.locator("table th", has_text="held out")
    sync_api.expect(header).to_have_attribute("aria-sort", "ascending")


def test_the_skip_link_comes_first_and_leads_past_the_navigation(site: Path, visit: Any):
    page = visit().open(site)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_the_filter_leaves_matching_rows_of_every_table_and_counts_them(site: Path, visit: Any):
    page = visit().open(site)
    page.get_by_label("Filter rows").fill("shot-im")
    assert [text.split()[0] for text in column(page, "method")] == ["shot-im"]
    assert page.locator(".controls output").inner_text() == "2 of 11 rows"
    page.get_by_label("Filter rows").fill("")
    assert page.locator(".controls output").inner_text() == "11 rows"


def test_choosing_a_method_means_that_method_alone(site: Path, visit: Any):
    page = visit().open(site, "runs.html")
    page.get_by_role("combobox", name="method").select_option("shot")
    assert set(column(page, "method", "table")) == {"shot"}
    page.get_by_role("combobox", name="task").select_option(index=1)
    page.get_by_role("combobox", name="status").select_option("ok")
    assert page.locator(".controls output").inner_text() == "3 of 31 rows"
    page.get_by_role("combobox", name="status").select_option("failed")
    assert "No matching records found" in page.locator("table tbody").inner_text()


def test_from_the_board_to_a_method_a_task_and_a_run(site: Path, visit: Any):
    visitor = visit()
    page = visitor.open(site)
    page.get_by_role("link", name="tgkt", exact=True).first.click()
    assert page.locator("h1").inner_text() == "tgkt"
    page.get_by_role("link", name="run of tgkt, seed 0").first.click()
    assert page.locator("h1").inner_text() == "tgkt, seed 0"
    picture = page.locator(".pictures img")
    picture.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('.pictures img').naturalWidth == 60")
    page.get_by_role("link", name="Board", exact=True).click()
    assert page.locator("h1").inner_text() == "Leaderboard"


def test_everything_is_there_without_javascript(site: Path, visit: Any):
    page = visit(java_script_enabled=False).open(site)
    assert page.locator("table.board tbody tr").count() == 11
    assert page.locator("table.board caption").first.is_visible()
    assert not page.locator(".controls").first.is_visible()
    assert page.locator("svg[role=img]").count() == 4


@pytest.mark.parametrize(
    "pattern", ["index.html", "runs.html", "methods.html", "methods/tgkt*", "tasks/*depth*", "runs/tgkt-dep-s0*"]
)
@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_axe_finds_nothing(site: Path, visit: Any, pattern: str, look: str):
    viewport = PHONE if look == "phone" else DESKTOP
    visitor = visit(viewport=viewport, color_scheme="light" if look == "light" else "dark")
    page = visitor.open(site, pattern)
    page.evaluate("document.querySelectorAll('details').forEach(it => it.open = true)")
    found = axe.Axe().run(page)
    visitor.complaints.clear()  # the policy refuses axe what axe tries to load
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize(
    "pattern", ["index.html", "runs.html", "methods/tgkt*", "tasks/*depth*", "runs/tgkt-dep-s0*", "runs/socket*"]
)
def test_a_phone_never_scrolls_the_page_sideways(site: Path, visit: Any, pattern: str):
    page = visit(viewport=PHONE).open(site, pattern)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_dark_and_light_differ_and_plots_follow(site: Path, visit: Any):
    seen = {}
    for look in ("light", "dark"):
        page = visit(color_scheme=look).open(site)
        text = page.locator("figure svg .ink-text").first
        seen[look] = (
            page.evaluate("getComputedStyle(document.body).backgroundColor"),
            text.evaluate("it => getComputedStyle(it).color"),
        )
    assert seen["light"][0] != seen["dark"][0] and seen["light"][1] != seen["dark"][1]


@pytest.mark.parametrize("script", [True, False])
def test_hostile_records_execute_nothing(attacked: Path, visit: Any, script: bool):
    visitor = visit(java_script_enabled=script)
    for pattern in ("index.html", "runs.html", "methods.html", "methods/*", "tasks/*", "runs/*"):
        for path in sorted(attacked.glob(pattern)):
            page = visitor.open(attacked, str(path.relative_to(attacked)))
            if script:
                assert page.evaluate("window.attacked") is None, path.name
    assert "<script>window.attacked = 1</script>" in visitor.open(attacked).locator("body").inner_text()


def test_filtering_hostile_rows_executes_nothing(attacked: Path, visit: Any):
    page = visit().open(attacked, "runs.html")
    options = page.get_by_role("combobox", name="method").locator("option").all_inner_texts()
    for name in options:
        page.get_by_role("combobox", name="method").select_option(label=name)
        page.get_by_label("Filter rows").fill(name)
        page.get_by_label("Filter rows").fill("")
    page.locator("table th", has_text="task").first.click()
    assert len(options) == 5 and page.evaluate("window.attacked") is None


def test_the_policy_itself_stops_a_script_that_got_in(site: Path, browser: Any):
    visitor = Visitor(browser)
    page = visitor.open(site)
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.attacked = 1\">')")
    page.wait_for_timeout(100)
    assert page.evaluate("window.attacked") is None
    assert any("Content Security Policy" in text for text in visitor.complaints)
    visitor.context.close()
