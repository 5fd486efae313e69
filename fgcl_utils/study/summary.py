"""From finished runs to what they say together."""

from operator import itemgetter

import numpy as np
import pandas as pd

from fgcl_utils import metrics
from fgcl_utils.figures import METHOD_NAMES
from fgcl_utils.files import read_json
from fgcl_utils.provenance import provenance
from fgcl_utils.settings import Settings
from fgcl_utils.study.plan import base, slug

CONTROL = "ce_levels"  # is told as much as HCL: the labels of all levels
FLOOR = "coarse_only"
SERIES = ("lines", "curve")  # of a run; kept by method, as figures read them
RATIOS = {"change": "change against CE", "share_of_possible": "of what is possible"}


def summarise(spec, jobs, parameters=None, record=None):
    """What the finished jobs say, as `record.write_record` keeps it.

    Parameters
    ----------
    spec, jobs, parameters
        As for `plan.plan`, and what it returned.
    record : dict, optional
        What an earlier call returned for the same study. Its runs stay, but for those that `jobs`
        made anew.

    Returns
    -------
    dict
        ``groups``: a dict from slug to method, overrides, seeds, and for val and test every
        measure's mean over seeds with its 95 % interval (Student's t; None with one seed);
        ``vs_ce`` and ``vs_ce_levels``: the same of the difference from these methods on test
        images, seed by seed; ``change``: by which share the outliers of the second level rise or
        fall against CE with the same seeds, and ``share_of_possible``: how much of what the coarse
        labels alone achieve, both with ``..._interval``, see `metrics.ratio_interval`. ``lines``
        of level blocks, as `metrics.share_line` has them, ``mean_lines`` with one share for all
        seeds, and the ``chosen`` shares of the coarser levels. ``curves``: what validation said
        after each epoch of trained encoders, for every method with the plain settings a dict of
        columns a seed. ``runs``: every run, with its own commit and date. ``headline.n_seeds``:
        those that every group has. ``tables`` for the book, ``levels`` and the ``provenance`` of
        this call, but for ``duration_s``, which is that of all runs.
    """
    levels = base(spec, parameters).levels
    rows = _recorded(record) if record else []
    rows += [_row(job) for job in jobs if job.is_finished]
    rows = list({(row["group"], row["seed"]): row for row in rows}.values())
    by_seed = sorted(rows, key=itemgetter("seed"))
    groups = _groups(by_seed, levels)
    seeds = [set(group["seeds"]) for group in groups.values()]
    return {
        "title": spec["title"],
        "levels": list(levels),
        "headline": {
            "n_runs": len(rows),
            "n_seeds": len(set.intersection(*seeds)) if seeds else 0,
            "default": "hcl",
        },
        "tables": {split: _table(groups, split, levels) for split in ("val", "test")},
        **_lines(by_seed),
        "curves": _curves(by_seed),
        "groups": groups,
        "runs": [{k: v for k, v in row.items() if k not in SERIES} for row in rows],
        "provenance": provenance() | {"duration_s": sum(row["seconds"] for row in rows)},
    }


def _recorded(record):
    """The runs of a record, as `_row` returns them."""
    # Names of groups are made anew: an older edition may have spelt them in another way.
    rows = [row | {"group": slug(row["method"], row["overrides"])} for row in record["runs"]]
    plain = {}
    for row in sorted(rows, key=itemgetter("seed")):
        if not row["overrides"]:
            plain.setdefault(row["method"], []).append(row)
    for split, of_methods in record.get("lines", {}).items():
        for method, lines in of_methods.items():
            for row, line in zip(plain[method], lines, strict=True):
                row.setdefault("lines", {})[split] = line
    for method, curves in record.get("curves", {}).items():
        for row, curve in zip(plain[method], curves, strict=True):
            row["curve"] = curve
    return rows


def _groups(rows, levels):
    """What the runs of the same settings say together; a dict from slug to dict."""
    ce_reads = Settings().identity("ce")
    outliers = "".join(f"{level}_outliers" for level in levels[1:2])
    of = {}
    for row in rows:
        of.setdefault(row["group"], []).append(row)
    groups = {}
    for name, of_group in of.items():
        method, overrides = of_group[0]["method"], of_group[0]["overrides"]
        read_by_ce = {k: v for k, v in overrides.items() if k.partition(".")[0] in ce_reads}
        of_ce, of_control, of_floor = (
            of.get(slug(each, read_by_ce), []) for each in ("ce", CONTROL, FLOOR)
        )
        groups[name] = {
            "method": method,
            "label": _label(method, overrides),
            "overrides": overrides,
            "seeds": [row["seed"] for row in of_group],
            **_ratios("change", metrics.relative_change, outliers, of_ce, of_group),
            **_ratios(
                "share_of_possible", metrics.share_of_possible, outliers, of_ce, of_group, of_floor
            ),
            "vs_ce": _means(_differences(of_group, of_ce, "test")),
            f"vs_{CONTROL}": _means(_differences(of_group, of_control, "test")),
        } | {split: _means([row[split] for row in of_group]) for split in ("val", "test")}
    return groups


