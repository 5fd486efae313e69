"""The embedded data set: rendered fungi, so that the study runs without a file or a download.

Six genera carry DF20-Mini's names and builds a mycologist would recognise; species are invented
("Amanita sp. 07"). A photo is made in three steps, and the module reads in that order:

1. **traits**   genus sets the build, species moves it a little, both along the same axes;
2. **photo**    nuisances: view, age, light, background, occlusion, blur, grain;
3. **picture**  the traits and nuisances of a batch become pixels, piece by piece, back to front.

The dials scale the distances between genera, between species, and the nuisances. It is a controlled
experiment: whatever is measured on it has to be called synthetic.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from numbers import Integral, Real
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

GENERA = ("Agaricus", "Amanita", "Boletus", "Clitocybe", "Mycena", "Russula")
# A level above the genera that their builds justify (see ring and pores in TRAITS): what is under
# the cap, and what is left of a veil on the stem. It shows, and it is no family.
FORMS = ("gills and ring", "gills and ring", "pores", "gills", "gills", "gills")
LEVELS = ("species", "genus", "form")
DF20_MINI_SPECIES = (22, 17, 6, 14, 49, 74)  # species per genus there: ours are split alike
DF20_MINI_SPREAD = 122 / 3  # its commonest over its rarest species, in test photos
MIN_TRAIN, MIN_VAL, MIN_TEST = 4, 1, 2

RANGES = {
    "n_species": (12, 600),
    "n_images": (84, 1_000_000),
    "tail": (0.0, 2.0),
    "species_gap": (0.0, 3.0),
    "genus_gap": (0.0, 1.0),
    "nuisance": (0.0, 2.0),
    "label_noise": (0.0, 0.9),
    "seed": (0, 2**32 - 1),
}


@dataclass(frozen=True)
class Dials:
    """How large, how skewed and how hard the synthetic data set is.

    Parameters
    ----------
    n_species : int
        Species in all, split over the six genera as in DF20-Mini, at least 2 each. [12, 600]
    n_images : int
        Photos in all, at least 7 a species (4 to train, 1 to validate, 2 to test). [84, 1e6]
    tail : float
        Long tail of photos per species: 0 is uniform, 1 like DF20-Mini. [0, 2]
    species_gap : float
        Distance between the species of a genus; 0 makes them alike. [0, 3]
    genus_gap : float
        Distance between genera: 0 gives all one build, 1 is the natural one. [0, 1]
    nuisance : float
        Strength of what varies from photo to photo; 0 is a studio. [0, 2]
    seed : int
        Another seed is another flora. [0, 2**32)
    label_noise : float
        Share of the training photos that carry the name of another species, drawn at random from
        all of them; validation and test keep the right ones. [0, 0.9]

    Raises
    ------
    ValueError
        Names the dial, its value and the range that is allowed.
    """

    n_species: int = 60
    n_images: int = 4800
    tail: float = 1.0
    species_gap: float = 1.0
    genus_gap: float = 0.85
    nuisance: float = 1.0
    seed: int = 0
    # Not in the repr, which names the files of the rendered images: names do not change those.
    label_noise: float = field(default=0.0, repr=False)

    def __post_init__(self):
        for dial, (low, high) in RANGES.items():
            value = getattr(self, dial)
            kind, noun = (Integral, "an integer") if isinstance(low, int) else (Real, "a number")
            is_kind = isinstance(value, kind) and not isinstance(value, bool)
            if not is_kind or not low <= value <= high:  # nan is in no range
                raise ValueError(f"dial {dial}={value!r}: must be {noun} in [{low}, {high}]")
        least = self.n_species * (MIN_TRAIN + MIN_VAL + MIN_TEST)
        if self.n_images < least:
            raise ValueError(
                f"dial n_images={self.n_images!r}: must be in [{least}, {RANGES['n_images'][1]}] "
                f"for n_species={self.n_species} (7 photos a species at least)"
            )


# --- the table: which photos there are -----------------------------------------------------------


def make_table(dials=None, levels=LEVELS[:2]):
    """The table of the data set, one row per photo.

    Parameters
    ----------
    dials : Dials, optional
    levels : sequence of str
        Among species, genus and form: Agaricus and Amanita have gills and a ring, Boletus has
        pores, Clitocybe, Mycena and Russula have gills alone.

    Returns
    -------
    pandas.DataFrame
        RangeIndex; columns image ("synthetic/000123"), the levels, split. Rows are ordered by
        species; the split is 70/10/20 % of each species, drawn by ``dials.seed``.
    """
    return _tables(dials or Dials())[0][["image", *levels, "split"]].copy()


def factors(dials=None):
    """The generating factors of every photo, row-aligned with `make_table`.

    Returns
    -------
    pandas.DataFrame
        float32 columns: the traits of `TRAITS` as they are in the photo, then its `NUISANCES` and
        its background.
    """
    return _tables(dials or Dials())[1].copy()


@lru_cache(maxsize=4)
def _tables(dials):
    """`make_table` and `factors`, computed together once (callers get copies)."""
    per_genus = _apportion(dials.n_species, np.array(DF20_MINI_SPECIES), least=2)
    genus = np.repeat(np.arange(len(GENERA)), per_genus)  # (species,)
    names = [f"{GENERA[g]} sp. {k:02d}" for g, n in enumerate(per_genus) for k in range(1, n + 1)]

    # Photos per species fall exponentially along a random order of the species.
    rank = _stream(dials.seed, "tail").permutation(dials.n_species) / (dials.n_species - 1)
    weight = DF20_MINI_SPREAD ** (-dials.tail * rank)
    counts = _apportion(dials.n_images, weight, least=MIN_TRAIN + MIN_VAL + MIN_TEST)
    species = np.repeat(np.arange(dials.n_species), counts)  # (n,)
    split = _split(species, counts, _stream(dials.seed, "split"))
    named = _mislabelled(species, split == "train", dials)

    table = pd.DataFrame(
        {
            "image": [f"synthetic/{i:06d}" for i in range(dials.n_images)],
            "species": np.array(names)[named],
            "genus": np.array(GENERA)[genus[named]],
            "form": np.array(FORMS)[genus[named]],
            "split": split,
        }
    )
    return table, _draw_factors(dials, genus, species)


def _apportion(total, weights, least):
    """Integers that sum to `total`: `least` each, the rest by weight (largest remainders)."""
    share = weights / weights.sum() * total
    fixed = share < least
    while True:  # those below `least` get it, the others share what is left
        free = total - least * fixed.sum()
        share = np.where(fixed, least, weights / weights[~fixed].sum() * free)
        if (share[~fixed] >= least).all():
            break
        fixed |= share < least
    counts = np.floor(share).astype(int)
    counts[np.argsort(counts - share, kind="stable")[: total - counts.sum()]] += 1
    return counts


def _split(species, counts, rng):
    """train/val/test in 70/10/20 % of each species, at random, with the least of each kept."""
    order = np.lexsort((rng.random(len(species)), species))  # shuffled inside each species
    place = np.arange(len(species)) - np.repeat(np.cumsum(counts) - counts, counts)
    n_test = np.maximum(np.round(0.2 * counts), MIN_TEST)[species]
    n_val = np.maximum(np.round(0.1 * counts), MIN_VAL)[species]
    split = np.empty(len(species), dtype=object)
    split[order] = np.where(
        place < n_test, "test", np.where(place < n_test + n_val, "val", "train")
    )
    return split


def _mislabelled(species, may_change, dials):
    """Species codes (n,) of which a share of those that may change has become another one."""
    rng = _stream(dials.seed, "label noise")
    wrong = may_change & (rng.random(len(species)) < dials.label_noise)
    other = (species + rng.integers(1, dials.n_species, len(species))) % dials.n_species
    return np.where(wrong, other, species)


def _stream(seed, purpose, index=0):
    """A generator of its own for each (seed, purpose, index), whatever was drawn elsewhere.

    Philox is counter-based: starting the counter at index · 2⁶⁴ leaves every photo a block.
    """
    key = [seed, int.from_bytes(purpose.encode()[:8], "little")]
    counter = np.array([0, index, 0, 0], dtype=np.uint64)
    return np.random.Generator(
        np.random.Philox(key=np.array(key, dtype=np.uint64), counter=counter)
    )


# --- traits: what genus and species decide -------------------------------------------------------

# Lengths are in cap radii; colours in OKLab (lightness, green-red, blue-yellow), in which means of
# colours look like what is between them; organs (ring … pores) are probabilities for a photo.
# One column a genus, then how far species scatter (standard deviation) and the limits.
TRAITS = {
    #                  Agar.  Aman.  Bole.  Clit.  Myce.  Russ.   species  limits
    "cap_height":     (0.72,  0.55,  0.74,  0.26,  1.15,  0.36,   0.09,  0.12, 1.6),
    "cap_cone":       (0.05,  0.05,  0.00,  0.15,  0.85,  0.00,   0.08,  0.0, 1.0),
    "cap_flatness":   (0.35,  0.25,  0.20,  0.60,  0.00,  0.65,   0.12,  0.0, 1.0),
    "depression":     (0.00,  0.00,  0.00,  0.55,  0.00,  0.32,   0.08,  0.0, 0.8),
    "striation":      (0.00,  0.15,  0.00,  0.05,  0.90,  0.20,   0.12,  0.0, 1.0),
    "gloss":          (0.15,  0.45,  0.25,  0.10,  0.30,  0.60,   0.12,  0.0, 0.9),
    "mottle":         (0.25,  0.15,  0.25,  0.25,  0.15,  0.30,   0.12,  0.0, 0.8),
    "colourful":      (0.35,  1.10,  0.60,  0.45,  0.80,  1.30,   0.00,  0.0, 2.0),
    "cap_L":          (0.88,  0.60,  0.47,  0.70,  0.60,  0.60,   0.10,  0.3, 0.96),
    "cap_a":          (0.01,  0.07,  0.050, 0.012, 0.02,  0.10,   0.055, -0.035, 0.19),
    "cap_b":          (0.035, 0.09,  0.085, 0.050, 0.035, 0.045,  0.050, -0.07, 0.15),
    "stem_length":    (1.70,  2.40,  1.50,  1.60,  3.60,  1.45,   0.18,  0.9, 5.5),
    "stem_width":     (0.21,  0.17,  0.40,  0.17,  0.075, 0.28,   0.03,  0.05, 0.55),
    "stem_taper":     (0.95,  0.75,  0.62,  1.50,  0.90,  1.05,   0.10,  0.5, 1.8),
    "bulb":           (0.15,  0.60,  0.45,  0.00,  0.00,  0.00,   0.10,  0.0, 1.0),
    "bend":           (0.00,  0.00,  0.00,  0.08,  0.15,  0.00,   0.15,  -0.6, 0.6),
    "stem_L":         (0.90,  0.90,  0.78,  0.72,  0.58,  0.94,   0.05,  0.3, 0.97),
    "stem_a":         (0.01,  0.005, 0.025, 0.015, 0.02,  0.005,  0.010, -0.05, 0.15),
    "stem_b":         (0.025, 0.03,  0.085, 0.045, 0.04,  0.02,   0.015, -0.05, 0.15),
    "decurrence":     (0.04,  0.03,  0.17,  0.50,  0.06,  0.06,   0.04,  0.02, 0.9),
    "gill_hollow":    (0.60,  0.60,  0.30,  1.60,  0.70,  0.60,   0.08,  0.25, 2.0),
    "gill_L":         (0.50,  0.94,  0.76,  0.80,  0.76,  0.90,   0.04,  0.25, 0.97),
    "gill_a":         (0.050, 0.00,  -0.02, 0.01,  0.01,  0.005,  0.010, -0.06, 0.15),
    "gill_b":         (0.045, 0.025, 0.13,  0.05,  0.015, 0.045,  0.012, -0.05, 0.16),
    "ring_height":    (0.62,  0.72,  0.66,  0.66,  0.66,  0.66,   0.06,  0.4, 0.85),
    "wart_density":   (5.00,  4.50,  4.50,  4.50,  4.50,  4.50,   0.80,  3.0, 8.0),
    "ring":           (0.95,  0.95,  0.00,  0.00,  0.00,  0.00,   0.00,  0.0, 1.0),
    "volva":          (0.00,  0.95,  0.00,  0.00,  0.00,  0.00,   0.00,  0.0, 1.0),
    "warts":          (0.05,  0.85,  0.00,  0.00,  0.00,  0.00,   0.00,  0.0, 1.0),
    "pores":          (0.00,  0.00,  1.00,  0.00,  0.00,  0.00,   0.00,  0.0, 1.0),
}  # fmt: skip
ORGANS = ("ring", "volva", "warts", "pores")

# What a photo adds: value in the studio, and how far a nuisance of 1 may move it either way.
NUISANCES = {
    "age": (0.5, 0.45),  # 0 a closed button … 1 an old, flat cap
    "elevation": (-0.08, 0.40),  # of the camera, radians; below 0 it sees the gills
    "roll": (0.0, 0.22),  # of the camera, radians
    "lean": (0.0, 0.18),  # of the cap on its stem, radians
    "zoom": (0.0, 0.30),  # log of the scale
    "shift_x": (0.0, 0.22),
    "shift_y": (0.0, 0.14),
    "light_x": (-0.45, 0.6),  # the light comes from the left, the front and above
    "light_up": (0.75, 0.35),
    "softness": (0.45, 0.35),  # of the light: share of the sky
    "warmth": (0.05, 0.25),  # colour temperature
    "exposure": (0.0, 0.35),  # log
    "tint": (0.0, 0.05),
    "soil": (0.15, 0.14),  # how much of the foot is buried, of the stem's length
    "occlusion": (0.0, 1.0),  # share of the blades and leaves in front that are there
    "defocus": (0.0, 0.8),
    "grain": (0.01, 0.04),
}

# Backgrounds, one column each: two colours and an accent in OKLab, then the texture's make-up.
BACKGROUNDS = {
    #              litter  grass  moss   bark
    "dark_L":     (0.26,  0.28,  0.26,  0.24),
    "dark_a":     (0.02,  -0.05, -0.04, 0.01),
    "dark_b":     (0.03,  0.06,  0.06,  0.02),
    "light_L":    (0.68,  0.74,  0.68,  0.64),
    "light_a":    (0.04,  -0.09, -0.07, 0.02),
    "light_b":    (0.08,  0.13,  0.12,  0.05),
    "accent_L":   (0.55,  0.60,  0.48,  0.50),
    "accent_a":   (0.08,  -0.03, -0.02, -0.03),
    "accent_b":   (0.10,  0.12,  0.09,  0.06),
    "clumps":     (0.60,  0.25,  0.50,  0.25),
    "crumbs":     (0.50,  0.10,  0.70,  0.25),
    "streaks":    (0.05,  0.90,  0.10,  0.85),
    "leaf_width": (0.40,  0.05,  0.08,  0.30),
}  # fmt: skip


def _draw_factors(dials, genus, species):
    """Traits and nuisances of every photo; genus is (n_species,), species is (n,).

    The draws do not depend on the gaps and the nuisance: turning these dials moves the same flora.
    """
    traits = np.array(list(TRAITS.values())).T  # (6 genera + scatter + limits, traits)
    natural, scatter, (low, high) = traits[:6], traits[6], traits[7:]
    build = natural.mean(0) + dials.genus_gap * (natural - natural.mean(0))  # (6, traits)

    spread = np.tile(scatter, (len(GENERA), 1))  # (6, traits)
    column = {name: i for i, name in enumerate(TRAITS)}
    for name in ("cap_L", "cap_a", "cap_b"):  # a Russula has any colour, an Agaricus has few
        spread[:, column[name]] *= build[:, column["colourful"]]
    step = _stream(dials.seed, "species").standard_normal((len(genus), len(TRAITS))).clip(-2, 2)
    of_species = build[genus] + dials.species_gap * spread[genus] * step  # (species, traits)

    rng = _stream(dials.seed, "photo")
    n = len(species)
    wobble = rng.uniform(-1, 1, (n, len(TRAITS)))  # individuals of a species differ too
    value = of_species[species] + 0.5 * dials.nuisance * scatter * wobble
    table = dict(zip(TRAITS, value.clip(low, high).T, strict=True))
    # Hardly any fungus is blue: the less red a cap is, the less blue it may be.
    table["cap_b"] = np.maximum(table["cap_b"], 0.025 - 1.2 * table["cap_a"].clip(0))
    for organ, chance in zip(ORGANS, rng.random((len(ORGANS), n)), strict=True):
        table[organ] = (chance < table[organ]).astype(float)  # there or not, in this photo

    for (name, (studio, reach)), u in zip(
        NUISANCES.items(), rng.uniform(-1, 1, (len(NUISANCES), n)), strict=True
    ):
        table[name] = studio + dials.nuisance * reach * u
    for name in ("occlusion", "defocus", "grain", "age", "softness", "soil"):
        least = 0.15 if name == "softness" else 0.0  # no shadow is black under the sky
        table[name] = table[name].clip(least, 1)

    grounds = np.array(list(BACKGROUNDS.values()))  # (texture, 4)
    kind = rng.integers(grounds.shape[1], size=n)
    middle = grounds.mean(1, keepdims=True)
    ground = middle + min(dials.nuisance, 1) * (grounds[:, kind] - middle)  # (texture, n)
    table |= dict(zip(BACKGROUNDS, ground, strict=True))
    return pd.DataFrame(table, dtype=np.float32)


# --- the picture ---------------------------------------------------------------------------------
#
# Notation of all formulae below: p holds the photo's factors, each (B, 1, 1), its colours (linear
# RGB, (B, 3, 1, 1)) and its noise; m is the mushroom's pose with coordinates for every pixel,
# (B, H, W). A piece is a field that is positive inside it, a colour and the light that falls on it.
# Everything is elementwise, so that no pixel depends on its batch.


def render(dials, indices, size, device="cpu", batch_size=16):
    """Photos as pixels, bit-identical whatever batch an index is rendered in.

    Parameters
    ----------
    dials : Dials
    indices : sequence of int
        Rows of `make_table`, in any order, repeats allowed.
    size : int
        Side in pixels, at least 8. The picture is the same at every size, only finer.
    device : str or torch.device
    batch_size : int
        Photos rendered at a time; 16 of 64 px stay in a processor's cache.

    Returns
    -------
    numpy.ndarray
        uint8, (len(indices), size, size, 3), RGB.

    Raises
    ------
    ValueError
        For a size below 8.
    IndexError
        For an index outside [0, n_images).
    """
    if size < 8:
        raise ValueError(f"size={size}: must be at least 8 pixels")
    indices = np.asarray(indices, dtype=np.int64).reshape(-1)
    outside = indices[(indices < 0) | (indices >= dials.n_images)]
    if len(outside):
        raise IndexError(f"index {outside[0]}: must be in [0, {dials.n_images})")

    rows = _tables(dials)[1]
    photos = np.empty((len(indices), size, size, 3), np.uint8)

    def render_batch(start):
        batch = indices[start : start + batch_size]
        photo = _photo(rows.iloc[batch], dials.seed, batch, device)
        photos[start : start + batch_size] = _picture(photo, size).permute(0, 2, 3, 1).cpu().numpy()

    # A batch a thread: twice as fast as torch's own threads, which meet after every small formula.
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(render_batch, range(0, len(indices), batch_size)))
    finally:
        torch.set_num_threads(threads)
    return photos


LATTICES = {"coarse": (6, 6), "clumps": (12, 12), "crumbs": (40, 40), "streaks": (10, 56),
            "cap": (9, 9), "grain": (64, 64)}  # rows, columns of the noise lattices  # fmt: skip
N_BEHIND, N_FRONT = 6, 5  # leaves and blades behind and in front of the mushroom


def _photo(rows, seed, batch, device):
    """A batch's factors as (B, 1, 1) tensors, colours as (B, 3, 1, 1), and its own noise."""
    p = {name: torch.from_numpy(rows[name].to_numpy(copy=True)[:, None, None]) for name in rows}
    for name in ("cap", "stem", "gill", "dark", "light", "accent"):
        lab = np.stack([rows[f"{name}_{axis}"] for axis in "Lab"], axis=1)
        p[f"{name}_colour"] = torch.from_numpy(_oklab_to_linear_rgb(lab)[:, :, None, None])

    sizes = [h * w for h, w in LATTICES.values()]
    n_leaves = N_BEHIND + N_FRONT
    n_draws = sum(sizes) + 8 * n_leaves + 1
    draws = [_stream(seed, "pixels", i).random(n_draws, dtype=np.float32) for i in batch]
    draws = np.stack(draws)  # (B, n_draws)
    p["phase"] = torch.from_numpy(6.28 * draws[:, -1, None, None])
    *noise, leaves = np.split(draws[:, :-1], np.cumsum(sizes), axis=1)
    for (name, shape), values in zip(LATTICES.items(), noise, strict=True):
        p[f"{name}_lattice"] = torch.from_numpy(values.reshape(-1, 1, *shape))
    p["leaves"] = torch.from_numpy(leaves.T.reshape(n_leaves, 8, -1, 1, 1))
    return SimpleNamespace(**{name: value.to(device) for name, value in p.items()})


