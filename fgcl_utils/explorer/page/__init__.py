"""The page itself: a template, a style sheet and a script in parts, joined when it is written.

The parts are ES modules, a file each, so that a reader, an editor and a linter can follow every
name to its file; `start.js` puts them together. A module on file:// may not load another, and the
page's content-security policy names the hash of one script. So the files are joined: each after
those that it imports, without the words import and export, in one scope. That is the same program
as long as no two files use one name at their top level and the two words have the forms below;
``tests/test_explorer_page.py`` sees to it.
"""

import base64
import hashlib
import html
import json
import re
import string
from graphlib import TopologicalSorter
from pathlib import Path

_HERE = Path(__file__).parent
# import { a, b } from "./part.js";
IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w-]+\.js)";\n', re.MULTILINE)
# export function part() {}, export const part = …
EXPORT = re.compile(r"^export (?=(?:const|function|async function|class) )", re.MULTILINE)


def parts() -> dict[str, str]:
    """The files' names and texts, each after those that it imports.

    Raises
    ------
    graphlib.CycleError
        If files import each other in a circle.
    """
    texts = {file.name: file.read_text("utf-8") for file in sorted(_HERE.glob("*.js"))}
    imports = {name: [file for _, file in IMPORT.findall(text)] for name, text in texts.items()}
    return {name: texts[name] for name in TopologicalSorter(imports).static_order()}


def script() -> str:
    """All parts as one script."""
    bare = (
        f"// ---- {name}\n{EXPORT.sub('', IMPORT.sub('', text))}" for name, text in parts().items()
    )
    return '"use strict";\n{\n' + "\n".join(bare) + "}\n"


def written(title: str, meta: dict, columns: bytes, shards: str, standalone: bool) -> str:
    """The page's HTML.

    Parameters
    ----------
    title : str
    meta : dict
        What the page is told of the points as a whole.
    columns : bytes
        What it is told of each.
    shards : str
        Script blocks for the rest, where the page stands alone; else it loads them from shards/.
    standalone : bool
    """
    css, js = (_HERE / "explorer.css").read_text("utf-8"), script()
    # Shards beside the page are scripts of its own origin, which for file:// is the scheme.
    beside = "" if standalone else " 'self' file:"
    policy = (
        f"default-src 'none'; script-src {_hash(js)}{beside}; style-src {_hash(css)}; "
        "img-src blob: data:; connect-src 'none'; base-uri 'none'; form-action 'none'"
    )
    return string.Template((_HERE / "explorer.html").read_text("utf-8")).substitute(
        policy=policy,
        title=html.escape(title),
        css=css,
        js=js,
        # "<" never appears, so no name can close the block; lone surrogates stay escaped.
        meta=json.dumps(meta).replace("<", "\\u003c"),
        columns=base64.b64encode(columns).decode(),
        shards=shards,
    )


def _hash(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
