"""``tengwang``: the only place where the collector's program starts and ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from telemetry import command

DESCRIPTION = "Receives, judges, stores and shows what Tengwang agents measure."


def main(argv: Sequence[str] | None = None) -> int:
    return command.main("tengwang", "collector.commands", DESCRIPTION, argv)


if __name__ == "__main__":
    sys.exit(main())
