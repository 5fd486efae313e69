import html
import importlib.resources
import json
from itertools import pairwise
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from fgcl_utils import figures
from fgcl_utils.figures import names

MIMETYPE = "application/vnd.plotly.v1+json"
EVIL = "<img src=x onerror=alert(1)></script> $x^2$"
METHODS = ("ce", "supcon", "hcl")
LEVELS = ("species", "genus", "form")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def table(rng):
    """120 photos: 3 genera of 2, 3 and 4 species, one of them with a hostile name."""
    species = [("Amanita", name) for name in (EVIL, "Amanita sp. 02")]
    species += [("Boletus", f"Boletus sp. {k:02d}") for k in (1, 2, 3)]
    species += [("Russula", f"Russula sp. {k:02d}") for k in (1, 2, 3, 4)]
    drawn = np.concatenate([np.arange(9), rng.integers(0, 9, 111)])
    table = pd.DataFrame([species[k] for k in drawn], columns=["genus", "species"])
    table["split"] = rng.choice(["train", "val", "test"], len(table))
    return table


@pytest.fixture
def dataset(table):
    """Photo number i is a plain wide rectangle whose red channel is i."""
    return SimpleNamespace(
        table=table,
        taxonomy=SimpleNamespace(levels=("species", "genus")),
        indices=lambda split: np.flatnonzero(table["split"] == split),
        photo=lambda i, size: Image.new("RGB", (size + 20, size), (i, 0, 0)),
    )


def texts(column):
    """Of a table, with the spaces that do not break as plain ones."""
    return [text.replace("\N{NO-BREAK SPACE}", " ") for text in column]


@pytest.fixture
def maps(table, rng):
    # On a grid, so that no point hides another from the pointer.
    grid = np.stack(np.divmod(np.arange(len(table)), 11), axis=1).astype(float)
    planes = {method: rng.permutation(grid) for method in METHODS}
    outliers = {method: rng.random(len(table)) < 0.2 for method in METHODS}
    reds = np.arange(len(table), dtype=np.uint8) * 2
    images = np.zeros((len(table), 16, 16, 3), np.uint8)
    images[..., 0] = reds[:, None, None]
    thumbnails = figures.webp_thumbnails(images)
    return planes, outliers, thumbnails


# ---------------------------------------------------------------------------------- the look


def test_styles_tell_56_genera_apart_by_colour_and_marker_together():
    styles = figures.genus_styles([f"genus {k:02d}" for k in range(56)] * 2)
    assert len({(s.color, s.symbol) for s in styles.values()}) == 56
    assert len({(s.color, s.marker) for s in styles.values()}) == 56
    nearby = list(styles.values())
    assert all(a.color != b.color and a.symbol != b.symbol for a, b in pairwise(nearby))


def test_styles_do_not_depend_on_the_order_of_the_rows():
    assert figures.genus_styles("bca") == figures.genus_styles("abc")


def test_template_is_transparent_and_registered():
    layout = pio.templates["fgcl"].layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0, 0, 0, 0)"
    assert layout.font.size >= 10


def test_book_renderer_emits_both_mimetypes(monkeypatch):
    monkeypatch.setattr(pio.renderers, "_default_name", pio.renderers._default_name)
    monkeypatch.setattr(pio.renderers, "_default_renderers", pio.renderers._default_renderers)
    monkeypatch.setattr(pio.templates, "_default", pio.templates._default)
    figures.use_book_renderer()
    figure = go.Figure(go.Scatter(x=[1, 2], y=[3, 4]))
    bundle = figure._repr_mimebundle_()
    assert set(bundle) == {MIMETYPE, "text/html"}
    assert bundle[MIMETYPE]["config"]["showSendToCloud"] is False
    page = bundle["text/html"]
    assert 'class="plotly-graph-div"' in page
    assert "<html" not in page and "http" not in page and len(page) < 20_000  # no plotly.js inside


def test_matplotlib_figures_are_closed_and_leave_the_settings_alone(table):
    plt.get_backend()  # chosen on first use, which is a change of the settings too
    before = plt.rcParams.copy()
    open_figures = plt.get_fignums()
    figure = figures.species_per_genus(table)
    assert plt.get_fignums() == open_figures, "an open figure would be shown twice in a notebook"
    assert plt.rcParams == before
    sizes = [text.get_fontsize() for text in figure.findobj(plt.Text) if text.get_text()]
    assert min(sizes) / 72 * 100 >= 10, "lettering below 10 px at the book's width"


