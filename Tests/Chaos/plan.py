"""What a run does: its seed, its phases, how many faults of each kind and how long they last."""

import os
import random
from dataclasses import dataclass

FOUNDERS = 5
MOST_NODES = 7
ALL_PHASES = ("kill", "stop", "partition", "join", "leave")

# A bound that a slow machine breaks is a finding, not a nuisance: look at it before raising it.
HEALTHY_WITHIN = 20.0
JOINS_WITHIN = 40.0
LEAVES_WITHIN = 40.0
CONVERGES_WITHIN = float(os.environ.get("COTERIE_CHAOS_CONVERGES", 30.0))
RESIDENT_BYTES = 512 << 20
LEAST_SUCCESS = 0.999
SETTLING = 1.0

# The servers are to have most of two cores, so the load is steady and far from their limit.
CLIENTS = 10
COMMANDS_A_SECOND = 800
CLIENT_TIMEOUT = 2.0

N, W, R = 3, 2, 2


@dataclass(frozen=True)
class Plan:
    """The faults of one run, all drawn from its seed."""

    seed: int
    phases: tuple
    is_quick: bool

    @classmethod
    def from_environment(cls):
        seed = int(os.environ.get("COTERIE_CHAOS_SEED", random.SystemRandom().randrange(10**6)))
        phases = os.environ.get("COTERIE_CHAOS_PHASES", ",".join(ALL_PHASES))
        phases = tuple(phase.strip() for phase in phases.split(",") if phase.strip())
        unknown = sorted(set(phases) - set(ALL_PHASES))
        assert not unknown, f"COTERIE_CHAOS_PHASES: {unknown} is none of {ALL_PHASES}"
        return cls(seed, phases, bool(os.environ.get("COTERIE_CHAOS_QUICK")))

    def count(self, phase):
        full = {"kill": 20, "stop": 10, "partition": 10, "join": 2, "leave": 2}
        quick = {"kill": 4, "stop": 2, "partition": 6, "join": 1, "leave": 1}
        return (quick if self.is_quick else full)[phase]

    def draws(self, phase):
        """The phase's own generator: leaving a phase out changes nothing in the others."""
        return random.Random(f"{self.seed} {phase}")

    def stop_lengths(self):
        """Mostly short, one long: 20 s are more than any timeout of the servers."""
        draw = self.draws("stop lengths")
        longest = 5.0 if self.is_quick else 20.0
        lengths = [draw.uniform(1.0, 4.0) for _ in range(self.count("stop") - 1)] + [longest]
        draw.shuffle(lengths)
        return lengths

    def partition_kinds(self):
        """Every kind once before any kind twice."""
        kinds = ["unplugged", "alone", "halves", "deaf", "mute", "one-way"]
        draw = self.draws("partition kinds")
        drawn = []
        while len(drawn) < self.count("partition"):
            drawn += draw.sample(kinds, len(kinds))
        return drawn[:self.count("partition")]
