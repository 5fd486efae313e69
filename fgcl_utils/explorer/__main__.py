"""Write the explorer of finished runs, or of anybody's embeddings.

    python -m fgcl_utils.explorer runs/demo
    python -m fgcl_utils.explorer features.npz photos.csv --photos FOLDER --levels species genus

Files of embeddings are .npz, .npy, .safetensors or .parquet, with an array (N, D) a method; the
table has a row for each of theirs, with the columns image and the levels, and any others that the
map may be coloured by. See `fgcl_utils.features`.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from fgcl_utils import runs
from fgcl_utils.explorer import EmbeddingExplorer
from fgcl_utils.features import read_rows
from fgcl_utils.files import cache_dir
from fgcl_utils.methods import METHODS
from fgcl_utils.settings import Settings, load_dataset


def main(argv=None):
    sys.stdout.reconfigure(errors="replace")  # a name that the locale lacks is no failure
    parser = argparse.ArgumentParser(
        prog="python -m fgcl_utils.explorer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, help="a study's run folder, or a file of embeddings")
    parser.add_argument("table", type=Path, nargs="?", help="CSV with a row for each embedding")
    parser.add_argument("--seed", type=int, default=0, help="which seed's runs (default 0)")
    parser.add_argument("--map", choices=["tsne", "umap"], help="default: the run's, or tsne")
    parser.add_argument("--photos", "--data-root", help="folder of the photos, if they have moved")
    parser.add_argument(
        "--levels", nargs="+", help="of the table, finest first (default species genus)"
    )
    parser.add_argument(
        "--no-sliders", action="store_true", help="spare level blocks their four further maps"
    )
    parser.add_argument("--out", type=Path, help="default: explorer.html beside the source")
    arguments = parser.parse_args(argv)
    try:
        print(write(arguments))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def write(arguments):
    """Write the page that the command line asks for; the path to open."""
    explorer = of_runs(arguments) if arguments.table is None else of_files(arguments)
    folder = arguments.source if arguments.table is None else arguments.source.parent
    path = explorer.save(arguments.out or folder / "explorer.html")
    if explorer.unreadable:
        print(f"{len(explorer.unreadable)} photos could not be read; the page's help lists them")
    return path


def of_runs(arguments):
    """The explorer of a study's finished runs."""
    if arguments.source.is_file():
        raise ValueError(f"{arguments.source} is a file of embeddings: name its table, too")
    if arguments.levels:
        raise ValueError("--levels are a table's; finished runs have theirs")
    found = {m: arguments.source / m / f"seed-{arguments.seed}" for m in METHODS}
    found = {method: folder for method, folder in found.items() if runs.finished(folder)}
    if not found:
        raise FileNotFoundError(
            f"{arguments.source} holds no finished run with seed {arguments.seed}; it would be in "
            f"{arguments.source / 'hcl' / f'seed-{arguments.seed}' / 'metrics.json'}. "
            "Notebooks 01 to 03 make them"
        )
    settings = Settings.from_run(next(iter(found.values())))
    if arguments.photos:
        settings = replace(settings, data_root=arguments.photos)
    dataset = load_dataset(settings)
    return EmbeddingExplorer.from_study(
        {
            method: {"folder": folder, "embeddings": runs.load_embeddings(folder)}
            for method, folder in found.items()
        },
        dataset,
        sliders=not arguments.no_sliders,
        method=arguments.map or settings.map_method,
        cache_dir=cache_dir() / "maps",
        title=f"{arguments.source.resolve().name}: test images of {dataset.name}",
    )


def of_files(arguments):
    """The explorer of the embeddings in a file, labelled by a table."""
    if arguments.photos and not Path(arguments.photos).is_dir():
        raise ValueError(f"--photos {arguments.photos} is no folder; give the photos' own")
    embeddings, table = read_rows(arguments.source, arguments.table)
    return EmbeddingExplorer(
        embeddings,
        table,
        levels=arguments.levels or ["species", "genus"],
        data_root=arguments.photos,
        method=arguments.map or "tsne",
        cache_dir=cache_dir() / "maps",
        title=arguments.source.stem,
    )


if __name__ == "__main__":
    main()
