"""``make lab``: the small extranet with everything running, the console open, and a menu of things to do to it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from contextlib import ExitStack

from tests.lab import stores
from tests.lab.lab import Lab
from tests.lab.menu import Menu
from tests.lab.programs import Collector, agents
from tests.parts import elasticsearch


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.lab", description=__doc__)
    parser.add_argument("--ipv6-only", action="store_true", help="no IPv4 address anywhere but on loopback")
    parser.add_argument("--store", choices=("sqlite", "elastic"), default="sqlite", help="default sqlite")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("the lab is made of network namespaces, so it needs root: sudo make lab", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as stack:
        cluster = None
        if arguments.store == "elastic":
            print("starting Elasticsearch ...", flush=True)
            cluster = stack.enter_context(elasticsearch.start())
        print("bringing up hosts and services ...", flush=True)
        lab = stack.enter_context(Lab.up(v4=not arguments.ipv6_only))
        collector = Collector(lab, stores.choose(lab, cluster))
        collector.start()
        units = agents(lab)
        for agent in units.values():
            agent.enrol(collector)
            agent.start()
        Menu(lab, collector, units).loop()
        print("taking everything down ...", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
