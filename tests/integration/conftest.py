"""A real browser: Chromium, driven by Playwright. Tests that need it skip where either is absent, and say so."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
SIZES = {
    "desk": {"width": 1360, "height": 850},
    "phone": {"width": 390, "height": 844},
    "side": {"width": 844, "height": 390},  # a phone on its side
}


@pytest.fixture(scope="module")
def chromium_flags() -> tuple[str, ...]:
    """More flags for the browser of a module, which may override this."""
    return ()


@pytest.fixture(scope="module")
def chromium(chromium_flags: tuple[str, ...]) -> Iterator[Any]:
    """A browser for one module: Playwright keeps an event loop running, which other tests must not find."""
    playwright = pytest.importorskip("playwright.sync_api", reason="a browser is driven by: pip install playwright")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("a browser is needed: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=[*FLAGS, *chromium_flags])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Open a page of a size, "desk" or "phone". At the end: it has made no console errors and asked nobody else."""
    contexts, complaints = [], []

    def open_(size: str = "desk", *, expected: tuple[str, ...] = (), **options: Any) -> Any:
        context = chromium.new_context(viewport=SIZES[size], has_touch=size != "desk", **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)

        def complain(text: str) -> None:
            if not any(word in text for word in expected):
                complaints.append(text)

        page.on("console", lambda message: complain(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complain(str(error)))
        page.on("request", lambda request: elsewhere(request.url, page, complain))
        return page

    def elsewhere(url: str, page: Any, complain: Callable[[str], None]) -> None:
        own = (page.url if page.url != "about:blank" else url).split("/", 3)[:3]
        if not url.startswith(("data:", "blob:")) and url.split("/", 3)[:3] != own:
            complain(f"asked {url}")

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def open_device(open_page: Callable[..., Any], fake: ModuleType) -> Callable[..., Any]:
    """Open the page of a fake device and wait for its state."""

    def open_(device: Any, size: str = "desk", **options: Any) -> Any:
        page = open_page(size, **options)
        device.attach(page)
        page.goto(fake.ORIGIN)
        page.locator("#dot:not(.connecting)").wait_for()
        return page

    return open_


@pytest.fixture
def picture() -> Callable[[Any, str], None]:
    """Keep a screenshot where whoever looks at the states wants it."""

    def keep(page: Any, name: str) -> None:
        if folder := os.environ.get("EDGEFS_SCREENSHOTS"):
            page.screenshot(path=str(Path(folder) / f"{name}.png"))

    return keep


# What moves or fades in is checked when it has arrived.
STILL = """() => Promise.allSettled(document.getAnimations()
    .filter((each) => each.effect.getComputedTiming().endTime !== Infinity).map((each) => each.finished))
    .then(() => null)"""


@pytest.fixture
def accessible() -> Callable[[Any], None]:
    """Assert that axe-core finds nothing wrong with a page as it is now, contrast and names of controls included."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")

    def check(page: Any) -> None:
        page.evaluate(STILL)
        found = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        assert [(v["id"], [node["html"][:200] for node in v["nodes"]]) for v in found] == []

    return check


@pytest.fixture(scope="session")
def fake() -> ModuleType:
    """tests/fake_device.py, loaded by its path."""
    spec = importlib.util.spec_from_file_location("fake_device", Path(__file__).parents[1] / "fake_device.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
