"""Contrastive learning for fine-grained recognition: the working parts of the study."""

import os

# OpenMP's threads spin while they wait for each other, by default for milliseconds: beside another
# process they then hold the cores that they wait for, and an epoch takes three times as long. So
# they go to sleep after this many turns (`make bench-busy`). libgomp reads it when torch is loaded.
SPINS = 3_000
if not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
    os.environ["GOMP_SPINCOUNT"] = str(SPINS)