# ---------------------------------------------------------------------------------- photos


def test_image_grid_draws_every_photo_and_leaves_gaps(rng):
    images = [*rng.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)]
    (ax,) = figures.image_grid([*images, None], columns=3, labels=["a", "b"]).axes
    assert len(ax.images) == 5
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    assert all(np.array_equal(a.get_array(), b) for a, b in zip(ax.images, images, strict=True))


@pytest.mark.parametrize(
    ("count", "options", "message"),
    [
        (0, {}, "no images"),
        (3, {"titles": ["one"]}, "3 titles expected, got 1"),
        (3, {"columns": 2, "labels": ["one"]}, "2 labels expected, got 1"),
    ],
)
def test_image_grid_refuses(count, options, message):
    with pytest.raises(ValueError, match=message):
        figures.image_grid(np.zeros((count, 4, 4, 3), np.uint8), **options)


def test_sample_grid_shows_training_photos_of_the_named_genus(dataset, table):
    (ax,) = figures.sample_grid(dataset, per_genus=4, seed=1).axes
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["Amanita", "Boletus", "Russula"]
    for image in ax.images:
        photo = int(image.get_array()[0, 0, 0])
        row = int(image.get_extent()[3] // 1.05)
        assert table.loc[photo, "genus"] == names[row] and table.loc[photo, "split"] == "train"


def test_sample_grid_is_seeded_and_keeps_to_the_largest_genera(dataset, table):
    def shown(**options):
        (ax,) = figures.sample_grid(dataset, per_genus=4, **options).axes
        return [int(image.get_array()[0, 0, 0]) for image in ax.images]

    assert shown(seed=3) == shown(seed=3) != shown(seed=4)
    largest = table.loc[table["split"] == "train", "genus"].value_counts().index[0]
    assert set(table.loc[shown(max_genera=1), "genus"]) == {largest}


def test_view_pairs_stacks_photo_and_views(rng):
    images = rng.integers(0, 256, (3, 4, 6, 6, 3), dtype=np.uint8)
    (ax,) = figures.view_pairs(*images).axes
    drawn = np.stack([image.get_array() for image in ax.images]).reshape(images.shape)
    assert np.array_equal(drawn, images)
    with pytest.raises(ValueError, match="4 images, 3 and 4 views"):
        figures.view_pairs(images[0], images[1][:3], images[2])


def test_confusable_species_shows_the_examples_of_both_species(dataset):
    pair = {"species_a": EVIL, "species_b": "Russula sp. 02", "genus": "Amanita / Russula"}
    pair |= {"confusions": 7, "examples_a": [1, 2], "examples_b": [3, 4, 5, 6, 7]}
    figure = figures.confusable_species(pd.DataFrame([pair] * 3), dataset, per_species=3)
    photos = [[int(image.get_array()[0, 0, 0]) for image in ax.images] for ax in figure.axes]
    assert photos == [[1, 2], [3, 4, 5]] * 3
    assert figure.subfigs[0].get_suptitle() == "Amanita / Russula · confused 7×"
    (text,) = figures.confusable_species(pd.DataFrame(), dataset).texts
    assert text.get_text() == "No species was taken for another."


# ---------------------------------------------------------------------------------- data


def test_species_per_genus_counts_species_in_the_genus_colour(table):
    (ax,) = figures.species_per_genus(table).axes
    names = [label.get_text() for label in ax.get_yticklabels()]
    bars = {name: bar for name, bar in zip(names, ax.patches, strict=True)}
    assert {name: bar.get_width() for name, bar in bars.items()} == {
        "Amanita": 2, "Boletus": 3, "Russula": 4,
    }  # fmt: skip
    for name, style in figures.genus_styles(table["genus"]).items():
        assert to_hex(bars[name].get_facecolor()) == style.color.lower()


def test_long_tail_counts_each_photo_once_and_falls(table):
    figure = figures.long_tail(table)
    assert sum(sum(trace.y) for trace in figure.data) == len(table)
    totals = np.zeros(table["species"].nunique())
    for trace in figure.data:
        totals[np.asarray(trace.x) - 1] += trace.y
    assert (np.diff(totals) <= 0).all()
    assert figure.layout.yaxis.type == "log"
    assert all("<img" not in text for trace in figure.data for text in trace.text)


def test_batch_anatomy_counts_pairs_like_a_slow_loop(rng):
    species = rng.integers(0, 6, 20)
    labels = np.stack([species, species // 2], axis=1)
    kinds = [
        "positive" if a[0] == b[0] else "soft positive" if a[1] == b[1] else "negative"
        for i, a in enumerate(labels) for j, b in enumerate(labels) if i != j
    ]  # fmt: skip
    (ax,) = figures.batch_anatomy(labels).axes
    expected = ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("positive", "soft positive"))
    assert ax.get_title() == f"20 samples: {expected} and {kinds.count('negative')} negative pairs"
    with pytest.raises(ValueError, match=r"got \(20,\)"):
        figures.batch_anatomy(species)


# ---------------------------------------------------------------------------------- training


def test_training_curves_leave_out_what_was_not_measured():
    history = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [3.0, 2.0, 1.0]})
    assert [trace.name for trace in figures.training_curves(history).data] == ["training loss"]
    history["val_species_accuracy"] = [0.1, np.nan, 0.5]
    history["val_genus_outlier_rate"] = np.nan
    history["learning_rate"] = [1e-3, 1e-4, 0]
    loss, accuracy = figures.training_curves(history).data
    assert list(loss.y) == [3, 2, 1] and "0.001" in loss.text[0]
    assert accuracy.name == "species accuracy" and list(accuracy.x) == [1, 3]
    assert accuracy.xaxis == "x2", "validation has its own panel"


