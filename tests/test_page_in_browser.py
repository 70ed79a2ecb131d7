"""The page of `report` in a real browser: what a reader sees and does, with mouse, keyboard and phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from skyports_tf.report.html import page_html
from tests.support.browser import Browser, browsing
from tests.support.programs import needed
from tests.test_page import some_stacks


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing(needed("chromium")) as opened:
        yield opened


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of 60 stacks."""
    file = tmp_path_factory.mktemp("pages") / "fleet.html"
    file.write_text(page_html("infra", some_stacks(60)), encoding="utf-8")
    return file


SHOWN = "[...document.querySelectorAll('.rules tbody tr')].filter(row => !row.hidden)"
CELLS = SHOWN + ".map(row => row.cells[{}].innerText.trim())"
# the WCAG's contrast of every text with what is behind it
CONTRAST = """(() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const linear = part => part <= .03928 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * linear(r / 255) + .7152 * linear(g / 255) + .0722 * linear(b / 255);
  const behind = item => {
    for (let it = item; it; it = it.parentElement) {
      const found = rgb(getComputedStyle(it).backgroundColor);
      if (found.length === 3 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const texts = 'h1, h2, h3, p, dt, dd, td, th, a, button, summary, strong, span, code, footer, output';
  const found = new Set();
  for (const item of document.querySelectorAll(texts)) {
    if (!item.offsetParent || !item.textContent.trim()) continue;
    const both = [light(rgb(getComputedStyle(item).color)), light(behind(item))].sort((a, b) => b - a);
    const ratio = (both[0] + .05) / (both[1] + .05);
    if (ratio < 4.5) found.add(`${item.tagName} ${item.className} ${ratio.toFixed(2)}`);
  }
  return [...found];
})()"""
IMAGE = """new Promise(end => {
  const image = new Image();
  image.onload = () => end('let through');
  image.onerror = () => end('refused');
  image.src = 'https://example.com/x.png';
})"""
TOO_WIDE = """[...document.querySelectorAll('main *')]
  .filter(item => item.getBoundingClientRect().right > 361 && !item.closest('.scroll, pre, svg'))
  .map(item => item.tagName)"""
MAPS = """[...document.querySelectorAll('svg.map.wide, svg.map.narrow')]
  .filter(item => item.getBoundingClientRect().width).map(item => item.classList[1])"""
HEIGHTS = "[...document.querySelectorAll('svg.narrow text')].map(it => it.getBoundingClientRect().height)"
SEARCH = """(() => {
  const find = document.getElementById('find'), begun = performance.now();
  find.value = '{}';
  find.dispatchEvent(new Event('input'));
  document.body.offsetHeight;
  return performance.now() - begun;
})()"""


def test_it_asks_nothing_of_the_network_and_nothing_is_blocked(browser: Browser, fleet: Path) -> None:
    browser.open(fleet)
    assert browser.requests == [fleet.as_uri()]
    assert browser.console == []
    # what it must not do, it cannot do
    assert (
        browser.run("fetch('https://example.com/').then(() => 'let through', () => 'refused')") == "refused"
    )
    assert browser.run(IMAGE) == "refused"


def test_rules_are_searched_filtered_and_sorted_by_keyboard(browser: Browser, fleet: Path) -> None:
    browser.open(fleet)
    assert browser.run(f"{SHOWN}.length") == 120
    browser.press("/", "Slash", "/")
    assert browser.run("document.activeElement.id") == "find"
    browser.type("TCP c5 internet")
    assert set(browser.run(CELLS.format(0))) == {"c51", "c54", "c57"}
    assert browser.run("document.getElementById('told').textContent") == "3 of 120 rules"
    assert browser.run("[...document.querySelectorAll('.stack')].filter(it => !it.hidden).length") == 3
    browser.press("Escape")
    assert browser.run(f"{SHOWN}.length") == 120
    browser.run("document.querySelector('[data-filter=\".exposed\"]').focus()")
    browser.press("Enter", "Enter", "\r")
    assert browser.run(f"{SHOWN}.length") == 20
    browser.press("Enter", "Enter", "\r")
    for turned in (False, True):
        browser.run("document.querySelectorAll('.rules thead button')[2].click()")
        ports = browser.run(CELLS.format(2))
        assert ports == sorted(ports, key=lambda text: int(text.partition("/")[2]), reverse=turned)
    assert browser.run("document.querySelectorAll('.rules th')[2].getAttribute('aria-sort')") == "descending"
    browser.run("document.querySelectorAll('.rules thead button')[0].click()")
    names = list(dict.fromkeys(browser.run(CELLS.format(0))))
    assert names == [f"c{place}" for place in range(60)]


def test_a_link_opens_the_stack(browser: Browser, fleet: Path) -> None:
    browser.open(fleet)
    browser.run("document.querySelector('.rules tbody tr:nth-child(9) a').click()")
    browser.run("new Promise(end => setTimeout(end, 50))")
    assert browser.run("[...document.querySelectorAll('.stack[open]')].map(it => it.id)") == [
        "stack-c4-aws-us-east-1"
    ]


def test_it_is_light_or_dark_as_the_reader_wants_and_always_readable(browser: Browser, fleet: Path) -> None:
    back = "getComputedStyle(document.body).backgroundColor"
    seen = []
    for dark in (False, True):
        browser.open(fleet, dark=dark)
        browser.run("document.querySelector('.stack').open = true")
        for _ in range(2):
            seen.append(browser.run(back))
            assert browser.run(CONTRAST) == []
            browser.run("document.getElementById('theme').click()")
        browser.run("localStorage.clear()")
    light, turned_dark, dark_one, turned_light = seen
    assert light == turned_light != dark_one == turned_dark


def test_on_a_phone_of_360_pixels_nothing_is_cut_off_and_no_line_is_wider_than_the_page(
    browser: Browser, fleet: Path
) -> None:
    browser.open(fleet, width=360, height=740)
    assert browser.run("document.documentElement.scrollWidth") <= 360
    assert browser.run(MAPS) == ["narrow"]
    assert min(browser.run(HEIGHTS)) >= 10
    assert browser.run(TOO_WIDE) == []


def test_without_scripts_the_page_still_says_all(browser: Browser, fleet: Path) -> None:
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(fleet)
        assert browser.run("document.querySelectorAll('.rules tbody tr').length") == 120
        assert browser.run("getComputedStyle(document.querySelector('.tools')).display") == "none"
    finally:
        browser.send("Emulation.setScriptExecutionDisabled", value=False)


def test_a_page_of_a_thousand_stacks_is_small_enough_and_searched_at_once(
    browser: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "thousand.html"
    file.write_text(page_html("infra", some_stacks(1000)), encoding="utf-8")
    assert file.stat().st_size < 4_000_000
    browser.open(file)
    assert browser.run(f"{SHOWN}.length") == 2000
    times = [browser.run(SEARCH.replace("{}", word)) for word in ("c99", "internet 8000", "")]
    # a busy machine may take some of it; a fifth of a second is what a person still calls at once
    assert min(times) < 1000
