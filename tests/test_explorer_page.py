"""The page's parts: joined they are the program that the modules are; the pure ones do their sums.

Modules run in the browser, from an address that is answered out of the package's folder.
"""

import colorsys
import itertools
import re
from collections import Counter
from functools import cache

import numpy as np
import pytest
from matplotlib.path import Path as Polygon
from pygments.lexers import JavascriptLexer
from pygments.token import Comment, String
from test_explorer_browser import make_explorer

from fgcl_utils.explorer import page as explorer_page
from fgcl_utils.figures import OKABE_ITO

PARTS = explorer_page.parts()
DECLARATION = re.compile(
    r"^(?P<export>export )?(?:const|let|(?:async )?function|class) (?P<name>[$\w]+)", re.MULTILINE
)
ADDRESS = "http://localhost"


# --------------------------------------------------------------------------- names and their homes


def declared(text, exported=False):
    """Names at a module's top level."""
    found = DECLARATION.finditer(text)
    return [match["name"] for match in found if match["export"] or not exported]


def imported(text):
    """Pairs of a file and a name that a module imports from it."""
    for names, file in explorer_page.IMPORT.findall(text):
        yield from ((file, name.strip()) for name in names.split(",") if name.strip())


@cache
def used(text):
    """Names in a module's code, without properties: those after a dot or before a colon."""
    code = [
        token
        for kind, token in JavascriptLexer().get_tokens(explorer_page.IMPORT.sub("", text))
        if token.strip() and kind not in Comment and kind not in String
    ]
    return {
        name
        for before, name, after in zip(["", *code], code, [*code[1:], ""], strict=False)
        if before != "." and not (before in ("{", ",") and after == ":")
    }


def test_every_name_has_one_home():
    names = Counter(name for text in PARTS.values() for name in declared(text))
    assert [name for name, homes in names.items() if homes > 1] == []


@pytest.mark.parametrize("name", PARTS)
def test_declarations_and_imports_have_the_forms_that_are_joined(name):
    text = PARTS[name]
    statements = re.findall(
        r"^(?:export|import|const|let|var|function|async|class)\b.*", text, re.M
    )
    assert all(DECLARATION.match(s) or s.startswith("import {") for s in statements)
    assert not {"import", "export"} & used(explorer_page.EXPORT.sub("", text))
    assert not re.search(r"\$\{[^}]*\{", text)  # `used` ends the code in ${} at the first }
    assert "</script" not in text


@pytest.mark.parametrize("name", PARTS)
def test_imports_are_exported_by_the_file_named_and_are_used(name):
    text = PARTS[name]
    for file, what in imported(text):
        assert what in declared(PARTS[file], exported=True), f"{file} does not export {what}"
        assert what in used(text), f"{name} imports {what} and does not use it"


@pytest.mark.parametrize("name", PARTS)
def test_other_parts_names_are_imported(name):
    """No local name hides another part's, either: a name means one thing on the whole page."""
    others = {what for file, text in PARTS.items() if file != name for what in declared(text)}
    assert used(PARTS[name]) & others <= {what for _, what in imported(PARTS[name])}


def test_every_export_and_every_file_is_imported_by_another():
    imports = {pair for text in PARTS.values() for pair in imported(text)}
    exports = {(file, n) for file, text in PARTS.items() for n in declared(text, exported=True)}
    assert exports - imports == set()
    assert PARTS.keys() - {file for file, _ in imports} == {"start.js"}


def test_files_come_after_those_that_they_import():
    place = {name: at for at, name in enumerate(PARTS)}
    for name, text in PARTS.items():
        assert all(place[file] < place[name] for file, _ in imported(text))


# ------------------------------------------------------------------------------ in the browser


@pytest.fixture
def modules(page):
    """A page on whose address the parts are found as they are, each a module."""
    html = "<!doctype html><link rel=icon href=data:,>"

    def answer(route):
        name = route.request.url.rsplit("/", 1)[1]
        kind = "text/javascript" if name in PARTS else "text/html"
        route.fulfill(body=PARTS.get(name, html), content_type=kind)

    page.route(f"{ADDRESS}/**", answer)
    page.goto(f"{ADDRESS}/")
    yield page
    assert page.errors == []


@pytest.fixture
def call(modules):
    """Evaluate an expression of a module's exports and of `a`, the argument."""

    def evaluate(name, expression, argument=None):
        return modules.evaluate(
            f"async (a) => {{ const m = await import('/{name}.js'); return {expression}; }}",
            argument,
        )

    return evaluate


