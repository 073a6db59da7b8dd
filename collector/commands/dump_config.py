"""Print the configuration in use with every option described, as TOML; secrets are shown as ***.

tengwang dump-config > tengwang.toml   a commented file of all defaults, to start from
tengwang dump-config --home var        what the collector of that home uses; what differs stands without '#'
"""

from __future__ import annotations

import argparse

from collector.attached import add_home

HELP = "print the configuration with every option described"


def configure(parser: argparse.ArgumentParser) -> None:
    add_home(parser)
    parser.add_argument("--json", action="store_true", help="only the values, as JSON")


def run(arguments: argparse.Namespace) -> int:
    import msgspec

    from collector import reference
    from collector.home import Home
    from collector.starting import read_config

    config = read_config(Home(arguments.home.absolute()), arguments.config)
    if arguments.json:
        print(msgspec.json.encode(reference.hidden(msgspec.to_builtins(config))).decode())
    else:
        print(reference.text(config), end="")
    return 0
