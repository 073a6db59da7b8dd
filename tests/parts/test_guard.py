"""What a test started does not outlive it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.parts import guard

ROOT = Path(__file__).resolve().parents[2]
OWNER = """
import sys, threading, time
from tests.parts import guard
threads = [threading.Thread(target=lambda: print(guard.start(["sleep", "60"]).pid, flush=True))]
[t.start() or t.join() for t in threads]
guard.at_end(["touch", sys.argv[1]])
guard.at_end(["touch", sys.argv[2]])
guard.not_at_end(["touch", sys.argv[2]])
print("ready", flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_was_started_ends_with_a_killed_owner_and_its_last_commands_run(tmp_path: Path) -> None:
    done, taken_back = tmp_path / "done", tmp_path / "taken-back"
    command = [sys.executable, "-c", OWNER, str(done), str(taken_back)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        child = int(owner.stdout.readline())
        assert owner.stdout.readline() == "ready\n"
        assert alive(child), "it must outlive the thread that started it"
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while (alive(child) or not done.exists()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(child)
    assert done.exists()
    assert not taken_back.exists()


def test_stop_is_polite_first_and_takes_the_whole_group(tmp_path: Path) -> None:
    script = f"trap 'echo bye > {tmp_path}/said; exit 7' TERM; sleep 60 & echo $! > {tmp_path}/child; wait"
    process = guard.start(["sh", "-c", script])
    while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text().strip():
        time.sleep(0.01)
    assert guard.stop(process) == 7
    assert (tmp_path / "said").read_text() == "bye\n"
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 10
    while alive(child) and time.monotonic() < deadline:  # init has to collect it
        time.sleep(0.02)
    assert not alive(child)
