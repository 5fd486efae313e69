"""From finished runs to what they say together."""

import dataclasses
from pathlib import Path

from fgcl_utils import metrics
from fgcl_utils.figures import METHOD_NAMES
from fgcl_utils.files import read_json
from fgcl_utils.provenance import provenance
from fgcl_utils.settings import Settings
from fgcl_utils.study.plan import base, slug

# Of the tables: the measure and its heading.
_COLUMNS = {
    "genus_outlier_rate": "rate",
    "species_accuracy": "species accuracy",
    "classifier_accuracy": "of the classifier",
    "open_set_auroc": "AUROC, unseen",
    "open_set_fpr95": "FPR95, unseen",
}


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
    settings = dataclasses.asdict(base(spec, parameters))
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
        "provenance": provenance() | {"duration_s": sum(row["seconds"] for row in rows)},
    }


def _row(job):
    config = read_json(job.folder / "config.json")
    test = read_json(job.folder / "metrics.json")
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
    name = METHOD_NAMES.get(job.method, job.method)
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
