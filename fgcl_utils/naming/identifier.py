"""What is on a photo? A run's network, and the names that its training photos lend."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file

from fgcl_utils import runs
from fgcl_utils.datasets import ImageError, open_rgb, pixels
from fgcl_utils.files import read_json, write_json, written_aside
from fgcl_utils.models import placed
from fgcl_utils.naming import network
from fgcl_utils.naming.namer import Namer
from fgcl_utils.naming.onnx import OnnxEmbedder
from fgcl_utils.naming.votes import Electorate
from fgcl_utils.naming.words import WARNING, in_words
from fgcl_utils.progress import bar

BATCH = 64  # photos in memory at once
RISK = 0.1
EXPORTED = "identifier.json"


@dataclass(frozen=True)
class Identifier:
    """Names for new photos, with how far to believe them.

    `Identifier.from_run` makes one.

    Parameters
    ----------
    embed : callable
        uint8 (N, S, S, 3) → float32 (N, D).
    image_size : int
        S.
    namer : Namer
    levels : tuple of L str
        Finest first.
    names : tuple of L tuples of str
        Class names of each level by code.
    images : sequence of str
        Names of the training photos, in the order of the namer's embeddings.
    labels : int array (M, L)
        Their codes.
    photo : callable or None
        ``photo(row, size)`` returns a training photo as a PIL image; None where they are not here.
    about : dict
        Where it comes from: ``run``, ``method``, ``dataset``.
    """

    embed: Callable[[np.ndarray], np.ndarray]
    image_size: int
    namer: Namer
    levels: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    images: list[str]
    labels: np.ndarray
    photo: Callable[[int, int], Image.Image] | None
    about: dict

    @classmethod
    def from_run(cls, folder, *, data_root=None, risk=None):
        """The identifier of a finished run, or of its export to ONNX.

        Parameters
        ----------
        folder : path
            Such as ``runs/demo/hcl/seed-0``.
        data_root : path, optional
            Where the run's photos are, if they have moved. An export shows none without it.
        risk : float, optional
            Share of the answers that may be wrong, see `Namer.fit`; 0.1 for a run. An export has
            that of 0.1.

        Raises
        ------
        FileNotFoundError
            If the run is not finished, or something of it or of its data is gone.
        ValueError
            If it has no images, or no photos but those it was trained on, or its data have changed.
        """
        folder = Path(folder)
        if (folder / EXPORTED).is_file():
            return cls._from_export(folder, data_root, risk)
        network_of_run = network.network_of(folder)
        settings, method = network.settings_of(folder)
        dataset = network.dataset_of(folder, data_root)
        arrays = runs.load_embeddings(folder)
        namer = Namer.of_run(arrays, dataset.labels, RISK if risk is None else risk)
        rows = arrays["train_index"]
        return cls(
            embed=TorchEmbedder(network_of_run),
            image_size=settings.image_size,
            namer=namer,
            levels=dataset.levels,
            names=dataset.taxonomy.names,
            images=dataset.table["image"].iloc[rows].tolist(),
            labels=dataset.labels[rows],
            photo=lambda row, size: dataset.photo(int(rows[row]), size),
            about={
                "run": Path(*folder.resolve().parts[-3:]).as_posix(),  # no more of this machine
                "method": method,
                "dataset": dataset.name,
            },
        )

    @classmethod
    def _from_export(cls, folder, data_root, risk):
        """What `save` wrote, with the network beside it."""
        if risk is not None:
            raise ValueError(f"{folder} is an export, whose risk is {RISK}: give the run instead")
        about, arrays = read_json(folder / EXPORTED), load_file(folder / "identifier.safetensors")
        electorate = Electorate(arrays["train"], arrays["labels"])
        photo = None
        if data_root is not None:
            photo = lambda row, size: open_rgb(Path(data_root) / about["images"][row], size)  # noqa: E731
        return cls(
            embed=OnnxEmbedder(folder / "model.onnx"),
            image_size=about["image_size"],
            namer=Namer.from_dict(electorate, about["namer"]),
            levels=tuple(about["levels"]),
            names=tuple(map(tuple, about["names"])),
            images=about["images"],
            labels=arrays["labels"],
            photo=photo,
            about=about["about"],
        )

    def save(self, folder):
        """Write all but the network and the photos into a folder, for `from_run` to read."""
        electorate = self.namer.electorate
        train = np.empty_like(electorate.train)
        train[electorate.rows] = electorate.train
        with written_aside(Path(folder) / "identifier.safetensors") as aside:
            save_file({"train": train, "labels": np.ascontiguousarray(self.labels)}, aside)
        fields = ("image_size", "levels", "names", "images", "about")
        values = {name: getattr(self, name) for name in fields}
        write_json(Path(folder) / EXPORTED, values | {"namer": self.namer.to_dict()})

    def identify(self, images, top=5, neighbours=5, progress=False):
        """Name photos.

        Parameters
        ----------
        images : sequence, or mapping of str to image
            Paths, PIL images, or uint8 arrays (H, W, 3); by their names, if they have any.
        top : int
            Candidates of each level.
        neighbours : int
            Nearest training photos.
        progress : bool
            Whether to show a bar.

        Returns
        -------
        DataFrame
            A row a photo, in order, with the columns of `answers`.
        """
        answers = self.answers(images, top, neighbours)
        answers = bar(answers, "naming photos", len(images), disable=not progress)
        return pd.DataFrame(list(answers))

    def described(self):
        """What the answers rest on, JSON-serialisable: the run, and what validation showed."""
        return {
            **self.about,
            "warning": WARNING,
            "levels": self.levels,
            **self.namer.to_dict(),
        }

    def answers(self, images, top=5, neighbours=5):
        """As `identify`, but one after the other; memory is bounded by a batch.

        Yields
        ------
        dict
            ``image``: its name, its path, or its number.
            ``problem``: why it cannot be read, else "".
            ``answer``: in words. ``level``: the finest level that is sure enough, "" if none is.
            ``<level>``, ``<level>_probability`` for every level: the likeliest class.
            ``<level>_familiar``: whether it is like anything seen, at this level and above.
            ``<level>_candidates``: (name, probability) of the likeliest, `top` of them.
            ``neighbours``: dicts of the nearest training photos, with ``image``, ``row``,
            ``cosine`` and their names at every level. Of a photo that cannot be read, the first
            two alone.
        """
        named = iter(named_images(images))
        while batch := list(itertools.islice(named, BATCH)):
            read = list(pixels.in_threads(self.read, [image for _, image in batch]))
            squares = [square for square, _ in read if square is not None]
            judged = iter(())
            if squares:
                judgement = self.namer.judge(self.embed(np.stack(squares)), neighbours)
                judged = (self._answer(judgement, i, top) for i in range(len(squares)))
            for (name, _), (square, problem) in zip(batch, read, strict=True):
                start = {"image": name, "problem": problem}
                yield start if square is None else start | next(judged)

    def read(self, image):
        """A photo's centre square, uint8 (S, S, 3), and "", or None and what is wrong."""
        try:
            if isinstance(image, str | Path):
                image = open_rgb(image, self.image_size)
            elif not isinstance(image, Image.Image):
                image = Image.fromarray(np.asarray(image))
            return pixels.centre_square(image.convert("RGB"), self.image_size), ""
        except ImageError as error:
            return None, str(error)

    def _answer(self, judgement, i, top):
        """What is said of the `i`-th photo of a judgement."""
        answered, values = judgement.answered[i], {}
        for l, level in enumerate(self.levels):
            probabilities = judgement.probabilities[l][i]
            order = np.argsort(-probabilities, kind="stable")[:top]
            names = [self.names[l][self.namer.electorate.classes[l][j]] for j in order]
            likeliest = [(n, float(probabilities[j])) for n, j in zip(names, order, strict=True)]
            values[level], values[f"{level}_probability"] = likeliest[0]
            values[f"{level}_familiar"] = bool(judgement.is_familiar[i, l])
            values[f"{level}_candidates"] = likeliest
        near = zip(judgement.nearest[i], judgement.nearest_cosines[i], strict=True)
        return {
            "answer": in_words(values, answered, self.levels),
            "level": self.levels[answered] if answered < len(self.levels) else "",
            **values,
            "neighbours": [self._neighbour(int(row), float(cosine)) for row, cosine in near],
        }

    def _neighbour(self, row, cosine):
        codes = zip(self.levels, self.names, self.labels[row], strict=True)
        names = {level: names[code] if code >= 0 else "" for level, names, code in codes}
        return {"image": self.images[row], "row": row, "cosine": cosine} | names


def named_images(images):
    """Pairs of a name and an image: its own name, its path, or its number."""
    if isinstance(images, Mapping):
        return list(images.items())
    return [(str(x if isinstance(x, str | Path) else i), x) for i, x in enumerate(images)]


class TorchEmbedder:
    """A network as a function of uint8 (N, S, S, 3), on the GPU if there is one."""

    def __init__(self, network):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.network = placed(network, self.device)

    @torch.inference_mode()
    def __call__(self, squares):
        batch = torch.from_numpy(squares).to(self.device)
        return self.network(batch.permute(0, 3, 1, 2).float() / 255).cpu().numpy()
