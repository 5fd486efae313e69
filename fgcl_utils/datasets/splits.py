"""Which image serves what: the split of a source, or ours, and what it lets leak.

Ours gives 70 % train, 10 % val and 20 % test of every species, by single images or by whole groups
of them (`group_by`: photos of one find, one day, one collector). `hold_out` then takes whole
species away from training, for open-set recognition.
"""

import zlib
from collections import Counter
from itertools import pairwise

import numpy as np

from fgcl_utils.datasets.checks import SOURCE_SPLITS, Problem
from fgcl_utils.taxonomy import plural

SPLITS = (*SOURCE_SPLITS, "unseen")  # unseen: test images of species that training never sees


def with_split(table, seed, levels):
    """The table with its own split; else with ours, by observation where it has one."""
    if "split" in table and not (table["split"] == "").all():
        return table
    ours = grouped_split if "observation" in table else image_split
    return table.assign(split=ours(table, seed, levels))


def finest_classes(table, levels):
    """Each image's class at the finest level at which it is known, as an array of names."""
    names = table[levels[0]].to_numpy(dtype=object, copy=True)
    for finer, level in pairwise(levels):
        rows = np.flatnonzero(names == "")
        coarser = table[level].to_numpy(dtype=object)[rows]
        # A genus may be called as a species is: those known to the genus only stay apart.
        names[rows] = [name and f"{name} ({finer} unknown)" for name in coarser]
    return names


def quotas(n):
    """How many of a species' n images are train, val, test; few serve train, test, val in turn."""
    n_test = max(1, round(0.2 * n)) if n > 1 else 0
    n_val = int(0.1 * n + 0.5)
    return n - n_val - n_test, n_val, n_test


def image_split(table, seed, levels):
    """Our split by single images.

    A species is a class of the finest level at which an image is known. Its images are sorted and
    shuffled by a seed of its own, so that neither the order of the rows nor another species moves
    an image to another split.
    """
    split = np.full(len(table), "train", dtype=object)
    image = table["image"].to_numpy(dtype=object)
    for species, rows in table.groupby(finest_classes(table, levels)).indices.items():
        rng = np.random.default_rng([seed, zlib.crc32(species.encode())])
        rows = rng.permutation(rows[np.argsort(image[rows])])
        _, n_val, n_test = quotas(len(rows))
        split[rows[:n_test]] = "test"
        split[rows[n_test : n_test + n_val]] = "val"
    return split


def grouped_split(table, seed, levels):
    """Our split by whole observations.

    Large groups first, each goes where its species lack most images; a group of several species
    is weighed by its images of each. The shares are met as nearly as the groups allow: a species
    of one group is all in train. Groups of one size come in an order that depends on their names
    and the seed alone.
    """
    species = finest_classes(table, levels)
    members = table.groupby("observation").indices
    lacking = {name: list(quotas(n)) for name, n in Counter(species).items()}
    present = {name: [False] * len(SOURCE_SPLITS) for name in lacking}

    def largest_first(name):
        return -len(members[name]), zlib.crc32(f"{seed} {name}".encode()), name

    split = np.empty(len(table), dtype=object)
    for name in sorted(members, key=largest_first):
        counts = Counter(species[members[name]])

        def need(s, counts=counts):
            images = sum(n * lacking[of][s] for of, n in counts.items())
            new = sum(not present[of][s] for of in counts)
            return images, new, -s  # of equal needs: where a species is not yet, then train first

        best = max(range(len(SOURCE_SPLITS)), key=need)
        split[members[name]] = SOURCE_SPLITS[best]
        for of, n in counts.items():
            lacking[of][best] -= n
            present[of][best] = True
    return split


def hold_out(table, share, seed, levels):
    """Take about `share` of the species out of training, as evenly from the genera as can be.

    Their test images become "unseen", their other images "unused". A genus keeps two known
    species (or the fewer that it has); species without test images are not chosen, since nothing
    could be measured on them. Species and genera are the two finest levels, whatever their names.

    Returns
    -------
    table, problems
        The table with the new split; a problem where there are fewer such species than asked for.

    Raises
    ------
    ValueError
        If there are none.
    """
    finest = levels[0]
    chosen, wanted = _species_to_hold_out(table, share, seed, levels)
    n_species = table[finest][table[finest] != ""].nunique()
    asks = f"held_out_species={share} asks for {wanted} of {n_species} {plural(finest)}"
    kept = f"every {levels[1] if levels[1:] else 'data set'} keeps two known {plural(finest)}"
    if not chosen:
        raise ValueError(
            f"{asks} and none can be held out: {kept}, and none has a third with test images. "
            "Leave held_out_species at 0."
        )
    problems = []
    if len(chosen) < wanted:
        problems.append(
            Problem(f"{asks}; {len(chosen)} are held out, since {kept}", kind=UserWarning)
        )
    is_chosen, is_test = table[finest].isin(chosen), table["split"] == "test"
    split = np.where(is_chosen, np.where(is_test, "unseen", "unused"), table["split"])
    return table.assign(split=split), problems


