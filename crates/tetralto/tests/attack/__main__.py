"""Attacks a private system over loopback; reports its memory and the latency of other clients."""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

import bodies
import frozen
import rules
import silent
import sites
import storm
from limits import SHORT_FACTOR
from report import Report
from system import System

ATTACKS = {
    "storm": storm.run,
    "frozen": frozen.run,
    "sites": sites.run,
    "silent": silent.run,
    "bodies": bodies.run,
    "rule-tests": rules.run_tests,
    "stored-rule": rules.run_stored,
}
# File descriptors of the attacker. The system inherits the same limit.
_DESCRIPTORS = 12_000


def main() -> int:
    """Run the given attacks, or all."""
    parser = argparse.ArgumentParser(prog="./dev attack", description=__doc__)
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=", ".join(ATTACKS))
    parser.add_argument("--short", action="store_true", help="take less than a minute each")
    parser.add_argument("--programs", type=Path, required=True, help="folder of the binaries")
    options = parser.parse_args()
    unknown = set(options.attacks) - set(ATTACKS)
    if unknown:
        parser.error(f"unknown attack: {', '.join(sorted(unknown))}")
    _raise_descriptors()
    report = Report(SHORT_FACTOR if options.short else 1.0)
    begun = time.monotonic()
    system = System(options.programs.resolve())
    try:
        for name in options.attacks or ATTACKS:
            if not system.is_alive:
                report.note(f"the process has exited; {name} starts a new one")
                system.stop()
                system = System(options.programs.resolve())
            ATTACKS[name](system, report, is_long=not options.short)
    finally:
        system.stop()
    sys.stdout.write(f"\n{report}\n\n")
    sys.stdout.write(f"{report.failures} checks failed; took {time.monotonic() - begun:.0f} s\n")
    return 1 if report.failures else 0


def _raise_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted < _DESCRIPTORS:
        sys.stdout.write(f"The limit of file descriptors is {wanted}; using fewer connections.\n")


if __name__ == "__main__":
    sys.exit(main())
