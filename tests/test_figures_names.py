"""Figures follow the levels, methods and names they are given, however many and however long."""

import warnings
from itertools import combinations
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.font_manager import FontEntry, fontManager
from PIL import Image

from fgcl_utils import figures
from fgcl_utils.figures import fonts, measures, names, style
from fgcl_utils.metrics import reliability

STUDY = ("ce", "supcon", "hcl", "hcl_blocks", "ce_head", "ce_levels", "coarse_only")
LEVELS = ("variant", "family", "maker")
LONG = "Cortinarius " * 30


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def table(rng):
    """90 images of 8 variants in 4 families of 2 makers."""
    code = np.concatenate([np.arange(8), rng.integers(0, 8, 82)])
    names = {"variant": code, "family": code // 2, "maker": code // 4}
    table = pd.DataFrame({level: [f"{level} {c}" for c in codes] for level, codes in names.items()})
    table["split"] = rng.choice(["train", "test"], len(table))
    return table


def dataset(table, levels=LEVELS):
    return SimpleNamespace(
        table=table,
        taxonomy=SimpleNamespace(levels=levels),
        indices=lambda split: np.flatnonzero(table["split"] == split),
        photo=lambda i, size: Image.new("RGB", (size, size)),
    )


def maps(rng, n, methods):
    planes = {method: rng.normal(size=(n, 2)) for method in methods}
    outliers = {method: rng.random(n) < 0.3 for method in methods}
    return planes, outliers


def both(matrix):
    return {"ce": matrix, "hcl": matrix}


def draw(figure):
    """Lay a matplotlib figure out as for printing; what does not fit is a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.draw_without_rendering()


# ---------------------------------------------------------------------------------- methods


def test_the_studys_methods_look_different_and_stand_in_their_order():
    styles = style.method_styles(reversed(STUDY))
    assert tuple(styles) == STUDY
    assert len({look.color for look in styles.values()}) == 7
    assert len({look.symbol for look in styles.values()}) == 7
    assert len({look.marker for look in styles.values()}) == 7
    for few in combinations(STUDY, 3):
        assert style.method_styles(few) == {method: styles[method] for method in few}


def test_other_methods_come_last_look_different_and_are_called_by_their_id():
    others = [f"mine_{k}" for k in range(20)]
    styles = style.method_styles([*others, "hcl", "ce"])
    assert list(styles) == ["ce", "hcl", *others]
    both = style.method_styles([*STUDY, *others])
    assert len({(look.color, look.symbol) for look in both.values()}) == 27
    assert figures.METHOD_NAMES["hcl_blocks"] == "HCL, blocks"
    assert figures.METHOD_NAMES["mine_3"] == "mine_3"


# ---------------------------------------------------------------------------------- names


@pytest.mark.parametrize("text", ["Amanita", "Amanita muscaria " * 9, "ベニテングタケ" * 20, ""])
@pytest.mark.parametrize("longest", [8, 48])
def test_shortened_keeps_both_ends_and_the_width(text, longest):
    short = names.shortened(text, longest)
    assert names.width(short) <= longest
    if names.width(text) <= longest:
        assert short == text
    else:
        head, tail = short.split("…")
        assert text.startswith(head) and text.endswith(tail) and abs(len(head) - len(tail)) <= 1


def long_names(table):
    """Every name at 300 letters or more, and different in the middle only."""
    return table.assign(**{level: LONG + table[level] + LONG for level in LEVELS})


@pytest.mark.parametrize(
    "drawn",
    [
        lambda table, rng: figures.species_per_genus(table, LEVELS),
        lambda table, rng: figures.sample_grid(dataset(table)),
        lambda table, rng: figures.static_maps(
            {"ce": rng.normal(size=(90, 2)), LONG: rng.normal(size=(90, 2))}, table["variant"]
        ),
        lambda table, rng: figures.confusion_heatmap(
            dict(zip(("ce", "hcl"), rng.integers(0, 9, (2, 4, 4)), strict=True)),
            sorted(set(table["family"])),
            "family",
        ),
        lambda table, rng: figures.image_grid(
            np.zeros((6, 8, 8, 3), np.uint8), table["family"][:6], 3, table["variant"][:2]
        ),
        lambda table, rng: figures.confusable_species(
            pd.DataFrame(
                {
                    "species_a": [*table["variant"][:2]],
                    "species_b": [*table["variant"][2:4]],
                    "genus": [*table["family"][:2]],
                    "confusions": 3,
                    "examples_a": [[0, 1]] * 2,
                    "examples_b": [[2, 3]] * 2,
                }
            ),
            dataset(table),
        ),
    ],
)
def test_names_of_any_length_leave_room_for_the_figure(table, rng, drawn):
    figure = drawn(long_names(table), rng)
    draw(figure)
    width, height = figure.get_size_inches()
    assert 0 < height < 15
    for text in figure.findobj(plt.Text):
        if text.get_text() and not text.get_text().isdigit():  # of ticks there are more than drawn
            box = text.get_window_extent()
            assert -1 <= box.x0 and box.x1 <= width * figure.dpi + 1, f"cut off: {text}"


def test_names_that_are_equal_once_shortened_stay_apart(table):
    (ax,) = figures.species_per_genus(long_names(table), LEVELS).axes
    assert len(ax.patches) == 4 and len({bar.get_y() for bar in ax.patches}) == 4


def test_many_classes_leave_room_for_the_figure(rng):
    many = pd.DataFrame({"species": [f"s {k}" for k in range(3000)]})
    many["genus"] = [f"g {k // 2}" for k in range(3000)]
    (ax,) = figures.species_per_genus(many).axes
    assert len(ax.patches) == 60 and ax.get_title() == "the 60 largest of 1,500"
    planes = {"ce": rng.normal(size=(300, 2))}
    figure = figures.static_maps(planes, [f"g {k // 2}" for k in range(300)])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(labels) == 61 and labels[-1] == "and 90 more"
    assert max(figure.get_size_inches()) < 15
    figure = figures.confusion_heatmap(both(np.eye(400, dtype=int)), [f"g {k}" for k in range(400)])
    shown = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert sum(map(bool, shown)) <= 50


# ---------------------------------------------------------------------------------- fonts


@pytest.fixture
def one_letter_font(tmp_path, monkeypatch):
    """Installed: matplotlib's own fonts, one with the letter あ alone, and one that is gone."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    pen.lineTo((500, 0))
    pen.lineTo((500, 500))
    pen.closePath()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "a"])
    builder.setupCharacterMap({ord("あ"): "a"})
    builder.setupGlyf({".notdef": pen.glyph(), "a": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (600, 0), "a": (600, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "One Letter", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "one.ttf")
    own = [font for font in fontManager.ttflist if "mpl-data" in font.fname]
    gone = FontEntry(fname=str(tmp_path / "gone.ttf"), name="Gone")
    monkeypatch.setattr(fontManager, "ttflist", [gone, *own])
    fontManager.addfont(tmp_path / "one.ttf")
    monkeypatch.setattr(fonts, "_told", set())
    fonts._covering.cache_clear()
    yield "One Letter"
    fonts._covering.cache_clear()


def named(genus):
    return pd.DataFrame({"genus": [genus, "Amanita"], "species": ["a", "b"]})


def test_letters_come_from_another_font_where_the_usual_one_lacks_them(one_letter_font):
    figure = figures.species_per_genus(named("あ"))
    draw(figure)  # without a warning: every glyph is found
    fonts_of = {t.get_text(): t.get_fontfamily() for t in figure.axes[0].get_yticklabels()}
    assert fonts_of["あ"][-1] == one_letter_font
    assert one_letter_font not in fonts_of["Amanita"]
    figure = figures.confusion_heatmap(both(np.eye(2, dtype=int)), ["あ", "ä"])
    draw(figure)
    assert figure.axes[0].get_xticklabels()[0].get_fontfamily()[-1] == one_letter_font


def test_letters_that_no_font_has_are_named_once(one_letter_font):
    with pytest.warns(UserWarning, match=r"no installed font has 漢 \(U\+6F22\): .* Noto"):
        figure = figures.species_per_genus(named("あ漢"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Glyph")  # matplotlib's, in each drawing
        figures.species_per_genus(named("漢")).draw_without_rendering()
        figure.draw_without_rendering()


# ---------------------------------------------------------------------------------- levels


def test_the_data_are_told_by_the_levels_names(table):
    (ax,) = figures.species_per_genus(table, LEVELS).axes
    assert [bar.get_width() for bar in ax.patches] == [2] * 4
    assert ax.get_xlabel() == "variant"
    assert {label.get_text() for label in ax.get_yticklabels()} == set(table["family"])
    (ax,) = figures.species_per_genus(table, LEVELS[1:]).axes
    assert {label.get_text() for label in ax.get_yticklabels()} == set(table["maker"])
    figure = figures.long_tail(table, "family")
    assert figure.layout.xaxis.title.text == "family, by number of images"
    assert sum(sum(trace.y) for trace in figure.data) == len(table)
    for levels, rows in ((LEVELS, "family"), (("variant",), "variant")):
        (ax,) = figures.sample_grid(dataset(table, levels)).axes
        assert {label.get_text() for label in ax.get_yticklabels()} == set(table[rows])


@pytest.mark.parametrize("levels", [("class",), ("class", "b", "c"), tuple("abcdefgh")])
@pytest.mark.parametrize("unknown", [0.0, 0.3])
def test_batch_anatomy_counts_pairs_of_any_levels_like_a_slow_loop(rng, levels, unknown):
    code = rng.integers(0, 2 ** len(levels), 40)
    labels = np.stack([code >> l for l in range(len(levels))], axis=1)
    known_from = np.where(rng.random(40) < unknown, rng.integers(0, len(levels) + 1, 40), 0)
    labels[np.arange(len(levels)) < known_from[:, None]] = -1
    kinds = np.zeros(len(levels) + 1, dtype=int)
    for i, a in enumerate(labels):
        for j, b in enumerate(labels):
            kinds[sum(x == y >= 0 for x, y in zip(a, b, strict=True))] += i != j
    figure = figures.batch_anatomy(labels, levels)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[0] == "the sample itself"
    counts = [int(text.split("\n")[1].split()[0].replace(",", "")) for text in texts[1:]]
    assert counts == kinds[::-1].tolist()
    assert texts[1].startswith(f"positive (same {levels[0]})")
    drawn = figures.batch_anatomy(labels, levels, max_samples=11)
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == texts
    assert len(drawn.axes[0].images[0].get_array()) <= 11


def test_maps_follow_levels_and_any_number_of_methods(table, rng):
    planes, outliers = maps(rng, len(table), STUDY)
    figure = figures.static_maps(planes, table["family"], outliers)
    assert [ax.get_title().split(" · ")[0] for ax in figure.axes] == [
        "CE", "SupCon", "HCL", "HCL, blocks", "CE, head", "CE, levels", "coarse only",
    ]  # fmt: skip
    draw(figure)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_a_handful_of_samples_has_maps_too(table, rng, n):
    planes, outliers = maps(rng, n, ("ce", "hcl"))
    draw(figures.static_maps(planes, table["family"][:n], outliers))


def test_samples_that_are_not_known_at_a_level_are_shown_as_such(table, rng):
    table.loc[:3, "family"] = None
    table.loc[4:6, "family"] = ""
    planes, _ = maps(rng, len(table), ("ce",))
    (legend,) = figures.static_maps(planes, table["family"]).legends
    assert "not known" in [text.get_text() for text in legend.get_texts()]
    figures.species_per_genus(table, LEVELS)


def evaluation(levels, methods=STUDY):
    values = {f"{levels[0]}_accuracy": 0.5, "n_test": 200}
    for k, level in enumerate(levels[1:], start=1):
        values |= {f"{level}_outliers": 10 * k, f"{level}_outlier_rate": 0.05 * k}
    return {"levels": list(levels), "methods": {method: values for method in methods}}


def test_results_table_has_the_outliers_of_every_level_above_the_finest():
    table = figures.results_table(evaluation(LEVELS), "cars").data
    assert table.index.tolist() == [figures.METHOD_NAMES[method] for method in STUDY]
    ours = table["ours (cars)"]
    assert ours.columns.tolist() == [
        "family outliers", "family change", "maker outliers", "maker change", "variant accuracy",
    ]  # fmt: skip
    shown = [text.replace("\N{NO-BREAK SPACE}", " ") for text in ours.loc["HCL, blocks"]]
    assert shown == ["10 (5.0 %)", "+0 %", "20 (10.0 %)", "+0 %", "50.0 %"]
    assert table["paper (DF20-Mini)"].loc["CE, head"].tolist() == ["", ""]
    ours = figures.results_table(evaluation(("class",)), "flat").data["ours (flat)"]
    assert ours.columns.tolist() == ["class accuracy"]


def test_outlier_readings_have_a_panel_for_every_level_above_the_finest():
    figure = figures.outlier_readings(evaluation(LEVELS))
    assert figure.layout.yaxis.title.text == "family outlier rate"
    assert figure.layout.yaxis2.title.text == "maker outlier rate"
    for axis, rate in (("y", 0.05), ("y2", 0.1)):
        of_panel = [trace for trace in figure.data if trace.yaxis == axis]
        assert [trace.name for trace in of_panel] == list(map(figures.METHOD_NAMES.get, STUDY))
        assert all(trace.y[0] == pytest.approx(rate) for trace in of_panel)
        places = [trace.x[0] for trace in of_panel]
        assert np.all(np.diff(places) > 0) and max(np.abs(places)) < 0.5
    assert sum(trace.showlegend is not False for trace in figure.data) == len(STUDY)


def test_recorded_seeds_take_the_levels_of_the_study():
    run = {"method": "ce", "seed": 0, "overrides": {}}
    run["test"] = {"maker_outlier_rate": 0.1, "family_outlier_rate": 0.2, "variant_accuracy": 0.7}
    result = {"runs": [run], "settings": {"levels": LEVELS}}
    figure = figures.recorded_seeds(result)
    assert [trace.y[0] for trace in figure.data if trace.mode == "markers"] == [0.2, 0.1, 0.7]
    titles = [annotation.text.split("<br>")[0] for annotation in figure.layout.annotations]
    assert titles == ["family outlier rate", "maker outlier rate", "variant accuracy"]


@pytest.mark.parametrize(
    "drawn",
    [
        lambda table: figures.species_per_genus(table, ("variant",)),
        lambda table: figures.outlier_readings(evaluation(("variant",))),
        lambda table: figures.pareto(table, levels=("variant",)),
    ],
)
def test_a_figure_that_needs_a_coarser_level_says_so(table, drawn):
    with pytest.raises(
        ValueError, match=r"needs a level above the finest, .* only variant; .*name"
    ):
        drawn(table)


@pytest.mark.parametrize("n_levels", [1, 2, 3, 8])
def test_mistakes_take_any_number_of_levels(rng, n_levels):
    levels = [f"level {k}" for k in range(n_levels)]
    distance = rng.integers(0, n_levels + 1, 100)
    figure = figures.mistakes({"ce": distance}, levels)
    assert len(figure.data) == n_levels + 1 == len({bar.marker.color for bar in figure.data})
    shares = [bar.x[0] for bar in figure.data]
    assert shares == pytest.approx(np.bincount(distance, minlength=n_levels + 1) / 100)
    assert figure.data[-1].name == f"wrong level {n_levels - 1}"


def test_measures_are_called_by_the_levels_names(rng):
    bins = reliability(rng.dirichlet(np.ones(4), 50), rng.integers(0, 4, 50))
    figure = figures.reliability({"as trained": bins}, "variant")
    assert figure.layout.xaxis2.title.text == "confidence in the predicted variant"
    figure = figures.confusion_heatmap(both(np.eye(2, dtype=int)), ["a", "b"], "maker")
    assert figure.get_supxlabel() == "maker of the nearest centroid"
    assert figure.axes[0].get_ylabel() == "true maker"


def test_measures_are_read_off_their_names_and_ordered_by_space_and_kind():
    keys = [
        "n_test", "fine_knn_accuracy_encoder", "brier", "fine_accuracy", "h_ap_encoder",
        "super_class_outlier_rate", "super_class_outlier_rate_interval", "coarse_outlier_rate",
        "coarse_outlier_rate_test_centroids", "fine_accuracy_tail", "super_class_outliers",
        "coarse_outlier_rate_encoder_test_centroids", "h_ap", "method", "linear_accuracy",
    ]  # fmt: skip
    found = measures.measures_of(keys)
    assert [(m.space, m.name) for m in found.values()] == [
        ("embedding", "super_class outlier rate"),
        ("embedding", "coarse outlier rate"),
        ("embedding", "coarse outlier rate, test centroids"),
        ("embedding", "fine accuracy"),
        ("embedding", "linear accuracy"),
        ("embedding", "fine accuracy, rarest third"),
        ("embedding", "hierarchical AP"),
        ("encoder", "coarse outlier rate, test centroids"),
        ("encoder", "fine k-NN accuracy"),
        ("encoder", "hierarchical AP"),
        ("classifier", "Brier score"),
    ]
