"""Write the explorer of finished runs: ``python -m fgcl_utils.explorer runs/demo``."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from fgcl_utils import runs
from fgcl_utils.explorer import EmbeddingExplorer
from fgcl_utils.files import cache_dir
from fgcl_utils.methods import METHODS
from fgcl_utils.settings import Settings, load_dataset


def main(argv=None):
    sys.stdout.reconfigure(errors="replace")  # a name that the locale lacks is no failure
    parser = argparse.ArgumentParser(prog="python -m fgcl_utils.explorer", description=__doc__)
    parser.add_argument("folder", type=Path, help="the study's run folder, such as runs/demo")
    parser.add_argument("--seed", type=int, default=0, help="which seed's runs (default 0)")
    parser.add_argument("--map", choices=["tsne", "umap"], help="default: the run's map_method")
    parser.add_argument("--data-root", help="where the photos are now, if they have moved")
    parser.add_argument("--out", type=Path, help="default: explorer.html in the run folder")
    arguments = parser.parse_args(argv)
    try:
        print(write(arguments))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def write(arguments):
    """Write the page that the command line asks for; the path to open."""
    found = {m: arguments.folder / m / f"seed-{arguments.seed}" for m in METHODS}
    found = {method: folder for method, folder in found.items() if runs.finished(folder)}
    if not found:
        raise FileNotFoundError(
            f"{arguments.folder} holds no finished run with seed {arguments.seed}; it would be in "
            f"{arguments.folder / 'hcl' / f'seed-{arguments.seed}' / 'metrics.json'}. "
            "Notebooks 01 to 03 make them"
        )
    settings = Settings.from_run(next(iter(found.values())))
    if arguments.data_root:
        settings = replace(settings, data_root=arguments.data_root)
    dataset = load_dataset(settings)
    explorer = EmbeddingExplorer.from_study(
        {method: {"embeddings": _arrays(folder)} for method, folder in found.items()},
        dataset,
        method=arguments.map or settings.map_method,
        cache_dir=cache_dir() / "maps",
        title=f"{arguments.folder.resolve().name}: test photos of {dataset.name}",
    )
    path = explorer.save(arguments.out or arguments.folder / "explorer.html")
    if explorer.unreadable:
        print(f"{len(explorer.unreadable)} photos could not be read; the page's help lists them")
    return path


def _arrays(folder):
    with np.load(folder / "embeddings.npz", allow_pickle=False) as file:
        return dict(file)


if __name__ == "__main__":
    main()
