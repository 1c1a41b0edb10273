"""The site in a real browser: accessible, silent, self-contained, usable by keyboard and on a phone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.leaderboard_factory import docs, full_board, result
from wbench_leaderboard import build_site

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# No sandbox: tests also run as root in a container. The rest keeps the browser from talking to anyone.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGES = (
    "index.html",
    "about.html",
    "tasks/beam-prediction-b.standard.html",
    "models/lab__radio-foundation-base.html",
)
TASK = "tasks/los-nlos-umi.standard.html"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # A folder name with a space and a sign: addresses must survive it.
    out = tmp_path_factory.mktemp("board") / "my site #1"
    made = [*full_board(), *full_board("tiny"), result("los-nlos-umi", "old/model", 0.5, kind="user", task_version=0)]
    build_site(made, out, task_docs=docs())
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install 'wbench[dev]'")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


class Watched:
    """A page that remembers what it asked for and what it complained about."""

    def __init__(self, context: Any) -> None:
        self.page = context.new_page()
        self.complaints: list[str] = []
        self.outside: list[str] = []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in {"error", "warning"} else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        self.page.on("request", lambda r: None if r.url.startswith("file://") else self.outside.append(r.url))


def opened(browser: Any, address: str, width: int = 1280, scheme: str = "light") -> Watched:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    watched = Watched(context)
    watched.page.goto(address)
    return watched


def axe_violations(page: Any) -> list[str]:
    import axe_playwright_python

    script = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
    # evaluate() runs in the page without being subject to its content policy, so the policy stays as published.
    page.evaluate(script)
    # Without preload axe does not fetch the style sheets a second time, which the policy would rightly block.
    found = page.evaluate("axe.run(document, {preload: false})")
    return [
        f"{v['id']}: {node['target']}: {node['failureSummary']}" for v in found["violations"] for node in v["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("href", PAGES)
def test_accessible_silent_and_self_contained_at_every_width(browser: Any, site: Path, href: str, scheme: str) -> None:
    for width in (360, 768, 1440):
        watched = opened(browser, (site / href).as_uri(), width, scheme)
        assert axe_violations(watched.page) == []
        assert watched.page.evaluate("document.documentElement.scrollWidth") <= width, f"overflow at {width} px"
        assert (watched.complaints, watched.outside) == ([], [])
        watched.page.context.close()


def column(page: Any, group: str, index: int) -> list[str]:
    cells = page.locator(f"#{group} tbody tr > :nth-child({index})")
    return [text.split("\n")[0] for text in cells.all_inner_texts()]


def test_a_table_sorts_by_keyboard_and_says_so(browser: Any, site: Path) -> None:
    page = opened(browser, (site / TASK).as_uri()).page
    group = "reference-100"
    header = page.locator(f"#{group} thead th", has_text="Model")
    assert header.get_attribute("aria-sort") is None
    header.locator("button").focus()
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    names = column(page, group, 2)
    assert names == sorted(names)
    page.keyboard.press("Space")
    assert header.get_attribute("aria-sort") == "descending"
    assert column(page, group, 2) == sorted(names, reverse=True)
    score = page.locator(f"#{group} thead th", has_text="Score")
    score.locator("button").press("Enter")
    assert (score.get_attribute("aria-sort"), header.get_attribute("aria-sort")) == ("descending", None)
    assert column(page, group, 2)[0] == "wbench/wiener"
    page.context.close()


def test_filters_live_in_the_address(browser: Any, site: Path) -> None:
    address = (site / TASK).as_uri()
    page = opened(browser, address).page
    page.get_by_label("Model").first.fill("wiener")
    page.get_by_label("Regime").select_option("reference")
    assert page.url.endswith("#q=wiener&regime=reference")
    assert page.locator("[data-row]:visible").count() == 1
    assert "1 of" in page.locator("[data-filter-count]").inner_text()
    page.get_by_role("button", name="Clear").click()
    page.wait_for_function("!location.hash.includes('=')")
    assert page.locator("[data-row]:visible").count() > 10
    page.goto("about:blank")
    page.goto(f"{address}#q=foundation&kind=foundation")
    names = page.locator("[data-row]:visible").all_inner_texts()
    assert names
    assert all("foundation" in name for name in names)
    page.goto("about:blank")
    page.goto(f"{address}#q=%E0%A4%A&kind=nonsense")  # a damaged address shows everything
    assert page.locator("[data-row]:visible").count() > 10
    page.context.close()


def test_theme_button_beats_the_system_and_is_remembered(browser: Any, site: Path) -> None:
    watched = opened(browser, (site / "index.html").as_uri(), scheme="light")
    page = watched.page
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    button = page.locator("[data-theme-toggle]")
    button.click()
    assert page.evaluate(background) == light  # auto → light, and the system is light
    button.click()
    dark = page.evaluate(background)
    assert dark != light
    page.goto((site / "about.html").as_uri())
    assert page.evaluate(background) == dark
    assert axe_violations(page) == []
    assert watched.complaints == []
    page.context.close()


def test_complete_without_script(browser: Any, site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / TASK).as_uri())
    assert page.locator("[data-row]").count() > 10
    assert not page.locator("[data-theme-toggle]").is_visible()
    assert not page.locator("[data-filters]").is_visible()
    context.close()


def test_charts_fit_the_screen(browser: Any, site: Path) -> None:
    for width, shown in ((360, "narrow"), (1280, "wide")):
        page = opened(browser, (site / TASK).as_uri(), width).page
        visible = page.locator("svg.chart:visible")
        assert visible.count() == page.locator(f".chart-{shown}").count() > 0
        sizes = visible.evaluate_all("all => all.map(s => s.getBoundingClientRect().width / s.viewBox.baseVal.width)")
        assert min(sizes) > 0.75, "text would be too small to read"
        page.context.close()
