"""dlkit beside its peers and beside what can be written by hand: times of training, start, sweeps; memory.

`DLKIT_DATA=… python -m benchmarks.peers [--only steps,startup,…] [--quick] [--check]`

Prints tables and writes docs/performance.md, made of docs/performance.json, where a run of some sections replaces only
these. `--check` exits with 1 where a goal of the sections that were run is missed. Peers are the extra `bench`; one
that is not installed is left out. Wants a machine that nobody else uses.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from benchmarks.peers import report

SECTIONS = {  # in the order of the page
    "steps": "benchmarks.peers.steps",
    "startup": "benchmarks.peers.startup",
    "evaluation": "benchmarks.peers.evaluation",
    "memory": "benchmarks.peers.memory",
    "sweeps": "benchmarks.peers.sweeps",
    "scaling": "benchmarks.peers.scaling",
    "mnist_fast": "benchmarks.mnist_fast",
    "streaming": "benchmarks.streaming",
}
PEERS = ("lightning", "keras", "skorch", "fastai")


def main(args: list[str] | None = None) -> None:
    """Measures, prints, writes the page."""
    parser = argparse.ArgumentParser("python -m benchmarks.peers", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default=",".join(SECTIONS), help=f"sections: {','.join(SECTIONS)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, for a first look")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a goal is missed")
    parser.add_argument(
        "--figures", type=Path, default=report.FIGURES, help="the file of figures; the page is beside it"
    )
    given = parser.parse_args(args)
    names = given.only.split(",")
    if unknown := [name for name in names if name not in SECTIONS]:
        parser.error(f"--only: no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    for peer in PEERS:
        if not find_spec(peer):
            print(f"{peer} is not installed: left out (pip install 'dlkit[bench]')", file=sys.stderr)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    command = " ".join(["python -m benchmarks.peers", *(sys.argv[1:] if args is None else args)])
    found = {}
    for name in names:
        begin = time.perf_counter()
        section = importlib.import_module(SECTIONS[name]).measure(given.quick)
        took = time.perf_counter() - begin
        section["made"] = f"{time.strftime('%Y-%m-%d %H:%M')}, `{command}`, {took:.0f} s; {report.setting()}"
        print(report.markdown(section), flush=True)
        found[name] = section
        report.merge({name: section}, given.figures, list(SECTIONS))  # at once: a later one may fail
    misses = report.missed(found)
    if given.check and misses:
        sys.exit("\n".join(["missed:", *misses]))


if __name__ == "__main__":
    main()
