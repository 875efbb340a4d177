"""Makes the helpers of Tests/BlackBox importable: real processes and how they are watched."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "BlackBox"))
