"""Debian's Chromium, driven by Playwright: for browser tests and screenshots."""

from __future__ import annotations

import shutil

from playwright.async_api import Browser, Playwright

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


async def launch(play: Playwright) -> Browser:
    """A browser with a profile of its own that calls nobody."""
    return await play.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
