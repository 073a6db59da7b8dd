"""``python -m tests.bench NAME``: run one benchmark of this folder; ``make bench NAME=...`` does the same.

A benchmark is a module with ``run() -> list[Result]``; what it prints before is for a person.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

from tests.bench.result import line

NOT_BENCHES = {"__main__", "result"}


def benches() -> list[str]:
    """Names as a person writes them: ``first-run`` is first_run.py."""
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    return sorted(m.name.replace("_", "-") for m in found if m.name not in NOT_BENCHES and not m.name.startswith("_"))


def main(words: list[str]) -> int:
    if len(words) != 1 or words[0] not in benches():
        print("one of: make bench NAME=" + "|".join(benches()), file=sys.stderr)
        return 2
    module = importlib.import_module("tests.bench." + words[0].replace("-", "_"))
    results = module.run()
    for result in results:
        print(f"[{result.what}] {result.ours:g} {result.unit}, {result.peer_name} {result.peer:g}: {result.ratio:g} x")
    print(line(words[0], results), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