def _oklab_to_linear_rgb(lab):
    """OKLab (n, 3) to linear RGB (n, 3) in [0, 1]; Ottosson 2020."""
    to_lms = np.array([[1, 0.3963378, 0.2158038], [1, -0.1055613, -0.0638542],
                       [1, -0.0894842, -1.2914855]])  # fmt: skip
    to_rgb = np.array([[4.0767417, -3.3077116, 0.2309699], [-1.2684380, 2.6097574, -0.3413194],
                       [-0.0041961, -0.7034186, 1.7076147]])  # fmt: skip
    lms = (lab.astype(np.float64)[:, None, :] * to_lms).sum(-1) ** 3
    return (lms[:, None, :] * to_rgb).sum(-1).clip(0.002, 1).astype(np.float32)


def _picture(p, size):
    """Paint a batch back to front: (B, 3, size, size) uint8."""
    axis = (torch.arange(size, device=p.age.device, dtype=torch.float32) + 0.5) * (2 / size) - 1
    X, Y = axis[None, None, :], -axis[None, :, None]  # the frame, [-1, 1], right and up
    pixel = 2 / size
    m = _pose(p, X, Y)

    image = ground = _background(p, X, Y, size, pixel)  # (B, 3, H, W)
    image = _shadow(image, p, m)
    image = _underside(image, p, m)
    image = _stem(image, p, m)
    image = _cap(image, p, m, size)
    image = _soil(image, p, m, ground, size)
    for leaf in p.leaves[N_BEHIND:]:
        image = _leaf(image, p, leaf, X, Y, pixel, in_front=True)
    return _camera(image, p, size)


