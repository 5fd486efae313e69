"""Show recorded measurements in the book: no number on a page is typed.

A directive shows a table of ``results/<file>.json``, a role prints one of its numbers::

    ```{results} loss_cpu.json
    :table: speed
    :name: tab-speed
    ```
    ... is {result}`loss_cpu.json:headline.speedup_vs_pml|.1f` times faster.

A mean over seeds is printed with its interval: "12.3 % (10.1 % to 14.5 %)". The format of a
difference of shares ends in pp, for percentage points: "+1.5 points (−2.5 to +5.5)".

Tables are stored as ``{"tables": {"speed": {"columns": [], "rows": [[]], "caption": ""}}}`` in the
file. A file or an entry that is missing or cannot be read is a warning, which the build treats as
an error.
"""

import json
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective, SphinxRole

ENDS = ("low", "high")  # of an interval


def read_file(env, file):
    """Return the content of ``results/<file>``; LookupError names the command that makes it."""
    source = Path(env.srcdir, "results", file)
    env.note_dependency(str(source))
    if not source.is_file():
        raise LookupError(f"results/{file} does not exist; {maker(env.srcdir, file)} writes it")
    try:
        return json.loads(source.read_text(encoding="utf-8"))
    except ValueError as error:
        command = maker(env.srcdir, file)
        raise LookupError(f"results/{file} is no JSON ({error}); {command} writes it") from None


def maker(root, file):
    """Return the command that writes ``results/<file>``, after the file it is named for."""
    name = Path(file).stem
    if Path(root, "experiments", f"{name}.yaml").is_file():
        return f"`make experiment NAME={name}`"
    if Path(root, "profiles", f"{name}.yaml").is_file():
        return f"`make study PROFILE={name}`"
    return f"`make bench-{name.split('_')[0]}`"  # loss_cpu.json comes from benchmarks/loss.py


def read_entry(env, file, path):
    """Return the entry of ``results/<file>`` at a dotted path, such as ``tables.speed.rows.0``.

    Raises LookupError with what is missing and the command that makes it.
    """
    entry = read_file(env, file)
    for depth, key in enumerate(path.split(".")):
        try:
            entry = entry[int(key) if isinstance(entry, list) else key]
        except (LookupError, TypeError, ValueError):
            found = ".".join(path.split(".")[: depth + 1])
            command = maker(env.srcdir, file)
            raise LookupError(
                f"results/{file} has no entry '{found}'; {command} writes it"
            ) from None
    return entry


def cell_text(value):
    """Whole numbers with thousands separators, others with three digits, text as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 100 else f"{value:#.3g}"


def build_table(columns, rows, caption):
    """Return a docutils table; columns that hold only numbers are aligned to the right."""
    numeric = [
        all(isinstance(row[k], int | float | None) for row in rows) for k in range(len(columns))
    ]
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in columns), cols=len(columns))
    head, body = nodes.thead(), nodes.tbody()
    for part, cells in [(head, columns), *((body, row) for row in rows)]:
        row = nodes.row()
        for right, cell in zip(numeric, cells, strict=True):
            classes = ["text-right"] if right else ["text-left"]
            row += nodes.entry("", nodes.paragraph(text=cell_text(cell)), classes=classes)
        part += row
    group += [head, body]
    title = [nodes.title("", caption)] if caption else []
    return nodes.table("", *title, group, classes=["results"])


def number_text(value, spec, unit=True):
    """A number in Python's format `spec` or in points; a mean with its interval, if it has one."""
    if isinstance(value, dict):
        mean = number_text(value["mean"], spec)
        if value["low"] is None:
            return mean
        ends = [number_text(value[end], spec, unit=not spec.endswith("pp")) for end in ENDS]
        return f"{mean} ({' to '.join(ends)})"
    if spec.endswith("pp"):
        points = number_text(100 * value, f"{spec[:-2]}f")
        return f"{points}\N{NO-BREAK SPACE}points" if unit else points
    text = format(value, spec)
    return text.replace("-", "\N{MINUS SIGN}").replace("%", "\N{NO-BREAK SPACE}%") if spec else text


class ResultsTable(SphinxDirective):
    """``{results} <file>`` with ``:table:`` (which one) and ``:name:`` (for ``{numref}``)."""

    required_arguments = 1
    option_spec: ClassVar = {"table": directives.unchanged_required, "name": directives.unchanged}

    def run(self):
        name = self.options.get("table", "main")
        try:
            entry = read_entry(self.env, self.arguments[0], f"tables.{name}")
        except LookupError as error:
            return [self.state.document.reporter.warning(str(error.args[0]), line=self.lineno)]
        table = build_table(entry["columns"], entry["rows"], entry.get("caption"))
        self.set_source_info(table)
        self.add_name(table)
        return [table]


class ResultNumber(SphinxRole):
    """``{result}`<file>:<dotted path>|<format>``` ; the format is Python's and may be left out."""

    def run(self):
        target, _, spec = self.text.partition("|")
        file, _, path = target.partition(":")
        try:
            text = number_text(read_entry(self.env, file.strip(), path.strip()), spec)
        except (LookupError, ValueError, TypeError) as error:
            message = f"{{result}}`{self.text}`: {error.args[0]}"
            return [], [self.inliner.reporter.warning(message, line=self.lineno)]
        return [nodes.Text(text)], []


def setup(app):
    app.add_directive("results", ResultsTable)
    app.add_role("result", ResultNumber())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
