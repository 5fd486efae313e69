"""Answers as they come, a line each in a file: a folder that was interrupted goes on."""

import json
import os

from fgcl_utils.files import digest, written_aside


def kept_answers(identifier, images, path, top=5, neighbours=5):
    """`Identifier.answers`, kept in a file from which those of the last time are taken.

    A photo's answer is taken if the file is the same (path, size and time), and the identifier and
    the numbers are.

    Parameters
    ----------
    identifier : Identifier
    images : sequence of path
    path : path
        The file, which is made, or goes on.
    top, neighbours : int
        As of `Identifier.answers`.

    Yields
    ------
    dict
    """
    maker = digest([identifier.about, identifier.namer.to_dict(), top, neighbours])
    known = _read(path, maker)
    keys = [_key(image) for image in images]
    todo = [image for image, key in zip(images, keys, strict=True) if key not in known]
    new = identifier.answers(todo, top, neighbours)
    with written_aside(path) as aside:  # without the line that a killed process has not finished
        lines = [maker, *known.items()]
        aside.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    with open(path, "a", encoding="utf-8") as file:
        for key in keys:
            if key not in known:
                answer = next(new)
                print(json.dumps([key, answer]), file=file, flush=True)
            yield known.get(key) or answer


def _key(image):
    """A photo's path, size and time, as text."""
    try:
        status = os.stat(image)
    except OSError:  # reading it says what is wrong
        return f"{image}\0"
    return f"{image}\0{status.st_size}\0{status.st_mtime_ns}"


def _read(path, maker):
    """The answers of the same maker in a file, by key; a line that was cut off is none."""
    known = {}
    try:
        with open(path, encoding="utf-8") as file:
            if json.loads(next(file, "null")) != maker:
                return {}
            for line in file:
                key, answer = json.loads(line)
                known[key] = answer
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        pass
    return known