def _pose(p, X, Y):
    """Where the mushroom stands in the frame, and the lengths that its pieces share.

    In its own coordinates the unit is the cap's radius when half grown, x is to the right of the
    stem's axis, y up from the foot; k is the sine of the camera's elevation.
    """
    k, c = torch.sin(p.elevation), torch.cos(p.elevation)
    opening = 2 * p.age - 1  # -1 closed … 1 flat
    radius = 1 + 0.22 * opening
    height = p.cap_height * (1 - 0.35 * opening) * c
    stem = p.stem_length * (0.95 + 0.1 * p.age) * c
    tall = stem + height + k.abs() * 0.5
    scale = 1.5 * torch.exp(p.zoom) / torch.maximum(tall, 2.3 * radius)

    u, v = (X - p.shift_x) / scale, (Y - p.shift_y) / scale
    cos, sin = torch.cos(p.roll), torch.sin(p.roll)
    x, y = u * cos + v * sin, v * cos - u * sin + tall / 2  # (B, H, W), the foot at 0
    x = x - p.bend * (y / stem).clamp(0, 1.2) ** 2 + 0.5 * p.bend

    # The cap's own frame: the origin is the middle of the rim, the unit its radius.
    lean = p.lean - 0.6 * p.bend
    cap_x = (x * torch.cos(lean) + (y - stem) * torch.sin(lean)) / radius
    cap_y = ((y - stem) * torch.cos(lean) - x * torch.sin(lean)) / radius
    under = p.decurrence * (0.7 + 0.6 * p.age)

    front = torch.full_like(p.light_x, 0.55)
    far = torch.sqrt(p.light_x**2 + front**2 + p.light_up**2)
    sun = p.light_x / far, front / far, p.light_up / far  # right, towards the camera, up
    return SimpleNamespace(
        k=k, c=c, sun=sun, x=x, y=y, stem=stem, radius=radius,
        cap_x=cap_x, cap_y=cap_y, height=height / radius, under=under,
    )  # fmt: skip


