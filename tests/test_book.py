"""The built book: complete, offline, every figure drawn, every link alive."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pandas as pd
import plotly.offline
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe

from fgcl_utils import figures

ROOT = Path(__file__).resolve().parents[1]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [TOC["root"], *(entry["file"] for part in TOC["parts"] for entry in part["chapters"])]
NOTEBOOKS = [name for name in PAGES if name.startswith("executed/")]

in_browser = pytest.mark.browser
slow = pytest.mark.slow


def open_page(page, book, name):
    """Open a page of the book from the disk and wait until figures and formulae are drawn."""
    page.goto((book / f"{name}.html").as_uri())
    page.wait_for_load_state("load")
    page.wait_for_function(
        """() => [...document.querySelectorAll('.plotly-graph-div')].every(f => f._fullData)
                 && (!window.MathJax || MathJax.startup.promise.then(() => true))"""
    )


# --- what the reader sees ---------------------------------------------------------------------


@slow
@in_browser
@pytest.mark.parametrize("name", PAGES)
def test_page_is_whole_and_offline(page, book, name):
    open_page(page, book, name)
    page.wait_for_function("[...document.images].every(i => i.complete)")
    broken = "[...document.images].filter(i => i.src && !i.naturalWidth).map(i => i.src)"
    assert page.evaluate(broken) == []
    formulae = page.locator(".math").count()
    assert page.locator(".math mjx-container").count() >= formulae
    assert page.locator("mjx-merror").count() == 0
    assert page.external_requests == []
    assert page.errors == []


@slow
@in_browser
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_figures_drew(page, book, name):
    open_page(page, book, name)
    figures = page.evaluate(
        """() => [...document.querySelectorAll('.plotly-graph-div')].map(f => ({
             traces: f._fullData.filter(t => t.visible === true).length,
             width: f.querySelector('.main-svg')?.getBoundingClientRect().width ?? 0,
             height: f.querySelector('.main-svg')?.getBoundingClientRect().height ?? 0,
             marks: f.querySelectorAll('.point, .points path, .js-line, .hm, canvas, image').length,
           }))"""
    )
    images = page.evaluate("[...document.querySelectorAll('.cell_output img')].length")
    assert figures or images, "a notebook without a figure"
    for figure in figures:
        assert figure["traces"] > 0 and figure["marks"] > 0, figure
        assert figure["width"] > 300 and figure["height"] > 150, figure


@slow
@in_browser
@pytest.mark.parametrize("name", PAGES)
def test_page_fits_a_phone(page, book, name):
    page.set_viewport_size({"width": 390, "height": 800})
    open_page(page, book, name)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@slow
@in_browser
@pytest.mark.parametrize("name", PAGES)
def test_page_is_light(page, book, name):
    """With its frames, scripts, styles, fonts and pictures."""
    loaded = set()
    page.on("request", lambda request: loaded.add(urlsplit(request.url)))
    open_page(page, book, name)
    files = {unquote(url.path) for url in loaded if url.scheme == "file"}
    assert sum(Path(file).stat().st_size for file in files) < 6e6


@slow
@in_browser
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(page, book, name):
    open_page(page, book, name)
    found = Axe().run(page).response["violations"]
    assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []


@slow
@in_browser
def test_tables_on_a_phone_scroll_or_stack(page, book):
    page.set_viewport_size({"width": 390, "height": 800})
    open_page(page, book, "executed/04_evaluation")
    right = "table => table.getBoundingClientRect().right"
    assert page.eval_on_selector("table.stacks", right) <= 390
    label = "td => getComputedStyle(td, '::before').content"
    assert "genus outliers" in page.eval_on_selector("table.stacks tbody td", label)
    frame = page.locator("#tab-measures .pst-scrollable-table-container")
    frame.evaluate("frame => { frame.scrollLeft = 50 }")
    assert frame.evaluate("frame => frame.scrollLeft") == 50
    moved = "th => th.getBoundingClientRect().left - th.closest('div').getBoundingClientRect().left"
    assert abs(frame.locator("tbody th").first.evaluate(moved)) < 2


@slow
@in_browser
def test_print_is_light_fits_and_names_what_it_cannot_show(page, book):
    open_page(page, book, "executed/04_evaluation")
    page.evaluate(
        """() => {
             document.documentElement.dataset.theme = "dark";
             addEventListener("beforeprint", () => {
               window.printed = document.documentElement.dataset.theme;
             });
           }"""
    )
    page.pdf(format="A4")
    assert page.evaluate("window.printed") == "light"
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 without its margins, at 96 dpi
    page.emulate_media(media="print")
    widest = "Math.max(...[...document.querySelectorAll('table')].map(t => t.offsetWidth))"
    assert page.evaluate(widest) <= 718
    assert page.locator("iframe:visible").count() == 0
    sentence = "getComputedStyle(document.querySelector('.framed-page a'), '::after').content"
    assert "explore" in page.evaluate(sentence)


@slow
@in_browser
def test_icons_are_drawn_without_their_script(page, book):
    open_page(page, book, PAGES[0])
    icon = "getComputedStyle(document.querySelector('.theme-switch'), '::before').fontFamily"
    assert "Font Awesome" in page.evaluate(icon)


@slow
def test_no_header_is_empty(book):
    for page in PAGES:
        html = (book / f"{page}.html").read_text(encoding="utf-8")
        assert not re.search(r"<th\b[^>]*>(\s|&nbsp;|<p>\s*</p>)*</th>", html), page


@slow
@in_browser
def test_dark_mode_reaches_plotly_and_goes_back(page, book):
    open_page(page, book, "executed/04_evaluation")
    text_colour = "() => getComputedStyle(document.querySelector('.plotly-graph-div text')).fill"
    background = "() => document.querySelector('.plotly-graph-div').layout.paper_bgcolor ?? null"
    switch = "theme => { document.documentElement.dataset.theme = theme }"
    before = page.evaluate(text_colour), page.evaluate(background)
    page.evaluate(switch, "dark")
    page.wait_for_function(f"before => ({text_colour})() !== before", arg=before[0])
    assert page.evaluate(background) == "rgba(0,0,0,0)"
    page.evaluate(switch, "light")
    page.wait_for_function(f"before => ({text_colour})() === before", arg=before[0])
    assert page.evaluate(background) == before[1]


@slow
@in_browser
def test_explorer_opens_in_its_frame(page, book):
    open_page(page, book, "executed/04_evaluation")
    page.locator("iframe").scroll_into_view_if_needed()
    page.frame_locator("iframe").locator("canvas").first.wait_for()
    assert page.external_requests == []
    assert page.errors == []


@slow
@in_browser
def test_search_finds_a_page(page, book):
    page.goto((book / "search.html").as_uri() + "?q=centroid")
    # Results are added one by one.
    page.wait_for_selector("#search-results li a[href*='book/method']")
    assert page.external_requests == []


# --- what is stored ---------------------------------------------------------------------------


@slow
def test_no_output_is_an_error(executed):
    for name in NOTEBOOKS:
        notebook = nbformat.read(executed / f"{name}.ipynb", as_version=4)
        outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
        errors = [o for o in outputs if o.output_type == "error"]
        assert errors == [], name


class _Links(HTMLParser):
    """The ids of a page and what it points to."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.targets = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids.add(attributes.get("id"))
        self.targets += [attributes[k] for k in ("href", "src") if attributes.get(k)]


