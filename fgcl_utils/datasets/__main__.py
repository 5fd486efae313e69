"""``python -m fgcl_utils.datasets check <dataset> <data_root>``: is my data fit for the study?

Exit code 0: no problem. 1: problems, all of them listed. 2: the source cannot be read at all.
"""

import argparse
import sys
import warnings

from fgcl_utils.datasets import DATASETS, DEFAULT_LEVELS, inspection


def main(arguments=None) -> int:
    sys.stdout.reconfigure(errors="replace")  # a name that the locale lacks is no failure
    options = _parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of files that it mends silently
            data, problems = inspection.inspect(
                options.dataset,
                options.data_root,
                image_size=options.image_size,
                levels=options.levels or DEFAULT_LEVELS,
                taxonomy=options.taxonomy,
                columns=_pairs(options.columns) if options.columns else None,
                metadata=_metadata(options.metadata) if options.metadata else None,
                group_by=options.group_by,
            )
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    for problem in problems:
        print(problem.text(most=sys.maxsize if options.all else 20), end="\n\n")
    print("no image can be used" if data is None else inspection.described(data))
    print(f"{len(problems)} kinds of problems" if problems else "no problems")
    return 1 if problems else 0


def _parser():
    parser = argparse.ArgumentParser(prog="python -m fgcl_utils.datasets", description=__doc__)
    commands = parser.add_subparsers(required=True)
    check = commands.add_parser("check", help="decode every image and list all problems")
    check.add_argument("dataset", choices=DATASETS[1:], help="what is at data_root")
    check.add_argument("data_root", help="as in a profile")
    several = {"nargs": "+", "action": "extend"}  # an option given twice adds to the first
    check.add_argument("--levels", **several, metavar="LEVEL", help="finest first")
    check.add_argument("--taxonomy", metavar="FILE", help="or binomial; csv and folder only")
    check.add_argument("--columns", **several, metavar="OURS=THEIRS", help="csv only")
    check.add_argument(
        "--metadata", **several, metavar="[SPLIT=]FILE", help="csv and df20_mini only"
    )
    check.add_argument("--group-by", metavar="COLUMN", help="csv and df20_mini only")
    check.add_argument("--image-size", type=int, default=64, help="of the training; default 64")
    check.add_argument("--all", action="store_true", help="list every place, not the first 20")
    return parser


def _pairs(texts):
    pairs = {}
    for text in texts:
        ours, is_pair, theirs = text.partition("=")
        if not is_pair:
            raise ValueError(f"{text!r} should be a pair like image=path.")
        if pairs.setdefault(ours, theirs) != theirs:
            raise ValueError(f"{ours!r} is given twice: as {pairs[ours]!r} and as {theirs!r}.")
    return pairs


def _metadata(texts):
    return texts[0] if len(texts) == 1 and "=" not in texts[0] else _pairs(texts)


if __name__ == "__main__":
    sys.exit(main())