def _background(p, X, Y, size, pixel):
    """Ground below, forest out of focus above, loose leaves or blades upon it: (B, 3, H, W)."""
    clumps, crumbs, streaks = (_noise(p, name, size) for name in ("clumps", "crumbs", "streaks"))
    texture = p.clumps * clumps + p.crumbs * crumbs + p.streaks * streaks
    texture = texture / torch.sqrt(p.clumps**2 + p.crumbs**2 + p.streaks**2)
    coarse = _noise(p, "coarse", size)
    near = smoothstep(0.55 + p.elevation, -0.35 + p.elevation, Y + 0.2 * coarse)
    bright = (0.52 + 0.34 * texture * (0.15 + 0.85 * near) + 0.22 * coarse).clamp(0, 1)
    accent = (0.5 * coarse + 0.4 * clumps).clamp(0, 1)
    haze = (0.6 * coarse**2 + 0.08) * (1 - near)  # patches of sky between far trees
    image = over(p.dark_colour, p.light_colour, bright**2)  # (B, 3, H, W)
    image = over(image, p.accent_colour, 0.6 * accent)
    image = over(image, 0.5 * p.light_colour + 0.1, haze)
    for leaf in p.leaves[:N_BEHIND]:
        image = _leaf(image, p, leaf, X, Y, pixel, in_front=False)
    return image


