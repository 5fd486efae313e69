"""The command that makes one run, in one process or many; `fgcl_utils.training` does the work::

    python -m fgcl_utils.train --profile profiles/demo.yaml --method hcl --seed 0
    accelerate launch -m fgcl_utils.train --profile profiles/df20_mini.yaml --method hcl
    python -m fgcl_utils.train --reproduce runs/demo/hcl/seed-0

The run folder is the one that the notebook of the method then loads.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

import yaml

from fgcl_utils import runs, training
from fgcl_utils.methods import METHODS
from fgcl_utils.settings import Settings, SettingsError, load_dataset
from fgcl_utils.training.failures import RunFailed
from fgcl_utils.training.reproduction import reproduce


def main(argv=None):
    sys.stdout.reconfigure(errors="replace")  # a name that the locale lacks is no failure
    parser = argparse.ArgumentParser(
        prog="python -m fgcl_utils.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--profile", default="profiles/demo.yaml", help="a papermill profile")
    parser.add_argument("--method", choices=METHODS)
    parser.add_argument("--seed", type=int, help="short for --set seed=SEED")
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="parameters on top of the profile",
    )
    parser.add_argument(
        "--reproduce", type=Path, metavar="RUN", help="make a finished run again and compare"
    )
    arguments = parser.parse_args(argv)
    if (arguments.method is None) == (arguments.reproduce is None):
        parser.error("give --method, or --reproduce with a finished run's folder")
    # A scheduler's time limit ends a run as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if arguments.reproduce:
            sys.exit(0 if reproduce(arguments.reproduce) else 1)
        settings = Settings.from_profile(arguments.profile, **_overrides(arguments))
        run = training.train(settings, arguments.method, load_dataset(settings))
    except KeyboardInterrupt as stop:
        print(f"\n{str(stop) or 'stopped'}", file=sys.stderr)
        sys.exit(130)  # as the shell says it
    except (ValueError, OSError, RunFailed, FloatingPointError) as error:
        sys.exit(f"error: {error}")
    if os.environ.get("RANK", "0") == "0":
        print(_closing_line(run))


def _overrides(arguments):
    """Parameters of the command line, read as YAML is."""
    overrides = {}
    for pair in arguments.set:
        name, equals, value = pair.partition("=")
        if not equals:
            raise SettingsError(f"--set {pair}: write it as NAME=VALUE")
        overrides[name] = yaml.safe_load(value)
    if arguments.seed is not None:
        overrides["seed"] = arguments.seed
    return overrides


def _closing_line(run):
    minutes = run["metrics"]["seconds"] / 60
    levels = run["config"]["settings"]["levels"]
    return f"{run['folder']}: {runs.in_words(run['metrics'], levels)}, {minutes:.1f} minutes"


if __name__ == "__main__":
    main()
