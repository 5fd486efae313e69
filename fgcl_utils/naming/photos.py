"""What is to be named: photos, folders of them, or some examples."""

from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

from fgcl_utils.datasets.tables import image_files


def photos_of(paths):
    """Photos, and those below folders, each once and in the order given; a list of Path.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or no photo in a folder.
    """
    found = []
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist: name a photo, or a folder of photos")
        inside = [path / name for name in image_files(path)] if path.is_dir() else [path]
        if not inside:
            raise FileNotFoundError(f"{path} holds no photo (.jpg, .png, .webp, .tif, …)")
        found.append(inside)
    return list(dict.fromkeys(chain(*found)))


def example_photos(dataset, n=4, size=224):
    """Test photos, and some things that are nothing of the kind.

    Parameters
    ----------
    dataset : ImageDataset
    n : int
        Of the test photos, evenly spaced.
    size : int
        Pixels of the shorter side, at most.

    Returns
    -------
    dict of str to PIL image
        By what is on them: the finest name that the data have, noise, scikit-learn's two photos.
    """
    test = dataset.indices("test")
    photos = {}
    for i in test[np.linspace(0, len(test) - 1, n).astype(int)]:
        names = dataset.table.loc[i, list(dataset.levels)]
        photos[f"{next(name for name in names if name)} (test image {i})"] = dataset.photo(i, size)
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    photos["noise"] = Image.fromarray(noise)
    for name in ("china.jpg", "flower.jpg"):
        photos[name] = Image.fromarray(load_sample_image(name))
    return photos