@pytest.mark.browser
def test_the_modules_themselves_are_the_page(modules, tmp_path):
    """The browser links them, so what they import is there; and they start without the joining."""
    text = make_explorer()[0].save(tmp_path / "map.html").read_text("utf-8")
    text = re.sub(r"<meta http-equiv.*", "", text)
    text = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    text = text.replace("</body>", '<script type="module" src="/start.js"></script></body>')
    modules.route(f"{ADDRESS}/map.html", lambda route: route.fulfill(body=text))
    modules.goto(f"{ADDRESS}/map.html#pin=1.2&i=1&tab=only")
    modules.wait_for_selector("html[data-ready=true]")
    for tab in ("compare", "outliers", "selection", "only"):
        modules.click(f"#tab-{tab}")
    modules.wait_for_selector(".strip .tile")
    assert modules.evaluate("explorer.drawn") == 240


def frames(rng, many):
    for _ in range(many):
        view = dict(zip("xyz", [*rng.uniform(-1, 1, 2), np.exp(rng.uniform(-0.6, 5))], strict=True))
        left, width, height = rng.uniform(100, 2000, 3)
        yield {
            **{"left": left, "width": width, "height": height, "head": 30, "foot": 40},
            "view": view,
        }


@pytest.mark.browser
def test_the_screen_and_the_map_are_each_others_inverse(call):
    rng = np.random.default_rng(0)
    for frame in frames(rng, 20):
        point = rng.uniform(-1, 1, 2).tolist()
        there = call("geometry", "m.toScreen(a[0], a[1])", [frame, point])
        back = call("geometry", "m.toMap(a[0], a[1])", [frame, there])
        np.testing.assert_allclose(back, point, atol=1e-9)


@pytest.mark.browser
def test_the_whole_map_lies_in_the_frame_between_head_and_foot(call):
    for frame in frames(np.random.default_rng(1), 10):
        frame["view"] = call("geometry", "m.wholeMap()")
        for corner in itertools.product((-1, 1), (-1, 1)):
            x, y = call("geometry", "m.toScreen(a[0], a[1])", [frame, corner])
            assert 0 < x - frame["left"] < frame["width"]
            assert frame["head"] < y < frame["height"] - frame["foot"]


@pytest.mark.browser
def test_a_zoom_leaves_the_spot_where_it_is_and_has_limits(call):
    rng = np.random.default_rng(2)
    for frame in frames(rng, 20):
        spot = rng.uniform(0, 500, 2).tolist()
        factor = np.exp(rng.normal() * 3)
        before = call("geometry", "m.toMap(a[0], a[1])", [frame, spot])
        view = call("geometry", "m.zoomed(a[0], a[1], a[2])", [frame, factor, spot])
        after = call("geometry", "m.toMap(a[0], a[1])", [frame | {"view": view}, spot])
        np.testing.assert_allclose(after, before, atol=1e-9)
        assert view["z"] == pytest.approx(np.clip(frame["view"]["z"] * factor, 0.5, 200))


@pytest.mark.browser
def test_markers_shrink_with_their_number_and_grow_with_the_zoom(call):
    numbers, zooms = [1, 100, 1000, 10_000, 1_000_000], [0.5, 1, 3, 20, 200]
    sizes = call(
        "geometry", "a[0].map((n) => a[1].map((z) => m.markerRadius(n, z)))", [numbers, zooms]
    )
    assert np.all(np.diff(sizes, axis=0) <= 0)
    assert np.all(np.diff(sizes, axis=1) >= 0)
    assert np.min(sizes) > 0.9
    assert np.max(sizes) == 11


@pytest.mark.browser
def test_a_card_hides_nothing_around_its_point_where_there_is_room(call):
    rng = np.random.default_rng(5)
    size = np.array([176, 240])
    for _ in range(30):
        area = rng.uniform(700, 1400, 2)
        spot = rng.uniform(0, 1, 2) * area
        place = call(
            "geometry",
            "m.clearestPlace(a[0], a[1], [a[2]], 70)",
            [size.tolist(), area.tolist(), spot.tolist()],
        )
        assert np.all(np.array(place) >= 0) and np.all(place + size <= area)
        assert np.maximum(place - spot, spot - place - size).max() >= 69


@pytest.mark.browser
def test_inside_is_matplotlibs_even_without_convexity(call):
    rng = np.random.default_rng(3)
    points = rng.uniform(-1, 1, (300, 2))
    for corners in (3, 4, 9, 40):
        turn = np.sort(rng.uniform(0, 2 * np.pi, corners))  # a star seen from its middle
        radius = rng.uniform(0.1, 1, corners)
        path = np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1)
        found = call(
            "geometry", "a[0].map((p) => m.inside(p, a[1]))", [points.tolist(), path.tolist()]
        )
        np.testing.assert_array_equal(found, Polygon(path).contains_points(points))


