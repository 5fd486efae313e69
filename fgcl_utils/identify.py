"""What is on my photos? A finished run answers::

    python -m fgcl_utils.identify runs/demo/hcl/seed-0 PHOTO_OR_FOLDER… --json out.json

A line a photo: the answer, and what it rests on. With --json it is kept as it comes, and the same
command goes on where it was stopped. No fungus is to be eaten by any of it.
"""

import argparse
import sys
from pathlib import Path

from fgcl_utils.datasets.checks import listed, printable
from fgcl_utils.files import write_json
from fgcl_utils.naming import WARNING, Identifier, report
from fgcl_utils.naming.identifier import EXPORTED
from fgcl_utils.naming.journal import kept_answers
from fgcl_utils.naming.photos import photos_of
from fgcl_utils.progress import bar


def main(argv=None):
    sys.stdout.reconfigure(errors="replace")  # a name that the locale lacks is no failure
    parser = argparse.ArgumentParser(
        prog="python -m fgcl_utils.identify",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="such as runs/demo/hcl/seed-0, or an export to ONNX")
    parser.add_argument("photos", type=Path, nargs="+", help="photos, or folders of them")
    parser.add_argument("--top", type=int, default=5, help="candidates of each level (default 5)")
    parser.add_argument("--json", type=Path, help="all that is said, for programs")
    parser.add_argument("--html", type=Path, help="a page with photos, neighbours and the map")
    parser.add_argument("--risk", type=float, help="of an answer that it is wrong (default 0.1)")
    parser.add_argument("--data-root", type=Path, help="the run's photos, if they have moved")
    arguments = parser.parse_args(argv)
    try:
        identify(arguments)
    except KeyboardInterrupt:
        kept = "the same command goes on from here" if arguments.json else "--json keeps answers"
        print(f"\nstopped: {kept}", file=sys.stderr)
        sys.exit(130)  # as the shell says it
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"error: {error}")


def identify(arguments):
    """Name the photos that the command line asks for, a line each."""
    images = photos_of(arguments.photos)
    identifier = Identifier.from_run(
        arguments.run, data_root=arguments.data_root, risk=arguments.risk
    )
    if arguments.json:
        partial = arguments.json.with_name(f"{arguments.json.name}.partial")
        answers = kept_answers(identifier, images, partial, arguments.top)
    else:
        answers = identifier.answers(images, arguments.top)
    said = []
    with bar(answers, "naming photos", len(images), disable=len(images) < 2) as shown:
        for answer in shown:
            said.append(answer)
            if not answer["problem"]:
                shown.write(line(answer, identifier.levels))
    unreadable = [answer["problem"] for answer in said if answer["problem"]]
    if unreadable:
        print(f"{len(unreadable)} photos cannot be read:\n{listed(unreadable)}", file=sys.stderr)
    print(WARNING)
    if arguments.json:
        write_json(arguments.json, identifier.described() | {"photos": said})
        partial.unlink()
    if arguments.html:
        is_export = (arguments.run / EXPORTED).is_file()  # which has no map
        shown_map = None if is_export else report.map_of(arguments.run, arguments.data_root)
        print(report.write(arguments.html, identifier, images, said, shown_map))


def line(answer, levels):
    """An answer as one line: the words, and the likeliest class of every level."""
    likeliest = [f"{answer[level]} {answer[f'{level}_probability']:.0%}" for level in levels[::-1]]
    return printable(f"{answer['image']}: {answer['answer']} ({', '.join(likeliest)})")


if __name__ == "__main__":
    main()
