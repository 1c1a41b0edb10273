"""The site in a real browser: accessible, silent, self-contained, usable by keyboard and on a phone."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.leaderboard_factory import FIRST, docs, full_board, more_board, result
from tests.test_leaderboard_pages import SNAP
from wbench import stats
from wbench_leaderboard import build_site
from wbench_leaderboard.entries import collect

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
    "submit.html",
    "search.html#q=los",
    "models.html",
    "datasets.html",
    "compare.html#a=wbench%2Fwiener&b=wbench%2Fls",
    "suites/all.standard.html",
    "suites/all.standard.csi-feedback-ratio.html",
    "tasks/csinet-compat-in-4.standard.html",
    "tasks/los-nlos-umi.standard.html",
    "models/lab__radio-foundation-base.html",
    "datasets/snap-umi.html",
)
TASK = "tasks/los-nlos-umi.standard.html"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # A folder name with a space and a sign: addresses must survive it.
    out = tmp_path_factory.mktemp("board") / "my site #1"
    made = [*full_board(), *more_board(), *full_board("tiny")]
    made.append(result("los-nlos-umi", "old/model", 0.5, kind="user", task_version=0))
    build_site(made, out, task_docs=docs(), datasets={"snap-umi": SNAP})
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


def address(site: Path, href: str) -> str:
    path, _, fragment = href.partition("#")
    return (site / path).as_uri() + (f"#{fragment}" if fragment else "")


# One page is opened once and looked at in all widths and both schemes: it follows both without a reload. What axe finds
# hangs on the layout or on the colours, so it runs where either is new.
LOOKS = ((360, "light", True), (360, "dark", False), (768, "light", False), (768, "dark", True), (1440, "light", True),
         (1440, "dark", False))  # fmt: skip


@pytest.mark.parametrize("href", PAGES)
def test_accessible_silent_and_self_contained_at_every_width(browser: Any, site: Path, href: str) -> None:
    watched = opened(browser, address(site, href), 360)
    page = watched.page
    for width, scheme, audited in LOOKS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"overflow at {width} px"
        if audited:
            assert axe_violations(page) == [], (width, scheme)
    page.emulate_media(media="print")
    assert not page.locator("form:visible, .downloads:visible").count()
    assert (watched.complaints, watched.outside) == ([], [])
    page.context.close()


def test_everything_can_be_reached_and_used_by_keyboard(browser: Any, site: Path) -> None:
    """Every stop of the tabulator is visible and shows the focus; a filter and a page of it work without a mouse."""
    page = opened(browser, address(site, TASK)).page
    stops = page.locator("a[href], button, input, select, summary, [tabindex='0']").evaluate_all(
        "all => all.filter(e => e.checkVisibility() && e.tabIndex >= 0).length"
    )
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.reload()
    seen = 0
    for _ in range(40):
        page.keyboard.press("Tab")
        style = "getComputedStyle(document.activeElement)"
        assert page.evaluate(f"{style}.outlineStyle") != "none"
        seen += 1
    assert stops >= seen
    page.locator("[data-find] input").focus()
    page.keyboard.type("beam")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html#q=beam")
    found = page.locator("[data-found] a")
    assert "beam-prediction-b (standard)" in found.all_inner_texts()
    found.first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/tasks/**")
    page.context.close()


def test_two_models_are_compared_as_the_statistics_say(browser: Any, site: Path) -> None:
    watched = opened(browser, address(site, "compare.html#a=lab%2Fradio-foundation-base&b=wbench%2Fvit-random"))
    page = watched.page
    page.wait_for_selector("[data-rows] tr")
    entries = {
        (e.edition.task, e.model.name): e
        for e in collect([*full_board(), *more_board()])
        if e.group.regime == "head" and e.group.part == (100.0, None)
    }
    tests = {}
    for task in FIRST:
        a, b = (entries[task, name].primary for name in ("lab/radio-foundation-base", "wbench/vit-random"))
        test = stats.paired_difference(a.estimate, b.estimate)
        sign = 1 if a.higher_is_better else -1
        tests[task] = (sign * test.difference, sorted((sign * test.low, sign * test.high)), test.p_value, a.unit)
    assert page.locator("[data-rows] tr").count() == 2 * len(tests)  # standard and tiny
    page.get_by_label("Size").select_option("standard")
    adjusted = dict(zip(tests, stats.holm([test[2] for test in tests.values()]), strict=True))
    for row in page.locator("[data-rows] tr").all():
        task, cells = row.locator("th a").inner_text(), row.locator("td").all_inner_texts()
        difference, (low, high), _, unit = tests[task]
        digits = 2 if unit == "dB" else 3
        values = [float(text) for text in re.findall(r"-?[0-9.]+", (cells[3] + cells[5]).replace("\u2212", "-"))]
        assert values == pytest.approx([difference, low, high], abs=1.01 * 10**-digits)
        p = adjusted[task]
        assert cells[6] == "< 0.001" if p < 0.001 else abs(float(cells[6]) - p) < 0.002
        better = "≈ not separable" if p > 0.05 else "▲ A better" if difference > 0 else "▼ B better"
        assert cells[0] == better
    assert "size=standard" in page.url
    page.get_by_role("button", name="Swap").click()
    assert "a=wbench%2Fvit-random" in page.url
    assert (watched.complaints, watched.outside) == ([], [])
    page.get_by_label("Model B").select_option("")
    assert page.locator("[data-verdict]").inner_text() == "Choose two models."
    page.context.close()


def column(page: Any, group: str, index: int) -> list[str]:
    links = page.locator(f"#{group} > .scroll tbody tr > :nth-child({index}) a")
    return [str(text) for text in links.all_inner_texts()]


def test_a_table_sorts_by_keyboard_and_says_so(browser: Any, site: Path) -> None:
    page = opened(browser, (site / TASK).as_uri()).page
    group = "reference-100"
    header = page.locator(f"#{group} > .scroll thead th", has_text="Model")
    assert header.get_attribute("aria-sort") is None
    header.locator("button").focus()
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    names = column(page, group, 2)
    assert names == sorted(names)
    page.keyboard.press("Space")
    assert header.get_attribute("aria-sort") == "descending"
    assert column(page, group, 2) == sorted(names, reverse=True)
    score = page.locator(f"#{group} > .scroll thead th", has_text="Score")
    score.locator("button").press("Enter")
    assert (score.get_attribute("aria-sort"), header.get_attribute("aria-sort")) == ("descending", None)
    assert column(page, group, 2)[0] == "wbench/wiener"
    page.context.close()


def test_filters_live_in_the_address(browser: Any, site: Path) -> None:
    where = (site / TASK).as_uri()
    page = opened(browser, where).page
    page.get_by_label("Model").first.fill("wiener")
    page.get_by_label("Regime").select_option("reference")
    assert page.url.endswith("#q=wiener&regime=reference")
    assert page.locator("[data-row]:visible").count() == 1
    assert "1 of" in page.locator("[data-filter-count]").inner_text()
    page.get_by_role("button", name="Clear").click()
    page.wait_for_function("!location.hash.includes('=')")
    assert page.locator("[data-row]:visible").count() > 10
    page.goto("about:blank")
    page.goto(f"{where}#q=foundation&kind=foundation")
    names = page.locator("[data-row]:visible").all_inner_texts()
    assert names
    assert all("foundation" in name for name in names)
    page.goto("about:blank")
    page.goto(f"{where}#q=%E0%A4%A&kind=nonsense")  # a damaged address shows everything
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