@pytest.mark.browser
def test_contours_lie_where_the_grid_has_the_value(call):
    y, x = np.mgrid[:40, :40]
    distance = np.hypot(x - 18.3, y - 21.1)
    for radius in (3, 9.5, 15):
        lines = call("contours", "m.contours(a[0], 40, a[1])", [distance.ravel().tolist(), radius])
        ends = np.array(lines).reshape(-1, 2)
        np.testing.assert_allclose(np.hypot(*(ends - [18.3, 21.1]).T), radius, atol=0.05)
        length = np.hypot(*np.diff(np.array(lines).reshape(-1, 2, 2), axis=1)[:, 0].T).sum()
        assert length == pytest.approx(2 * np.pi * radius, rel=0.02)


@pytest.mark.browser
def test_no_point_is_inside_nothing(call):
    assert call("geometry", "[[], [[0, 0]]].map((path) => m.inside([0, 0], path))") == [False] * 2


@pytest.mark.browser
def test_points_travel_all_the_way_and_never_back(call):
    way = call("geometry", "a.map(m.eased)", np.linspace(0, 1, 101).tolist())
    assert (way[0], way[50], way[100]) == (0, 0.5, 1)
    assert np.all(np.diff(way) > 0)


KNOWN = {
    "methods": ["CE", "Sup & Con", "HCL=#1"],
    "colours": ["genus", "species"],
    "judged": ["genus", "family"],
    "filters": ["all", "out:0", "mended:0:2", "every"],
    "tabs": ["compare", "outliers"],
    "hidden": 6,
    "columns": {"species": 40, "a & b": 3},
    "points": 500,
    "pins": 8,
    "beside": 2,
    "steps": [{"many": 1, "start": 0}, {"many": 5, "start": 2}, {"many": 1, "start": 0}],
    "pairs": [40, 6],
}
PLAIN = {
    **{"method": 0, "colour": "genus", "filter": "all", "hidden": [], "only": {}, "query": ""},
    **{"chosen": -1, "pins": [], "tab": "compare", "view": {"x": 0, "y": 0, "z": 1}},
    **{"theme": "auto", "judged": 0, "beside": 2, "steps": [0, 2, 0], "besideView": None},
    **{"pair": None, "pairLevel": 0, "pairOrder": "", "pictures": True, "names": True},
}
# Sets cannot leave the page, so views come and go with lists.
EACH = "Object.fromEntries(Object.entries(v.only).map(([k, some]) => [k, {}]))"
CHANGED = "((v) => ({{...v, hidden: {}, only: {}}}))"
AS_SETS = CHANGED.format("new Set(v.hidden)", EACH.format("new Set(some)")) + "(a[0])"
AS_LISTS = CHANGED.format("[...v.hidden]", EACH.format("[...some]"))


def some_view(rng):
    def codes(limit):
        return rng.permutation(limit)[: rng.integers(0, 5)].tolist()

    x, y, z = (float(f"{v:.3g}") for v in [*rng.normal(size=2), np.exp(rng.normal())])
    return {
        **{"method": int(rng.integers(3)), "colour": str(rng.choice(KNOWN["colours"]))},
        **{"filter": str(rng.choice(KNOWN["filters"])), "hidden": codes(6)},
        **{"only": {k: some for k, size in KNOWN["columns"].items() if (some := codes(size))}},
        **{"query": str(rng.choice(["", "Mycena sp. 07", "a&b=c#d", "+ %", "ünï"]))},
        **{"chosen": int(rng.integers(-1, 500)), "pins": codes(500)},
        **{"tab": str(rng.choice(KNOWN["tabs"])), "view": {"x": x, "y": y, "z": z}},
        **{"theme": str(rng.choice(["auto", "light", "dark"])), "judged": int(rng.integers(2))},
        **{"beside": int(rng.integers(-1, 3)), "steps": [0, int(rng.integers(5)), 0]},
        **{"besideView": [None, {"x": y, "y": x, "z": z}][rng.integers(2)]},
        **[{"pair": None, "pairLevel": 0}, {"pair": [2, 5], "pairLevel": 1}][rng.integers(2)],
        **{"pairOrder": str(rng.choice(["", "1", "0:2"]))},
        **{"pictures": bool(rng.integers(2)), "names": bool(rng.integers(2))},
    }


@pytest.mark.browser
def test_a_view_comes_back_from_its_address(call):
    rng = np.random.default_rng(4)
    for view in [PLAIN, *(some_view(rng) for _ in range(60))]:
        back = f"{AS_LISTS}(m.decode(m.encode({AS_SETS}, a[1]), a[1]))"
        assert call("hash", back, [view, KNOWN]) == view


@pytest.mark.browser
def test_the_plain_view_needs_no_address(call):
    assert call("hash", f"m.encode({AS_SETS}, a[1])", [PLAIN, KNOWN]) == ""


