"""Many runs: methods × seeds × settings, by papermill, and what they say together.

A study is a small YAML file, as in ``experiments/``::

    title: What soft positives cost
    profile: demo                  # settings of profiles/demo.yaml ...
    settings: {epochs: 6}          # ... and what all runs change in them
    seeds: 3                       # 0, 1, 2
    runs:                          # lists are multiplied out
      - method: [ce, supcon]
      - {method: hcl, soft_weight: [0.1, 0.3], normalization: [level, pair]}

Every run executes its method's notebook, in a process of its own; finished runs are not repeated,
so a study that was stopped goes on where it was. The summary goes to ``results/<name>.json``.

    python -m fgcl_utils.study experiments/sweep.yaml
    python -m fgcl_utils.study profiles/demo.yaml --seeds 5
"""

import argparse
import dataclasses
import itertools
import os
import queue
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import yaml
from tqdm import tqdm

from fgcl_utils import metrics, runs
from fgcl_utils.runs import METHODS, NOTEBOOKS, Settings, SettingsError

SPEC_KEYS = ("title", "profile", "settings", "seeds", "runs")


@dataclass(frozen=True)
class Job:
    """One run: its method, what differs from the study's own settings, and all of them."""

    method: str
    overrides: dict  # flat: {"soft_weight": 0.1, "dials.tail": 0}
    settings: Settings

    @property
    def group(self):
        """Name of all seeds of these settings; keys of ``groups`` in the summary."""
        return slug(self.method, self.overrides)

    @property
    def folder(self):
        return runs.run_folder(self.settings, self.method)

    @property
    def is_finished(self):
        """Whether this very run is finished, with these settings and no others."""
        return runs.is_made(self.settings, self.method)


# Of the tables: the measure and its heading.
_COLUMNS = {
    "genus_outlier_rate": "rate",
    "species_accuracy": "species accuracy",
    "classifier_accuracy": "of the classifier",
    "open_set_auroc": "AUROC, unseen",
    "open_set_fpr95": "FPR95, unseen",
}


# --- from a file to jobs --------------------------------------------------------------------------


def read_spec(path):
    """A study's file as a dict; a profile is a study of the three methods.

    Raises
    ------
    SettingsError
        If the file is missing or has unknown entries.
    """
    path = runs.resolve(path)
    if not path.is_file():
        raise SettingsError(f"there is no {path}: give a file of experiments/ or profiles/")
    spec = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    if "runs" not in spec:
        title = f"CE, SupCon and HCL with the settings of profiles/{path.name}"
        return {"name": path.stem, "title": title, "profile": path.stem, "runs": [{}]}
    if unknown := [key for key in spec if key not in SPEC_KEYS]:
        raise SettingsError(
            f"{path}: unknown entry {unknown[0]!r}. Entries: {', '.join(SPEC_KEYS)}"
        )
    return {"name": path.stem, "profile": "demo"} | spec


def plan(spec, seeds=None, parameters=None):
    """The jobs of a study, seed by seed, so that an early stop leaves whole comparisons.

    Parameters
    ----------
    spec : dict
        As from `read_spec`.
    seeds : int, optional
        Number of seeds instead of the file's: 0, 1, ...
    parameters : dict, optional
        Settings on top of all, such as data_root.

    Returns
    -------
    list of Job
    """
    profile = _base(spec, parameters)
    jobs = {}
    for seed in range(seeds or spec.get("seeds", 1)):
        for entry in spec["runs"]:
            for values in _product({"method": list(METHODS)} | entry):
                job = _job(profile, values.pop("method"), values, seed)
                jobs.setdefault((job.group, seed), job)
    return list(jobs.values())


def _base(spec, parameters=None):
    """The settings that all runs of a study start from."""
    changed = (spec.get("settings") or {}) | (parameters or {})
    return Settings.from_profile(f"profiles/{spec['profile']}.yaml", **changed)


def _product(entry):
    """Every combination of an entry's lists."""
    lists = [value if isinstance(value, list) else [value] for value in entry.values()]
    return [dict(zip(entry, values, strict=True)) for values in itertools.product(*lists)]


def _job(profile, method, values, seed):
    if method not in METHODS:
        raise SettingsError(f"method={method!r} is unknown: choose from {', '.join(METHODS)}")
    changed = _nested(values)
    if "dials" in changed:
        changed["dials"] = (profile.dials or {}) | changed["dials"]
    settings = Settings.from_dict(dataclasses.asdict(profile) | changed | {"seed": seed})
    # What this method does not read is no difference: CE is one run, whatever the soft_weight.
    taken, usual = _flat(settings.identity(method)), _flat(profile.identity(method))
    overrides = {
        name: taken[name]
        for name in sorted(_flat(changed))
        if name in taken and usual.get(name) != taken[name]
    }
    run_name = ".".join([profile.run_name, *(f"{k}-{v}" for k, v in overrides.items())])
    return Job(method, overrides, dataclasses.replace(settings, run_name=run_name))


