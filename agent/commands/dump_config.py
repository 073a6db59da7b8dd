"""Print the configuration as it is in force: what the file says, and the default of everything it does not say.

The output is a valid agent.toml with a comment for each option. Options that may hold a secret are shown as "***".
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from agent.home import DEFAULT

HELP = "print the configuration in force, with a comment for each option"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", type=Path, default=DEFAULT, help="folder of this agent (default: %(default)s)")
    parser.add_argument("--config", type=Path, help="configuration (default: HOME/agent.toml)")


def run(arguments: argparse.Namespace) -> int:
    from agent import config, reference
    from agent.home import Home

    sys.stdout.write(reference.text(config.load(arguments.config or Home(arguments.home).config)))
    return 0