def test_training_curves_name_the_columns_they_miss():
    with pytest.raises(ValueError, match=r"train_loss.*expected"):
        figures.training_curves(pd.DataFrame({"epoch": [1], "loss": [2]}))


# ---------------------------------------------------------------------------------- evaluation


@pytest.fixture
def evaluation():
    counts = {"hcl": 40, "ce": 160, "supcon": 120}
    return {
        "methods": {
            name: {
                "genus_outliers": n,
                "genus_outlier_rate": n / 800,
                "n_test": 800,
                "species_accuracy": 0.5,
            }
            for name, n in counts.items()
        }
    }


def test_the_papers_percentages_follow_from_its_counts(evaluation):
    paper = figures.results_table(evaluation, "synthetic").data["paper (DF20-Mini)"]
    assert paper["genus outliers"].tolist() == [
        "725 (19.9\N{NO-BREAK SPACE}%)",
        "423 (11.6\N{NO-BREAK SPACE}%)",
        "201 (5.5\N{NO-BREAK SPACE}%)",
    ]
    assert texts(paper["change"]) == ["", "−42 %", "−72 %"]


def test_results_table_sets_ours_beside_the_paper(evaluation):
    styler = figures.results_table(evaluation, "<b>synthetic")
    ours = styler.data["ours (<b>synthetic)"]
    assert ours.index.tolist() == ["CE", "SupCon", "HCL"]
    assert ours["genus outliers"].tolist() == [
        "160 (20.0\N{NO-BREAK SPACE}%)",
        "120 (15.0\N{NO-BREAK SPACE}%)",
        "40 (5.0\N{NO-BREAK SPACE}%)",
    ]
    assert texts(ours["change"]) == ["", "−25 %", "−75 %"]
    assert texts(ours["species accuracy"]) == ["50.0 %"] * 3
    page = styler.to_html()
    assert "nan" not in page and "<b>" not in page


def test_results_table_shows_the_mean_of_the_seeds_and_recorded_data(evaluation):
    evaluation["seeds"] = {
        m: [values | {"seed": s, "genus_outlier_rate": rate} for s, rate in enumerate((0.1, 0.3))]
        for m, values in evaluation["methods"].items()
    }
    measures = {"genus_outliers": 10, "genus_outlier_rate": 0.1, "species_accuracy": 0.8}
    means = {name: {"mean": value, "low": None, "high": None} for name, value in measures.items()}
    plain = {"method": "ce", "overrides": {}, "seeds": [0, 1, 2], "test": means}
    groups = {"ce": plain, "ce_head": plain | {"overrides": {"head": "none"}, "test": None}}
    table = figures.results_table(evaluation, "synthetic", {"Grocery": {"groups": groups}}).data
    columns = table.columns.get_level_values(0).unique().tolist()
    assert columns == ["ours (synthetic, 2 seeds)", "ours (Grocery, 3 seeds)", "paper (DF20-Mini)"]
    assert (
        table["ours (synthetic, 2 seeds)", "genus outliers"]["CE"]
        == "160 (20.0\N{NO-BREAK SPACE}%)"
    )
    assert table["ours (Grocery, 3 seeds)", "genus outliers"].tolist() == [
        "10 (10.0\N{NO-BREAK SPACE}%)",
        "",
        "",
    ]


