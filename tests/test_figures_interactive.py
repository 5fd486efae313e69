import html
import importlib.resources
import json

import numpy as np
import pandas as pd
import pytest

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
    """120 images: 3 genera of 2, 3 and 4 species, one of them with a hostile name."""
    species = [("Amanita", name) for name in (EVIL, "Amanita sp. 02")]
    species += [("Boletus", f"Boletus sp. {k:02d}") for k in (1, 2, 3)]
    species += [("Russula", f"Russula sp. {k:02d}") for k in (1, 2, 3, 4)]
    drawn = np.concatenate([np.arange(9), rng.integers(0, 9, 111)])
    table = pd.DataFrame([species[k] for k in drawn], columns=["genus", "species"])
    table["split"] = rng.choice(["train", "val", "test"], len(table))
    return table


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


def test_maps_refuse_planes_of_other_samples(table, maps):
    planes, _, thumbnails = maps
    planes["hcl"] = planes["hcl"][1:]
    with pytest.raises(ValueError, match=r"'hcl' has shape \(119, 2\); \(120, 2\) expected"):
        figures.interactive_maps(planes, table, thumbnails)


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
    planes, _, thumbnails = maps
    hostile = table.assign(genus=table["genus"].replace("Amanita", EVIL))
    page = open_page(figures.interactive_maps(planes, hostile, thumbnails).to_html())
    assert EVIL in page.locator(".legendtext").all_text_contents()
    assert page.locator("img[src=x]").count() == 0
