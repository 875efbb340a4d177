"""Puts the two servers side by side: redis-server, whose word counts, and coterie-server."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "BlackBox"))

from processes import Node, server_program  # noqa: E402

REDIS_SERVER = os.environ.get("REDIS_SERVER", "/usr/bin/redis-server")


@pytest.fixture
def reference_and_subject(tmp_path):
    """A fresh redis-server and a fresh one-node coterie-server."""
    for program in (REDIS_SERVER, server_program()):
        assert Path(program).exists(), f"{program} does not exist"
    nodes = [
        Node(tmp_path / "reference", program=REDIS_SERVER),
        Node(tmp_path / "subject"),
    ]
    try:
        yield [node.start_and_wait() for node in nodes]
    finally:
        for node in nodes:
            node.end()