def _species_to_hold_out(table, share, seed, levels):
    """Their names and how many were wanted; each genus gives by its size, rounded fairly."""
    table = table[table[levels[0]] != ""]
    species = table[levels[0]]
    genus = table[levels[1]].to_numpy() if levels[1:] else np.full(len(table), "")
    species_of = species.groupby(genus).unique()
    tested = set(species[table["split"] == "test"])
    candidates, exact = {}, {}
    for genus, names in species_of.items():
        rng = np.random.default_rng([seed, zlib.crc32(genus.encode())])
        shuffled = [sorted(names)[i] for i in rng.permutation(len(names))]
        may_go = [name for name in shuffled if name in tested]
        candidates[genus] = may_go[: max(0, len(names) - 2)]
        exact[genus] = share * len(names)
    wanted = max(1, round(share * species.nunique()))
    taken = {genus: min(int(exact[genus]), len(names)) for genus, names in candidates.items()}
    while sum(taken.values()) < wanted:
        open_genera = [genus for genus in taken if taken[genus] < len(candidates[genus])]
        if not open_genera:
            break
        taken[max(open_genera, key=lambda genus: exact[genus] - taken[genus])] += 1
    return [name for genus, n in taken.items() for name in candidates[genus][:n]], wanted


def split_problems(table, levels):
    """Training and testing need images, and a genus centroid needs training images."""
    table = table[table["split"].isin(SOURCE_SPLITS)]
    problems = []
    for split in ("train", "test"):
        if not (table["split"] == split).any():
            counts = table["split"].value_counts().items()
            what = f"the {split} split is empty: of {len(table)} images, " + ", ".join(
                f"{n} are {name}" for name, n in counts
            )
            mend = (
                "Give some rows this split, or no split at all for a random one (which needs a "
                f"{levels[0]} with two images, or with two groups of group_by)."
            )
            problems.append(Problem(what, mend=mend))
    if problems:
        return problems
    train, held_out = table[table["split"] == "train"], table[table["split"] != "train"]
    for level in (*levels[1:], levels[0]):
        known = held_out[held_out[level] != ""]
        first = known[~known[level].isin(train[level])].drop_duplicates(level)
        if len(first):
            is_finest = level == levels[0]
            what = f"{len(first)} {level} names are in test or val but have no training image"
            where = [f"{name} ({at})" for at, name in sorted(first[level].items(), key=_name)]
            mend = (
                f"{level.capitalize()} accuracy counts them as errors."
                if is_finest
                else f"An outlier is told by its {level}'s training images: move some to train, or "
                "drop these rows."
            )
            problems.append(Problem(what, where, mend, UserWarning if is_finest else ValueError))
    return problems


def _name(item):
    return item[1]


def leakage(table):
    """How much of the test split shows an observation that training has seen, too.

    Returns
    -------
    dict or None
        ``observations``, how many there are; ``observations_in_train_and_test``;
        ``leaked_test_images``, the test images of these; ``leaked_test_share`` in [0, 1]. None for
        a table that knows no observations.
    """
    if "observation" not in table:
        return None
    train = set(table["observation"][table["split"] == "train"])
    test = table["observation"][table["split"] == "test"]
    leaked = test[test.isin(train)]
    return {
        "observations": table["observation"].nunique(),
        "observations_in_train_and_test": leaked.nunique(),
        "leaked_test_images": len(leaked),
        "leaked_test_share": len(leaked) / len(test) if len(test) else 0.0,
    }


def leakage_problems(table):
    """One line where the test split is partly a test of recognising the same find."""
    found = leakage(table)
    if not found or not found["leaked_test_images"]:
        return []
    what = (
        f"{found['observations_in_train_and_test']} observations have photos in train and in "
        f"test: {found['leaked_test_images']} test images ({found['leaked_test_share']:.0%}) show "
        "what training has seen"
    )
    mend = "For a split by observation give group_by to df20_mini; to csv without a split column."
    return [Problem(what, mend=mend, kind=UserWarning)]