@slow
def test_citations_are_authors_and_year(book):
    for name in ("book/method", "book/references"):
        html = (book / f"{name}.html").read_text(encoding="utf-8")
        text = re.sub(r"<[^>]+>", "", html)
        assert "Khosla et al., 2020" in text, name


@slow
def test_internal_links_lead_somewhere(book):
    paths = [p for p in book.rglob("*.html") if "_static" not in p.parts]
    pages = {path: _Links(path.read_text(encoding="utf-8")) for path in paths}
    dead = []
    for path, links in pages.items():
        for target in links.targets:
            url = urlsplit(target)
            if url.scheme or url.netloc:
                continue
            file = (path.parent / unquote(url.path)).resolve() if url.path else path
            fragment = unquote(url.fragment)
            known = pages[file].ids if file in pages else {fragment}
            if not file.exists() or (fragment and fragment not in known):
                dead.append(f"{path.relative_to(book)} -> {target}")
    assert dead == []


@slow
def test_plotly_is_loaded_only_where_a_figure_is(book):
    for path in [book / f"{name}.html" for name in PAGES]:
        text = path.read_text(encoding="utf-8")
        assert ("plotly-cartesian" in text) == ("plotly-graph-div" in text), path.name


def test_plotly_s_bundle_is_of_the_version_that_made_the_figures():
    bundle = (ROOT / "book/_static/plotly-cartesian.min.js").read_text(encoding="utf-8")
    assert f"v{plotly.offline.get_plotlyjs_version()}\n" in bundle[:100], "see plotly_offline.py"


