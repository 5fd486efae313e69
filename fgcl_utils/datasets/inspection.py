"""Everything that is wrong with a source, in one pass: what the checker reports.

`load_dataset` stops at the first problem and opens no image. `inspect` goes on, decodes every
image, and looks at what training will have: copies, splits that share an image or a find, classes
that are too small.
"""

import hashlib
from collections import defaultdict
from itertools import pairwise

import numpy as np

from fgcl_utils.datasets import SPLITS, pixels, sources, splits, survey
from fgcl_utils.datasets.checks import ImageError, Problem, listed
from fgcl_utils.progress import bar
from fgcl_utils.taxonomy import plural

# Below this number of training images, a genus centroid is where its few photos happen to be.
SMALL_GENUS = 5
# Of 256 levels, between the darkest and the brightest pixel: less is one colour, or colour of 12
# bits in a file of 16, of which a decoder keeps the upper 8.
LEAST_CONTRAST = 24


def inspect(dataset, data_root, image_size=64, **options):
    """Check a source and every image of it.

    Parameters
    ----------
    dataset, data_root, **options
        As `load_dataset` takes them.
    image_size : int
        Images are decoded to squares of this size, as for training. Smaller ones, which would be
        enlarged, and those equal in every pixel are problems.

    Returns
    -------
    data : ImageDataset or None
        The images that can be used.
    problems : list of Problem
        All that was found; empty if the data are clean.

    Raises
    ------
    FileNotFoundError, ValueError
        If what describes the images cannot be read.
    """
    if image_size < 1:
        raise ValueError(f"image_size must be at least 1 pixel, not {image_size}.")
    data, problems = survey(dataset, data_root, **options)
    if data is None:
        return None, problems
    unreadable, more = _look_at_images(data, image_size)
    return data, problems + more + _small_classes(data, unreadable)


def _look_at_images(data, image_size):
    """Row numbers of the images that cannot be decoded, and problems of the images.

    Of an image that is fine only a hash of its pixels is kept.
    """

    def look(name):
        try:
            image = pixels.open_rgb(data.data_root / name, image_size)
        except ImageError as error:
            return str(error), None
        square = pixels.centre_square(image, image_size)
        if min(image.size) < image_size:
            small.append(f"{name}: {image.width} × {image.height}")
        if np.ptp(square, axis=(0, 1)).max() < LEAST_CONTRAST:
            blank.append(name)
        return None, hashlib.blake2b(square, digest_size=16).digest()

    names = data.table["image"].tolist()
    failures, small, blank, rows_of = {}, [], [], defaultdict(list)
    looks = pixels.in_threads(look, names)
    shown = bar(looks, "checking images", len(names), mininterval=0.5)
    for row, (text, digest) in enumerate(shown):
        if digest is None:
            failures[row] = text
            continue
        rows_of[digest].append(row)
    copies = [rows for rows in rows_of.values() if len(rows) > 1]
    found = [
        Problem(
            f"{len(failures)} of {len(names)} images cannot be read",
            list(failures.values()),
            "Replace these files or take them out of the table.",
        ),
        *_copies(data.table, copies, data.levels[0]),
        Problem(
            f"{len(small)} images are smaller than {image_size} pixels",
            sorted(small),
            "They would be enlarged: take a smaller image_size, or drop them.",
        ),
        Problem(
            f"{len(blank)} images show next to nothing: one colour, or nearly black",
            sorted(blank),
            "Look at them. Colour of 12 bits in files of 16 has to be scaled up when it is saved.",
        ),
    ]
    return list(failures), [problem for problem in found if len(problem.where)]


def _copies(table, copies, finest):
    """`copies` are lists of rows whose images are equal; sorted by the harm that they do."""
    across, labels, same = [], [], []
    for rows in copies:
        among = table.loc[rows]
        if among["split"].nunique() > 1:
            column, kind = "split", across
        elif among[finest].nunique() > 1:
            column, kind = finest, labels
        else:
            column, kind = "split", same
        kind.append(" = ".join(f"{row['image']} ({row[column]})" for _, row in among.iterrows()))
    return [
        Problem(
            f"{len(across)} images stand in several splits",
            across,
            "Keep one of each: a model is tested on what it learnt.",
        ),
        Problem(
            f"{len(labels)} images stand under several {plural(finest)}",
            labels,
            "Keep the right one of each.",
        ),
        Problem(
            f"{len(same)} images stand several times in one split",
            same,
            "Keep one of each: a copy counts twice.",
        ),
    ]


def _small_classes(data, unreadable):
    table, levels = data.table, data.levels
    is_train = (table["split"] == "train") & ~table.index.isin(unreadable)
    found = []
    for level in levels:
        least = 2 if level == levels[0] else SMALL_GENUS
        n_train = is_train[table[level] != ""].groupby(table[level]).sum()
        few = [f"{name}: {n}" for name, n in n_train[n_train < least].items()]
        if few:
            mend = (
                "Such an image has no positive but its own second view: add photos, or drop these."
                if level == levels[0]
                else "Their centroids, which tell the outliers, rest on these: add photos or drop "
                "them."
            )
            what = f"{len(few):,} {plural(level)} have fewer than {least} training images"
            found.append(Problem(what, few, mend))
    return found


def described(data) -> str:
    """The data set in a few lines."""
    table, levels = data.table, data.levels
    counts = zip(data.taxonomy.n_classes, map(plural, levels), strict=True)
    n_images = table["split"].value_counts()
    parts = ", ".join(f"{n_images[split]:,} {split}" for split in SPLITS if split in n_images)
    known = table[table[levels[0]] != ""]
    per_class = known[levels[0]].value_counts()
    lines = [
        f"{len(table):,} images of " + " in ".join(f"{n:,} {of}" for n, of in counts),
        f"  splits: {parts}",
        f"  images per {levels[0]}: {per_class.min()} to {per_class.max()}, "
        f"median {per_class.median():g}",
    ]
    if early := len(table) - len(known):
        lines.append(f"  without a {levels[0]}, known from a higher level only: {early:,}")
    for child, parent in pairwise(levels):
        per = known.groupby(parent)[child].nunique()
        lines.append(
            f"  {child} per {parent}: {per.min()} to {per.max()}, "
            f"{(per == 1).sum():,} {plural(parent)} of one {child} (no soft positives there)"
        )
    if data.name == "folder" and (others := sources.other_files(data.data_root)):
        named = [f"{n} {suffix or 'without a suffix'}" for suffix, n in others]
        lines.append(f"  not taken for images: {listed(named, ', ', 5)}")
    if leakage := splits.leakage(table):
        lines.append(
            f"  observations: {leakage['observations']:,}, of which "
            f"{leakage['observations_in_train_and_test']:,} in train and test "
            f"({leakage['leaked_test_share']:.1%} of the test images)"
        )
    return "\n".join(lines)