def _leaf(image, p, leaf, X, Y, pixel, in_front):
    """One leaf or blade of grass: a curved spindle; its eight random numbers are in `leaf`."""
    there, x0, y0, turn, bow, length, shade, hue = leaf  # (B, 1, 1) each
    blade = (p.leaf_width < 0.2).float()  # blades grow upwards, leaves lie about
    angle = blade * (1.57 + 0.9 * (turn - 0.5)) + (1 - blade) * 6.28 * turn
    length = (0.35 + 0.5 * length) * (1 + 0.9 * blade)
    width = 0.4 * p.leaf_width * length + 0.012
    x = X - (2.4 * x0 - 1.2)
    y = Y - (-1.15 + (0.5 if in_front else 1.0) * y0)
    cos, sin = torch.cos(angle), torch.sin(angle)
    along = (x * cos + y * sin) / length  # 0 at the foot, 1 at the tip
    across = y * cos - x * sin - (bow - 0.5) * length * along**2
    half = width * 4 * (along * (1 - along)).clamp(min=0)
    alpha = ((half - across.abs()) / pixel + 0.5).clamp(0, 1) * (half > 0)  # a true distance
    alpha = alpha * ((there < p.occlusion).float() if in_front else 0.8)
    vein = 1 - 0.35 * torch.exp(-((across / (0.12 * width)) ** 2))
    colour = over(p.light_colour, p.accent_colour, hue)
    return over(image, colour, alpha, light=(0.35 + 0.9 * shade) * vein)


