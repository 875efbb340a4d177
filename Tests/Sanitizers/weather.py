"""`weather.py events seconds seed`: the storm under the address sanitizer, then the leak check.

The program is $COTERIE_SERVER, built with --sanitize=address; Tests/Sanitizers/run builds it.
"""

import os
import sys
import tempfile
from pathlib import Path

import pathsetup  # noqa: F401
from storm import Storm

HERE = Path(__file__).resolve().parent


def storm(directory, events, seed):
    """Three nodes, every event, kills and restarts."""
    os.environ["ASAN_OPTIONS"] = "detect_leaks=0:detect_stack_use_after_return=1"
    weather = Storm(directory, events, seed, kills=max(2, min(20, events // 3000)))
    try:
        seconds = weather.run()
    finally:
        wrong = weather.end()
    total = weather.counts.total()
    print(f"storm, seed {seed}: {total} events in {seconds:.0f} s")
    for name, count in sorted(weather.counts.items()):
        print(f"  {count:7} {name.removeprefix('do_').replace('_', ' ')}")
    return wrong


def leaks(directory, seconds, seed):
    """Mixed load on three nodes that live to the end; then the leak sanitizer looks at each."""
    os.environ["ASAN_OPTIONS"] = "detect_leaks=1"
    os.environ["LSAN_OPTIONS"] = f"suppressions={HERE / 'leaks.txt'}:print_suppressions=0"
    weather = Storm(directory, 0, seed)
    try:
        weather.run(seconds)
    finally:
        wrong = weather.end()
    print(f"leaks, seed {seed}: {weather.counts.total()} events in {seconds} s")
    return wrong


def main():
    events, seconds, seed = map(int, sys.argv[1:4])
    with tempfile.TemporaryDirectory() as directory:
        wrong = storm(Path(directory) / "storm", events, seed) if events else []
        wrong += leaks(Path(directory) / "leaks", seconds, seed) if seconds else []
    for line in wrong:
        print(line)
    print("clean" if not wrong else f"NOT CLEAN: {len(wrong)}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
