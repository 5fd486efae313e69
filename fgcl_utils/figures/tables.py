"""The methods side by side, in numbers."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from fgcl_utils.figures.measures import SPACES, mean_texts, measures_of, recorded_runs
from fgcl_utils.figures.names import LEVELS, levels_of, percent
from fgcl_utils.figures.style import METHOD_NAMES, in_order

# Chamidullin, "Contrastive Learning for Fine-grained Visual Recognition": genus outliers among
# the 3,640 test photos of DF20-Mini. The text gives CE, and SupCon and HCL as 302 and 524 fewer.
PAPER_OUTLIERS = {"ce": 725, "supcon": 725 - 302, "hcl": 725 - 524}
PAPER_TEST_PHOTOS = 3640

# Of tables with intervals: a number stays in one line, the table scrolls instead.
_NO_WRAP = [{"selector": "td, tbody th", "props": "white-space: nowrap"}]


def results_table(
    evaluation: Mapping, dataset: str, recorded: Mapping[str, Mapping] | None = None
) -> Styler:
    """The paper's table, and ours beside it.

    Parameters
    ----------
    evaluation : mapping
        As in evaluation.json: {"methods": {"ce": {"genus_outliers", "genus_outlier_rate",
        "species_accuracy", …}, …}, "seeds": {"ce": [{…}, …], …}, "levels": ["species", "genus"]}.
        Where there are seeds, their mean is shown.
    dataset : str
        Name of the data that our numbers come from; it heads our columns.
    recorded : mapping of name to mapping, optional
        Other data of ours: the content of results/<experiment>.json, of which the groups without
        overrides are shown.

    Returns
    -------
    Styler
        For every level above the finest, outliers with their share of the test photos, and a
        change: that of this share against CE's, empty where CE has no outliers or was not run.
        Then the accuracy of the finest level.
    """
    runs = evaluation.get("seeds") or {m: [run] for m, run in evaluation["methods"].items()}
    means = {m: pd.DataFrame(of_seeds).mean(numeric_only=True) for m, of_seeds in runs.items()}
    blocks = {dataset: (means, runs, levels_of(evaluation))}
    for name, result in (recorded or {}).items():
        groups = {g["method"]: g for g in result["groups"].values() if not g["overrides"]}
        means = {
            m: {key: value["mean"] for key, value in (g["test"] or {}).items()}
            for m, g in groups.items()
        }
        blocks[name] = means, {m: g["seeds"] for m, g in groups.items()}, levels_of(result)
    order = in_order(method for means, *_ in blocks.values() for method in means)
    columns = {}
    for name, (means, seeds, levels) in blocks.items():
        means = pd.DataFrame(means, dtype=float).T.reindex(order)
        columns |= _block(f"ours ({name}{_mean_of(seeds)})", means, levels)
    paper = pd.DataFrame({"genus_outliers": pd.Series(PAPER_OUTLIERS, dtype=float).reindex(order)})
    paper["genus_outlier_rate"] = paper["genus_outliers"] / PAPER_TEST_PHOTOS
    columns |= _block("paper (DF20-Mini)", paper, LEVELS)
    table = pd.DataFrame(columns, index=order).rename(index=METHOD_NAMES)
    return (
        table.style.format_index(escape="html")
        .format_index(escape="html", axis=1)
        .set_table_styles([*_NO_WRAP, *_labels(table.columns)])
        # The theme lays a light sheet under every other HTML output in its dark mode.
        .set_table_attributes('class="dataframe stacks"')
    )


def _labels(columns: pd.MultiIndex) -> list[dict]:
    """What each number is, before it, for where the book hides the head of the table (a phone)."""
    labels = [json.dumps(" · ".join(names[::-1]), ensure_ascii=False) for names in columns]
    return [
        # A string of JSON is one of CSS, too; "<" could end the style sheet.
        {"selector": f"td.col{k}::before", "props": [("content", label.replace("<", "\\3c "))]}
        for k, label in enumerate(labels)
    ]


def _block(title: str, means: pd.DataFrame, levels: Sequence[str]) -> dict:
    """The columns of one data set as texts; of `means`, a row a method."""
    finest, *above = levels
    columns, unknown = {}, pd.Series(np.nan, means.index)
    for level in above:
        counts, rates = (
            means.get(f"{level}_{what}", unknown) for what in ("outliers", "outlier_rate")
        )
        outliers = zip(counts, rates, strict=True)
        columns[f"{level} outliers"] = [
            "" if np.isnan(n) else f"{n:,.0f} ({percent(r)})" for n, r in outliers
        ]
        change = "change" if len(above) == 1 else f"{level} change"
        columns[change] = [percent(change, "+.0%") for change in _change(rates)]
    if f"{finest}_accuracy" in means:  # the paper has none
        columns[f"{finest} accuracy"] = map(percent, means[f"{finest}_accuracy"])
    return {(title, name): pd.Series(list(texts), means.index) for name, texts in columns.items()}


def _mean_of(seeds: Mapping[str, Sequence]) -> str:
    """Over how many seeds the mean is, if it is one."""
    counts = sorted({len(of_method) for of_method in seeds.values()})
    if counts == [1]:
        return ""
    return f", {' to '.join(map(str, dict.fromkeys([counts[0], counts[-1]])))} seeds"


def _change(rates: pd.Series) -> pd.Series:
    """Relative to CE's rate; NaN for CE itself, and where CE has none."""
    reference = rates.get("ce", np.nan)
    return (rates / reference - 1 if reference else rates * np.nan).mask(rates.index == "ce")


