"""Features in clusters, small enough to train heads on in a test."""

import numpy as np


def make_features(n, seed=0, n_species=8, n_genera=2, width=12):
    """Features (N, F), half of them mostly noise, and codes (N, 2): species around genera."""
    genera, centres = np.random.default_rng(0).normal(size=(2, n_species, width))
    rng = np.random.default_rng(seed)
    species = rng.integers(n_species, size=n)
    codes = np.column_stack([species, species % n_genera])
    noise = rng.normal(size=(n, width)) * np.repeat([0.7, 4], width // 2)
    features = genera[codes[:, 1]] + centres[species] + noise
    return features.astype(np.float32), codes