def test_results_table_without_a_baseline_claims_no_change(evaluation):
    del evaluation["methods"]["ce"]
    table = figures.results_table(evaluation, "synthetic").data
    assert set(table["ours (synthetic)"]["change"]) == {""}


def test_outlier_readings_draw_each_rate_with_its_interval(evaluation):
    endings = ("", "_test_centroids", "_encoder", "_encoder_test_centroids")
    for measures in evaluation["methods"].values():
        measures |= {f"genus_outlier_rate{e}": 0.1 + k / 100 for k, e in enumerate(endings)}
        measures["genus_outlier_rate_encoder_interval"] = [0.1, 0.15]
    figure = figures.outlier_readings(evaluation)
    assert [trace.name for trace in figure.data] == ["CE", "SupCon", "HCL"]
    for trace in figure.data:
        assert list(trace.y) == pytest.approx([0.1, 0.11, 0.12, 0.13])
        assert np.round(trace.x).tolist() == [0, 1, 2, 3]
        none = np.nan
        assert trace.error_y.array == pytest.approx([none, none, 0.03, none], nan_ok=True)
        assert trace.error_y.arrayminus == pytest.approx([none, none, 0.02, none], nan_ok=True)
        assert trace.text == ("", "", " (10.0% to 15.0%)", "")


def test_outlier_readings_leave_out_what_was_not_measured(evaluation):
    figure = figures.outlier_readings(evaluation)
    assert all(np.isfinite(trace.y).tolist() == [True] + [False] * 3 for trace in figure.data)


def test_confusion_heatmap_writes_the_counts_and_what_changes(rng):
    ce, hcl = rng.integers(0, 50, (2, 3, 3))
    ce[1] = 0  # a genus without test images must not divide by zero
    names = ["a", "b $x$ $y$", "c"]
    axes = figures.confusion_heatmap({"ce": ce, "hcl": hcl}, names).axes
    assert [ax.get_title() for ax in axes] == ["CE", "HCL", "HCL less CE"]
    for ax, matrix in zip(axes, (ce, hcl, hcl - ce), strict=True):
        assert [int(text.get_text()) for text in ax.texts] == matrix.ravel().tolist()
    with pytest.raises(ValueError, match=r"2 names expected, got \[\(3, 3\), \(3, 3\)\]"):
        figures.confusion_heatmap({"ce": ce, "hcl": hcl}, names[:2])


def test_genus_strip_shows_a_training_image_of_each_genus(dataset):
    (ax,) = figures.genus_strip(dataset).axes
    assert [text.get_text() for text in ax.texts] == ["Amanita", "Boletus", "Russula"]
    shown = [int(image.get_array()[0, 0, 0]) for image in ax.images]
    assert dataset.table.loc[shown, "genus"].tolist() == ["Amanita", "Boletus", "Russula"]
    assert set(dataset.table.loc[shown, "split"]) == {"train"}


def test_mended_outlier_shows_what_each_method_finds_beside_it(dataset):
    """Four training images in two genera, two test images that CE puts into the other one."""
    dataset.labels = np.array([[0, 0], [0, 0], [1, 1], [1, 1], [0, 0], [1, 1]])
    dataset.taxonomy.names = [["s", "t"], ["Amanita", "Boletus"]]
    train = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]])
    index = {"train_index": np.arange(4), "test_index": np.array([4, 5])}
    ce = index | {"train": train, "test": np.array([[0, 1], [1, 0]])}
    hcl = index | {"train": train, "test": np.array([[0.8, 0.2], [1, 0]])}
    runs = {"ce": {"embeddings": ce}, "hcl": {"embeddings": hcl}}
    outliers = {"ce": np.array([True, True]), "hcl": np.array([False, True])}
    (ax,) = figures.mended_outlier(runs, outliers, dataset).axes
    titles = [text.get_text() for text in ax.texts]
    assert titles == ["Amanita (test)", "CE: Boletus", "HCL: Amanita"]
    assert [int(image.get_array()[0, 0, 0]) for image in ax.images] == [4, 2, 1]
    figure = figures.mended_outlier(runs, outliers | {"hcl": outliers["ce"]}, dataset)
    assert "No outlier" in figure.texts[0].get_text()


# ---------------------------------------------------------------------------------- maps


