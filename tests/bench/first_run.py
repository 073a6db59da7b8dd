"""[seconds]: from a clean clone to the first own event on the console, by ``make run`` and nothing else.

Downloads are apart: the locked packages are fetched into a folder first, and ``make run`` installs from there. Counted
is everything else: the virtual environment, installation, the collector's first start, enrolment of the local agent,
and the first event of this host that the console's own API answers with. The peer is the bound that we promise.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

from tests.bench.result import Result

ROOT = Path(__file__).parent.parent.parent
BOUND = 60.0
PATIENCE = 300.0


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        clone, packages, log = Path(folder) / "clone", Path(folder) / "packages", Path(folder) / "log"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        print("fetching the locked packages; this is not counted ...", flush=True)
        locked = str(clone / "requirements" / "run.txt")
        fetch = [sys.executable, "-m", "pip", "download", "-q", "--require-hashes", "-r", locked, "-d", str(packages)]
        subprocess.run(fetch, check=True)
        environment = os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(packages), "PIP_NO_CACHE_DIR": "1"}
        environment["RUN_ARGS"] = "--listen [::1]:0 --agents-listen [::1]:0"
        began = time.monotonic()
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["make", "run"], cwd=clone, env=environment, stdout=out, stderr=out, start_new_session=True
            )
        try:
            took = first_event(log, process, began)
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(30)
    return [Result("seconds", round(took, 1), BOUND, "bound", "s")]


def first_event(log: Path, process: subprocess.Popen[bytes], began: float) -> float:
    """Seconds until the console answers with an event of this host."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    base = ""
    while (took := time.monotonic() - began) < PATIENCE and process.poll() is None:
        if not base and (link := re.search(r"https?://\S+/login/link/\S+", log.read_text())):
            browser.open(link[0], timeout=10).close()
            base = link[0].partition("/login/")[0]
        if base:
            with browser.open(f"{base}/api/v1/events?q=dataset:tengwang.host", timeout=10) as answer:
                if json.load(answer)["events"]:
                    return took
        time.sleep(0.1)
    raise RuntimeError(f"no own event was seen:\n{log.read_text()[-2000:]}")