def _shadow(image, p, m):
    """Soft contact shadow around the foot, drawn away from the light."""
    dx = (m.x + 0.8 * p.light_x) / (0.9 + p.stem_width)
    dy = (m.y - 0.05) / 0.35
    dark = 0.85 * torch.exp(-(dx**2) - dy**2)
    return image * (1 - dark)[:, None]


def _underside(image, p, m):
    """Gills or pores: the ellipse of the rim seen from below, and the cone down to the stem."""
    depth = m.under + (-m.k).clamp(min=0) + 0.02
    down = (-m.cap_y / m.under).clamp(0, 1)
    neck = 0.9 * p.stem_width * p.stem_taper / m.radius
    half = neck + (1 - neck) * (1 - down) ** p.gill_hollow  # of the cone, at this height
    cone = torch.minimum(half - m.cap_x.abs(), (m.cap_y + m.under).minimum(0.02 - m.cap_y))
    rim = 1 - torch.sqrt(m.cap_x**2 + (m.cap_y / (m.k.abs() + 0.02)) ** 2)
    rim = torch.where(m.k < 0, rim, -torch.ones_like(rim))
    alpha = torch.maximum(cover(cone), cover(rim))

    rise = m.cap_y + m.under
    azimuth = torch.atan2(m.cap_x, rise / depth)
    gills = 0.5 + 0.5 * torch.sin(46 * azimuth)
    pores = 0.5 + 0.5 * torch.sin(38 * m.cap_x) * torch.sin(38 * m.cap_y / (0.35 + m.k.abs()))
    relief = gills + (pores - gills) * p.pores
    hollow = 0.62 + 0.38 * (m.cap_x**2 + (m.cap_y / depth) ** 2).clamp(0, 1)
    light = hollow * (0.72 + 0.28 * relief) * (0.85 - 0.15 * m.sun[0] * m.cap_x)
    return over(image, p.gill_colour, alpha, light)


