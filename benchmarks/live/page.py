"""The page in a real browser: how soon there is a picture, how much is loaded, what a viewer costs.

Needs Chromium and `pip install playwright`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from statistics import median
from typing import Any

import psutil

from benchmarks.live.process import app
from benchmarks.live.serving import watch

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
WATCH_S = 15.0
HOLDS = 5
LOADED = """() => {
  const own = performance.getEntriesByType("resource").filter((each) => !each.name.includes("/api/"));
  return [...performance.getEntriesByType("navigation"), ...own].map((each) => each.decodedBodySize);
}"""
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
FIRST_TILE = """() => new Promise((resolve) => {
  const frames = document.getElementById("frames");
  let pressed = 0;
  document.getElementById("hold").addEventListener("pointerdown", () => (pressed = performance.now()), { once: true });
  const seen = new MutationObserver(() => {
    if (!pressed || !frames.children.length) return;
    seen.disconnect();
    window.firstTile = performance.now() - pressed;
  });
  seen.observe(frames, { childList: true });
  resolve();
})"""


def page(args: argparse.Namespace) -> dict[str, Any]:
    """The page in Chromium: first picture, first paint, first tile, bytes; the app's CPU share with one viewer."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        runs = [visit(browser) for _ in range(args.rounds)]
        browser.close()
    worst = {f"{name}_worst": max(run[name] for run in runs) for name in runs[0]}
    return {**{name: round(median(run[name] for run in runs), 3) for name in runs[0]}, **worst, **watched()}


def visit(browser: Any) -> dict[str, float]:
    """Start the app and open its page; times count from the start of the app's process."""
    with app() as (process, url):
        tab = browser.new_page(viewport={"width": 1360, "height": 850})
        tab.goto(url)
        tab.wait_for_function("() => document.getElementById('preview').naturalWidth > 0")
        first_picture_s = time.time() - process.create_time()
        paint_ms = tab.evaluate(PAINT)
        tab.wait_for_load_state("load")
        sizes = tab.evaluate(LOADED)
        tiles = [first_tile(tab) for _ in range(HOLDS)]
        tab.close()
    return {
        "start_to_first_picture_s": round(first_picture_s, 2),
        "first_paint_ms": round(paint_ms),
        "page_bytes": sum(sizes),
        "page_files": len(sizes),
        "first_tile_ms": round(max(tiles)),
    }


def first_tile(tab: Any) -> float:
    """Hold the button until the first frame is shown, and discard the session; returns milliseconds from the press."""
    tab.locator("#hold:enabled").hover()
    tab.evaluate(FIRST_TILE)
    tab.mouse.down()
    tab.wait_for_function("() => window.firstTile !== undefined")
    tab.keyboard.press("Escape")
    tab.mouse.up()
    waited: float = tab.evaluate("() => { const ms = window.firstTile; delete window.firstTile; return ms; }")
    tab.wait_for_timeout(500)
    return waited


def watched() -> dict[str, float]:
    """The app's share of all cores while one viewer takes picture and events."""
    with app() as (process, url):
        end = watch(url, 1)
        time.sleep(3)
        began_s, spent_s = time.monotonic(), used_s(process)
        time.sleep(WATCH_S)
        share = (used_s(process) - spent_s) / (time.monotonic() - began_s) / (os.cpu_count() or 1)
        end()
    return {"cpu_share_with_one_viewer": round(share, 3)}


def used_s(process: psutil.Process) -> float:
    """CPU seconds of a process and its children."""
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)
