"""Fixtures: the run, and what came of it. The report is printed whatever pytest captures."""

import signal
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "BlackBox")]

from chaos import Chaos  # noqa: E402
from judgement import judge  # noqa: E402
from network import make_network  # noqa: E402
from plan import MOST_NODES, Plan  # noqa: E402
from processes import server_program  # noqa: E402
from report import report  # noqa: E402

REPORT = pytest.StashKey[list]()


@pytest.fixture(scope="session")
def run(request, tmp_path_factory):
    """Five nodes under load. Whatever happens, processes and network are gone at the end."""
    if not server_program().exists():
        pytest.exit(f"{server_program()} does not exist: build it or set COTERIE_SERVER", 2)
    plan = Plan.from_environment()
    # Shown even if the run is interrupted: without its seed it cannot be repeated.
    request.config.stash[REPORT] = [f"COTERIE_CHAOS_SEED={plan.seed} (the run was not judged)"]
    before = signal.signal(signal.SIGTERM, _interrupt)
    network = make_network(MOST_NODES)
    chaos = Chaos(plan, network, tmp_path_factory.mktemp("chaos"))
    try:
        chaos.start()
        yield chaos
    finally:
        chaos.end()
        signal.signal(signal.SIGTERM, before)


def _interrupt(*_):
    """SIGTERM, which a CI's time limit sends, would leave nodes and network behind."""
    raise KeyboardInterrupt


@pytest.fixture(scope="session")
def verdict(run, request):
    """What came of the run; the load ends here."""
    verdict = judge(run)
    request.config.stash[REPORT] = report(run, verdict)
    return verdict


def pytest_terminal_summary(terminalreporter, config):
    for line in config.stash.get(REPORT, []):
        terminalreporter.write_line(line)