def _nested(values):
    """{"dials.tail": 0} as {"dials": {"tail": 0}}."""
    nested = {}
    for name, value in values.items():
        first, dot, rest = name.partition(".")
        if dot:
            nested.setdefault(first, {})[rest] = value
        else:
            nested[name] = value
    return nested


def _flat(values):
    flat = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            flat[name] = value
    return flat


def slug(method, overrides):
    """Name of a group of runs, without dots, so that a dotted path can name what is inside."""
    parts = [method, *(f"{name}-{value}" for name, value in overrides.items())]
    return "_".join(parts).replace(".", "_")


# --- from jobs to runs ----------------------------------------------------------------------------


def run_all(jobs, parallel=None):
    """Execute the notebooks of the jobs that are not finished, some at a time.

    A run that fails does not stop the others. Each process gets its share of the cores, and a GPU
    of its own where there are several.

    Returns
    -------
    list of (Job, str)
        What failed, with the end of its error message.
    """
    todo = [job for job in jobs if not job.is_finished]
    gpus = _gpus()
    parallel = parallel or gpus or min(os.cpu_count(), 4)
    print(f"{len(jobs)} runs, {len(jobs) - len(todo)} of them finished; {parallel} at a time")
    slots, failed = queue.SimpleQueue(), []
    for slot in range(parallel):
        slots.put(slot)

    def run(job):
        slot = slots.get()
        try:
            return job, _execute(job, slot, parallel, gpus)
        finally:
            slots.put(slot)

    pool = ThreadPoolExecutor(parallel)
    try:
        for done in tqdm(as_completed([pool.submit(run, job) for job in todo]), total=len(todo)):
            job, error = done.result()
            tqdm.write(f"{_described(job)}: {error or _outcome(job)}")
            if error:
                failed.append((job, error))
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C no further run is started
    return failed


