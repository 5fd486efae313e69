"""What a user's files can hold, and what comes of it: a data set or one clear message."""

import csv
import importlib
import io
import json
import os
import shutil
import stat
import struct
import sys
import unicodedata
import warnings
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fgcl_utils.datasets import ImageError, inspection, load_dataset, open_rgb, pixels, sources
from fgcl_utils.datasets.__main__ import main
from fgcl_utils.explorer import EmbeddingExplorer

FUZZ = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}


def noise(seed, size=(72, 68)):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def encoded(image, format, **options):
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def png_that_unpacks_to(width, height):
    """A one-bit PNG of zeros: 20,000 × 20,000 of them are 49 kB."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width // 8 + 1) * height), 9)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.fixture
def rows():
    """Two genera of two species, eight images each: image, species, genus."""
    return [
        (f"{genus}/{genus} {species}/{i}.png", f"{genus} {species}", genus)
        for genus in ("Amanita", "Russula")
        for species in ("alpha", "beta")
        for i in range(8)
    ]


@pytest.fixture
def root(tmp_path, rows):
    """A clean csv source that is a folder source, too."""
    root = tmp_path / "data"
    for seed, (image, *_) in enumerate(rows):
        (root / image).parent.mkdir(parents=True, exist_ok=True)
        noise(seed).save(root / image)
    write_csv(root, rows)
    return root


def write_csv(root, rows, header=("image", "species", "genus")):
    with (root / "photos.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def check(*arguments, capsys):
    """Exit code, standard output and standard error of the checker."""
    code = main(["check", *map(str, arguments)])
    return (code, *capsys.readouterr())


# ------------------------------------------------------------------------------- kinds of images

JPEG, PNG = encoded(noise(0), "JPEG"), encoded(noise(0), "PNG")
GIF = encoded(noise(0), "GIF", save_all=True, append_images=[noise(1), noise(2)])
TURNED = Image.Exif()
TURNED[0x0112] = 6


@pytest.mark.parametrize(
    "content, says",
    {
        "truncated JPEG": (JPEG[: len(JPEG) // 2], "truncated"),
        "truncated PNG": (PNG[: len(PNG) // 2], "truncated"),
        "truncated GIF": (GIF[:1500], "truncated"),
        "a JPEG's first bytes": (JPEG[:20], "not a JPEG"),
        "zero bytes": (b"", "the file is empty"),
        "an error page": (b"<html>404 Not Found</html>", "not a JPEG, PNG, WebP, BMP, GIF or TIFF"),
        "a phone's photo": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC or AVIF photo"),
        "an odd TIFF": (b"II*\0\x08\0\0\0\0\0\0\0\0\0", "a TIFF of a kind that is not read"),
        "no area": (PNG[:16] + bytes(8) + PNG[24:], "not a JPEG"),
        "a bomb": (png_that_unpacks_to(20_000, 20_000), "FGCL_MAX_PIXELS="),
    }.values(),
)
def test_what_cannot_be_decoded_says_why(tmp_path, content, says):
    (tmp_path / "photo.jpg").write_bytes(content)
    with pytest.raises(ImageError, match=says) as caught:
        open_rgb(tmp_path / "photo.jpg", 16)
    assert "photo.jpg: " in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "name, content",
    {
        "cmyk.jpg": encoded(noise(0).convert("CMYK"), "JPEG"),
        "really_png.jpg": PNG,
        "no_suffix": JPEG,
        "palette.png": encoded(noise(0).convert("P"), "PNG", transparency=3),
        "grey_alpha.png": encoded(noise(0).convert("LA"), "PNG"),
        "one_bit.png": encoded(noise(0).convert("1"), "PNG"),
        "nan.tif": encoded(Image.fromarray(np.full((8, 8), np.nan, np.float32)), "TIFF"),
        "sixteen.png": encoded(Image.fromarray(np.full((8, 8), 9999, np.uint16)), "PNG"),
        "pixel.png": encoded(noise(0, (1, 1)), "PNG"),
        "something_appended.jpg": JPEG + b"PK\x03\x04" * 100,
        "broken_exif.jpg": encoded(noise(0), "JPEG", exif=TURNED.tobytes()[:10] + b"\xff" * 20),
    }.items(),
)
def test_odd_images_are_decoded(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of the EXIF data
        square = pixels.square_image(tmp_path / name, 16)
    assert square.shape == (16, 16, 3) and square.dtype == np.uint8


def test_an_animation_is_its_first_frame_and_a_turned_photo_upright(tmp_path):
    first, rest = Image.new("P", (8, 8), 0), Image.new("P", (8, 8), 1)
    for frame in (first, rest):
        frame.putpalette([10, 20, 30, 200, 210, 220])
    first.save(tmp_path / "a.gif", save_all=True, append_images=[rest])
    assert open_rgb(tmp_path / "a.gif", 8).getpixel((0, 0)) == (10, 20, 30)
    noise(0, (40, 20)).save(tmp_path / "a.jpg", exif=TURNED)
    assert open_rgb(tmp_path / "a.jpg", 40).size == (20, 40)


def ramp(white, dtype):
    """Greys from 0 to `white`, and their value in 8 bits."""
    grey = np.linspace(0, white, 64).reshape(8, 8).astype(dtype)
    return Image.fromarray(grey), np.round(grey / white * 255)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_greys_of_any_number_of_bits_are_scaled_to_white(tmp_path, bits, suffix):
    image, expected = ramp(2**bits - 1, np.uint16)
    image.save(tmp_path / f"grey.{suffix}")
    decoded = np.asarray(open_rgb(tmp_path / f"grey.{suffix}", 8))
    assert (decoded == expected[..., None]).all()


@pytest.mark.parametrize("white", [1, 255, 4095, 65535, 1e6])
def test_greys_in_floats_are_scaled_to_white(tmp_path, white):
    image, expected = ramp(white, np.float32)
    image.save(tmp_path / "grey.tif")
    assert (np.asarray(open_rgb(tmp_path / "grey.tif", 8)) == expected[..., None]).all()


def test_gaps_and_overshoots_in_floats_do_not_darken_the_rest(tmp_path):
    grey = np.full((8, 8), 0.5, np.float32)
    grey[0, :4] = np.nan, np.inf, -np.inf, 1.02
    Image.fromarray(grey).save(tmp_path / "grey.tif")
    decoded = np.asarray(open_rgb(tmp_path / "grey.tif", 8))[..., 0]
    assert decoded[0, :4].tolist() == [0, 0, 0, 255] and (decoded[1:] == 128).all()


def test_the_limit_of_pixels_can_be_raised(tmp_path, monkeypatch):
    (tmp_path / "large.png").write_bytes(png_that_unpacks_to(2_000, 2_000))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)  # so that a test need not fill memory
    with pytest.raises(ImageError, match="exceeds limit of 2000000 pixels"):
        open_rgb(tmp_path / "large.png", 8)
    monkeypatch.setenv("FGCL_MAX_PIXELS", "8000000")
    importlib.reload(pixels)  # as a new process would
    assert open_rgb(tmp_path / "large.png", 8).size == (2000, 2000)
    monkeypatch.setenv("FGCL_MAX_PIXELS", "2e8")
    with pytest.raises(ValueError, match="FGCL_MAX_PIXELS='2e8' in the environment: a whole"):
        importlib.reload(pixels)


def test_a_photo_never_starts_a_program(tmp_path, monkeypatch):
    """Pillow would hand an EPS file, whatever its name, to Ghostscript."""
    called = tmp_path / "called"
    (tmp_path / "bin").mkdir()
    ghostscript = tmp_path / "bin" / "gs"
    ghostscript.write_text(f"#!/bin/sh\ntouch {called}\n")
    ghostscript.chmod(ghostscript.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    (tmp_path / "photo.jpg").write_bytes(encoded(noise(0), "EPS"))
    with pytest.raises(ImageError, match="not a JPEG"):
        open_rgb(tmp_path / "photo.jpg", 8)
    assert not called.exists()


# ------------------------------------------------------------------------------- kinds of tables


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_other_encodings_are_refused_not_guessed(root, rows, encoding):
    text = (root / "photos.csv").read_text(encoding="utf-8").replace("Amanita", "Amanité")
    (root / "photos.csv").write_bytes(text.encode(encoding))
    with pytest.raises(ValueError, match=r"photos\.csv, line [12]: not UTF-8 text. Save the file"):
        load_dataset("csv", root)


def test_a_file_too_large_for_memory_keeps_only_the_columns_that_are_read(root, rows):
    note = "x" * 1000
    write_csv(root, [(*row, note + str(i)) for i, row in enumerate(rows)], (*HEADER, "note"))
    _, table, _ = sources.read("csv", root, None, None, None)
    assert list(table.columns) == list(HEADER)
    if find_spec("pyarrow") is None:  # which holds texts in its own way
        shared = {id(name) for name in table["genus"].to_numpy(dtype=object)}
        assert len(shared) == 2  # equal cells are one string


HEADER = ("image", "species", "genus")


def test_messages_stay_short_whatever_the_file_holds(root, rows):
    (root / "photos.csv").write_text(",".join(f"column {i}" for i in range(5000)) + "\n")
    with pytest.raises(ValueError, match="and 4980 more") as caught:
        load_dataset("csv", root)
    assert len(str(caught.value)) < 1000
    write_csv(root, [*rows, ("a" * 100_000 + ".jpg", *rows[0][1:])])
    with pytest.raises(ImageError, match="do not exist") as caught:
        load_dataset("csv", root)
    assert len(str(caught.value)) < 1000


def test_a_folder_named_like_a_table_is_no_table(root):
    (root / "photos.csv").unlink()
    (root / "photos.csv").mkdir()
    with pytest.raises(ValueError, match="holds none"):
        load_dataset("csv", root)


def test_names_that_a_terminal_would_obey_are_escaped(root, rows):
    write_csv(root, [*rows, ("\x1b[2Jgone.jpg", *rows[0][1:])])
    with pytest.raises(ImageError, match=r"line 34: \\x1b\[2Jgone.jpg") as caught:
        load_dataset("csv", root)
    assert "\x1b" not in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="the file system holds Unicode names only")
def test_names_of_files_that_are_not_unicode_are_refused(root):
    os.mkdir(os.fsencode(root / "Amanita") + b"/caf\xe9")
    shutil.copy(
        root / "Amanita/Amanita alpha/0.png", os.fsencode(root / "Amanita") + b"/caf\xe9/0.png"
    )
    with pytest.raises(ValueError, match=r"1 names of files or folders are not UTF-8:\n.*\\udce9"):
        load_dataset("folder", root)


@pytest.mark.parametrize("first", ["sep=,", '"sep=;"', "sep=\t", "sep=|"])
def test_the_line_that_names_the_separator_to_excel_is_none_of_the_table(root, rows, first):
    table = io.StringIO(first + "\r\n")
    table.read()
    writer = csv.writer(table, delimiter=first.strip('"')[-1])
    writer.writerows([HEADER, *rows])
    (root / "photos.csv").write_text(table.getvalue(), newline="")
    assert len(load_dataset("csv", root)) == len(rows)
    writer.writerow(("gone.png", "a; b, c", "d"))
    (root / "photos.csv").write_text(table.getvalue().replace("\r\n", "\n"), newline="")
    with pytest.raises(ImageError, match=r"photos\.csv, line 35: gone\.png"):
        load_dataset("csv", root)


def images_of(root, rows):
    write_csv(root, rows)
    return load_dataset("csv", root).table["image"].tolist()


@pytest.mark.skipif(sys.platform == "darwin", reason="the file system joins the two forms itself")
@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_find_their_files_in_the_other_unicode_form(tmp_path, rows, forms):
    in_table, on_disk = (
        [(unicodedata.normalize(form, image.replace("a", "\xe4")), *rest) for image, *rest in rows]
        for form in forms
    )
    for image, *_ in on_disk:
        (tmp_path / image).parent.mkdir(parents=True, exist_ok=True)
        noise(0).save(tmp_path / image)
    assert images_of(tmp_path, in_table) == [image for image, *_ in on_disk]
    bare = [(image.split(".")[0].partition("/")[2], *rest) for image, *rest in in_table]
    assert images_of(tmp_path, bare) == [image for image, *_ in on_disk]
    with_own = tmp_path / in_table[0][0]  # a second folder, whose name is the table's own
    with_own.parent.mkdir(parents=True)
    noise(0).save(with_own)
    assert images_of(tmp_path, in_table[:1] + in_table[16:])[0] == in_table[0][0]


def test_folders_are_found_in_another_case(root, rows):
    lower = [(image.replace("Amanita/", "amanita/"), *rest) for image, *rest in rows]
    assert images_of(root, lower) == [image for image, *_ in rows]
    if not (root / "AMANITA").exists():  # so where case counts
        (root / "AMANITA").mkdir()
        with pytest.raises(ImageError, match="16 of 32 images do not exist"):
            images_of(root, lower)


def test_paths_that_come_back_into_data_root_are_inside(root, rows, tmp_path):
    names = [image for image, *_ in rows]
    written = {
        0: str(root / names[0]),
        1: str(root / "Russula" / ".." / names[1]),
        2: f"Russula/../{names[2]}",
        3: f"../{root.name}/{names[3]}",
        4: f"./{names[4]}",
        5: names[5].replace("/", "\\"),
    }
    table = [(written.get(i, image), *rest) for i, (image, *rest) in enumerate(rows)]
    assert images_of(root, table) == names
    link = tmp_path / "link"
    link.symlink_to(root)
    write_csv(root, table)
    assert load_dataset("csv", link).table["image"].tolist() == names
    for out in (f"{root}2/a.png", str(tmp_path), f"../{root.name}2/a.png"):
        write_csv(root, [*rows, (out, *rows[0][1:])])
        with pytest.raises(ValueError, match="1 images lie outside data_root"):
            load_dataset("csv", root)
    write_csv(root, [*rows, (str(root / "gone.png"), *rows[0][1:])])
    with pytest.raises(ImageError, match="1 of 33 images do not exist"):
        load_dataset("csv", root)


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_a_backslash_or_a_colon_may_be_part_of_a_name(root, rows):
    odd = [r"a\b.png", r"Amanita\Amanita alpha\0.png", "1:30.png", r"..\x.png"]
    for name in odd:
        noise(0).save(root / name)
    table = [(name, *rest) for name, (_, *rest) in zip(odd, rows, strict=False)]
    assert images_of(root, [*table, *rows[len(odd) :]])[: len(odd)] == odd
    folder = root / "Amanita" / r"a\b"
    folder.mkdir()
    for i in range(2):
        noise(0).save(folder / f"{i}.png")
    for name in odd:
        (root / name).unlink()
    assert "a\\b" in load_dataset("folder", root).taxonomy.names[0]


def test_a_path_of_very_many_folders_is_missing(root, rows):
    with pytest.raises(ImageError, match="1 of 33 images do not exist"):
        images_of(root, [*rows, ("a/" * 20_000 + "b.png", *rows[0][1:])])


FORMULA, MARKUP = '=HYPERLINK("http://x.y","z")', "</script><img src=x onerror=alert(1)>"


def test_formulas_and_markup_stay_text_up_to_the_explorer(root, rows, tmp_path):
    genus = {"Amanita": MARKUP, "Russula": FORMULA}
    write_csv(root, [(i, s.replace(g, genus[g]), genus[g]) for i, s, g in rows])
    data = load_dataset("csv", root, cache_dir=tmp_path)
    assert data.taxonomy.names[1] == tuple(sorted([MARKUP, FORMULA]))
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(len(data), 2)).astype(np.float32)
    page = EmbeddingExplorer(
        {"hcl": rng.normal(size=(len(data), 8)).astype(np.float32)},
        data.table,
        data_root=data.data_root,
        planes={"hcl": plane},
    ).save(tmp_path / "map.html")
    assert "<img src=x" not in page.read_text("utf-8")
    assert "Content-Security-Policy" in page.read_text("utf-8")


# ---------------------------------------------------------------------------------- the checker


def test_checking_clean_data(root, capsys):
    code, out, err = check("csv", root, capsys=capsys)
    assert code == 0
    assert "32 images of 4 species in 2 genera" in out and out.endswith("no problems\n")
    assert "checking images: 100%" in err
    (root / "Amanita/Amanita alpha/9.heic").write_bytes(b"x")
    code, out, _ = check("folder", root, capsys=capsys)
    assert code == 0 and "not taken for images: 1 .csv, 1 .heic" in out


def test_the_checker_lists_every_kind_of_problem_in_one_pass(root, rows, capsys):
    (root / rows[0][0]).write_bytes(b"")
    shutil.copy(root / rows[1][0], root / "copy.png")  # under another species
    shutil.copy(root / rows[9][0], root / "again.png")  # in another split
    noise(7, (30, 90)).save(root / "small.png")
    noise(8).save(root / "lone.png")
    (root / "link.png").symlink_to(Path(__file__))
    splits = ["train"] * 5 + ["val"] + ["test"] * 2
    table = [(*row, f"find {i // 3}", splits[i % 8]) for i, row in enumerate(rows)]
    table += [
        ("copy.png", "Russula alpha", "Russula", "", "train"),
        ("again.png", "Amanita beta", "Amanita", "", "test"),
        ("small.png", "Amanita alpha", "Amanita", "", "train"),
        ("lone.png", "Lonely one", "Lonely", "", "train"),
        ("gone.png", "Amanita alpha", "Amanita", "", "train"),
        ("../out.png", "Amanita alpha", "Amanita", "", "train"),
        ("link.png", "Amanita alpha", "Amanita", "", "train"),
        ("", "Amanita alpha", "Amanita", "", "train"),
        (rows[30][0], "", "", "", "train"),
        (rows[31][0], "Amanita alpha", "Amanita", "", "holdout"),
        (rows[2][0], rows[2][1], rows[2][2], "", "train"),
        ("Amanita/Amanita beta/0.png", "Two", "Amanita", "", "train"),
        ("Amanita/Amanita beta/1.png", "Two", "Russula", "", "train"),
    ]
    write_csv(root, table, (*HEADER, "find", "split"))
    code, out, _ = check("csv", root, "--group-by", "find", capsys=capsys)
    assert code == 1
    for said in (
        "1 rows have no image:\n  photos.csv, line 41",
        "1 rows have no species:\n  photos.csv, line 42",
        "line 39: ../out.png",
        "where a link leads:\n  photos.csv, line 40: link.png",
        "1 of 45 images do not exist",
        "line 43: holdout",
        "'Two': 'Amanita' (photos.csv, line 45), 'Russula' (photos.csv, line 46)",
        "1 images stand in more than one row:\n  photos.csv, line 4: ",
        "observations have photos in train and in test",
        "0.png: the file is empty",
        "Amanita/Amanita beta/1.png (train) = again.png (test)",
        "Amanita/Amanita alpha/1.png (Amanita alpha) = copy.png (Russula alpha)",
        "small.png: 30 × 90",
        "Lonely one: 1",
        "1 genera have fewer than 5 training images:\n  Lonely: 1",
        "36 images of 5 species in 3 genera",
        "15 kinds of problems",
    ):
        assert said in out, said


@pytest.mark.parametrize(
    "one, other",
    [
        ("Amanita muscaria", "amanita muscaria"),
        ("Amanita muscaria", "Amanita  muscaria"),
        ("Amanita muscaria", "Amanita\xa0muscaria"),
        ("Amanita muscaria", "Amanita\u3000muscaria"),
        ("Amanita muscaria", "Amanita_muscaria"),
        ("Amanita-muscaria", "Amanita\u2010muscaria"),
        ("muscaria", "muscaria\u200b"),
        ("muscaria", "mus\xadcaria"),
        ("Clitocybe ﬂaccida", "Clitocybe flaccida"),
        ("STRASSE", "Straße"),
    ],
)
def test_names_that_are_one_to_a_reader_are_told(root, rows, one, other, capsys):
    new = {"Amanita alpha": one, "Amanita beta": other}
    write_csv(root, [(image, new.get(species, species), g) for image, species, g in rows])
    code, out, _ = check("csv", root, capsys=capsys)
    assert code == 1 and "1 species names are spelled in several ways:" in out
    shown = sorted([repr(one) + " (photos.csv, line 2)", repr(other) + " (photos.csv, line 10)"])
    assert all(part in out for part in shown) and out.count("\n  ") < 12
    with pytest.warns(UserWarning, match="spelled in several ways"):
        assert load_dataset("csv", root).taxonomy.n_classes == (4, 2)


@pytest.mark.parametrize(
    "one, other", [("a 1", "a 2"), ("edulis", "edule"), ("-", "_"), ("ab", "a b"), ("C", "C++")]
)
def test_names_that_differ_to_a_reader_are_left_alone(root, rows, one, other, capsys):
    new = {"Amanita alpha": one, "Amanita beta": other}
    write_csv(root, [(image, new.get(species, species), g) for image, species, g in rows])
    assert check("csv", root, capsys=capsys)[0] == 0


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="cannot hold both folders")
def test_folders_whose_names_are_one_to_a_reader_are_told(root, capsys):
    (root / "Amanita" / "Amanita beta").rename(root / "Amanita" / "Amanita alpha ")
    (root / "russula").mkdir()
    (root / "Russula" / "Russula beta").rename(root / "russula" / "Russula gamma")
    code, out, _ = check("folder", root, capsys=capsys)
    assert code == 1
    assert "'Amanita alpha ' (Amanita/Amanita alpha /0.png) = 'Amanita alpha' (Amanita/" in out
    assert "1 genus names are spelled in several ways:\n  'Russula' (" in out


def test_a_class_folder_without_a_photo_that_can_be_read_is_told(root, capsys, monkeypatch):
    genus = root / "Boletus"
    for name in ("empty", "heic", "thumbnails only", "closed", "broken"):
        (genus / name).mkdir(parents=True)
    for i in range(3):
        (genus / "heic" / f"{i}.HEIC").write_bytes(b"x")
        (genus / "broken" / f"{i}.jpg").write_bytes(b"x")
    (genus / "heic" / "notes").touch()
    thumbnails = genus / "thumbnails only" / "@eaDir"
    thumbnails.mkdir()
    noise(0).save(thumbnails / "0.png")
    (root / "Amanita" / "Amanita alpha" / "raw").mkdir()  # no class: it lies below them

    code, out, _ = check("folder", root, capsys=capsys)
    assert code == 1
    assert "4 folders hold no image that can be read, and make no class:" in out
    for line in ("closed: empty", "empty: empty", "heic: 3 .heic, 1 without a suffix"):
        assert f"  Boletus/{line}\n" in out
    assert "  Boletus/thumbnails only: empty\n" in out and "raw" not in out
    assert "broken: 0" in out and "Boletus/broken/0.jpg: not a JPEG" in out
    with pytest.warns(UserWarning, match="make no class"):
        load_dataset("folder", root)

    really = os.scandir

    def scandir(path):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return really(path)

    monkeypatch.setattr(os, "scandir", scandir)  # the tests may run as root, whom nothing stops
    code, out, _ = check("folder", root, capsys=capsys)
    assert code == 1 and "1 folders may not be opened:\n  Boletus/closed\n" in out
    with pytest.raises(ImageError, match="Boletus/closed\nGive yourself the permission"):
        load_dataset("folder", root)


def test_images_in_a_folder_that_may_not_be_opened_are_not_called_missing(
    root, rows, capsys, monkeypatch
):
    really = os.scandir

    def scandir(path):
        if Path(path).name == "Amanita alpha":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return really(path)

    monkeypatch.setattr(os, "scandir", scandir)
    code, out, _ = check("csv", root, capsys=capsys)
    assert code == 1 and "8 images are in folders that may not be opened:\n  photos.csv, l" in out
    assert "do not exist" not in out


@pytest.mark.parametrize(
    "name",
    [
        *("@eaDir", "__MACOSX", ".thumbnails", "Thumbs.db", "lost+found", "$RECYCLE.BIN"),
        *(".ipynb_checkpoints", "System Volume Information", "#recycle", ".Trash-1000", "@Recycle"),
    ],
)
def test_what_systems_leave_among_photos_is_no_class(root, name, capsys):
    for parent in (root, root / "Amanita", root / "Amanita" / "Amanita alpha"):
        for folder in (parent / name, parent / name / "within" / "depth"):
            folder.mkdir(parents=True, exist_ok=True)
            noise(0).save(folder / "0.png")
            (folder / "1.heic").touch()
    code, out, _ = check("folder", root, capsys=capsys)
    assert code == 0 and "32 images of 4 species in 2 genera" in out


def test_images_that_show_nothing_are_told(root, rows, capsys):
    Image.new("RGB", (80, 80), (9, 90, 200)).save(root / rows[0][0])
    twelve = np.random.default_rng(0).integers(0, 4096, (80, 80, 3)) >> 8  # kept of 12 bits in 16
    Image.fromarray(twelve.astype(np.uint8)).save(root / rows[1][0])
    night = np.zeros((80, 80, 3), np.uint8)
    night[40:44, 40:44] = 255
    Image.fromarray(night).save(root / rows[2][0])
    code, out, _ = check("csv", root, capsys=capsys)
    assert code == 1 and "2 images show next to nothing" in out
    assert rows[2][0] not in out


def test_the_checker_counts_all_and_lists_twenty_or_all(root, rows, capsys):
    write_csv(root, [*rows, *((f"gone {i}.png", *rows[0][1:]) for i in range(30))])
    code, out, _ = check("csv", root, capsys=capsys)
    assert code == 1 and "30 of 62 images" in out and "... and 10 more" in out
    _, out, _ = check("csv", root, "--all", capsys=capsys)
    assert "gone 29.png" in out and "more" not in out


def test_the_checker_on_what_cannot_be_read(root, rows, capsys):
    code, out, err = check("csv", root / "nowhere", capsys=capsys)
    assert code == 2 and not out and "does not exist" in err
    assert check("csv", root, "--columns", "image", capsys=capsys)[0] == 2
    write_csv(root, [("gone.png", "a", "b")])
    code, out, _ = check("csv", root, capsys=capsys)
    assert code == 1 and "no image can be used" in out


def test_the_checker_takes_columns_and_metadata(root, rows, capsys):
    write_csv(root, rows, ("path", "taxon", "genus"))
    shutil.copy(root / "photos.csv", root / "other.csv")
    mapped = ("--metadata", "other.csv", "--columns", "image=path", "species=taxon")
    assert check("csv", root, *mapped, capsys=capsys)[0] == 0
    assert check("csv", root, "--metadata", "other.csv", capsys=capsys)[0] == 2


def test_options_given_twice_all_apply(root, rows, capsys):
    table = [(*row, "train" if i % 4 else "test") for i, row in enumerate(rows)]
    write_csv(root, table, ("path", "taxon", "kind", "fold"))
    code, out, err = check(
        *("csv", root, "--columns", "image=path", "--columns", "species=taxon", "genus=kind"),
        *("--columns", "split=fold"),
        capsys=capsys,
    )
    assert (code, "24 train, 8 test" in out) == (0, True), err
    code, _, err = check(
        "csv", root, "--columns", "image=path", "--columns", "image=x", capsys=capsys
    )
    assert code == 2 and "'image' is given twice: as 'path' and as 'x'" in err


def test_the_checker_hands_every_option_to_the_survey(root, monkeypatch, capsys):
    asked = {}

    def survey(dataset, data_root, **options):
        asked.update(options, dataset=dataset, data_root=data_root)
        raise ValueError("seen")

    monkeypatch.setattr(inspection, "survey", survey)
    twice = ("--metadata", "train=a.csv", "--metadata", "test=b.csv", "--levels", "a")
    more = ("--levels", "b", "c", "--taxonomy", "binomial", "--group-by", "find")
    assert check("csv", root, *twice, *more, capsys=capsys)[0] == 2
    assert asked == {
        "dataset": "csv",
        "data_root": str(root),
        "levels": ["a", "b", "c"],
        "taxonomy": "binomial",
        "columns": None,
        "metadata": {"train": "a.csv", "test": "b.csv"},
        "group_by": "find",
    }


# --------------------------------------------------------------------------- what files contain


def test_photos_replaced_by_others_of_the_same_size_are_told(root, rows, tmp_path):
    for seed, (image, *_) in enumerate(rows):
        noise(seed).save(root / image, "BMP")
    data = load_dataset("csv", root, cache_dir=tmp_path / "cache")
    summary = json.loads(json.dumps(data.summary()))
    before = data.images(8)
    assert data.replaced_since(summary) == []

    changed = root / rows[0][0]
    status = changed.stat()
    noise(99).save(tmp_path / "other", "BMP")
    os.utime(tmp_path / "other", ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(tmp_path / "other", changed)  # same size, same time of change
    again = load_dataset("csv", root, cache_dir=tmp_path / "cache")
    assert again.fingerprint == data.fingerprint
    assert again.replaced_since(summary) == ["Amanita alpha"]
    assert (again.images(8)[0] != before[0]).any()  # nor are the old pixels taken from the cache


def test_a_copy_on_another_machine_holds_the_same(root, rows, tmp_path):
    data = load_dataset("csv", root, cache_dir=tmp_path / "cache")
    copy = tmp_path / "copy"
    shutil.copytree(root, copy, copy_function=shutil.copyfile)  # with new times
    write_csv(copy, rows[::-1])
    other = load_dataset("csv", copy, cache_dir=tmp_path / "other cache")
    assert other.contents == data.contents and len(data.contents) == 4
    assert other.replaced_since(data.summary()) == []
    assert data.replaced_since({}) == []  # written before contents were


def test_files_are_read_once(root, tmp_path, monkeypatch):
    load_dataset("csv", root, cache_dir=tmp_path).summary()
    monkeypatch.setattr(pixels, "_content_hash", None)
    assert len(load_dataset("csv", root, cache_dir=tmp_path).contents) == 4


@pytest.mark.parametrize("size", [0, 1, 5000, 100_000])
def test_a_changed_byte_at_either_end_or_in_the_middle_is_seen(tmp_path, size):
    content = bytes(size)
    places = {0, size // 2, size - 1} & {*range(size)}
    versions = [content, *(content[:i] + b"x" + content[i + 1 :] for i in sorted(places))]
    for i, version in enumerate(versions):
        (tmp_path / str(i)).write_bytes(version)
    paths = [tmp_path / str(i) for i in range(len(versions))]
    hashes = pixels.content_hashes(paths, tmp_path / "cache.npy")
    assert len({row.tobytes() for row in hashes}) == len(versions)


# ------------------------------------------------------------------------------------- the fuzz

cells = st.text(st.characters(codec="utf-8"), max_size=8)
lines = st.lists(st.lists(cells, min_size=1, max_size=5), max_size=6)


@settings(max_examples=150, **FUZZ)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=120).map(lambda b: b"image,species,genus,split\n" + b),
        lines.map(
            lambda table: "\n".join(";".join(cells) for cells in table).encode(errors="replace")
        ),
    ),
    st.sampled_from([None, "split", "genus", "find"]),
)
def test_any_csv_is_a_data_set_or_a_clear_refusal(root, content, group_by):
    (root / "photos.csv").write_bytes(content)
    try:
        load_dataset("csv", root, group_by=group_by)
    except ValueError as error:  # ImageError among them
        assert str(error)


@settings(max_examples=100, **FUZZ)
@given(data=st.data())
def test_any_table_of_real_images_is_a_data_set_or_a_clear_refusal(root, rows, data):
    some = st.sampled_from
    header = data.draw(
        some([HEADER, (*HEADER, "split"), (*HEADER, "find"), (*HEADER, "split", "find")])
    )
    values = {
        "image": some([image for image, *_ in rows]),
        "species": some(["a", "b", "c", "d", "\u0301", "a\0"]),
        "genus": some(["A", "B", "=1+1"]),
        "split": some(["train", "train", "test", "VAL", ""]),
        "find": some(["", "1", "2", "3", "4"]),
    }
    genus_of = data.draw(st.fixed_dictionaries({s: values["genus"] for s in "abcd"}))
    table = data.draw(st.lists(st.fixed_dictionaries({c: values[c] for c in header}), max_size=25))
    for row in table:
        row["genus"] = genus_of.get(row["species"], row["genus"])
    write_csv(root, [list(row.values()) for row in table], header)
    share = data.draw(some([0.0, 0.2, 0.5]))
    group_by = "find" if "find" in header else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            loaded = load_dataset("csv", root, group_by=group_by, held_out_species=share)
        except ValueError as error:
            assert str(error)
            return
    assert len(loaded) == len(table)
    assert (loaded.summary()["leakage"] is None) == (group_by is None)


@settings(max_examples=200, **FUZZ)
@given(
    whole=st.sampled_from([JPEG, PNG, GIF, encoded(noise(3), "WEBP"), encoded(noise(3), "TIFF")]),
    cut=st.integers(0, 12_000),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
)
def test_any_image_bytes_are_pixels_or_an_image_error(tmp_path, whole, cut, changes):
    content = bytearray(whole[: cut or None])
    for at, value in changes:
        content[at % len(content)] = value
    (tmp_path / "photo").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            assert pixels.square_image(tmp_path / "photo", 8).shape == (8, 8, 3)
        except ImageError as error:
            assert "photo: " in str(error)


folder_names = st.text(
    st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=12
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)


@settings(max_examples=60, **FUZZ)
@given(st.lists(st.lists(folder_names, min_size=1, max_size=4), min_size=1, max_size=4))
def test_any_folder_names_are_a_data_set_or_a_clear_refusal(tmp_path_factory, paths):
    root = tmp_path_factory.mktemp("tree")
    for i, parts in enumerate(paths):
        for k in range(2):
            try:
                root.joinpath(*parts).mkdir(parents=True, exist_ok=True)
                root.joinpath(*parts, f"{i}{k}.png").write_bytes(b"x")
            except OSError:  # not a name on this file system, or a file stands there
                pass
    try:
        loaded = load_dataset("folder", root)
    except ValueError as error:
        assert str(error)
    else:
        assert loaded.summary()["n_images"]["train"] > 0
        assert len(loaded.fingerprint) == 64


@settings(max_examples=60, **FUZZ)
@given(st.binary(max_size=120), st.sampled_from(["train.txt", "classes.csv"]))
def test_any_grocery_listing_is_refused_clearly(tmp_path, content, name):
    header = "Class Name (str),Class ID (int),Coarse Class Name (str)\n"
    (tmp_path / "classes.csv").write_text(header + "Gala,0,Apple\n")
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}.txt").write_text(f"{split}.jpg, 0, 0\n")
        (tmp_path / f"{split}.jpg").touch()
    (tmp_path / name).write_bytes((header.encode() if name == "classes.csv" else b"") + content)
    try:
        load_dataset("grocery", tmp_path)
    except ValueError as error:
        assert str(error)


@settings(max_examples=60, **FUZZ)
@given(
    st.lists(st.tuples(cells, cells, cells, cells), max_size=4),
    st.sampled_from([None, "gbifID", "genus"]),
)
def test_any_df20_metadata_is_a_data_set_or_a_clear_refusal(tmp_path, content, group_by):
    header = ("image_path", "scientificName", "genus", "gbifID")
    for split, part in (("train", content), ("test", content[:1])):
        (tmp_path / f"{split}.jpg").touch()
        sound = (f"{split}.jpg", "a", "A", split)
        with (tmp_path / f"{split}_metadata.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, sound, *part])
    try:
        loaded = load_dataset("df20_mini", tmp_path, group_by=group_by)
    except ValueError as error:
        assert str(error)
    else:
        assert len(loaded) == 2
