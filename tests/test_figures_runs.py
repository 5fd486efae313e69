"""Figures of many runs: seeds, measures, paired tests, experiments."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fgcl_utils import figures, metrics
from fgcl_utils.figures import measures
from fgcl_utils.metrics import compare, evaluate, reliability, taxonomic_distance

METHODS = ("ce", "supcon", "hcl")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def runs(rng):
    """Two measures of three methods with five seeds each, in no order."""
    table = pd.DataFrame([(m, s) for m in METHODS for s in range(5)], columns=["method", "seed"])
    table["genus_outlier_rate"] = rng.random(15)
    table["species_accuracy"] = rng.random(15)
    return table.sample(frac=1, random_state=0)


def traces(figure, mode):
    return [trace for trace in figure.data if trace.mode == mode]


# ---------------------------------------------------------------------------------- seeds


def test_mean_interval_is_students(rng):
    values = rng.normal(3, 2, 7)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert metrics.mean_interval(values) == pytest.approx((values.mean(), *expected))
    assert np.isnan(metrics.mean_interval([1.0])[1:]).all()
    assert np.isnan(metrics.mean_interval([])).all()


def test_seeds_draw_every_run_and_join_those_of_a_seed(runs):
    figure = figures.seeds(runs, ["species_accuracy", "genus_outlier_rate"])
    for axis, measure in (("x", "species_accuracy"), ("x2", "genus_outlier_rate")):
        panel = [trace for trace in figure.data if trace.xaxis == axis]
        lines = [trace for trace in panel if trace.mode == "lines"]
        assert len(lines) == 5
        for seed, line in enumerate(lines):
            run = runs[runs["seed"] == seed].set_index("method").loc[list(METHODS)]
            assert list(line.x) == [0, 1, 2] and list(line.y) == run[measure].tolist()
        *_, points, mean = [trace for trace in panel if trace.mode == "markers"]
        ours = runs.loc[runs["method"] == "hcl", measure]
        assert sorted(points.y) == sorted(ours)
        centre, low, high = metrics.mean_interval(ours)
        assert mean.y[0] == pytest.approx(centre)
        assert mean.error_y.array[0] == pytest.approx(high - centre) == pytest.approx(centre - low)


def test_a_single_seed_has_the_interval_of_its_photos_and_no_mean(runs):
    single = runs[runs["seed"] == 3].copy()
    single["species_accuracy_interval"] = [[v - 0.1, v + 0.2] for v in single["species_accuracy"]]
    figure = figures.seeds(single, ["genus_outlier_rate", "species_accuracy"])
    points = traces(figure, "markers")
    assert len(points) == 6
    assert points[0].error_y.array is None
    assert points[3].error_y.array == pytest.approx([0.2])
    assert points[3].error_y.arrayminus == pytest.approx([0.1])


def test_seeds_refuse_what_was_not_measured(runs):
    with pytest.raises(ValueError, match="no measure 'genus_map_at_r' in the columns method, seed"):
        figures.seeds(runs, ["genus_map_at_r"])


# ---------------------------------------------------------------------------------- epochs


def history(rng, epochs=6, levels=("species", "genus", "family")):
    table = pd.DataFrame({"epoch": np.arange(1, epochs + 1), "train_loss": rng.random(epochs)})
    for level in levels[1:]:
        table[f"val_{level}_outlier_rate"] = rng.random(epochs)
    return table.assign(**{f"val_{levels[0]}_accuracy": rng.random(epochs)})


def test_training_curves_show_every_level(rng):
    figure = figures.training_curves(history(rng))
    assert [trace.name for trace in figure.data] == [
        "training loss", "genus outlier rate", "family outlier rate", "species accuracy",
    ]  # fmt: skip
    assert len({(trace.line.color, trace.marker.symbol) for trace in figure.data}) == 4


def test_learning_over_epochs_draws_seeds_thin_and_means_thick(rng):
    histories = {
        "hcl_blocks": [history(rng) for _ in range(3)],
        "ce": [history(rng, epochs=4), history(rng)],  # one stopped early
        "supcon": history(rng),  # a single one need not be in a list
    }
    histories["ce"][1].loc[1, "val_species_accuracy"] = np.nan
    figure = figures.learning_over_epochs(histories)
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert titles == ["genus outlier rate", "family outlier rate", "species accuracy"]
    named = [trace.name for trace in figure.data if trace.showlegend]
    assert named == ["CE", "SupCon", "HCL, blocks"]
    accuracy = [trace for trace in figure.data if trace.xaxis == "x3"]
    *thin, thick = [trace for trace in accuracy if trace.legendgroup == "hcl_blocks"]
    for trace, of_seed in zip(thin, histories["hcl_blocks"], strict=True):
        assert list(trace.y) == of_seed["val_species_accuracy"].tolist()
        assert trace.line.width < thick.line.width
    mean = np.mean([h["val_species_accuracy"] for h in histories["hcl_blocks"]], axis=0)
    assert list(thick.y) == pytest.approx(mean) and list(thick.x) == [1, 2, 3, 4, 5, 6]
    assert "mean of 3 seeds" in thick.hovertemplate
    *_, of_ce = [trace for trace in accuracy if trace.legendgroup == "ce"]
    assert list(of_ce.x) == [1, 3, 4], "epochs that both seeds have"
    (single,) = [trace for trace in accuracy if trace.legendgroup == "supcon"]
    assert list(single.y) == histories["supcon"]["val_species_accuracy"].tolist()


def test_learning_over_epochs_shows_what_it_is_asked_for(rng):
    figure = figures.learning_over_epochs({"mine": history(rng)}, ["val_genus_outlier_rate"])
    assert [trace.name for trace in figure.data] == ["mine"]
    unmeasured = history(rng).assign(val_genus_outlier_rate=np.nan)
    figure = figures.learning_over_epochs({"ce": unmeasured})
    assert len(figure.data) == 2, "family outlier rate and accuracy"
    with pytest.raises(ValueError, match=r"value of val_genus_outlier_rate; the columns are epoch"):
        figures.learning_over_epochs({"ce": unmeasured}, ["val_genus_outlier_rate"])
    for nothing in ({}, {"ce": []}):
        with pytest.raises(ValueError, match=r"val_<level>_accuracy; the columns are none"):
            figures.learning_over_epochs(nothing)


# ---------------------------------------------------------------------------------- measures


def test_every_measure_has_a_name_of_its_own(rng):
    labels = np.stack([np.arange(40) % 4, np.arange(40) % 4 // 2], axis=1)
    embeddings = {f"{split}_index": np.arange(40) for split in ("train", "test", "val")}
    for name in ("train", "test", "val", "unseen"):
        embeddings[name] = embeddings[f"{name}_encoder"] = rng.normal(size=(40, 5))
    embeddings["unseen_index"] = np.arange(40)
    embeddings |= {f"{split}_logits": rng.normal(size=(40, 4)) for split in ("test", "val")}
    measured = {
        key
        for key, value in evaluate(embeddings, labels).items()
        if not key.endswith("_interval") and not isinstance(value, int)
    }
    shown = {key: measures.measure(key) for key in measured}
    assert {key for key, m in shown.items() if m is None} == {"calibration_temperature"}
    names = [(m.space, m.name) for m in shown.values() if m]
    assert len(names) == len(set(names))


def test_measures_table_marks_the_best_mean(runs):
    runs["species_silhouette_encoder"] = -runs["genus_outlier_rate"]
    runs["brier"] = runs["species_accuracy"].where(runs["method"] == "ce")
    runs["nll"] = np.nan
    runs["n_test"] = 5
    styler = figures.measures_table(runs)
    table = styler.data
    assert table.columns.tolist() == ["CE", "SupCon", "HCL"]
    assert table.index.get_level_values(1).tolist() == [
        "in the embedding", "genus outlier rate ↓", "species accuracy ↑",
        "in the encoder's features", "species silhouette ↑",
        "of the classifier", "Brier score ↓",
    ]  # fmt: skip
    mean, _, high = metrics.mean_interval(runs.loc[runs["method"] == "hcl", "species_accuracy"])
    cell = table.loc[("in the embedding", "species accuracy ↑"), "HCL"]
    assert cell == f"{100 * mean:.1f} ± {100 * (high - mean):.1f}\N{NO-BREAK SPACE}%"
    assert table.loc[("of the classifier", "Brier score ↓"), "SupCon"] == ""
    cells = r"(?:#\w+_row\d+_col\d+,?\s*)+"
    rule = re.search(rf"({cells}){{\s*font-weight: bold", styler.to_html())[1]
    bold = {(int(row), int(column)) for row, column in re.findall(r"_row(\d+)_col(\d+)", rule)}
    means = runs.groupby("method")[["genus_outlier_rate", "species_accuracy"]].mean()
    order = list(METHODS)
    fewest, best = means["genus_outlier_rate"].idxmin(), means["species_accuracy"].idxmax()
    assert bold == {(1, order.index(fewest)), (2, order.index(best)), (4, order.index(fewest))}


# ---------------------------------------------------------------------------------- pairs


def test_comparison_table_says_each_pair_in_points(rng):
    outliers = {
        method: rng.random(200) < share
        for method, share in zip(METHODS, (0.3, 0.2, 0.1), strict=True)
    }
    tests = compare(outliers)
    table = figures.comparison_table({"genus outliers": tests, "<b>": tests}).data
    assert table.index.tolist()[:4] == [
        ("genus outliers", row)
        for row in ("genus outliers", "CE − SupCon", "CE − HCL", "SupCon − HCL")
    ]
    row = table.loc[("genus outliers", "CE − HCL")]
    assert row["only the first"] == str((outliers["ce"] & ~outliers["hcl"]).sum())
    difference = 100 * (outliers["ce"].mean() - outliers["hcl"].mean())
    assert row["difference, points"].startswith(f"{difference:+.1f} (+")
    assert "<b>" not in figures.comparison_table({"<b>": tests}).to_html()


@pytest.mark.parametrize(("p", "text"), [(0.0312, "0.031"), (0.00099, "< 0.001"), (1.0, "1.000")])
def test_p_values_as_one_writes_them(p, text):
    assert figures.p_text(p) == text


def test_mistakes_are_shares_of_all_samples(rng):
    labels = np.stack([np.arange(12), np.arange(12) // 3, np.arange(12) // 6], axis=1)
    truth = labels[rng.integers(0, 12, 300)]
    distances = {m: taxonomic_distance(labels[rng.integers(0, 12, 300)], truth) for m in METHODS}
    figure = figures.mistakes(distances, ["species", "genus", "family"])
    assert [bar.name for bar in figure.data] == [
        "right species", "wrong species, right genus", "wrong genus, right family", "wrong family",
    ]  # fmt: skip
    assert list(figure.data[0].y) == ["HCL", "SupCon", "CE"], "CE on top"
    assert sum(np.array(bar.x) for bar in figure.data) == pytest.approx(1)
    assert figure.data[3].x[2] == pytest.approx((distances["ce"] == 3).mean())


def test_reliability_draws_the_bins_that_hold_photos(rng):
    probabilities = rng.dirichlet(np.ones(4), 300)
    bins = reliability(probabilities, rng.integers(0, 4, 300))
    figure = figures.reliability({"as trained": bins, "$x$": bins})
    diagonal, curve = figure.data[:2]
    filled = bins[bins["n"] > 0]
    assert list(diagonal.x) == list(diagonal.y) == [0, 1]
    assert list(curve.y) == filled["accuracy"].tolist()
    assert sum(figure.data[2].y) == 300
    assert figure.data[3].name == "&#36;x&#36;"


# ---------------------------------------------------------------------------------- experiments


def experiment(runs, **more):
    """results/<name>.json of (method, overrides, seed, species error, outlier rate) tuples."""
    groups, rows = {}, []
    for method, overrides, seed, error, outliers in runs:
        slug = "_".join([method, *(f"{k}-{v}" for k, v in overrides.items())])
        measures = {"species_accuracy": 1 - error, "genus_outlier_rate": outliers}
        means = {k: {"mean": v, "low": None, "high": None} for k, v in measures.items()}
        group = {"method": method, "label": slug, "overrides": overrides, "seeds": [seed]}
        groups[slug] = group | {"val": means, "test": {}}
        row = {"group": slug, "method": method, "seed": seed, "overrides": overrides}
        rows.append(row | {"val": measures, "test": measures})
    return {"title": "a trial", "groups": groups, "runs": rows, "settings": {"dials": None}} | more


SWEEP = [
    ("ce", {}, 0, 0.30, 0.20),
    ("supcon", {}, 0, 0.25, 0.15),
    ("hcl", {"soft_weight": 0.1}, 0, 0.28, 0.05),
    ("hcl", {"soft_weight": 0.3}, 0, 0.28, 0.07),
    ("hcl", {"soft_weight": 0.9}, 0, 0.40, 0.02),
]


def test_pareto_numbers_the_groups_that_nothing_beats():
    figure = figures.pareto(experiment(SWEEP, headline={"default": "hcl_soft_weight-0.3"}))
    drawn = {trace.name: (trace.x[0], trace.y[0]) for trace in figure.data}
    assert list(figure.data[0].x) == pytest.approx([0.25, 0.28, 0.40])
    assert drawn["2. hcl_soft_weight-0.1"] == pytest.approx((0.28, 0.05))
    assert {"1. supcon", "3. hcl_soft_weight-0.9", "CE", "HCL"} < drawn.keys()
    assert drawn["HCL"] == drawn["the default"] == pytest.approx((0.28, 0.07))
    goal = figure.layout.shapes[0]
    assert goal.x1 == pytest.approx(0.30) and goal.y1 == pytest.approx(0.20 * 201 / 725)


def test_pareto_front_is_that_of_a_slow_loop(rng):
    points = rng.integers(0, 12, (60, 2)) / 20
    runs = [("hcl", {"soft_weight": k}, 0, *point) for k, point in enumerate(points)]
    front = next(t for t in figures.pareto(experiment(runs)).data if t.name == "Pareto front")
    beaten = [any((b <= a).all() and (b < a).any() for b in points) for a in points]
    expected = sorted(map(tuple, points[~np.array(beaten)]))
    assert sorted(zip(front.x, front.y, strict=True)) == pytest.approx(np.array(expected))


def test_pareto_names_the_split_that_was_not_measured():
    with pytest.raises(ValueError, match=r"no group of 'a trial' .* on 'test'"):
        figures.pareto(experiment(SWEEP), split="test")


def test_labels_of_an_experiment_are_text():
    result = experiment([("ce", {"weights": "<img src=x> $x$"}, 0, 0.3, 0.2)])
    page = figures.to_html(figures.pareto(result))
    assert "<img" not in page and "$x" not in page


# One method's embeddings weighted anew: shares, outlier rates, accuracies, a triple a seed.
SHARES = np.linspace(0, 0.9, 10)


def curves(rng, n_seeds=3):
    return [(SHARES, rng.random(10) / 5, rng.random(10)) for _ in range(n_seeds)]


def test_pareto_draws_a_line_a_seed_and_their_mean(rng):
    lines = {"hcl_blocks": curves(rng), "mine": curves(rng, 1)}
    figure = figures.pareto(experiment(SWEEP), lines=lines, chosen=0.5)
    of_blocks = [trace for trace in figure.data if trace.legendgroup == "hcl_blocks"]
    *thin, thick = of_blocks
    assert len(thin) == 3 and max(t.line.width for t in thin) < thick.line.width
    for trace, (_, outliers, accuracies) in zip(thin, lines["hcl_blocks"], strict=True):
        assert list(trace.y) == pytest.approx(outliers)
        assert list(trace.x) == pytest.approx(1 - accuracies)
        assert not trace.showlegend
    _, outliers, accuracies = np.mean(lines["hcl_blocks"], axis=0)
    assert list(thick.x) == pytest.approx(1 - accuracies)
    assert list(thick.y) == pytest.approx(outliers)
    assert list(thick.customdata) == pytest.approx(SHARES)
    assert thick.name == "HCL, blocks, by share w, mean of 3 seeds"
    assert (thick.text[0], *set(thick.text[1:-1]), thick.text[-1]) == ("w = 0", "", "w = 0.9")
    (ring, _) = [trace for trace in figure.data if trace.name == "chosen, w = 0.5"]
    between = np.interp(0.5, SHARES, 1 - accuracies), np.interp(0.5, SHARES, outliers)
    assert (ring.x[0], ring.y[0]) == pytest.approx(between)
    assert [t.name for t in figure.data if t.legendgroup == "mine"] == ["mine, by share w"]
    assert figure.layout.yaxis.range[1] > max(np.max(trace.y) for trace in figure.data)


def test_pareto_takes_lines_alone_or_with_the_result_and_shares_chosen_by_each_seed(rng):
    lines = {"hcl_blocks": curves(rng)}
    chosen = {"hcl_blocks": [0.1, 0.5, 0.9]}
    alone = figures.pareto({}, lines=lines, chosen=chosen)
    result = {"lines": {"val": {}, "test": lines}, "chosen": chosen}
    assert alone == figures.pareto(result, split="test")
    all_alike = figures.pareto({}, lines=lines, chosen={"hcl_blocks": [0.5] * 3})
    assert all_alike == figures.pareto({}, lines=lines, chosen=0.5), "marked on the mean"
    ring = next(trace for trace in alone.data if trace.name == "chosen")
    for x, y, share, (shares, outliers, accuracies) in zip(
        ring.x, ring.y, chosen["hcl_blocks"], lines["hcl_blocks"], strict=True
    ):
        k = np.argmin(np.abs(shares - share))
        assert (x, y) == pytest.approx((1 - accuracies[k], outliers[k]))


def test_pareto_of_a_table_of_runs_is_that_of_its_means(runs):
    figure = figures.pareto(runs)
    drawn = {trace.name.split(". ")[-1]: trace for trace in figure.data}
    for method, name in zip(METHODS, ("CE", "SupCon", "HCL"), strict=True):
        of_method = runs[runs["method"] == method]
        error, low, high = metrics.mean_interval(1 - of_method["species_accuracy"])
        outliers, *_ = metrics.mean_interval(of_method["genus_outlier_rate"])
        trace = drawn[name]
        assert (trace.x[0], trace.y[0]) == pytest.approx((error, outliers))
        assert trace.error_x.array[0] == pytest.approx(high - error)
        assert trace.error_x.arrayminus[0] == pytest.approx(error - low)
        assert "mean of 5 seeds" in trace.customdata[0]
    named = runs.rename(
        columns={"species_accuracy": "b_accuracy", "genus_outlier_rate": "a_outlier_rate"}
    )
    figure = figures.pareto(named, levels=("b", "a", "c"))
    assert figure.layout.xaxis.title.text == "b error (nearest centroid)"
    assert figure.layout.yaxis.title.text == "a outlier rate"


@pytest.mark.parametrize(
    "second",
    [(SHARES[1:], [0.1] * 9, [0.5] * 9), (SHARES + 0.1, SHARES, SHARES), (SHARES, [0.1], [0.2])],
)
def test_pareto_refuses_lines_of_unequal_shares(rng, second):
    with pytest.raises(
        ValueError, match=r"run 1 of lines\['hcl_blocks'\] .* 10 shares of the first"
    ):
        figures.pareto({}, lines={"hcl_blocks": [*curves(rng, 1), second]})


@pytest.fixture
def dialled(rng):
    """Every method on a 2 × 3 grid with two seeds, and at other points off the grid."""
    places = [
        {"dials.species_gap": s, "dials.genus_gap": g} for s in (0.5, 1.0) for g in (0.2, 0.4, 0.6)
    ]
    places += [{}, {"dials.tail": 0.0}, {"dials.label_noise": 0.3}]
    runs = [(m, at, s, *rng.random(2)) for at in places for m in METHODS for s in (0, 1)]
    return experiment([*runs, ("hcl", places[0] | {"soft_weight": 0.9}, 0, 9.0, 9.0)])


def gains(result, overrides, baseline, measure, sign):
    """Percentage points by seed, the slow way."""
    value = {
        (run["method"], run["seed"]): 100 * run["test"][measure]
        for run in result["runs"] if run["overrides"] == overrides
    }  # fmt: skip
    return [sign * (value["hcl", s] - value[baseline, s]) for s in (0, 1)]


def test_gain_map_is_the_mean_difference_by_seed(dialled):
    figure = figures.gain_map(dialled)
    panels = [
        (b, *m)
        for b in ("ce", "supcon")
        for m in (("genus_outlier_rate", -1), ("species_accuracy", 1))
    ]
    assert len(figure.data) == len(panels)
    for heatmap, panel in zip(figure.data, panels, strict=True):
        assert len(heatmap.z) == 6, "the grid alone"
        for x, y, z, text in zip(heatmap.x, heatmap.y, heatmap.z, heatmap.text, strict=True):
            at = {"dials.species_gap": float(x), "dials.genus_gap": float(y)}
            expected = gains(dialled, at, *panel)
            assert z == pytest.approx(np.mean(expected))
            mean, low, high = metrics.mean_interval(expected)
            assert text == f"{mean:+.1f}<br>±{(high - low) / 2:.1f}".replace("-", "−")
    scale = figure.layout.coloraxis
    assert scale.cmin == -scale.cmax and scale.cmax == max(np.abs(h.z).max() for h in figure.data)


def test_gain_curves_turn_one_dial_and_hold_the_others(dialled):
    figure = figures.gain_curves(dialled, "label_noise")
    over_ce = figure.data[0]
    assert list(over_ce.x) == [0.0, 0.3]
    for y, overrides in zip(over_ce.y, ({}, {"dials.label_noise": 0.3}), strict=True):
        assert y == pytest.approx(
            np.mean(gains(dialled, overrides, "ce", "genus_outlier_rate", -1))
        )


def test_gains_of_any_method_over_any_others(dialled):
    figure = figures.gain_curves(dialled, "label_noise", method="supcon")
    assert [trace.name for trace in figure.data if trace.showlegend] == ["… CE", "… HCL"]
    over_hcl = figure.data[2]
    back = figures.gain_curves(dialled, "label_noise", baselines=["supcon"]).data[0]
    assert list(over_hcl.y) == pytest.approx([-y for y in back.y])
    figure = figures.gain_map(dialled, method="ce", baselines={"hcl"})
    titles = {annotation.text.split("<br>")[1] for annotation in figure.layout.annotations}
    assert titles == {"than HCL"}


def test_gain_maps_need_pairs(dialled):
    dialled["runs"] = [run for run in dialled["runs"] if run["method"] == "hcl"]
    with pytest.raises(ValueError, match="no run of HCL and of a baseline in 'a trial'"):
        figures.gain_map(dialled)


def test_recorded_runs_are_those_without_overrides():
    result = experiment(SWEEP)
    figure = figures.recorded_seeds(result, ["species_accuracy"])
    assert [tuple(trace.y) for trace in traces(figure, "markers")] == [(0.70,), (0.75,)]
    table = figures.recorded_measures(result).data
    assert table.columns.tolist() == ["CE", "SupCon"]
    assert (
        table.loc[("in the embedding", "genus outlier rate ↓"), "SupCon"]
        == "15.0\N{NO-BREAK SPACE}%"
    )


def test_means_in_words(runs):
    assert figures.mean_texts(runs[runs["seed"] == 0], "species_accuracy").keys() == set(METHODS)
    mean, low, high = metrics.mean_interval(runs.loc[runs["method"] == "ce", "species_accuracy"])
    text = figures.mean_texts(runs, "species_accuracy")["ce"]
    assert text == f"{100 * mean:.1f} ± {50 * (high - low):.1f}\N{NO-BREAK SPACE}%"
