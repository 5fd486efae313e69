"""What a reader does with the explorer: compare methods, find confusions, filter, take it along."""

import io
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from matplotlib.path import Path as Polygon
from PIL import Image
from test_explorer_browser import (
    N,
    apart,
    call,
    colour,
    draw_lasso,
    hover,
    make_explorer,
    pins,
    settle,
    until,
    with_columns,
)

from fgcl_utils import metrics

pytestmark = pytest.mark.browser
GENUS = np.arange(N) % 3
SPECIES = GENUS + 3 * (np.arange(N) // 3 % 4)  # codes; names sort by genus first
SPECIES_NAMES = [f"Genus{s % 3} sp. {s // 3}" for s in SPECIES]
CE, HCL = 0, 2


@pytest.fixture(scope="module")
def made():
    return make_explorer(change=with_columns)


@pytest.fixture(scope="module")
def path(made, tmp_path_factory):
    return made[0].save(tmp_path_factory.mktemp("reader") / "map.html")


def nearest(made, method, codes):
    x = made[1][method]
    return metrics.nearest_centroid(x, codes, x)


def tiles(page, where="#panel"):
    selector = f"{where} .tile"
    return page.eval_on_selector_all(selector, "all => all.map((t) => Number(t.dataset.point))")


# ------------------------------------------------------------- three tasks, two steps at most each


def test_task_an_outlier_of_ce_that_hcl_mends_and_what_it_was_taken_for(ready, made):
    page = ready()
    page.click("text=Show them")  # the one step
    near = {method: nearest(made, method, GENUS) for method in ("CE", "HCL")}
    mended = np.flatnonzero((near["CE"] != GENUS) & (near["HCL"] == GENUS))
    assert sorted(tiles(page)) == mended.tolist()
    for i in tiles(page):
        text = page.inner_text(f'#panel .tile[data-point="{i}"]')
        assert SPECIES_NAMES[i] in text and f"→ Genus{near['CE'][i]}" in text


def test_task_the_two_species_most_confused_and_their_photos_side_by_side(ready, made):
    page = ready()
    page.click("#tab-confusions")
    page.click(".pair >> nth=0")  # the second step
    near = nearest(made, "CE", SPECIES)
    taken = [tuple(sorted((a, b))) for a, b in zip(SPECIES, near, strict=True) if a != b]
    counts = Counter(taken)
    names = dict(zip(SPECIES, SPECIES_NAMES, strict=True))
    shown = page.eval_on_selector_all(".pair-photos h3", "all => all.map((h) => h.innerText)")
    code = {name: c for c, name in names.items()}
    pair = tuple(sorted(code[name] for name in shown))
    assert counts[pair] == max(counts.values())
    left, right = (page.locator(".pair-photos section").nth(side) for side in (0, 1))
    assert left.bounding_box()["y"] == right.bounding_box()["y"]
    for section, name, other in ((left, *shown), (right, *shown[::-1])):
        wrong = ((SPECIES == code[name]) & (near == code[other])).sum()
        assert section.locator("text=wrong under CE").count() >= min(1, wrong)
        photos = [int(t.get_attribute("data-point")) for t in section.locator(".tile").all()]
        assert {SPECIES_NAMES[i] for i in photos} == {name}
    assert call(page, "shown()") == np.flatnonzero(np.isin(SPECIES, pair)).tolist()


def test_task_share_the_view(page, ready):
    ready("#pin=1.2&f=mended:0:2&tab=confusions")
    page.click("#link")  # the one step
    assert "Send the file along" in page.inner_text("#hint")
    before = call(page, "shown()")
    ready(page.evaluate("location.hash"))
    assert (call(page, "shown()"), pins(page)) == (before, [])
    assert call(page, "state.pins") == [1, 2]


# ------------------------------------------------------------------------------- two maps, sliders


def test_two_maps_are_one_view_of_the_same_points(page, ready, made):
    ready()
    plane = made[0].planes["HCL"]
    atol = 1.01 * np.ptp(plane, axis=0).max() / 2 / 32767
    np.testing.assert_allclose(call(page, "coords(1)"), plane, atol=atol)
    x, y = call(page, "screenOf(a[0], 1)", 5)
    page.mouse.move(x, y)
    assert page.get_attribute("#card", "data-point") is not None  # the second map hears, too
    page.mouse.wheel(0, -400)
    until(page, "explorer.state.view.z > 1.5")
    assert call(page, "state.besideView") is None
    page.click("#together")
    before = call(page, "state.view")
    page.mouse.move(x, y)
    page.mouse.wheel(0, -400)
    until(page, "explorer.state.besideView.z > 2.5")
    assert call(page, "state.view") == before


def test_one_map_is_the_usual_in_a_narrow_page_and_two_a_choice(page, ready):
    page.set_viewport_size({"width": 880, "height": 800})
    ready()
    assert call(page, "state.beside") == -1
    page.click("#two")
    assert call(page, "state.beside") == HCL
    page.select_option("#panes select", label="SupCon")
    until(page, "location.hash.includes('b=SupCon')")
    ready(page.evaluate("location.hash"))
    assert call(page, "state.beside") == 1


def test_a_slider_moves_points_outliers_and_accuracy(page, ready, tmp_path):
    steps = {"HCL": {"coarse": "SupCon", "fine": "HCL"}}
    explorer, embeddings = make_explorer(steps=steps)
    assert explorer.methods == ["CE", "HCL"] == list(explorer.planes) == list(explorer.outliers)
    ready(file=explorer.save(tmp_path / "map.html"))
    slider = page.locator(".slider >> visible=true")
    assert slider.inner_text().startswith("fine")
    slider.locator("input").fill("0")
    assert not call(page, "settled")  # points travel
    settle(page)
    x = embeddings["SupCon"]
    out = np.flatnonzero(metrics.nearest_centroid_outliers(x, GENUS, x, GENUS))
    assert call(page, "outliers(1)") == out.tolist()
    right = (metrics.nearest_centroid(x, SPECIES, x) == SPECIES).mean()
    text = slider.inner_text()
    assert f"{len(out)} outliers" in text and f"species right: {100 * right:.1f} %" in text
    assert f"{len(out)} outliers" in page.inner_text("#methods button:nth-child(2)")
    assert call(page, "neighbours(3, 1)") == explorer.neighbours["SupCon"][3].tolist()
    until(page, "location.hash.includes('w=0.0')")


# ------------------------------------------------------------------------- confusions and filters


@pytest.mark.parametrize("level", ["species", "genus"])
def test_pairs_are_counted_under_each_method_and_sorted_by_the_difference(ready, made, level):
    page = ready("#tab=confusions&by=0:2")
    codes = SPECIES if level == "species" else GENUS
    page.select_option("#pair-level", label="species" if level == "species" else "genera")
    names = SPECIES_NAMES if level == "species" else [f"Genus{g}" for g in GENUS]
    name_of = dict(zip(codes, names, strict=True))
    expected = Counter()
    for m, method in enumerate(made[1]):
        near = nearest(made, method, codes)
        for a, b in zip(codes, near, strict=True):
            if a != b:
                expected[tuple(sorted((name_of[a], name_of[b]))), m] += 1
    rows = page.eval_on_selector_all(
        ".confusions tr",
        "all => all.slice(1).map((r) => [[...r.querySelectorAll('.pair span')]"
        ".map((s) => s.innerText), [...r.querySelectorAll('td')].map((d) => +d.innerText)])",
    )
    found = {(tuple(sorted(pair)), m): n for pair, of in rows for m, n in enumerate(of) if n}
    assert found == dict(expected)
    more = [counts[CE] - counts[HCL] for _, counts in rows]
    assert more == sorted(more, reverse=True)


def test_filters_tell_the_wrong_species_under_each_method(ready, made):
    page = ready()
    near = {method: nearest(made, method, SPECIES) != SPECIES for method in made[1]}
    page.select_option("#filter", "wrong:2")
    assert call(page, "shown()") == np.flatnonzero(near["HCL"]).tolist()
    page.select_option("#filter", "worse:2:0")
    assert call(page, "shown()") == np.flatnonzero(~near["HCL"] & near["CE"]).tolist()
    assert "species right under HCL, wrong under CE" in page.inner_text("#active")


def test_any_column_filters_by_its_values_or_by_a_range(page, ready):
    ready("#tab=only")
    page.select_option("#column", "habitat")
    page.fill("#panel input[type=search]", "mea")
    page.locator(".value", has_text="meadow").click()
    meadow = np.arange(N) % 7 % 3 == 1
    assert call(page, "shown()") == np.flatnonzero(meadow).tolist()
    page.select_option("#column", "height above sea")
    page.locator("#panel input[type=number]").first.fill("500")
    page.keyboard.press("Tab")
    expected = np.flatnonzero(meadow & (np.arange(N) >= 50)).tolist()
    assert call(page, "shown()") == expected
    assert "height above sea from 500 to" in page.inner_text("#active")
    until(page, "location.hash.includes('sea=500')")
    ready(page.evaluate("location.hash"))
    assert call(page, "shown()") == expected


def test_chips_end_what_they_name_and_no_match_is_said(ready):
    page = ready("#q=genus1&f=out:0")
    page.click("#active .active >> nth=1")
    assert call(page, "state.query") == ""
    page.fill("#search", "no such name")
    assert "No image matches" in page.inner_text("#nothing")
    page.click("#nothing button")
    assert call(page, "drawn") == N
    assert not page.is_visible("#active") and not page.is_visible("#nothing")


def test_the_lasso_takes_what_a_search_has_found(ready, made):
    page = ready()
    page.fill("#search", "sp. 1")
    path = draw_lasso(page)
    inside = Polygon(path).contains_points(made[0].planes["CE"])
    found = np.array(["sp. 1" in name for name in SPECIES_NAMES])
    assert call(page, "state.selection") == np.flatnonzero(inside & found).tolist()
    assert len(call(page, "state.selection")) > 3


# -------------------------------------------------------------------------------- taking it along


def test_a_selection_leaves_as_a_table(page, ready, made):
    ready()
    page.fill("#search", "genus2 sp. 1")
    page.press("#search", "Enter")
    with page.expect_download() as download:
        page.click("#panel >> text=CSV")
    table = pd.read_csv(download.value.path())
    rows = np.flatnonzero(np.array(SPECIES_NAMES) == "Genus2 sp. 1")
    assert table["image"].tolist() == [f"photo {i}" for i in rows]
    assert set(table["species"]) == {"Genus2 sp. 1"} and set(table["genus"]) == {"Genus2"}
    for method in made[1]:
        near = nearest(made, method, GENUS)[rows]
        assert table[f"nearest genus {method}"].tolist() == [f"Genus{g}" for g in near]
        assert table[f"outlier {method}"].tolist() == (near != GENUS[rows]).astype(int).tolist()


def test_back_undoes(page, ready):
    ready()
    page.click("#methods button:nth-child(2)")
    until(page, "location.hash.includes('m=SupCon')")
    page.click("#legend button >> nth=0")
    until(page, "location.hash.includes('g=0')")
    page.keyboard.press("+")  # a look around is no step of its own
    until(page, "location.hash.includes('v=')")
    page.go_back()
    until(page, "explorer.state.hidden.size === 0")
    assert call(page, "state.method") == 1
    page.go_back()
    until(page, "explorer.state.method === 0")
    page.go_forward()
    until(page, "explorer.state.method === 1")


def test_a_gallery_pins_without_being_left(ready):
    page = ready("#tab=outliers")
    first, second = tiles(page)[:2]
    for i in (first, second):
        page.locator(f'#panel .tile[data-point="{i}"] .pin-it').click()
    assert call(page, "state.pins") == [first, second]
    assert call(page, "state.tab") == "outliers"
    page.locator(f'#panel .tile[data-point="{first}"] .pin-it').click()
    assert call(page, "state.pins") == [second]


def test_on_a_phone_a_tile_shows_its_photo(browser, path):
    size = {"width": 390, "height": 844}
    context = browser.new_context(viewport=size, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f"{path.as_uri()}#tab=outliers")
    page.wait_for_selector("html[data-ready=true]")
    i = tiles(page)[0]
    page.locator(f'#panel .tile[data-point="{i}"] .open').tap()
    page.wait_for_selector("#dialog[open] img[data-kind=photo]")
    assert page.locator("#dialog img").bounding_box()["width"] > 200
    assert SPECIES_NAMES[i] in page.inner_text("#dialog")
    page.tap("#dialog >> text=Pin")
    assert call(page, "state.pins") == [i]
    context.close()


def test_in_a_frame_there_is_a_way_out_and_elsewhere_not(page, ready, path, tmp_path):
    assert not ready().is_visible("#alone")
    around = tmp_path / "book.html"
    around.write_text(f'<iframe id="map" width="790" height="780" src="{path.as_uri()}"></iframe>')
    page.goto(around.as_uri())
    link = page.frame_locator("#map").locator("#alone")
    link.wait_for()
    page.wait_for_timeout(400)
    assert link.get_attribute("href").startswith(path.as_uri())


# ------------------------------------------------------------------------------- photos on the map


def test_photos_lie_on_the_map_where_there_is_room(page, ready):
    ready("#hide=names&q=genus2+sp.+1&b=none")
    members = [i for i in range(N) if SPECIES_NAMES[i] == "Genus2 sp. 1"]

    def painted():
        picture = Image.open(io.BytesIO(page.locator("#map").screenshot())).convert("RGB")
        box = page.locator("#map").bounding_box()
        spots = [
            np.subtract(call(page, "screenOf(a[0])", i), [box["x"], box["y"]]) for i in members
        ]
        pixels = [picture.getpixel((round(x) + 12, round(y) + 12)) for x, y in spots]
        near = [
            np.abs(np.subtract(p, colour(i))).max() < 12
            for p, i in zip(pixels, members, strict=True)
        ]
        return sum(near)

    page.wait_for_timeout(500)
    assert painted() >= 3
    page.click("#pictures")
    assert painted() == 0


def test_the_card_leaves_the_points_around_in_view(ready):
    page = ready("#b=none")
    for i in apart(page, 5):
        hover(page, i)
        x, y = call(page, "screenOf(a[0])", i)
        card = page.locator("#card").bounding_box()
        beside = max(card["x"] - x, x - card["x"] - card["width"])
        above = max(card["y"] - y, y - card["y"] - card["height"])
        assert max(beside, above) > 60


# ------------------------------------------------------------------------------------ for everyone

VIEWS = [
    ("#pin=1.2.3&i=1", 1400, "light"),
    ("#tab=confusions&pair=0.1.2&q=sp", 1400, "dark"),
    ("#tab=outliers&f=out:0", 790, "light"),
    ("#tab=only&c=habitat", 390, "dark"),
]


@pytest.mark.parametrize(("fragment", "width", "scheme"), VIEWS)
def test_axe_finds_nothing(page, ready, fragment, width, scheme):
    page.set_viewport_size({"width": width, "height": 860})
    page.emulate_media(color_scheme=scheme)
    ready(fragment)
    page.wait_for_timeout(400)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
