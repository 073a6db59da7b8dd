from __future__ import annotations

import subprocess
import sys

from tests.agent.inputs.pair import ROOT


def test_importing_scapy_touches_no_file_of_the_user_and_starts_no_thread(tmp_path: object) -> None:
    program = (
        "import os, sys, threading\n"
        "from agent.decoders import dissection\n"
        "dissection.layers()\n"
        "assert threading.active_count() == 1\n"
        "assert 'XDG_CACHE_HOME' not in os.environ\n"
        "assert not os.listdir(os.environ['HOME']), os.listdir(os.environ['HOME'])\n"
        "from scapy.config import conf\n"
        "assert not conf.route.routes and not conf.route6.routes\n"
        "import cryptography.hazmat.primitives.hashes\n"
    )
    environment = {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "PATH": "/usr/bin"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
