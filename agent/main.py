"""``tengwang-agent``: the only place where the agent's program starts and ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from telemetry import command

DESCRIPTION = "Measures on a network host and sends what it finds to a Tengwang collector."


def main(argv: Sequence[str] | None = None) -> int:
    return command.main("tengwang-agent", "agent.commands", DESCRIPTION, argv)


if __name__ == "__main__":
    sys.exit(main())