def _stem(image, p, m):
    """Stem with its bulb and net, then volva and ring."""
    t = (m.y / m.stem).clamp(-0.1, 1)
    half = p.stem_width * (1 + (p.stem_taper - 1) * t + p.bulb * torch.exp(-((t / 0.2) ** 2)))
    top = m.stem - 0.95 * m.under * m.radius
    alpha = cover(torch.minimum(half - m.x.abs(), torch.minimum(m.y + 0.05, top - m.y)))
    side = (m.x / half).clamp(-1, 1)  # -1 … 1 across the stem
    light = _barrel(p, m, side)
    light = light * (1 - 0.45 * torch.exp(-(top - m.y).clamp(min=0) / 0.3))  # the cap's shadow
    net = torch.sin(9 * side + 16 * m.y) * torch.sin(9 * side - 16 * m.y)
    fibre = torch.sin(14 * side + 2 * torch.sin(3 * m.y))
    light = light * (1 - 0.4 * p.pores * (net.abs() < 0.25).float() - 0.05 * fibre)
    ring_y = p.ring_height * m.stem
    light = light * (1 - 0.45 * p.ring * torch.exp(-(((m.y - ring_y + 0.34) / 0.12) ** 2)))
    image = over(image, p.stem_colour, alpha, light)
    image = _volva(image, p, m)
    return _ring(image, p, m, ring_y)


def _volva(image, p, m):
    """The torn sack around the foot of an Amanita."""
    half = p.stem_width * (1 + p.bulb) * 1.35
    side = (m.x / half).clamp(-1, 1)
    edge = 0.55 + 0.10 * torch.sin(5 * side + p.phase) + 0.08 * torch.sin(11 * side)
    belly = half * (1 - 0.25 * (2 * m.y / edge - 0.7) ** 2)
    alpha = cover(torch.minimum(belly - m.x.abs(), torch.minimum(m.y + 0.1, edge - m.y)))
    light = _barrel(p, m, side) * (0.75 + 0.35 * smoothstep(0.0, 0.5, m.y))
    return over(image, 0.5 + 0.4 * p.stem_colour, alpha * p.volva, light)


def _ring(image, p, m, ring_y):
    """The skirt that the veil leaves on the stem."""
    drop = ((ring_y - m.y) / 0.30).clamp(0, 1)  # 0 at the top, 1 at the hem
    half = p.stem_width * (1.05 + 0.25 * drop) + 0.16 * drop**1.5
    side = (m.x / half).clamp(-1, 1)
    hem = ring_y - 0.30 + 0.09 * side**2 + 0.02 * torch.sin(9 * side + p.phase)
    alpha = cover(torch.minimum(half - m.x.abs(), torch.minimum(ring_y - m.y, m.y - hem)))
    light = _barrel(p, m, side) * (0.92 + 0.08 * torch.sin(24 * side)) * (0.85 + 0.25 * drop)
    return over(image, 0.25 + 0.7 * p.stem_colour, alpha * p.ring, light)


def _cap(image, p, m, size):
    """The cap: a surface of revolution, lit by its true normals.

    Its outline from the side is h·(1 - ρ^a)^b; from above or below the ellipse of the rim, k, adds
    to it. Every pixel inside is mapped back to the disc (disc_x, disc_y), |disc| = ρ: 0 at the
    apex, 1 at the rim, so that patterns sit on the surface.
    """
    x2 = (m.cap_x**2).clamp(max=1 - 1e-4)
    across = torch.sqrt(1 - x2)
    a, b = 2 + 2.5 * p.cap_flatness - 0.6 * p.cap_cone, 0.5 + 0.45 * p.cap_cone
    outline = m.height * (1 - (x2 + 1e-9) ** (a / 2)) ** b
    top = torch.sqrt(outline**2 + (m.k * across) ** 2)
    bottom = -m.k * across
    inside = torch.minimum(top - m.cap_y, m.cap_y - bottom + 0.04 * across)
    alpha = cover(torch.minimum(inside, 1 - m.cap_x.abs()))

    s = (m.cap_y - bottom) / (top - bottom + 1e-3)  # 0 at the near rim, 1 at the outline
    apex = ((m.height + m.k) / (torch.sqrt(m.height**2 + m.k**2) + m.k)).clamp(0.35, 1)
    disc_x, disc_y = m.cap_x, (1 - s / apex).clamp(-1, 1) * across
    rho2 = (disc_x**2 + disc_y**2).clamp(max=1)
    light, shine = _cap_light(p, m, disc_x, disc_y, rho2)

    azimuth = torch.atan2(disc_x, disc_y)
    stripe = p.striation * smoothstep(0.25, 0.9, rho2) * (0.5 + 0.5 * torch.sin(30 * azimuth))
    mottle = p.mottle * 0.6 * _noise(p, "cap", size) + 0.15 * (0.4 - rho2)
    image = over(image, p.cap_colour, alpha, light * (1 - 0.5 * stripe) * (1 - mottle))
    image = over(image, torch.ones_like(p.cap_colour), alpha * shine)
    return _warts(image, p, disc_x, disc_y, alpha, light)


