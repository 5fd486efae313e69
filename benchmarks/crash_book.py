"""`make book` and its installation, killed again and again and called again.

    python benchmarks/crash_book.py

In a copy of the project with a profile of seconds, make is killed (SIGKILL) in each notebook and in
the build, one after the other: by turns alone, as the system does that is short of memory, while
what it started goes on, and with all that it started, as when the power fails. After each kill
every notebook in executed/ must be whole; in the end `make book` must end well. An installation of
a few packages is treated likewise. Prints a table and writes results/crash_book.json.
"""

import argparse
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import psutil
from provenance import provenance

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("0*.ipynb"))
BUILD = "build"
PROFILE = """{run_name: tiny, dials: {n_species: 12, n_images: 180}, image_size: 32, epochs: 2,
batch_size: 32}
"""
PACKAGES = {"click", "jinja2", "markupsafe", "numpy", "packaging", "pygments", "pyyaml", "tqdm"}
ALONE, ALL = "make", "make and all it started"
# Every file that the packages' own lists name; pip writes a package's list last.
IS_COMPLETE = """
from importlib.metadata import distributions
files = [(d, file) for d in distributions() for file in d.files or ["its list"]]
missing = [f"{d.name} {file}" for d, file in files if not d.locate_file(file).exists()]
raise SystemExit(", ".join(missing) or 0)
"""


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="at least so many in all")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "crash_book.json")
    arguments = parser.parse_args(argv)
    began, draw = time.perf_counter(), random.Random(arguments.seed)
    kills, ended_well, rounds = [], 0, 0
    whom = itertools.cycle([ALL, ALONE])
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        place = Path(place)
        durations = {}
        start(new_project(place / "alone"), "book", durations=durations)
        start(new_environment(place / "small"), ".venv", durations=durations)
        print({name: round(seconds, 1) for name, seconds in durations.items()}, flush=True)
        while len(kills) < arguments.kills:
            rounds += 1
            project = new_project(place / f"book-{rounds}")
            for phase in [*NOTEBOOKS, BUILD]:
                kills += killed(project, "book", phase, durations[phase], whom, draw)
            small = new_environment(place / f"environment-{rounds}")
            for _ in range(2):
                kills += killed(small, ".venv", None, durations[None], whom, draw)
            ended_well += ends_well(project) and is_installed(small)
            print(f"round {rounds}: {ended_well} of {rounds} ended well", flush=True)
    result = report(kills, ended_well, rounds)
    packages = ["papermill", "jupyter-book", "ipykernel", "nbclient"]
    result["provenance"] = provenance(began, packages, seed=arguments.seed)
    print(json.dumps(result, indent=1, ensure_ascii=False))
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    arguments.output.write_text(text, encoding="utf-8")
    return ended_well < rounds or not all(row["notebooks whole"] for row in kills)


def new_project(folder):
    """A copy of the project as a clone of it would be, with the tiny profile."""
    built = [".made-*", ".parameters", "runs", "_build", "*.egg-info", "__pycache__", "[0-9]*.html"]
    hidden = [".git", ".*cache", ".venv*", ".hypothesis"]
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*built, *hidden))
    for notebook in folder.glob("executed/*.ipynb"):
        notebook.unlink()
    (folder / "profiles" / "tiny.yaml").write_text(PROFILE)
    return folder


def new_environment(folder):
    """A project whose lock holds a few small packages."""
    new_project(folder)
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    few = [line for line in lines if line.partition("==")[0].lower() in PACKAGES]
    (folder / "requirements.lock").write_text("\n".join(few) + "\n")
    return folder


def killed(project, target, phase, seconds, whom, draw):
    """Make the target, kill it in the phase: a row of the table, none if it ended before."""
    whom, delay = next(whom), draw.uniform(0, seconds)
    if not start(project, target, phase, delay, whom):
        return []
    found = list(project.glob("executed/*.ipynb"))
    row = {
        "killed in": Path(phase).stem if phase else "installation",
        "s after its start": round(delay, 1),
        "killed": whom,
        "notebooks there": len(found),
        "notebooks whole": all(map(is_whole, found)),
    }
    print(row, flush=True)
    return [row]


def start(project, target, phase=None, delay=None, whom=None, durations=None):
    """Make the target; kill `whom` `delay` s after the phase has begun. Whether it was killed.

    `durations` takes the seconds of all phases of what is left alone; phase None is the start.
    """
    environment = sys.prefix if target == "book" else ".venv"
    command = ["make", target, "PROFILE=tiny", f"VENV={environment}", f"PYTHON={sys.executable}"]
    command += ["-o", f"{environment}/.installed"] if target == "book" else []
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "FGCL"))}
    env |= {"PYTHONPATH": str(project), "OMP_NUM_THREADS": "1"}
    with (project / "log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=project, env=env, stdout=subprocess.PIPE, stderr=log, text=True
        )
        now, since = None, time.perf_counter()
        lines = iter(process.stdout)
        while True:
            if delay is not None and now == phase:
                try:
                    process.wait(delay)
                except subprocess.TimeoutExpired:
                    return kill(process, whom)
            line = next(lines, None)
            log.write((line or "").encode())
            if durations is not None:
                durations[now] = time.perf_counter() - since
            if line is None:
                break
            if line.startswith("executed/"):
                now, since = line.strip().removeprefix("executed/"), time.perf_counter()
            elif "jupyter-book build" in line:
                now, since = BUILD, time.perf_counter()
    if process.wait() != 0:
        log = (project / "log").read_text(encoding="utf-8", errors="replace")
        raise RuntimeError(f"{command} ended with {process.returncode}: {log[-3000:]}")
    return False


def kill(process, whom):
    tree = psutil.Process(process.pid).children(recursive=True) if whom == ALL else []
    process.kill()
    for child in tree:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            pass
    process.wait()
    process.stdout.close()
    return True


# --- what is found ----------------------------------------------------------------------------


def is_whole(path):
    """Whether every cell of a notebook was executed, without an error."""
    try:
        cells = nbformat.read(path, as_version=4).cells
    except Exception as error:  # whatever is said of half a file
        print(f"{path}: {error!r}")
        return False
    code = [cell for cell in cells if cell.cell_type == "code" and cell.source.strip()]
    outputs = [output for cell in code for output in cell.outputs]
    return all(c.execution_count for c in code) and all(o.output_type != "error" for o in outputs)


def ends_well(project):
    start(project, "book")
    notebooks = list(project.glob("executed/*.ipynb"))
    pages = [project / "_build/html/executed" / f"{path.stem}.html" for path in notebooks]
    return len(notebooks) == len(NOTEBOOKS) and all(
        is_whole(path) and page.is_file() for path, page in zip(notebooks, pages, strict=True)
    )


def is_installed(project):
    start(project, ".venv")
    python = project / ".venv/bin/python"
    return not subprocess.run([python, "-c", IS_COMPLETE], cwd=project).returncode


def report(kills, ended_well, rounds):
    columns = list(kills[0])
    return {
        "headline": {
            "kills": len(kills),
            "notebooks_whole": sum(row["notebooks whole"] for row in kills),
            "rounds": rounds,
            "ended_well": ended_well,
        },
        "tables": {
            "kills": {
                "caption": "make killed at random moments, and what it left",
                "columns": columns,
                "rows": [[row[name] for name in columns] for row in kills],
            }
        },
    }


if __name__ == "__main__":
    sys.exit(main())
