"""``python -m tests.chaos --faults 100 --seed n``: exit code 0 where nothing was lost or doubled."""

from __future__ import annotations

import argparse
import random
import signal
import sys

from tests.chaos.run import Outcome, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=100, metavar="N", help="how many in all (default 100)")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="repeat the faults of an earlier run")
    parser.add_argument("--store", choices=("both", "sqlite", "elastic"), default="both", help="default: half on each")
    parser.add_argument("--nodes", type=int, default=3, metavar="N", help="Elasticsearch nodes (default 3)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    seed = random.SystemRandom().randrange(10**6) if arguments.seed is None else arguments.seed
    kinds = ["sqlite", "elastic"] if arguments.store == "both" else [arguments.store]
    outcomes: dict[str, Outcome] = {}
    for index, kind in enumerate(kinds):
        share = arguments.faults // len(kinds) + (index < arguments.faults % len(kinds))
        outcomes[kind] = run(kind, share, seed, lambda line: print(line, flush=True), arguments.nodes)
    bad = 0
    for kind, outcome in outcomes.items():
        bad += len(outcome.problems)
        verdict = f"{len(outcome.problems)} PROBLEMS" if outcome.problems else "nothing lost, nothing doubled"
        print(
            f"{kind}: {outcome.faults} faults in {outcome.seconds:.0f} s, {outcome.events} events "
            f"({outcome.dropped} reported as dropped): {verdict}; seed {seed}"
        )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