@pytest.mark.browser
@pytest.mark.parametrize(
    "fragment",
    [
        *("", "#", "#%00%", "#v=0_0_-3", "#v=1_2", "#m=nothing&c=blue&tab=__proto__&theme=pink"),
        "#g=6.-1.x&s=40&i=500&pin=-1.500.1e9",
        "#b=nothing&w=0.9.0&pair=1.2.6&by=0:3&bv=0_0",
        "#w=x&pair=0.1&by=a",
    ],
)
def test_what_an_address_cannot_mean_is_the_plain_view(call, fragment):
    view = call("hash", f"{AS_LISTS}(m.decode(a[0], a[1]))", [fragment, KNOWN])
    assert view == PLAIN


@pytest.mark.browser
def test_an_address_pins_so_many_photos_and_zooms_so_far(call):
    fragment = f"#v=0_0_1e6&pin={'.'.join(map(str, [7, *range(20)]))}"
    view = call("hash", f"{AS_LISTS}(m.decode(a[0], a[1]))", [fragment, KNOWN])
    assert view["pins"] == [7, *range(7)]
    assert view["view"]["z"] == 200


@pytest.mark.browser
def test_classes_look_as_in_the_books_figures_and_differ_by_colour_or_symbol(call):
    colours, symbols = call(
        "palette", "[m.classColour, m.symbolOf].map((of) => a.map((g) => of(g)))", [*range(56)]
    )
    assert colours[:7] == [colour.lower() for colour in OKABE_ITO]
    assert len(set(zip(colours, symbols, strict=True))) == 56


@pytest.mark.browser
def test_neighbours_among_many_classes_have_distant_hues(call):
    colours = call("palette", "a.map((s) => m.rgb(m.distantColour(s)))", [*range(200)])
    hues = np.array([colorsys.rgb_to_hls(*np.divide(c, 255))[0] for c in colours])
    np.testing.assert_allclose(hues, np.arange(200) * 137.508 / 360 % 1, atol=0.01)
    assert len(set(map(tuple, colours))) == 200


@pytest.mark.browser
def test_classes_within_another_are_shades_of_its_colour(call):
    for parent in OKABE_ITO:
        shades = call("palette", "a[1].map((c) => m.shadeOf(a[0], c))", [parent, [*range(40)]])
        assert shades[0] == parent.lower()
        assert len(set(shades)) == 40
        hues, lights, _ = np.transpose([rgb_to_hls(shade) for shade in [parent, *shades]])
        assert np.abs((hues - hues[0] + 0.5) % 1 - 0.5).max() < 8 / 360
        assert 0.27 < lights.min() < lights.max() < 0.73
        assert np.ptp(lights) > 0.15


@pytest.mark.browser
def test_the_ramp_grows_lighter_all_the_way(call):
    colours = call("palette", "a.map(m.rampColour)", np.linspace(0, 1, 64).tolist())
    light = [np.dot(call("palette", "m.rgb(a)", c), [0.2126, 0.7152, 0.0722]) for c in colours]
    assert np.all(np.diff(light) > 0)


def rgb_to_hls(hex_colour):
    return colorsys.rgb_to_hls(*(int(hex_colour[k : k + 2], 16) / 255 for k in (1, 3, 5)))


@pytest.mark.browser
def test_symbols_are_about_as_large_as_each_other(call):
    for outline in call("palette", "m.OUTLINES"):
        x, y = np.array(outline).T
        assert 0.9 < np.hypot(x, y).max() < 1.21
        area = abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
        assert 1.5 < area < 2.8


@pytest.mark.browser
@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("m.plural(1, 'photo')", "1 photo"),
        ("m.plural(36000, 'photo')", "36,000 photos"),
        ("m.percent(1, 8)", "12.5 %"),
        ("m.percent(0, 0)", "–"),
        ("m.letter(2)", "C"),
        ("m.rankText(1234.4, 12)", "#1,234"),
        ("m.rankText(Infinity, 12)", "beyond #12"),
        ("m.withoutGenus('Mycena sp. 07', 'Mycena')", "sp. 07"),
        ("m.withoutGenus('Mycenastrum corium', 'Mycena')", "Mycenastrum corium"),
        ("m.withoutGenus('Mycena')", "Mycena"),
        ("m.listedOr(['genus'])", "genus"),
        ("m.listedOr(['species', 'genus'])", "species or genus"),
        ("m.listedOr(['a', 'b', 'c'])", "a, b or c"),
        ("m.listedOr([])", ""),
        ("m.capital('genus')", "Genus"),
    ],
)
def test_numbers_and_names_as_the_page_writes_them(call, expression, text):
    assert call("format", expression) == text
