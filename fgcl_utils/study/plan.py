"""From a study's file to its jobs."""

import dataclasses
import itertools
from dataclasses import dataclass

from fgcl_utils import runs
from fgcl_utils.files import read_yaml, resolve
from fgcl_utils.runs import PAPER
from fgcl_utils.settings import Settings, SettingsError

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


def read_spec(path):
    """A study's file as a dict; a profile is a study of its settings as they are.

    Raises
    ------
    SettingsError
        If the file is missing or has unknown entries.
    """
    path = resolve(path)
    if not path.is_file():
        raise SettingsError(f"there is no {path}: give a file of experiments/ or profiles/")
    spec = read_yaml(path)
    if "runs" not in spec:
        title = f"The methods with the settings of profiles/{path.name}"
        return {"name": path.stem, "title": title, "profile": path.stem, "runs": [{}]}
    if unknown := [key for key in spec if key not in SPEC_KEYS]:
        raise SettingsError(
            f"{path}: unknown entry {unknown[0]!r}. Entries: {', '.join(SPEC_KEYS)}"
        )
    return {"name": path.stem, "profile": "demo"} | spec


def plan(spec, seeds=None, parameters=None, methods=PAPER):
    """The jobs of a study, seed by seed, so that an early stop leaves whole comparisons.

    Parameters
    ----------
    spec : dict
        As from `read_spec`.
    seeds : int, optional
        Number of seeds instead of the file's: 0, 1, ...
    parameters : dict, optional
        Settings on top of all, such as data_root.
    methods : sequence of str
        Those of entries that name none.

    Returns
    -------
    list of Job
    """
    profile = base(spec, parameters)
    jobs = {}
    for seed in range(seeds or spec.get("seeds", 1)):
        for entry in spec["runs"]:
            for values in _product({"method": list(methods)} | entry):
                job = _job(profile, values.pop("method"), values, seed)
                jobs.setdefault((job.group, seed), job)
    return list(jobs.values())


def base(spec, parameters=None):
    """The settings that all runs of a study start from."""
    changed = (spec.get("settings") or {}) | (parameters or {})
    return Settings.from_profile(f"profiles/{spec['profile']}.yaml", **changed)


def _product(entry):
    """Every combination of an entry's lists."""
    lists = [value if isinstance(value, list) else [value] for value in entry.values()]
    return [dict(zip(entry, values, strict=True)) for values in itertools.product(*lists)]


def _job(profile, method, values, seed):
    profile.check_method(method)
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
    names = [f"{name}-{_in_a_name(value)}" for name, value in overrides.items()]
    run_name = ".".join([profile.run_name, *names])
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
    parts = [method, *(f"{name}-{_in_a_name(value)}" for name, value in overrides.items())]
    return "_".join(parts).replace(".", "_")


def _in_a_name(value):
    """A setting's value as a part of a folder's name: 1.0-0.2 of a list."""
    text = "-".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return "".join(c if c.isalnum() or c in "-." else "-" for c in text)


def described(job):
    """A job in words: "hcl soft_weight=0.1 seed=2"."""
    differences = [f"{name}={value}" for name, value in job.overrides.items()]
    return " ".join([job.method, *differences, f"seed={job.settings.seed}"])
