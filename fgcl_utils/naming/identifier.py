"""What is on a photo? A run's network, and the names that its training photos lend."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from fgcl_utils import runs
from fgcl_utils.datasets import ImageError, open_rgb, pixels
from fgcl_utils.files import read_json
from fgcl_utils.naming import network
from fgcl_utils.naming.namer import Namer
from fgcl_utils.naming.words import WARNING, in_words
from fgcl_utils.progress import bar
from fgcl_utils.settings import SettingsError, load_dataset

BATCH = 64  # photos in memory at once


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
    def from_run(cls, folder, *, data_root=None, risk=0.1):
        """The identifier of a finished run.

        Parameters
        ----------
        folder : path
            Such as ``runs/demo/hcl/seed-0``.
        data_root : path, optional
            Where the run's photos are, if they have moved.
        risk : float
            Share of the answers that may be wrong, see `Namer.fit`.

        Raises
        ------
        FileNotFoundError
            If the run is not finished, or something of it or of its data is gone.
        ValueError
            If it has no images or no validation photos, or its data have changed.
        """
        folder = Path(folder)
        network_of_run = network.network_of(folder)
        settings, method = network.settings_of(folder)
        if data_root is not None:
            settings = replace(settings, data_root=str(Path(data_root).absolute()))
        dataset = load_dataset(settings)
        _check_same(dataset, folder)
        arrays = runs.load_embeddings(folder)
        if "val" not in arrays:
            raise ValueError(
                f"{folder} has no validation photos, and on these it is learnt how far to believe "
                "an answer: make the run on data with a split val"
            )
        rows = {split: arrays[f"{split}_index"] for split in ("train", "val")}
        labels = {split: dataset.labels[index] for split, index in rows.items()}
        namer = Namer.fit(arrays["train"], labels["train"], arrays["val"], labels["val"], risk)
        return cls(
            embed=TorchEmbedder(network_of_run),
            image_size=settings.image_size,
            namer=namer,
            levels=dataset.levels,
            names=dataset.taxonomy.names,
            images=dataset.table["image"].iloc[rows["train"]].tolist(),
            labels=labels["train"],
            photo=lambda row, size: dataset.photo(int(rows["train"][row]), size),
            about={"run": str(folder), "method": method, "dataset": dataset.name},
        )

    def identify(self, images, top=5, neighbours=5, progress=False):
        """Name photos.

        Parameters
        ----------
        images : sequence
            Paths, PIL images, or uint8 arrays (H, W, 3).
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
            ``image``: its path, or its number. ``problem``: why it cannot be read, else "".
            ``answer``: in words. ``level``: the finest level that is sure enough, "" if none is.
            ``<level>``, ``<level>_probability`` for every level: the likeliest class.
            ``<level>_familiar``: whether it is like anything seen, at this level and above.
            ``<level>_candidates``: (name, probability) of the likeliest, `top` of them.
            ``neighbours``: dicts of the nearest training photos, with ``image``, ``row``,
            ``cosine`` and their names at every level. Of a photo that cannot be read, the first
            two alone.
        """
        numbered = enumerate(images)
        while batch := list(itertools.islice(numbered, BATCH)):
            read = list(pixels.in_threads(self._read, [image for _, image in batch]))
            squares = [square for square, _ in read if square is not None]
            judged = iter(())
            if squares:
                judgement = self.namer.judge(self.embed(np.stack(squares)), neighbours)
                judged = (self._answer(judgement, i, top) for i in range(len(squares)))
            for (number, image), (square, problem) in zip(batch, read, strict=True):
                is_path = isinstance(image, str | Path)
                start = {"image": str(image) if is_path else str(number), "problem": problem}
                yield start if square is None else start | next(judged)

    def _read(self, image):
        """The photo's centre square, uint8 (S, S, 3), and "", or None and what is wrong."""
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


class TorchEmbedder:
    """A network as a function of uint8 (N, S, S, 3), on the GPU if there is one."""

    def __init__(self, network):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        # Twice as fast for convolutional networks, with no effect on transformers.
        self.network = network.to(self.device, memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, squares):
        batch = torch.from_numpy(squares).to(self.device)
        return self.network(batch.permute(0, 3, 1, 2).float() / 255).cpu().numpy()


def _check_same(dataset, folder):
    if dataset.fingerprint != read_json(folder / "config.json")["dataset_fingerprint"]:
        raise SettingsError(
            f"{folder} was trained on other data than {dataset.name} is now: its photos or its "
            "table have changed. Restore them, or make the run again"
        )