def test_static_maps_hold_every_sample_and_ring_the_outliers(table, maps):
    planes, outliers, _ = maps
    figure = figures.static_maps(planes, table["genus"], outliers)
    assert len(figure.axes) == 3 and len(figure.legends) == 1
    for ax, method in zip(figure.axes, METHODS, strict=True):
        *genera, rings = (len(points.get_offsets()) for points in ax.collections)
        assert sum(genera) == len(table) and rings == outliers[method].sum()
        assert f"{rings} outliers" in ax.get_title()


@pytest.mark.parametrize("draw", ["static_maps", "interactive_maps"])
def test_maps_refuse_planes_of_other_samples(table, maps, draw):
    planes, _, thumbnails = maps
    planes["hcl"] = planes["hcl"][1:]
    arguments = (planes, table["genus"]) if draw == "static_maps" else (planes, table, thumbnails)
    with pytest.raises(ValueError, match=r"'hcl' has shape \(119, 2\); \(120, 2\) expected"):
        getattr(figures, draw)(*arguments)


def test_webp_thumbnails_are_small_webp_files(rng):
    images = rng.integers(0, 256, (3, 80, 80, 3), dtype=np.uint8)
    for thumbnail in figures.webp_thumbnails(images, size=32):
        assert thumbnail[:4] == b"RIFF" and thumbnail[8:12] == b"WEBP"
        assert len(thumbnail) < 32 * 32 * 3


def test_interactive_maps_keep_each_sample_at_its_place(table, maps):
    planes, outliers, thumbnails = maps
    figure = figures.interactive_maps(planes, table, thumbnails, outliers).figure
    axes = {"ce": "x", "supcon": "x2", "hcl": "x3"}
    for method, axis in axes.items():
        samples = [t for t in figure.data if t.xaxis == axis and t.customdata is not None]
        rings = [t for t in figure.data if t.xaxis == axis and t.customdata is None]
        order = np.concatenate([trace.customdata for trace in samples])
        assert sorted(order) == list(range(len(table)))
        drawn = np.concatenate([np.stack([t.x, t.y], axis=1) for t in samples])
        assert np.array_equal(drawn, planes[method][order])
        assert sum(len(t.x) for t in rings) == outliers[method].sum()


def test_one_legend_entry_switches_a_genus_in_all_maps(table, maps):
    planes, outliers, thumbnails = maps
    figure = figures.interactive_maps(planes, table, thumbnails, outliers).figure
    assert [t.name for t in figure.data if t.showlegend] == sorted(set(table["genus"]))
    for name in set(table["genus"]):
        group = [trace for trace in figure.data if trace.legendgroup == name]
        assert len(group) == 6, "samples and rings in three maps"


def test_names_in_maps_are_text(table, maps):
    planes, _, thumbnails = maps
    bundle = figures.interactive_maps(planes, table, thumbnails)._repr_mimebundle_()
    assert set(bundle) == {MIMETYPE, "text/html"}
    assert bundle["text/html"].count("</script>") == 1, "a name has closed the script"
    assert "<img" not in json.dumps(bundle[MIMETYPE]) and "$" not in json.dumps(bundle[MIMETYPE])
    hover = {text for trace in bundle[MIMETYPE]["data"] for text in trace.get("text", [])}
    assert EVIL in {html.unescape(text.split("<br>")[0]) for text in hover}


def test_interactive_maps_refuse_missing_thumbnails(table, maps):
    with pytest.raises(ValueError, match="120 thumbnails expected, one a sample, got 1"):
        figures.interactive_maps(maps[0], table, maps[2][:1])


def test_maps_follow_levels_and_any_number_of_methods(table, maps, rng):
    study = ("ce", "supcon", "hcl", "hcl_blocks")
    table["form"] = np.where(table["genus"] == "Boletus", "pores", "gills")
    planes = {method: rng.normal(size=(len(table), 2)) for method in study}
    figure = figures.interactive_maps(planes, table, maps[2], levels=LEVELS).figure
    samples = [trace for trace in figure.data if trace.customdata is not None]
    for panel, method in enumerate(study):
        axis = f"x{panel + 1}" if panel else "x"
        of_panel = [trace for trace in samples if trace.xaxis == axis]
        assert [trace.name for trace in of_panel] == sorted(set(table["genus"]))
        order = np.concatenate([trace.customdata for trace in of_panel])
        drawn = np.concatenate([np.stack([t.x, t.y], axis=1) for t in of_panel])
        assert np.array_equal(drawn, planes[method][order])
        assert getattr(figure.layout, axis.replace("x", "yaxis")).scaleanchor == axis
    first = samples[2].customdata[0]
    assert samples[2].text[0] == "<br>".join(table.loc[first, level] for level in LEVELS)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_a_handful_of_samples_has_maps_too(table, maps, n):
    planes = {method: plane[:n] for method, plane in maps[0].items()}
    figure = figures.interactive_maps(planes, table[:n], maps[2][:n], levels=LEVELS[:1]).figure
    assert sum(len(t.x) for t in figure.data if t.customdata is not None) == 3 * n


