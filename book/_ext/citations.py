"""Author and year, in round brackets in the text and as the label in the list of references."""

from dataclasses import dataclass, field

from pybtex.plugin import register_plugin as register_with_pybtex
from pybtex.style.formatting.unsrt import Style
from pybtex.style.labels import BaseLabelStyle
from pybtex.style.sorting.author_year_title import SortingStyle
from sphinxcontrib.bibtex.plugin import register_plugin
from sphinxcontrib.bibtex.style.referencing import BracketStyle
from sphinxcontrib.bibtex.style.referencing.author_year import AuthorYearReferenceStyle


class AuthorYearLabels(BaseLabelStyle):
    """Such as "Khosla et al., 2020"."""

    def format_labels(self, sorted_entries):
        for entry in sorted_entries:
            people = entry.persons["author"]
            first, *others = (" ".join(p.prelast_names + p.last_names) for p in people)
            if len(others) == 1:
                first += f" and {others[0]}"
            elif others:
                first += " et al."
            yield ", ".join([first, *filter(None, [entry.fields.get("year")])])


class AuthorYearStyle(Style):
    default_label_style = AuthorYearLabels
    default_sorting_style = SortingStyle


def round_brackets():
    return BracketStyle("(", ")")


@dataclass
class RoundAuthorYear(AuthorYearReferenceStyle):
    bracket_textual: BracketStyle = field(default_factory=round_brackets)
    bracket_parenthetical: BracketStyle = field(default_factory=round_brackets)


def as_list(app, pagename, templatename, context, doctree):
    """docutils gives the entries of a list a role that no list may hold."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app):
    referencing = "sphinxcontrib.bibtex.style.referencing"
    register_plugin(referencing, "author_year_round", RoundAuthorYear)
    register_with_pybtex("pybtex.style.formatting", "author_year", AuthorYearStyle)
    app.connect("html-page-context", as_list)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