def _execute(job, slot, parallel, gpus):
    """Run the job's notebook; None, or the end of its error message."""
    name = NOTEBOOKS[job.method]
    root = runs.project_root()
    output = root / "executed" / job.settings.run_name / f"{name}.seed-{job.settings.seed}.ipynb"
    output.parent.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"JUPYTER_PREFER_ENV_PATH": "1"}
    environment["OMP_NUM_THREADS"] = str(max(1, os.cpu_count() // parallel))
    if gpus > 1:
        environment["CUDA_VISIBLE_DEVICES"] = str(slot % gpus)
    parameters = yaml.safe_dump(dataclasses.asdict(job.settings))
    command = [sys.executable, "-m", "papermill", "--kernel", "python3", "--log-level", "ERROR"]
    command += ["--no-progress-bar", f"notebooks/{name}.ipynb", str(output), "-y", parameters]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    return None if done.returncode == 0 else done.stderr.strip()[-1000:] or "it was killed"


def _gpus():
    import torch  # not at the top: a plan needs no torch

    return torch.cuda.device_count()


def _described(job):
    differences = [f"{name}={value}" for name, value in job.overrides.items()]
    return " ".join([job.method, *differences, f"seed={job.settings.seed}"])


def _outcome(job):
    values = runs.read_json(job.folder / "metrics.json")
    outliers, n, accuracy = (values[k] for k in ("genus_outliers", "n_test", "species_accuracy"))
    return f"{outliers} outliers of {n}, species accuracy {accuracy:.1%}"


# --- from runs to a summary -----------------------------------------------------------------------


def summarise(spec, jobs, parameters=None):
    """What the finished jobs say, as ``results/<name>.json`` holds it.

    Returns
    -------
    dict
        ``groups``: a dict from slug to method, overrides, seeds, and for val and test every
        measure's mean over seeds with its 95 % interval (Student's t; None with one seed);
        ``vs_ce``: the same of the difference from CE on test photos, seed by seed; ``change``: by
        which share genus outliers rise or fall against CE with the same seeds. ``runs``: every
        run. ``tables`` for the book, ``settings`` and ``provenance``.
    """
    done = [job for job in jobs if job.is_finished]
    ce_reads = Settings().identity("ce")
    rows = [_row(job) for job in done]
    groups = {}
    for job in done:
        if job.group in groups:
            continue
        of_group = [row for row in rows if row["group"] == job.group]
        read_by_ce = {k: v for k, v in job.overrides.items() if k.partition(".")[0] in ce_reads}
        of_ce = [row for row in rows if row["group"] == slug("ce", read_by_ce)]
        groups[job.group] = {
            "method": job.method,
            "label": _label(job),
            "overrides": job.overrides,
            "seeds": [row["seed"] for row in of_group],
            "change": {split: _change(of_group, of_ce, split) for split in ("val", "test")},
            "vs_ce": _means(_differences(of_group, of_ce, "test")),
        } | {split: _means([row[split] for row in of_group]) for split in ("val", "test")}
    settings = dataclasses.asdict(_base(spec, parameters))
    # Where files lie on this machine is nobody's business.
    settings |= {"data_root": None, "weights": Path(settings["weights"]).name}
    return {
        "title": spec["title"],
        "headline": {
            "n_runs": len(rows),
            "n_seeds": len({row["seed"] for row in rows}),
            "default": "hcl",
        },
        "tables": {split: _table(groups, split) for split in ("val", "test")},
        "groups": groups,
        "runs": rows,
        "settings": settings,
        "provenance": runs.provenance() | {"duration_s": sum(row["seconds"] for row in rows)},
    }


def _row(job):
    config = runs.read_json(job.folder / "config.json")
    test = runs.read_json(job.folder / "metrics.json")
    made = config["provenance"]
    return {
        "group": job.group,
        "method": job.method,
        "seed": job.settings.seed,
        "overrides": job.overrides,
        "val": _scalars(test.get("val", {})),
        "test": _scalars(test),
        "seconds": round(test["seconds"], 1),
        **{key: made[key] for key in ("commit", "device", "threads", "date")},
    }


def _scalars(values):
    """The plain numbers of metrics.json; intervals over test photos stay with the run."""
    return {
        name: round(value, 6)
        for name, value in values.items()
        if isinstance(value, int | float) and name != "seconds"
    }


def _means(rows):
    """{measure: {mean, low, high}} over dicts of numbers; a 95 % interval from two on."""
    names = [name for name in rows[0] if all(name in row for row in rows)] if rows else []
    summary = {}
    for name in names:
        mean, low, high = metrics.mean_interval([row[name] for row in rows])
        ends = {"low": low, "high": high} if len(rows) > 1 else {"low": None, "high": None}
        summary[name] = {"mean": mean} | ends
    return summary


def _differences(rows, ce_rows, split):
    """A run's measures less those of CE with the same seed and data, where there is such a run."""
    of_ce = {row["seed"]: row[split] for row in ce_rows}
    return [
        {
            name: value - of_ce[row["seed"]][name]
            for name, value in row[split].items()
            if name in of_ce[row["seed"]]
        }
        for row in rows
        if row["seed"] in of_ce
    ]


def _change(rows, ce_rows, split):
    """Share by which the outliers differ from CE's, both with the seeds they have in common."""
    common = {row["seed"] for row in rows} & {row["seed"] for row in ce_rows}
    ours, theirs = (
        sum(row[split].get("genus_outliers", 0) for row in either if row["seed"] in common)
        for either in (rows, ce_rows)
    )
    return ours / theirs - 1 if theirs else None


def _label(job):
    name = {"ce": "CE", "supcon": "SupCon", "hcl": "HCL"}[job.method]
    differences = [f"{key.rpartition('.')[2]} {value}" for key, value in job.overrides.items()]
    return ", ".join([name, *differences])


def _table(groups, split):
    """The main measures as texts, a row a group; columns that no group has are left out."""
    measured = [group for group in groups.values() if group[split]]
    several = max((len(group["seeds"]) for group in measured), default=1) > 1
    shown = {
        name: heading
        for name, heading in _COLUMNS.items()
        if any(name in group[split] for group in measured)
    }
    rows = [
        [
            group["label"],
            *([len(group["seeds"])] if several else []),
            round(group[split]["genus_outliers"]["mean"], 1 if several else None),
            *(_percent(**group[split][name]) if name in group[split] else "" for name in shown),
        ]
        for group in measured
    ]
    photos = {"val": "Validation", "test": "Test"}[split]
    how = "mean over seeds ± half of its 95 % interval" if several else "one seed"
    columns = ["runs", *(["seeds"] if several else []), "genus outliers", *shown.values()]
    return {"columns": columns, "rows": rows, "caption": f"{photos} photos, {how}."}


def _percent(mean, low, high):
    reach = "" if low is None else f" ± {50 * (high - low):.1f}"
    return f"{100 * mean:.1f}{reach}\N{NO-BREAK SPACE}%"


# --- the command ----------------------------------------------------------------------------------


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m fgcl_utils.study", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("file", help="a file of experiments/ or profiles/")
    parser.add_argument("--seeds", type=int, help="number of seeds: 0, 1, ...")
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
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped: the same command goes on where it was", file=sys.stderr)
        return 130


def _command(options):
    spec = read_spec(options.file)
    parameters = {name: yaml.safe_load(value) for name, value in options.parameters}
    jobs = plan(spec, options.seeds, parameters)
    if options.list:
        for k, job in enumerate(jobs):
            print(f"{k:4}  {'finished' if job.is_finished else '        '}  {_described(job)}")
        return 0
    if options.job is not None:
        if not 0 <= options.job < len(jobs):
            raise SettingsError(f"--job {options.job}: there are runs 0 to {len(jobs) - 1}")
        return 1 if run_all([jobs[options.job]], parallel=1) else 0
    failed = run_all(jobs, options.parallel)
    path = runs.project_root() / "results" / f"{spec['name']}.json"
    runs.write_json(path, summarise(spec, jobs, parameters))
    print(path)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