def test_samples_that_are_not_known_at_a_level_are_shown_as_such(table, maps):
    table.loc[:3, "genus"] = None
    table.loc[4:6, "genus"] = ""
    figure = figures.interactive_maps(maps[0], table, maps[2]).figure
    group = next(trace for trace in figure.data if trace.name == "not known")
    assert list(group.customdata) == list(range(7))


def test_names_that_are_equal_once_shortened_stay_apart(table, maps):
    table["genus"] = "a" * 90 + table["genus"]
    figure = figures.interactive_maps(maps[0], table, maps[2]).figure
    assert len({trace.legendgroup for trace in figure.data}) == 3
    assert max(len(trace.name or "") for trace in figure.data) <= names.LONGEST


# ---------------------------------------------------------------------------------- in a browser


@pytest.fixture
def open_page(browser, tmp_path):
    """Open pieces of HTML in Chromium with plotly.js beside them; scripts must not fail."""
    plotlyjs = importlib.resources.files("plotly") / "package_data/plotly.min.js"
    problems = []
    page = browser.new_page(viewport={"width": 860, "height": 900}, has_touch=True)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: problems.append(request.url)
            if request.url.startswith("http") else None)  # fmt: skip

    def open_page(*pieces):
        file = tmp_path / "page.html"
        script = f'<script src="{plotlyjs.as_uri()}"></script>'
        file.write_text(f'<!doctype html><meta charset="utf-8">{script}{"".join(pieces)}')
        page.goto(file.as_uri())
        page.wait_for_function(
            "[...document.querySelectorAll('.plotly-graph-div')]"
            ".every(plot => plot.querySelector('.scatterlayer .trace'))"
        )
        return page

    yield open_page
    page.close()
    assert not problems


@pytest.mark.browser
def test_hover_shows_the_image_and_marks_the_sample_in_every_map(open_page, table, maps):
    planes, outliers, thumbnails = maps
    shown = figures.interactive_maps(planes, table, thumbnails, outliers)
    page = open_page(shown.to_html())
    # Amanita comes first of the genera; plotly draws a trace's points in their order.
    amanitas = np.flatnonzero(table["genus"] == "Amanita")
    sample = int(np.flatnonzero(table["species"] == EVIL)[-1])
    for subplot in ("xy", "x2y2", "x3y3"):
        trace = page.locator(f".subplot.{subplot} .scatterlayer .trace").first
        point = trace.locator("path.point").nth(list(amanitas).index(sample))
        x, y = _middle(point)
        page.mouse.move(x, y)
        page.wait_for_selector(".photo-card", state="visible")
        assert page.inner_text(".photo-card em") == EVIL
        red = page.evaluate(
            """async () => {
              const photo = document.querySelector('.photo-card img');
              await photo.decode();
              const canvas = document.createElement('canvas').getContext('2d');
              canvas.drawImage(photo, 0, 0);
              return canvas.getImageData(32, 32, 1, 1).data[0];
            }"""
        )
        assert red == pytest.approx(2 * sample, abs=6), "the image of another sample"
        marks = [_middle(mark) for mark in page.locator(".photo-mark:visible").all()]
        assert len(marks) == 3
        assert min(np.hypot(*np.subtract(mark, (x, y))) for mark in marks) < 2
        page.mouse.move(2, 2)
        page.wait_for_selector(".photo-card", state="hidden")
    page.touchscreen.tap(x, y)
    page.wait_for_selector(".photo-card", state="visible")


def _middle(element):
    box = element.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.mark.browser
def test_names_show_as_they_are_written(open_page, table, maps):
    hostile = table.assign(genus=table["genus"].replace("Amanita", EVIL))
    history = pd.DataFrame({"epoch": [1, 2], "val_species_accuracy": [0.5, 0.6]})
    page = open_page(
        figures.interactive_maps(maps[0], hostile, maps[2]).to_html(),
        figures.to_html(figures.long_tail(hostile)),
        figures.to_html(figures.learning_over_epochs({EVIL: history})),
    )
    assert EVIL in page.locator(".legendtext").all_text_contents()
    assert page.locator("img[src=x]").count() == 0
