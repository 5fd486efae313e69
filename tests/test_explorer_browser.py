"""The explorer in a real browser, from file://, with the network refused.

One page for most tests, loaded afresh each time: 240 points of three genera, each photo of one
plain colour that says which point it is.
"""

import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.path import Path as Polygon
from PIL import Image
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

from fgcl_utils import metrics
from fgcl_utils.explorer import EmbeddingExplorer

pytestmark = pytest.mark.browser
N = 240
METHODS = ["CE", "SupCon", "HCL"]
HOSTILE = ["<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "a & b"]


def colour(i):
    """A colour of its own for each point, far enough apart to survive WebP."""
    return (40 * (i % 6) + 20, 40 * (i // 6 % 6) + 20, 30 * (i // 36) + 20)


def make_explorer(names=None, change=None, **options):
    """An explorer and its embeddings; `change` edits the table before."""
    rng = np.random.default_rng(3)
    genus = np.arange(N) % 3
    species = genus + 3 * (np.arange(N) // 3 % 4)
    centres, finer = rng.normal(size=(3, 16)), 0.5 * rng.normal(size=(12, 16))
    embeddings = {
        method: centres[genus] + finer[species] + noise * rng.normal(size=(N, 16))
        for method, noise in zip(METHODS, (1.9, 1.3, 0.9), strict=True)
    }
    angle = rng.uniform(0, 2 * np.pi, (3, N))
    planes = {  # three separate discs whose points are told apart by the pointer
        method: 10 * np.stack([np.cos(2.1 * genus), np.sin(2.1 * genus)], axis=1)
        + 7 * np.sqrt(rng.uniform(size=(N, 1))) * np.stack([np.cos(a), np.sin(a)], axis=1)
        + m
        for m, (method, a) in enumerate(zip(METHODS, angle, strict=True))
    }
    table = pd.DataFrame({"image": [f"photo {i}" for i in range(N)]})
    table["species"] = [f"Genus{s % 3} sp. {s // 3}" for s in species]
    table["genus"] = [f"Genus{g}" for g in genus]
    if names:
        table["species"] = [names[s % 3] + str(s // 3) for s in species]
        table["genus"] = [names[g] for g in genus]

    if change:
        change(table)

    def photos(i, size):
        if i == 7:
            raise OSError("a broken file")
        return Image.new("RGB", (size, size * 4 // 3), colour(i))

    return EmbeddingExplorer(
        embeddings, table, photos=photos, planes=planes, title="Test map", **options
    ), embeddings


@pytest.fixture(scope="module")
def made():
    return make_explorer()


@pytest.fixture(scope="module")
def path(made, tmp_path_factory):
    return made[0].save(tmp_path_factory.mktemp("explorer") / "map.html")


def call(page, expression, *arguments):
    return page.evaluate(f"(a) => explorer.{expression}", list(arguments))


def hover(page, i):
    x, y = call(page, "screenOf(a[0])", i)
    page.mouse.move(x, y)
    page.wait_for_selector(f'#card[data-point="{i}"]:not([hidden])')


def click(page, i):
    x, y = call(page, "screenOf(a[0])", i)
    page.mouse.click(x, y)


def apart(page, many, seed=0, reach=16):
    """Points that no other is drawn near, so that the pointer can only mean them."""
    xy = np.array([call(page, "screenOf(a[0])", i) for i in range(N)])
    distance = pairwise_distances(xy) + 1e6 * np.eye(N)
    free = np.flatnonzero(distance.min(axis=1) > reach / 2)
    return np.random.default_rng(seed).permutation(free[free != 7])[:many].tolist()


def pins(page):
    return page.eval_on_selector_all(".pin", "all => all.map((pin) => Number(pin.dataset.point))")


def until(page, condition):
    """Wait for it by asking: `wait_for_function` evaluates in the page, whose policy forbids it."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never came true: {condition}")


def settle(page):
    until(page, "explorer.settled")


# ----------------------------------------------------------------------------- seeing photos


def test_it_is_ready_without_errors_requests_or_more_than_two_contexts(page, ready):
    page.add_init_script("""
        window.contexts = 0;
        const real = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
          const known = this.counted;
          const context = real.call(this, kind, ...rest);
          if (/webgl/.test(kind) && context && !known) { this.counted = true; window.contexts++; }
          return context;
        };
    """)
    ready()
    assert page.get_attribute("html", "data-renderer") == "webgl"
    assert 1 <= page.evaluate("window.contexts") <= 2
    assert call(page, "drawn") == N


def assert_points_are_painted(page, class_of=lambda i: i % 3):
    picture = Image.open(io.BytesIO(page.locator("#map").screenshot())).convert("RGB")
    box = page.locator("#map").bounding_box()
    painted = np.asarray(picture).astype(int)
    okabe_ito = [(0x00, 0x72, 0xB2), (0xE6, 0x9F, 0x00), (0x00, 0x9E, 0x73)]
    for i in apart(page, 12, reach=26):
        x, y = call(page, "screenOf(a[0])", i)
        pixel = painted[round(y - box["y"]), round(x - box["x"])]
        assert np.abs(pixel - okabe_ito[class_of(i)]).max() < 40, f"point {i}: {pixel}"


def test_points_are_really_painted(ready):
    assert_points_are_painted(ready("#hide=names"))


def test_hover_shows_the_right_photo_soon(ready):
    page = ready()
    page.evaluate("""() => {
        window.times = [];
        document.getElementById("overlay").addEventListener(
          "pointermove", () => { window.moved = performance.now(); }, true);
        document.addEventListener("load", (event) => {
          if (event.target.closest?.("#card") && window.moved) {
            window.times.push(performance.now() - window.moved);
            window.moved = 0;
          }
        }, true);
    }""")
    targets = apart(page, 20)
    assert len(targets) == 20
    for i in targets:
        hover(page, i)
        until(page, "document.querySelector('#card img')?.naturalWidth > 0")
        shown = page.evaluate("""() => {
            const image = document.querySelector("#card img");
            const canvas = document.createElement("canvas");
            canvas.width = canvas.height = 1;
            const context = canvas.getContext("2d");
            context.drawImage(image, 0, 0, 1, 1);
            return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3), image.naturalWidth];
        }""")
        assert np.abs(np.subtract(shown[:3], colour(i))).max() < 10, f"point {i}"
        assert shown[3] in (72, 224)
        assert f"Genus{i % 3} sp." in page.inner_text("#card")
    times = page.evaluate("window.times")
    assert len(times) >= 20
    assert np.percentile(times, 95) < 150, times


def test_an_unreadable_photo_is_a_placeholder_and_is_listed(ready):
    page = ready()
    call(page, "choose(7)")
    call(page, "togglePin(7)")
    assert "no image" in page.inner_text('.pin[data-point="7"]')
    page.click("#help")
    assert "1 image could not be read" in page.inner_text("#dialog")
    assert "photo 7" in page.inner_text("#dialog")


def test_two_clicks_pin_two_photos_and_a_third_unpins(ready):
    page = ready()
    first, second = apart(page, 2)
    click(page, first)
    click(page, second)
    assert pins(page) == [first, second]
    for i in (first, second):
        card = page.locator(f'.pin[data-point="{i}"]')
        assert f"Genus{i % 3} sp. {i // 3 % 4}" in card.inner_text()
        card.locator(f"text=photo {i}").wait_for()
    until(page, "[...document.querySelectorAll('.pin img')].every((i) => i.naturalWidth === 224)")
    click(page, first)
    assert pins(page) == [second]
    page.click(".pin button")
    assert pins(page) == []


def test_pinned_photos_show_their_distances_and_ranks_under_each_method(ready, made):
    page = ready("#pin=0.3.1")
    page.wait_for_selector("#distances td")
    rows = page.eval_on_selector_all(
        "#distances tr",
        "all => all.slice(1).map((r) => [...r.querySelectorAll('td')]"
        ".map((d) => [d.title, d.innerText, d.className === 'best']))",
    )
    for (i, j), cells in zip([(0, 3), (0, 1), (3, 1)], rows, strict=True):
        ranks = []
        for (shown, rank, _), x in zip(cells, made[1].values(), strict=True):
            distance = pairwise_distances(x[[i]], x, metric="cosine")[0]
            distance[i] = -1
            assert float(shown.split()[2]) == pytest.approx(distance[j], abs=0.02)
            ranks.append(int(rank.split()[0].strip("#").replace(",", "")))
            assert ranks[-1] == pytest.approx((distance < distance[j]).sum(), abs=3)
        wanted = min(ranks) if i % 3 == j % 3 else max(ranks)
        assert [rank == wanted for rank in ranks] == [is_best for _, _, is_best in cells]
    text = page.inner_text("#distances")
    assert "A and B (same genus, another species) should be close. Closest under" in text
    assert "should be far apart. Farthest apart on average under" in text


# ----------------------------------------------------------------------- the methods' numbers


def test_switching_the_method_moves_points_to_pythons_coordinates_and_keeps_pins(ready, made):
    page = ready("#pin=5.9")
    for place, method in [(1, "SupCon"), (2, "HCL"), (0, "CE")]:
        page.click(f"#methods button:nth-child({place + 1})")
        assert not call(page, "settled")  # they travel, and do not jump
        settle(page)
        plane = made[0].planes[method]
        half = np.ptp(plane, axis=0).max() / 2
        np.testing.assert_allclose(call(page, "coords()"), plane, atol=1.01 * half / 32767)
        assert pins(page) == [5, 9]
        assert (
            page.get_attribute(f"#methods button:nth-child({place + 1})", "aria-checked") == "true"
        )


def test_who_wants_no_motion_gets_none(ready):
    page = ready()
    page.emulate_media(reduced_motion="reduce")
    page.click("#methods button:nth-child(2)")
    assert call(page, "settled")


def test_neighbours_equal_scikit_learns_on_the_original_embeddings(ready, made):
    page = ready()
    for m, x in enumerate(made[1].values()):
        search = NearestNeighbors(n_neighbors=13, metric="cosine", algorithm="brute").fit(x)
        expected = search.kneighbors(x[:40], return_distance=False)[:, 1:]
        found = [call(page, "neighbours(a[0], a[1])", i, m) for i in range(40)]
        np.testing.assert_array_equal(found, expected)


def test_the_strip_shows_the_neighbours_of_the_chosen_photo(ready):
    page = ready("#i=10&m=HCL")
    page.wait_for_selector(".strip .tile")
    strip = page.eval_on_selector_all(".strip .tile", "all => all.map((t) => +t.dataset.point)")
    assert strip == call(page, "neighbours(10)")
    kin = page.eval_on_selector_all(".strip .tile", "all => all.map((t) => t.dataset.kin)")
    for j, relation in zip(strip, kin, strict=True):
        same_genus = j % 3 == 10 % 3
        same = same_genus and j // 3 % 4 == 10 // 3 % 4
        assert relation == ("species" if same else "genus" if same_genus else "other")
    page.click(".strip .tile >> nth=0")
    assert call(page, "state.chosen") == strip[0]


def test_outliers_equal_those_of_metrics_and_filters_count_them(ready, made):
    page = ready()
    explorer, embeddings = made
    genus = np.unique(explorer.table["genus"], return_inverse=True)[1]
    out = {m: metrics.nearest_centroid_outliers(x, genus, x, genus) for m, x in embeddings.items()}
    for m, method in enumerate(METHODS):
        expected = np.flatnonzero(out[method]).tolist()
        assert call(page, "outliers(a[0])", m) == expected
        page.select_option("#filter", f"out:{m}")
        assert call(page, "shown()") == expected
        assert f"{len(expected)} outliers under {method}" in page.inner_text("#listed")
    page.select_option("#filter", "mended:0:2")
    assert call(page, "shown()") == np.flatnonzero(out["CE"] & ~out["HCL"]).tolist()
    page.select_option("#filter", "every")
    assert call(page, "shown()") == np.flatnonzero(np.all([*out.values()], axis=0)).tolist()


# ------------------------------------------------------------------------ choosing what to see


def test_the_legend_hides_a_genus_and_shows_it_alone(ready):
    page = ready()
    chip = page.locator("#legend button >> nth=1")
    chip.click()
    assert call(page, "shown()") == [i for i in range(N) if i % 3 != 1]
    assert chip.get_attribute("aria-pressed") == "false"
    x, y = call(page, "screenOf(1)")
    page.mouse.move(x, y)
    assert page.get_attribute("#card", "data-point") != "1"
    chip.click()
    assert call(page, "drawn") == N
    page.wait_for_timeout(600)  # or the next press counts as the third of three
    chip.dblclick()
    assert call(page, "shown()") == [i for i in range(N) if i % 3 == 1]


def draw_lasso(page):
    """Around some of the first map's points; its path in the coordinates of the planes."""
    box = page.locator("#map").bounding_box()
    centre = box["x"] + box["width"] / 4, box["y"] + box["height"] / 2
    turn = np.linspace(0, 2 * np.pi, 24)
    radius = (0.15 + 0.1 * np.cos(3 * turn)) * box["height"]  # not even convex
    way = np.stack([centre[0] + radius * np.cos(turn), centre[1] + radius * np.sin(turn)], 1)
    page.click("#lasso")
    page.mouse.move(*way[0])
    page.mouse.down()
    for spot in way[1:]:
        page.mouse.move(*spot)
    page.mouse.up()
    return np.array(call(page, "lassoPath"))


def test_the_lasso_takes_the_points_inside(ready, made):
    page = ready()
    path = draw_lasso(page)
    inside = np.flatnonzero(Polygon(path).contains_points(made[0].planes["CE"]))
    assert len(inside) > 10
    assert call(page, "state.selection") == inside.tolist()
    assert f"{len(inside)} images" in page.inner_text("#panel")
    tiles = page.eval_on_selector_all("#panel .tile", "all => all.map((t) => +t.dataset.point)")
    assert tiles == inside[:60].tolist()


def test_search_finds_species_and_enter_gathers_them(ready):
    page = ready()
    page.fill("#search", "genus2 SP. 1")
    expected = [i for i in range(N) if i % 3 == 2 and i // 3 % 4 == 1]
    assert call(page, "shown()") == expected
    page.press("#search", "Enter")
    assert call(page, "state.selection") == expected
    page.fill("#search", "nothing is called this")
    assert call(page, "shown()") == []


def test_marking_a_species_dims_the_others(ready):
    page = ready("#tab=only")
    page.click(".value >> nth=0")
    assert call(page, "shown()") == [i for i in range(N) if i % 3 == 0 and i // 3 % 4 == 0]


def test_the_keyboard_alone_is_enough(ready):
    page = ready()
    for _ in range(40):  # reach the map from the top of the page
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "map":
            break
    else:
        pytest.fail("Tab never reaches the map")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("n")
    page.keyboard.press("n")
    page.keyboard.press("n")
    page.keyboard.press("p")
    assert call(page, "state.chosen") == 1
    assert "Genus1 sp. 0" in page.inner_text("#live")
    page.keyboard.press("Enter")
    page.keyboard.press("n")
    page.keyboard.press("Enter")
    assert pins(page) == [1, 2]
    page.keyboard.press("3")
    settle(page)
    assert call(page, "state.method") == 2
    page.keyboard.press("c")
    assert call(page, "state.colour") == "species"
    page.keyboard.press("o")
    assert call(page, "shown()") == call(page, "outliers(2)")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.press("Escape")
    before = call(page, "state.view.z")
    page.keyboard.press("+")
    assert call(page, "state.view.z") > before
    page.keyboard.press("ArrowRight")
    assert call(page, "state.view.x") > 0
    page.keyboard.press("0")
    assert call(page, "state.view") == {"x": 0, "y": 0, "z": 1}
    for _ in range(4):
        page.keyboard.press("Escape")
    assert pins(page) == []
    assert call(page, "state.chosen") == -1
    assert call(page, "drawn") == N


def test_everything_that_can_be_pressed_has_a_name_and_roles_are_kept(ready):
    page = ready("#pin=1.2&i=1")
    page.wait_for_selector(".strip .tile")
    nameless = page.eval_on_selector_all(
        "button, select, input, img",
        "all => all.filter((e) => !(e.innerText || e.ariaLabel || e.alt)).map((e) => e.outerHTML)",
    )
    assert nameless == []
    assert page.locator("[role=radiogroup] [aria-checked=true]").count() == 2
    assert page.locator("[role=tab][aria-selected=true]").count() == 1
    symbols = page.eval_on_selector_all(
        "#legend polygon", "all => all.map((p) => p.getAttribute('points'))"
    )
    assert len(set(symbols)) == 3  # told by shape, not by colour alone


# ------------------------------------------------------------- other levels and further columns

FAMILY = np.arange(N) % 3 // 2  # Genus0 and Genus1 in the first family, Genus2 in the other


def with_families(table):
    table["family"] = [f"Family{f}" for f in FAMILY]


def without_some_names(table):
    """Every fifth photo has no species, every tenth no genus either, photo 9 no name at all."""
    with_families(table)
    table.loc[::5, "species"] = ""
    table.loc[::10, "genus"] = np.nan
    table.loc[9, ["species", "genus", "family"]] = ""


def with_columns(table):
    table["habitat"] = np.array(["wood", "meadow", ""])[np.arange(N) % 7 % 3]
    table["height above sea"] = np.where(np.arange(N) == 5, np.nan, 10.0 * np.arange(N))


LEVELS = ("species", "genus", "family")


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    made = make_explorer(change=with_families, levels=LEVELS)
    return made[0].save(tmp_path_factory.mktemp("families") / "map.html"), *made


@pytest.fixture(scope="module")
def unnamed(tmp_path_factory):
    made = make_explorer(change=without_some_names, levels=LEVELS)
    return made[0].save(tmp_path_factory.mktemp("unnamed") / "map.html"), *made


def legend(page):
    return page.eval_on_selector_all("#legend .chip span", "all => all.map((s) => s.innerText)")


def test_the_third_level_colours_and_filters(ready, families):
    page = ready("#hide=names", families[0])
    assert legend(page) == ["Genus0", "Genus1", "Genus2"]
    assert page.inner_text("#colours").split("\n") == ["Family", "Genus", "Species"]
    page.click("#legend button >> nth=2")  # hides Genus2, all of Family1
    page.click("#colours button >> nth=0")
    assert legend(page) == ["Family0", "Family1"]
    family1 = page.locator("#legend button >> nth=1")
    assert family1.get_attribute("aria-pressed") == "false"
    assert call(page, "shown()") == np.flatnonzero(FAMILY == 0).tolist()
    family1.click()
    assert_points_are_painted(page, lambda i: FAMILY[i])
    page.fill("#search", "family1")
    assert call(page, "shown()") == np.flatnonzero(FAMILY == 1).tolist()


def test_outliers_are_judged_at_the_level_that_is_chosen(ready, families):
    file, _, embeddings = families
    page = ready(file=file)
    for level, codes in (("family", FAMILY), ("genus", np.arange(N) % 3)):
        page.select_option("#judged", label=f"outliers: {level}")
        for m, x in enumerate(embeddings.values()):
            expected = np.flatnonzero(metrics.nearest_centroid_outliers(x, codes, x, codes))
            assert call(page, "outliers(a[0])", m) == expected.tolist()
            page.select_option("#filter", f"out:{m}")
            assert call(page, "shown()") == expected.tolist()
            counted = f"{len(expected)} outliers"
            assert counted in page.inner_text(f"#methods button:nth-child({m + 1})")
            assert f"{len(expected)} {level} outliers under" in page.inner_text("#listed")
        assert f"the nearest {level} centroid" in page.inner_text("#panel")


def test_relatives_are_told_by_the_nearest_level_that_they_share(page, ready, families):
    ready("#i=10&m=HCL&pin=0.12.3.1.2", file=families[0])
    page.wait_for_selector("#distances td")
    kin = page.eval_on_selector_all(".strip .tile", "all => all.map((t) => t.dataset.kin)")
    strip = page.eval_on_selector_all(".strip .tile", "all => all.map((t) => +t.dataset.point)")
    for j, relation in zip(strip, kin, strict=True):
        same = [j % 3 == 1 and j // 3 % 4 == 10 // 3 % 4, j % 3 == 1, FAMILY[j] == FAMILY[10], True]
        assert relation == [*LEVELS, "other"][same.index(True)]
    rows = page.eval_on_selector_all(
        "#distances th[scope=row]", "all => all.slice(0, 4).map((th) => th.title)"
    )
    assert rows == [
        "same species",
        "same genus, another species",
        "same family, another genus",
        "another family",
    ]
    assert "~ same genus or family, ≠ another family" in page.inner_text("#panel")
    for part in ("Genus0 sp. 0", "Genus0", "Family0"):
        assert part in page.inner_text('.pin[data-point="0"]')
    hover(page, apart(page, 1)[0])
    assert "Family" in page.inner_text("#card")


def test_the_address_holds_the_level_of_colours_and_outliers(ready, families):
    page = ready(file=families[0])
    page.select_option("#judged", label="outliers: family")
    page.click("#colours button >> nth=0")
    page.click("#legend button >> nth=1")
    until(page, "location.hash.includes('g=1')")
    page = ready(page.evaluate("location.hash"), families[0])
    assert call(page, "state.colour") == "family"
    assert call(page, "state.judged") == 2
    assert call(page, "shown()") == np.flatnonzero(FAMILY == 0).tolist()


def test_one_level_has_no_coarser_classes_and_the_page_works(page, ready, tmp_path):
    explorer, embeddings = make_explorer(levels=["genus"], columns=())
    ready("#i=1&pin=1.4.2", explorer.save(tmp_path / "map.html"))
    page.wait_for_selector("#distances td")
    assert legend(page) == ["Genus0", "Genus1", "Genus2"]
    assert not page.is_visible("#judged")
    assert "= same genus, ≠ another genus" in page.inner_text("#panel")
    codes = np.arange(N) % 3
    for m, x in enumerate(embeddings.values()):
        expected = np.flatnonzero(metrics.nearest_centroid_outliers(x, codes, x, codes))
        assert call(page, "outliers(a[0])", m) == expected.tolist()
    for tab in ("outliers", "selection", "only", "compare"):
        page.click(f"#tab-{tab}")
    page.click("#tab-only")
    page.click(".value >> nth=1")
    assert call(page, "shown()") == np.flatnonzero(codes == 1).tolist()
    page.keyboard.press("c")
    assert call(page, "state.colour") == "genus"


def test_photos_known_to_a_coarser_level_only_are_shown_as_not_named(page, ready, unnamed):
    ready("#pin=5.10.9&i=5&c=genus", unnamed[0])
    page.wait_for_selector("#distances td")
    assert legend(page) == ["Genus0", "Genus1", "Genus2", "genus not named"]
    nameless = np.flatnonzero((np.arange(N) % 10 == 0) | (np.arange(N) == 9))
    for m in range(3):
        assert not set(call(page, "outliers(a[0])", m)) & set(nameless.tolist())
    card = page.inner_text('.pin[data-point="5"]')
    assert "species not named" in card and "Genus2" in card
    assert "genus not named" in page.inner_text('.pin[data-point="10"]')
    assert "Nearest to Genus2 (species not named)" in page.inner_text("#neighbours")
    words = page.eval_on_selector_all(
        "#distances th[scope=row]", "all => all.map((th) => th.title)"
    )
    assert words == ["another family", "family not named", "family not named"]
    page.click("#legend button >> nth=3")
    assert call(page, "shown()") == sorted(set(range(N)) - set(nameless.tolist()))
    page.click("#legend button >> nth=3")
    page.fill("#search", "species not named")
    assert call(page, "shown()") == [i for i in range(N) if i % 5 == 0 or i == 9]
    for tab in ("outliers", "selection", "only"):
        page.click(f"#tab-{tab}")


def test_further_columns_colour_and_filter(page, ready, tmp_path):
    explorer, _ = make_explorer(change=with_columns)
    ready("#pin=5.8", explorer.save(tmp_path / "map.html"))
    page.select_option("#colours", "habitat")
    assert legend(page) == ["meadow", "wood", "not given"]
    page.click("#legend button >> nth=0")
    assert call(page, "shown()") == [i for i in range(N) if i % 7 % 3 != 1]
    assert "habitat: meadow" in page.inner_text('.pin[data-point="8"]')
    page.select_option("#colours", "height above sea")
    assert call(page, "drawn") == N  # a ramp hides none
    assert page.inner_text("#legend").split("\n") == ["height above sea", "0", "2390"]
    assert "height above sea: 80" in page.inner_text('.pin[data-point="8"]')
    assert "height above sea: not given" in page.inner_text('.pin[data-point="5"]')
    with page.expect_download() as download:
        page.click("#png")
    assert Image.open(download.value.path()).height > 800


# ------------------------------------------------------------------------- links and pictures


def test_the_address_holds_the_view(page, ready):
    ready()
    call(
        page,
        "update({method: 2, colour: 'species', filter: 'mended:0:2', pins: [3, 8],"
        " chosen: 8, hidden: new Set([1]), tab: 'outliers', view: {x: 0.25, y: -0.5, z: 3}})",
    )
    until(page, "location.hash.includes('mended')")
    fragment = page.evaluate("location.hash")
    before = page.evaluate(
        "JSON.stringify(explorer.state, (k, v) => v instanceof Set ? [...v] : v)"
    )
    ready(fragment)
    after = page.evaluate("JSON.stringify(explorer.state, (k, v) => v instanceof Set ? [...v] : v)")
    assert json.loads(after) == json.loads(before)
    assert call(page, "settled")


@pytest.mark.parametrize(
    "fragment",
    ["#m=nothing&f=out:99&pin=-1.5.99999.x&v=a_b&g=77&i=1e9&tab=__proto__", "#%00%", "#v=0_0_-3"],
)
def test_a_broken_address_opens_the_plain_view(ready, fragment):
    page = ready(fragment)
    assert call(page, "drawn") == N
    assert call(page, "state.method") == 0
    assert call(page, "state.view") == {"x": 0, "y": 0, "z": 1}


def test_png_export_holds_the_map(ready, tmp_path):
    page = ready("#pin=4")
    with page.expect_download() as download:
        page.click("#png")
    assert download.value.suggested_filename == "map-CE-HCL.png"
    download.value.save_as(tmp_path / "map.png")
    picture = np.asarray(Image.open(tmp_path / "map.png").convert("RGB")).reshape(-1, 3)
    colours, counts = np.unique(picture, axis=0, return_counts=True)
    common = {tuple(c) for c in colours[counts > 200].tolist()}
    assert {(0x00, 0x72, 0xB2), (0xE6, 0x9F, 0x00), (0x00, 0x9E, 0x73), (255, 255, 255)} <= common


def test_zoom_keeps_what_is_under_the_pointer(ready):
    page = ready()
    (i,) = apart(page, 1)
    hover(page, i)
    x, y = call(page, "screenOf(a[0])", i)
    page.mouse.wheel(0, -600)
    until(page, "explorer.state.view.z > 1.5")
    # The browser rounds the pointer to whole pixels, and the zoom of 3 enlarges what that leaves.
    np.testing.assert_allclose(call(page, "screenOf(a[0])", i), [x, y], atol=2)
    x, y = call(page, "screenOf(a[0])", i)
    page.mouse.move(300, 400)
    page.mouse.down()
    page.mouse.move(350, 430, steps=4)
    page.mouse.up()
    np.testing.assert_allclose(call(page, "screenOf(a[0])", i), [x + 50, y + 30], atol=0.1)
    assert pins(page) == []  # a drag is no click


# --------------------------------------------------------------------------- light, size, phone


def test_dark_mode_follows_the_system_the_button_and_the_link(page, ready):
    ready()
    theme = "html[data-theme={}]"
    page.wait_for_selector(theme.format("light"))
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector(theme.format("dark"))
    page.click("#theme")
    page.wait_for_selector(theme.format("light"))
    ready("#theme=dark")
    page.wait_for_selector(theme.format("dark"))


def test_dark_mode_follows_the_book_around_it(page, ready, path, tmp_path):
    around = tmp_path / "book.html"
    around.write_text(f"""<!doctype html><html data-theme="dark"><iframe id="map" width="900"
        height="700" src="{path.as_uri()}"></iframe><script>
        const tell = () => document.getElementById("map").contentWindow.postMessage(
          {{ type: "theme", theme: document.documentElement.dataset.theme }}, "*");
        addEventListener("message", (event) => event.data.type === "explorer-ready" && tell());
        new MutationObserver(tell).observe(document.documentElement, {{ attributes: true }});
        </script></html>""")
    page.goto(around.as_uri())
    frame = page.frame_locator("#map")
    frame.locator("html[data-theme=dark]").wait_for(state="attached")
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    frame.locator("html[data-theme=light]").wait_for(state="attached")


@pytest.mark.parametrize("width", [320, 390, 760])
def test_narrow_screens_need_no_sideways_scrolling(page, ready, width):
    page.set_viewport_size({"width": width, "height": 844})
    ready("#pin=1.2.4&i=1")
    page.wait_for_selector("#distances td")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator("#map").bounding_box()
    assert box["width"] >= 0.6 * width
    assert box["height"] >= 250


def test_a_finger_looks_first_and_pins_with_the_second_tap(browser, path):
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready=true]")
    (i,) = apart(page, 1)
    x, y = call(page, "screenOf(a[0])", i)
    page.touchscreen.tap(x, y)
    page.wait_for_selector(f'#card[data-point="{i}"]:not([hidden])')
    assert pins(page) == []
    page.touchscreen.tap(x, y)
    page.wait_for_selector(".pin")
    assert pins(page) == [i]
    context.close()


# ------------------------------------------------------------------------------------- safety


def test_hostile_names_are_shown_as_the_text_they_are(page, ready, tmp_path):
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    explorer, _ = make_explorer(names=HOSTILE)
    ready("#pin=0.1.2&i=0&tab=compare", explorer.save(tmp_path / "hostile.html"))
    page.wait_for_selector(".strip .tile")
    for i, name in enumerate(HOSTILE):
        assert name in page.inner_text("#legend")
        assert name in page.inner_text(f'.pin[data-point="{i}"]')
        hover(page, apart(page, 30)[i])
    for tab in ("outliers", "selection", "only"):
        page.click(f"#tab-{tab}")
    assert HOSTILE[0] in page.inner_text("#panel")
    page.fill("#search", "<img")
    page.press("#search", "Enter")
    assert page.locator("img[src=x]").count() == 0


def test_the_policy_stops_requests_and_foreign_code(page, ready):
    ready()
    stopped = page.evaluate("""async () => {
        const seen = [];
        document.addEventListener(
          "securitypolicyviolation", (event) => seen.push(event.effectiveDirective));
        await fetch("https://example.org/").catch(() => {});
        new Image().src = "https://example.org/x.png";
        const script = document.createElement("script");
        script.textContent = "window.foreign = true";
        document.body.append(script);
        document.body.insertAdjacentHTML("beforeend", "<b onclick='window.foreign = true'>b</b>");
        document.body.lastChild.click();
        await new Promise((resolve) => setTimeout(resolve, 200));
        return [seen, window.foreign === true];
    }""")
    assert {"connect-src", "img-src", "script-src-elem", "script-src-attr"} <= set(stopped[0])
    assert stopped[1] is False
    page.errors.clear()  # the browser reports each refusal as an error, as it should


# ------------------------------------------------------------------ without WebGL, and in shards


def test_a_folder_of_shards_does_the_same(page, ready, made, tmp_path):
    file = made[0].save(tmp_path / "folder", standalone=False)
    ready("#pin=0.3&i=0", file)
    page.wait_for_selector("#distances td")
    until(
        page,
        "document.querySelectorAll('.pin img').length === 2 &&"
        " [...document.querySelectorAll('.pin img')].every((i) => i.naturalWidth === 224)",
    )
    for i in apart(page, 5):
        hover(page, i)
        until(page, "document.querySelector('#card img')?.naturalWidth > 0")
    assert re.search(r"#\d+|beyond #12", page.inner_text("#distances"))


def test_without_webgl_a_canvas_draws_the_same_map(page, ready):
    page.add_init_script("""
        const real = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
          return /webgl/.test(kind) ? null : real.call(this, kind, ...rest);
        };
    """)
    ready("#hide=names")
    assert page.get_attribute("html", "data-renderer") == "canvas"
    assert_points_are_painted(page)
    (i,) = apart(page, 1, seed=4)
    hover(page, i)
    until(page, "document.querySelector('#card img')?.naturalWidth > 0")
    click(page, i)
    assert pins(page) == [i]
    page.keyboard.press("2")
    settle(page)


def test_a_context_that_the_browser_takes_away_is_made_up_for(ready):
    page = ready("#hide=names")
    page.evaluate(
        "document.getElementById('points').getContext('webgl2')"
        ".getExtension('WEBGL_lose_context').loseContext()"
    )
    page.wait_for_selector("html[data-renderer=canvas]")
    assert_points_are_painted(page)
