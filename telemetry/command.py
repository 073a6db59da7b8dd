"""A command line whose subcommands are modules of one package: one file a subcommand, no table to edit.

A subcommand module has ``HELP`` (one line), a docstring (shown by ``--help``), ``configure(parser)`` and
``run(arguments) -> int``. ``dump_config.py`` is the subcommand ``dump-config``.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Protocol

from telemetry import __version__
from telemetry.component import names
from telemetry.errors import ConfigError, TengwangError


class Module(Protocol):
    HELP: str

    def configure(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, arguments: argparse.Namespace) -> int: ...


def main(program: str, package: str, description: str, argv: Sequence[str] | None = None) -> int:
    """Parse, run the subcommand, and turn errors on purpose into one clear message. Exit 2: wrong usage or config."""
    parser = argparse.ArgumentParser(program, description=description)
    parser.add_argument("--version", action="version", version=f"{program} {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in names(package):
        module = importlib.import_module(f"{package}.{name}")
        child = commands.add_parser(
            name.replace("_", "-"),
            help=module.HELP,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.configure(child)
        child.set_defaults(run=module.run)
    arguments = parser.parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except ConfigError as error:
        count = len(error.problems)
        print(error, file=sys.stderr)  # noqa: T201
        print(f"{count} problem{'s' if count != 1 else ''}; nothing was started", file=sys.stderr)  # noqa: T201
        return 2
    except TengwangError as error:
        print(f"{program}: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
