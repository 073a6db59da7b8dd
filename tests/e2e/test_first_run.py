"""``tengwang up`` on a fresh home as an ordinary user: within seconds it shows what it measures, and what not."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest

from tests.parts import guard, ordinary_user

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).parent / "tengwang"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that an ordinary user can write to (pytest's own are the tester's alone)."""
    made = Path(tempfile.mkdtemp(prefix="tw-first-run-"))
    made.chmod(0o777)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def opened(link: str) -> tuple[urllib.request.OpenerDirector, str]:
    """A browser that has followed the login link, and the console's address."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    assert browser.open(link, timeout=10).status == 200
    return browser, link.partition("/login/")[0]


def test_an_ordinary_user_sees_own_events_within_seconds(folder: Path) -> None:
    began = time.monotonic()
    log = folder / "log"
    words: list[str | Path] = [PROGRAM, "up", "--home", folder / "home"]
    words += ["--listen", "[::1]:0", "--agents-listen", "[::1]:0"]
    environment = os.environ | {"LC_ALL": "C.UTF-8"}
    process = guard.start(
        ordinary_user.command(words, PROGRAM, sys.executable, ROOT / "collector"), log, environment, folder
    )
    try:
        link = wait_for(log, r"https?://\S+/login/link/\S+", process, 30)
        browser, base = opened(link)
        answer = own_events(browser, base)
        while not answer["events"]:
            assert time.monotonic() - began < 60, log.read_text()
            time.sleep(0.2)
            answer = own_events(browser, base)
        took = time.monotonic() - began
        agents = json.loads(browser.open(f"{base}/api/v1/agents", timeout=10).read())["agents"]
        states = {view["type"]: view["state"] for view in agents[0]["inputs"]}
        assert took < 30
        assert states["host"] == "on"
        assert states["packets"] == states["ndp"] == "blind"
        assert wait_for(log, r"(?s)Blind here.*net_raw -- \S*tengwang up", process, 10)
    finally:
        code = guard.stop(process, signal.SIGINT)
    assert code in (0, 130)
    assert "Traceback" not in log.read_text()


def own_events(browser: urllib.request.OpenerDirector, base: str) -> Any:
    return json.loads(browser.open(f"{base}/api/v1/events?q=dataset:tengwang.host", timeout=10).read())


def wait_for(log: Path, pattern: str, process: Any, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(pattern, log.read_text()):
            return found[0]
        time.sleep(0.1)
    raise AssertionError(f"{pattern} was not printed:\n{log.read_text()}")