def measures_table(table: pd.DataFrame) -> Styler:
    """All measures of all methods, by the space they are taken in; the best of a row in bold.

    Parameters
    ----------
    table : DataFrame
        One row a run: method, seed and measures as in metrics.json. Of several seeds, the mean
        stands there with the half-width of its 95 % interval.
    """
    names = {method: METHOD_NAMES[method] for method in in_order(table["method"])}
    parts, best = {}, []
    for key, m in measures_of(table).items():
        if table[key].isna().all():
            continue
        part, row = SPACES[m.space], f"{m.name} {m.better}"
        parts.setdefault(part, {})[row] = mean_texts(table, key)
        means = table.groupby("method")[key].mean().dropna()
        if means.nunique() > 1:
            is_best = means == (means.max() if m.better == "↑" else means.min())
            best += [((part, row), names[method]) for method in means.index[is_best]]
    styler = _headed_table(
        {part: pd.DataFrame(rows).T.rename(columns=names) for part, rows in parts.items()}
    )
    bold = pd.DataFrame("", *styler.data.axes)
    for place in best:
        bold.loc[place] = "font-weight: bold"
    return styler.apply(lambda _: bold, axis=None)


def recorded_measures(result: Mapping, split: str = "test") -> Styler:
    """`measures_table` of a study's usual settings, from the content of results/<study>.json."""
    return measures_table(recorded_runs(result, split))


def comparison_table(comparisons: Mapping[str, pd.DataFrame]) -> Styler:
    """Paired tests between methods on the same samples.

    Parameters
    ----------
    comparisons : mapping of str to DataFrame
        What was counted, such as "genus outliers", and the tests as from `metrics.compare`: a, b,
        only_a, only_b, p_value, difference, low, high.
    """
    return _headed_table({what: _comparison_texts(tests) for what, tests in comparisons.items()})


def _comparison_texts(tests: pd.DataFrame) -> pd.DataFrame:
    pairs = [
        " − ".join(METHOD_NAMES[method] for method in pair)
        for pair in zip(tests["a"], tests["b"], strict=True)
    ]
    ends = [_points(tests[name]) for name in ("difference", "low", "high")]
    texts = {
        "only the first": [f"{n:,}" for n in tests["only_a"]],
        "only the second": [f"{n:,}" for n in tests["only_b"]],
        "p (McNemar)": [p_text(p) for p in tests["p_value"]],
        "difference, points": [
            f"{mean} ({low} to {high})" for mean, low, high in zip(*ends, strict=True)
        ],
    }
    return pd.DataFrame(texts, index=pairs)


def _points(fractions: pd.Series) -> list[str]:
    return [f"{100 * value:+.1f}".replace("-", "−") for value in fractions]


def p_text(p: float) -> str:
    """A p-value as one writes it: "0.034", "< 0.001"."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _headed_table(parts: Mapping[str, pd.DataFrame]) -> Styler:
    """Tables of text with the same columns, below each other, each under its name.

    The rows of the Styler's `.data` are indexed by part and row name; the row that holds a part's
    heading has the part's name twice.
    """
    with_headings = {
        name: pd.concat([pd.DataFrame("", index=[name], columns=part.columns), part])
        for name, part in parts.items()
    }
    table = pd.concat(with_headings)
    headings = [
        {"selector": f"tbody th.row{k}", "props": "font-weight: bold; padding-top: 0.8rem"}
        for k, (part, row) in enumerate(table.index)
        if part == row
    ]
    return (
        table.style.hide(axis="index", level=0)
        .format_index(escape="html")
        .format_index(escape="html", axis=1)
        .set_table_styles(
            [*_NO_WRAP, {"selector": "tbody th", "props": "font-weight: normal"}, *headings]
        )
        .set_table_attributes('class="dataframe"')
    )
