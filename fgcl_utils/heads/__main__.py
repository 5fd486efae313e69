"""Make runs of features that you have, and look at them::

    python -m fgcl_utils.heads features.npy table.csv --levels species genus --out runs/mine
    python -m fgcl_utils.explorer runs/mine

The features are a file .npy, .npz, .safetensors or .parquet, a row an image; row i is that of row
i of the table, or both have names in a column `image`. The table is a CSV file with a column a
level, perhaps `image` and perhaps `split` (train, val, test). Photos are shown where the column
`image` leads to them.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import yaml

from fgcl_utils import runs, training
from fgcl_utils.datasets.checks import listed
from fgcl_utils.files import home_dir, written_aside
from fgcl_utils.heads import HeadTransformer
from fgcl_utils.heads.network import epochs_for
from fgcl_utils.methods import METHODS
from fgcl_utils.settings import Settings, SettingsError, load_dataset
from fgcl_utils.training.failures import RunFailed

ALL_ROWS = 2**31 - 1  # of a batch: no table is longer


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m fgcl_utils.heads",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("features", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--levels", nargs="+", default=["species", "genus"], help="finest first")
    parser.add_argument("--method", nargs="+", choices=METHODS, default=["ce", "hcl_blocks"])
    parser.add_argument("--out", type=Path, default=Path("runs/features"), help="runs/NAME")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "-p",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        dest="parameters",
        help="any other parameter of the study, such as epochs or columns",
    )
    arguments = parser.parse_args(argv)
    try:
        make(arguments)
    except KeyboardInterrupt as stop:
        print(f"\n{str(stop) or 'stopped'}", file=sys.stderr)
        sys.exit(130)  # as the shell says it
    except (ValueError, OSError, RunFailed, FloatingPointError) as error:
        sys.exit(f"error: {error}")


def make(arguments):
    """The runs that the command line asks for, and a line about each."""
    settings = _settings(arguments)
    dataset = load_dataset(settings)
    _tell_of_single_rows(dataset)
    profile = runs.study_folder(settings) / "profile.yaml"  # for papermill -f
    for method in arguments.method:
        run = training.train(settings, method, dataset)
        print(f"{run['folder']}: {runs.in_words(run['metrics'], settings.levels)}")
    with written_aside(profile) as aside:
        values = json.loads(json.dumps(dataclasses.asdict(settings)))  # lists, no tuples
        aside.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    print(f"next: python -m fgcl_utils.explorer {runs.study_folder(settings)}")


def _settings(arguments):
    """Settings of the runs: a head's own defaults, then what the command line says."""
    out = arguments.out.resolve()
    if out.parent != home_dir() / "runs":
        raise SettingsError(f"--out {arguments.out}: runs are kept in {home_dir() / 'runs'}")
    values = {
        name: value
        for name, value in HeadTransformer().get_params().items()
        if name in Settings.__dataclass_fields__ and value is not None
    }
    values |= {
        "dataset": "features",
        "data_root": str(arguments.table.resolve()),
        "levels": arguments.levels,
        "encoder": str(arguments.features.resolve()),
        "seed": arguments.seed,
        "run_name": out.name,
    }
    chosen = {name: yaml.safe_load(value) for name, value in arguments.parameters}
    if chosen.get("batch_size", 0) is None:
        chosen["batch_size"] = ALL_ROWS
    settings = Settings.from_dict(values | chosen)
    dataset = load_dataset(settings)
    values["epochs"] = epochs_for(len(dataset.indices("train")))
    if _has_photos(dataset, Path(settings.data_root).parent):
        values["dataset"] = "csv"
    return Settings.from_dict(values | chosen)


def _has_photos(dataset, folder):
    """Whether the table's images are there, or some of them: then the missing ones are an error."""
    return any((folder / name).is_file() for name in dataset.table["image"])


def _tell_of_single_rows(dataset):
    """Name the classes with one row: nothing can be tested of them."""
    finest = dataset.table[dataset.levels[0]]
    single = finest[~finest.duplicated(keep=False) & (finest != "")]
    if len(single):
        rows = [f"row {i}: {name}" for i, name in single.items()]
        print(
            f"{len(single)} {dataset.levels[0]} classes have one row and are not tested:\n"
            + listed(rows),
            file=sys.stderr,
        )


if __name__ == "__main__":
    main()
