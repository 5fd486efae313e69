"""The command: python -m fgcl_utils.study FILE."""

import argparse
import sys

import yaml

from fgcl_utils import study
from fgcl_utils.methods import METHODS
from fgcl_utils.runs import PAPER
from fgcl_utils.settings import SettingsError
from fgcl_utils.study.execution import run_all
from fgcl_utils.study.plan import described, plan, read_spec
from fgcl_utils.study.record import read_record, write_record


def main(arguments=None):
    sys.stdout.reconfigure(errors="replace")  # a name that the locale lacks is no failure
    parser = argparse.ArgumentParser(
        prog="python -m fgcl_utils.study", description=study.__doc__.partition("\n")[0]
    )
    parser.add_argument("file", help="a file of experiments/ or profiles/")
    parser.add_argument("--seeds", type=int, help="number of seeds: 0, 1, ...")
    parser.add_argument("--methods", nargs="+", metavar="METHOD", help=f"of {', '.join(METHODS)}")
    parser.add_argument(
        "--parallel", type=int, help="runs at a time; by default a GPU or core each"
    )
    parser.add_argument("--list", action="store_true", help="list the runs and what is finished")
    parser.add_argument("--job", type=int, metavar="K", help="do run K of the list only, from 0")
    parser.add_argument(
        "-p",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        dest="parameters",
        help="a setting on top of the file's, as papermill takes it",
    )
    options = parser.parse_args(arguments)
    try:
        return _command(options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped: the same command goes on where it was", file=sys.stderr)
        return 130


def _command(options):
    spec = read_spec(options.file)
    parameters = {name: yaml.safe_load(value) for name, value in options.parameters}
    jobs = plan(spec, options.seeds, parameters, options.methods or PAPER)
    if options.list:
        for k, job in enumerate(jobs):
            print(f"{k:4}  {'finished' if job.is_finished else '        '}  {described(job)}")
        return 0
    if options.job is not None:
        if not 0 <= options.job < len(jobs):
            raise SettingsError(f"--job {options.job}: there are runs 0 to {len(jobs) - 1}")
        return 1 if run_all([jobs[options.job]], parallel=1) else 0
    read_record(spec, jobs, parameters)  # if that fails, it should do so before the runs
    failed = run_all(jobs, options.parallel)
    if len(failed) < len(jobs):
        print(write_record(spec, jobs, parameters))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