@slow
def test_numbers_on_pages_are_the_notebooks(book, executed):
    """The start page's outlier counts are those of the evaluation, not typed ones."""
    evaluation = yaml.safe_load((executed / "runs/tiny/evaluation.json").read_text())
    start = re.sub(r"<[^>]+>", " ", (book / "book/intro.html").read_text(encoding="utf-8"))
    for method in ("ce", "supcon", "hcl"):
        count = evaluation["methods"][method]["genus_outliers"]
        assert re.search(rf"\b{count}\b", start), f"{method}: {count}"


# --- recorded results -------------------------------------------------------------------------


def build_results_page(folder, text):
    """Build a one-page Sphinx project with the results' extensions; return HTML and warnings."""
    (folder / "results").mkdir(exist_ok=True)
    (folder / "results" / "loss_cpu.json").write_text(
        '{"headline": {"speedup": 11.37, "rate": {"mean": -0.123, "low": -0.2, "high": 0.1},'
        ' "one": {"mean": 0.5, "low": null, "high": null}},'
        ' "tables": {"speed": {"caption": "Forward and backward.",'
        ' "columns": ["method", "ms"], "rows": [["tiles", 4.0], ["masks", 1480], ["none", null]]}}}'
    )
    extensions = f"import sys; sys.path.append({str(ROOT / 'book/_ext')!r})\n"
    used = ["myst_parser", "results", "tables", *(["figure_of"] if "{figure-of}" in text else [])]
    extensions += f"numfig = True\nextensions = {used}\n"
    (folder / "conf.py").write_text(extensions)
    (folder / "index.md").write_text(f"# Page\n\n{text}\n")
    result = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-E", folder, folder / "out"],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return (folder / "out/index.html").read_text(encoding="utf-8"), result.stderr


def test_results_table_and_number(tmp_path):
    html, warnings = build_results_page(
        tmp_path,
        "Faster by {result}`loss_cpu.json:headline.speedup|.1f`.\n\n"
        "```{results} loss_cpu.json\n:table: speed\n```",
    )
    assert warnings == ""
    assert "Faster by 11.4." in html
    assert "Forward and backward." in html
    cells = re.findall(r"<t[hd][^>]*><p>(.*?)</p>", html)
    assert cells == ["method", "ms", "tiles", "4.00", "masks", "1,480", "none", ""]


def test_a_mean_over_seeds_has_its_interval(tmp_path):
    entry = "{result}`loss_cpu.json:headline."
    html, _ = build_results_page(tmp_path, f"{entry}rate|+.1%` against {entry}one|.0%`")
    assert "−12.3 % (−20.0 % to +10.0 %) against 50 %" in html.replace("\N{NO-BREAK SPACE}", " ")


def test_a_difference_of_shares_is_in_points(tmp_path):
    entry = "{result}`loss_cpu.json:headline."
    html, _ = build_results_page(tmp_path, f"{entry}rate|+.1pp` against {entry}one|.0pp`")
    expected = "−12.3 points (−20.0 to +10.0) against 50 points"
    assert expected in html.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    "text",
    [
        "{result}`loss_gpu.json:headline.speedup`",
        "{result}`loss_cpu.json:headline.spedup`",
        "```{results} loss_gpu.json\n:table: speed\n```",
        "```{results} loss_cpu.json\n:table: memory\n```",
        "{result}`loss_cut.json:headline.speedup`",
        "```{results} loss_cut.json\n:table: speed\n```",
    ],
    ids=["no file", "no entry", "table: no file", "table: no entry", "no JSON", "table: no JSON"],
)
def test_missing_results_warn_with_the_command(tmp_path, text):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "loss_cut.json").write_text('{"headline": ')
    _, warnings = build_results_page(tmp_path, text)
    assert "WARNING" in warnings and "make bench-loss" in warnings