def _row(job):
    config = read_json(job.folder / "config.json")
    test = read_json(job.folder / "metrics.json")
    made = config["provenance"]
    more = {}
    if "shares" in test:
        line = {s: metrics.share_line(test, job.settings.levels, s) for s in test["share_curves"]}
        more = {"shares": test["shares"], "lines": line}
    if job.settings.encoder == "trained":
        more["curve"] = _curve(job)
    return more | {
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
    """The plain numbers of metrics.json; intervals over test images stay with the run."""
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


def _differences(rows, other_rows, split):
    """A run's measures less those of another method with the same seed and data, if it was run."""
    of_other = {row["seed"]: row[split] for row in other_rows}
    return [
        {
            name: value - of_other[row["seed"]][name]
            for name, value in row[split].items()
            if name in of_other[row["seed"]]
        }
        for row in rows
        if row["seed"] in of_other
    ]


def _ratios(name, ratio, measure, *groups):
    """`ratio` of the runs of several groups with the seeds they share, for val and test."""
    by_seed = [{row["seed"]: row for row in group} for group in groups]
    seeds = sorted(set.intersection(*map(set, by_seed)))
    values, intervals = {}, {}
    for split in ("val", "test"):
        measured = [[rows[s][split].get(measure) for s in seeds] for rows in by_seed]
        whole = seeds and not any(None in of_group for of_group in measured)
        values[split], *ends = ratio(*measured) if whole else (None, None, None)
        intervals[split] = ends
    return {name: values, f"{name}_interval": intervals}


def _lines(rows):
    """Of level blocks with the plain settings: every seed's curve over shares, and its choice."""
    of_blocks = {}
    for row in rows:
        if "lines" in row and not row["overrides"]:
            of_blocks.setdefault(row["method"], []).append(row)
    if not of_blocks:
        return {}
    lines = {  # none of validation where there are no such images
        split: {
            method: [row["lines"][split] for row in of_method]
            for method, of_method in of_blocks.items()
            if all(split in row["lines"] for row in of_method)
        }
        for split in ("val", "test")
    }
    return {
        "lines": lines,
        "mean_lines": {
            split: {method: _mean_line(seeds) for method, seeds in of_split.items()}
            for split, of_split in lines.items()
        },
        "chosen": {
            method: [round(sum(row["shares"][1:]), 6) for row in of_method]
            for method, of_method in of_blocks.items()
        },
    }


def _mean_line(seeds):
    """What one share for all seeds leaves, the mean over them; a dict a share."""
    means = [np.mean(values, axis=0).round(6).tolist() for values in zip(*seeds, strict=True)]
    names = ("share", "outlier_rate", "accuracy")
    return [dict(zip(names, values, strict=True)) for values in zip(*means, strict=True)]


def _curve(job):
    """What validation said after each epoch, a list a column of history.csv."""
    history = pd.read_csv(job.folder / "history.csv").filter(regex="^epoch$|^val_")
    return history.dropna(axis=1, how="all").round(6).to_dict("list")


def _curves(rows):
    """{method: [its curve, a dict a seed]} of runs with the plain settings, if all have one.

    Heads have none: they keep their best epoch.
    """
    curves = {}
    for row in rows:
        if not row["overrides"]:
            curves.setdefault(row["method"], []).append(row.get("curve"))
    return {method: of_seeds for method, of_seeds in curves.items() if None not in of_seeds}


def _label(method, overrides):
    name = METHOD_NAMES.get(method, method)
    differences = [
        # A list, as a file gives it back, reads like the tuple of a setting.
        f"{key.rpartition('.')[2]} {tuple(value) if isinstance(value, list) else value}"
        for key, value in overrides.items()
    ]
    return ", ".join([name, *differences])


def _table(groups, split, levels):
    """The main measures as texts, a row a group; columns that no group has are left out."""
    measured = [group for group in groups.values() if group[split]]
    several = max((len(group["seeds"]) for group in measured), default=1) > 1
    ratios = [name for name in RATIOS if any(group[name][split] for group in measured)]
    rates = [] if ratios else levels[1:2]  # which say it as well, in too many columns
    columns = {
        **{f"{level}_outlier_rate": "rate" for level in rates},
        f"{levels[0]}_accuracy": f"{levels[0]} accuracy",
        "classifier_accuracy": "of the classifier",
        "open_set_auroc": "AUROC, unseen",
        "open_set_fpr95": "FPR95, unseen",
    }
    shown = {
        name: heading
        for name, heading in columns.items()
        if any(name in group[split] for group in measured)
    }
    counts = {f"{level}_outliers": f"{level} outliers" for level in levels[1:]}
    digits = 1 if several else None
    rows = [
        [
            group["label"],
            *([len(group["seeds"])] if several else []),
            *(round(group[split][name]["mean"], digits) for name in counts),
            *(_ratio(name, group, split) for name in ratios),
            *(_percent(**group[split][name]) if name in group[split] else "" for name in shown),
        ]
        for group in measured
    ]
    whose = {"val": "Validation", "test": "Test"}[split]
    how = "one seed"
    if several:
        how = "mean over seeds ± half of its 95 % interval; ratios with theirs in brackets"
    headings = ["runs", *(["seeds"] if several else []), *counts.values()]
    headings += [*(RATIOS[name] for name in ratios), *shown.values()]
    return {"columns": headings, "rows": rows, "caption": f"{whose} images, {how}."}


def _percent(mean, low, high):
    reach = "" if low is None else f"\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{50 * (high - low):.1f}"
    return f"{100 * mean:.1f}{reach}\N{NO-BREAK SPACE}%"


def _ratio(name, group, split):
    """A ratio in per cent with its 95 % interval: "−68 (−74 to −60) %"; empty for CE's own."""
    value, ends = group[name][split], group[f"{name}_interval"][split]
    if not value:
        return ""
    sign = "+" if name == "change" else ""
    reach = ""
    if None not in ends:
        reach = f" ({100 * ends[0]:{sign}.0f} to {100 * ends[1]:{sign}.0f})"
    text = f"{100 * value:{sign}.0f}{reach}\N{NO-BREAK SPACE}%"
    return text.replace("-", "\N{MINUS SIGN}")
