"""Run something as an ordinary user, also where the tests run as root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

USER, GROUP = "nobody", "nogroup"


def command(words: Sequence[str | Path], *needs: str | Path) -> list[str]:
    """The same command as ``nobody``, without any capability (as it is where the tests do not run as root).

    ``needs`` are files it must be able to read. Where they lie under a folder that is root's alone (a checkout or a
    Python in /root), it keeps the one right to read files.
    """
    if os.geteuid() != 0:
        return [str(word) for word in words]
    plain = all(_readable(str(path)) for path in needs)
    return [*(_setpriv("") if plain else _setpriv(",+dac_read_search")), *(str(word) for word in words)]


def _setpriv(kept: str) -> list[str]:
    drop = ("--no-new-privs", *(f"--{kind}=-all{kept}" for kind in ("inh-caps", "ambient-caps", "bounding-set")))
    return ["setpriv", f"--reuid={USER}", f"--regid={GROUP}", "--clear-groups", *drop, "--"]


@cache
def _readable(path: str) -> bool:
    asked = subprocess.run([*_setpriv(""), "test", "-r", path], check=False)
    return asked.returncode == 0