def _cap_light(p, m, disc_x, disc_y, rho2):
    """Diffuse light and highlight on the cap, from its slope -dh/dρ; the middle may be sunken."""
    slope = m.height * (1 + 1.5 * p.cap_flatness * rho2) / torch.sqrt(1.06 - rho2)
    slope = slope - 5 * p.depression * (0.2 + 0.8 * p.age) * (1 - 2.8 * rho2).clamp(min=0)
    nx, ny = slope * disc_x, slope * disc_y  # the normal is (nx, ny, 1) / norm
    norm = torch.sqrt(nx**2 + ny**2 + 1)
    sx, sy, sz = m.sun
    lit = ((nx * sx + ny * sy + sz) / norm).clamp(min=0)
    hy, hz = sy + m.c, sz + m.k  # half-way between the sun and the camera
    facing = ((nx * sx + ny * hy + hz) / norm / torch.sqrt(sx**2 + hy**2 + hz**2)).clamp(min=0)
    light = p.softness * (0.5 + 0.5 / norm) + (1.25 - p.softness) * lit
    return light, p.gloss * (1 - 0.6 * p.softness) * facing**24


def _warts(image, p, disc_x, disc_y, alpha, light):
    """Flakes of the veil: one a cell of a grid laid over the cap, moved about inside it."""
    u, v = p.wart_density * (disc_x + 1.2), p.wart_density * (disc_y + 1.2)
    cell_u, cell_v = torch.floor(u), torch.floor(v)
    jitter = torch.sin(12.9 * cell_u + 78.2 * cell_v + p.phase)
    du, dv = u - cell_u - 0.5 - 0.2 * jitter, v - cell_v - 0.5 - 0.2 * torch.sin(9 * jitter)
    flake = 0.30 + 0.06 * jitter - torch.sqrt(du**2 + dv**2)
    alpha = alpha * p.warts * smoothstep(0.0, 0.12, flake)
    return over(image, torch.full_like(p.cap_colour, 0.9), alpha, light)


def _soil(image, p, m, ground, size):
    """The ground once more, in front of the foot: tufts hide how it stands."""
    tufts = 0.10 * _noise(p, "clumps", size) + 0.18 * p.streaks * _noise(p, "streaks", size)
    line = 0.5 * p.soil * m.stem + tufts
    alpha = smoothstep(0.10, -0.05, m.y - line)
    return over(image, ground * 0.9, alpha)


def _camera(image, p, size):
    """Light's colour and strength, focus, grain, and the encoding to 8 bits."""
    gain = 1.2 * torch.exp(p.exposure)
    balance = torch.stack([1 + p.warmth, 1 + p.tint, 1 - p.warmth], dim=1)  # (B, 3, 1, 1)
    image = image * balance * gain[:, None]
    grid = F.interpolate(image, size=(32, 32), mode="area") if size > 32 else image
    soft = F.interpolate(grid, size=(size, size), mode="bilinear")
    image = image + (soft - image) * p.defocus[:, None]
    image = torch.sqrt(image.clamp(0, 1))  # gamma 2, near enough to sRGB's
    image = image + (p.grain * _noise(p, "grain", size))[:, None]
    return (image.clamp(0, 1) * 255).round().to(torch.uint8)


# --- brushes -------------------------------------------------------------------------------------


def over(image, colour, alpha, light=None):
    """Paint `colour` (B, 3, ·, ·) in its `light` over `image` where `alpha` (B, H, W) is."""
    if light is not None:
        colour = colour * light[:, None]
    return image + (colour - image) * alpha[:, None]


def smoothstep(start, end, value):
    """0 before `start`, 1 after `end`, smooth between; falls where start > end."""
    t = ((value - start) / (end - start)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def cover(field):
    """Share of each pixel where `field` > 0: its distance to the edge, in pixels, is f / |∇f|."""
    dy, dx = torch.gradient(field, dim=(-2, -1))
    return (field / torch.sqrt(dx**2 + dy**2 + 1e-12) + 0.5).clamp(0, 1)


def _barrel(p, m, side):
    """Light on a cylinder at `side` in [-1, 1] across it."""
    lit = (side * m.sun[0] + torch.sqrt(1 - 0.95 * side**2) * m.sun[1]).clamp(min=0)
    return p.softness * (0.9 - 0.35 * side**2) + (1.35 - p.softness) * lit


def _noise(p, name, size):
    """Smooth noise in [-1, 1] from the photo's lattice, the same field at every size (B, H, W)."""
    lattice = getattr(p, f"{name}_lattice")
    return 2 * F.interpolate(lattice, size=(size, size), mode="bicubic")[:, 0] - 1