def test_a_format_that_does_not_fit_warns(tmp_path):
    _, warnings = build_results_page(tmp_path, "{result}`loss_cpu.json:tables.speed.caption|.1f`")
    assert "WARNING" in warnings and "tables.speed.caption" in warnings


SWEEP = {
    "groups": {
        method: {
            "method": method, "label": f"<b>{method}", "overrides": {}, "seeds": [0], "test": {},
            "val": {
                "species_accuracy": {"mean": 0.6, "low": None, "high": None},
                "genus_outlier_rate": {"mean": rate, "low": None, "high": None},
            },
        }
        for method, rate in (("ce", 0.2), ("hcl", 0.05))
    }
}  # fmt: skip


def test_a_figure_of_results_has_a_number_and_a_caption(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "sweep.json").write_text(json.dumps(SWEEP))
    html, warnings = build_results_page(
        tmp_path,
        "See {numref}`fig-pareto`.\n\n"
        "```{figure-of} sweep.json\n:plot: pareto\n:arguments: {split: val}\n:name: fig-pareto\n\n"
        "What it *costs*, by {result}`loss_cpu.json:headline.speedup|.1f`.\n```",
    )
    assert warnings == ""
    assert re.search(r'href="#fig-pareto"><span class="std std-numref">Fig. 1</span>', html)
    figure = re.search(r'<figure[^>]*id="fig-pareto".*?</figure>', html, re.DOTALL)[0]
    assert 'class="plotly-graph-div"' in figure and "<b>hcl" not in figure
    assert "What it <em>costs</em>, by 11.4." in figure
    assert ".min.js" not in html and "cdn" not in html, "plotly_offline brings the library"


def test_a_figure_named_tab_counts_as_a_table(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "sweep.json").write_text(json.dumps(SWEEP))
    text = "See {numref}`tab-pareto`.\n\n```{figure-of} sweep.json\n:plot: pareto\n"
    text += ":arguments: {split: val}\n:name: tab-pareto\n\nA caption.\n```"
    html, warnings = build_results_page(tmp_path, text)
    assert warnings == ""
    assert re.search(r'href="#tab-pareto"><span class="std std-numref">Table 1</span>', html)
    table = re.search(r'<figure[^>]*id="tab-pareto".*?</figure>', html, re.DOTALL)[0]
    assert table.index("<figcaption>") < table.index("plotly-graph-div")


def test_a_figure_that_cannot_be_drawn_warns(tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "sweep.yaml").touch()
    _, warnings = build_results_page(
        tmp_path,
        "```{figure-of} sweep.json\n:plot: pareto\n```\n\n"
        "```{figure-of} loss_gpu.json\n:plot: pareto\n```\n\n"
        "```{figure-of} loss_cpu.json\n:plot: pareto\n```\n\n"
        "```{figure-of} loss_cpu.json\n:plot: os\n```",
    )
    expected = [
        "results/sweep.json does not exist; `make experiment NAME=sweep` writes it",
        "results/loss_gpu.json does not exist; `make bench-loss` writes it",
        "results/loss_cpu.json cannot be drawn by pareto: KeyError: 'groups'",
        "fgcl_utils.figures has no function 'os'",
    ]
    assert warnings.count("WARNING") == len(expected)
    for message in expected:
        assert message in warnings


def test_matplotlib_figures_and_tables_of_results_become_html(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book/_ext")
    from figure_of import as_html

    image = figures.species_per_genus(pd.DataFrame({"genus": ["a"], "species": ["b"]}))
    assert as_html(image).startswith('<img src="data:image/webp;base64,UklGR')
    table = figures.measures_table(pd.DataFrame({"method": ["ce"], "brier": [0.5]}))
    assert "Brier score" in as_html(table)
