"""What is asked for: every parameter of the study, validated and immutable."""

import ast
import contextlib
import dataclasses
import difflib
import itertools
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args, get_origin

import yaml

from fgcl_utils import datasets
from fgcl_utils.datasets.synthetic import Dials
from fgcl_utils.files import cache_dir, read_json, read_yaml, resolve
from fgcl_utils.methods import METHODS

# What cannot change the trained weights is not part of a run's identity, so that a run is found
# again after its data moved or on another number of loader processes.
NEVER_IDENTITY = {"run_name", "data_root", "taxonomy", "num_workers", "map_method", "photos"}
# What some methods do not read is not part of their identity.
_NOT_ALL_READ = {name for method in METHODS.values() for name in method.reads}


class SettingsError(ValueError):
    """A parameter that does not exist, or a value that it cannot take."""


def _choice(default, *options):
    return field(default=default, metadata={"options": options})


def _number(default, low, high=float("inf"), *, open_low=False):
    return field(default=default, metadata={"range": (low, high, open_low)})


@dataclass(frozen=True)
class Settings:
    """Every parameter of the study; the defaults are those of ``profiles/demo.yaml``.

    Parameters
    ----------
    dataset : str
        Where the images come from, one of those of `fgcl_utils.datasets.load_dataset`.
    data_root : path or None
        The images; synthetic needs none. Relative paths are relative to the project.
    columns : mapping or None
        csv: our column name to the file's, ``{"image": "path", "species": "taxon"}``.
    metadata : str, mapping or None
        csv and df20_mini: the table's file, where data_root holds several.
    levels : sequence of str
        Names of the label levels, finest first, 1 to 8 of them.
    taxonomy : str or None
        Where the coarser levels come from, if not from the data itself: a CSV with a row a class,
        or ``binomial``: the genus is the first word of the species' name.
    dials : mapping or None
        synthetic: size and difficulty, see `fgcl_utils.datasets.synthetic.Dials`.
    group_by : str or None
        Column whose equal values stay on one side of our own split, such as an observation.
    held_out_species : float
        Share of the species, 0 to 0.5, that training never sees: open-set recognition.
    image_size : int
        Side of the square images in pixels, 16 to 1024.
    model_name : str
        Any timm encoder, or one of the two demo models of `fgcl_utils.models`.
    weights : str
        ``none``, ``pretrained`` (timm's hub), a file with a timm state dict, or the folder of a
        finished run whose encoder is taken.
    encoder : str
        ``trained``; ``frozen``: only heads are trained, on features of the encoder as `weights`
        leave it; or a file of features, a row an image of the data set.
    head : {"none", "linear", "mlp"}
        Projection head of SupCon and HCL, with `projection_dim` outputs.
    epochs, batch_size : int
        `batch_size` images a step, each in two views.
    learning_rate, weight_decay : float
        AdamW's; the rate is the peak of a warm-up and a cosine.
    temperature : float
        τ of SupCon and HCL.
    ce_weight : float
        Weight of a cross-entropy on the encoder's features, added to SupCon or HCL; 0 for none.
    soft_weight : float
        HCL's weight of a pair that shares the second level only, 0 (SupCon) to 1.
    level_weights : sequence of float or None
        Weight of each level in the loss, finest first, see `fgcl_utils.methods.level_weights`.
    block_dims : sequence of int or None
        hcl_blocks, ce_blocks: dimensions of each level, see `fgcl_utils.methods.block_dims`.
    temperatures : sequence of float or None
        hcl_blocks: τ of each level; three times `temperature` above the finest.
    normalization : {"pair", "level"}
        HCL's, see `fgcl_utils.losses.HierarchicalContrastiveLoss`.
    seed : int
        Of initial weights, batches and views.
    precision : {"auto", "float32", "bfloat16", "float16"}
        ``auto`` is bfloat16 on CUDA devices that have it, else float32.
    num_workers : int
        Loader processes; does not change the result.
    map_method : {"tsne", "umap"}
        The 2-D maps of the evaluation.
    photos : str or None
        Notebook 05: a photo, or a folder of them, to be named; some examples if none.
    run_name : str
        Folder below ``runs/``.

    Raises
    ------
    SettingsError
        If a value has the wrong type, is out of range or is not among the options.
    """

    dataset: str = _choice("synthetic", *datasets.DATASETS)
    data_root: str | None = None
    columns: dict | None = None
    metadata: str | dict | None = None
    levels: tuple[str, ...] = ("species", "genus")
    taxonomy: str | None = None
    dials: dict | None = None
    group_by: str | None = None
    held_out_species: float = _number(0.0, 0, 0.5)
    image_size: int = _number(64, 16, 1024)
    model_name: str = "vit_demo_patch8_64"
    weights: str = "none"
    encoder: str = "trained"
    head: str = _choice("mlp", "none", "linear", "mlp")
    projection_dim: int = _number(128, 2, 8192)
    epochs: int = _number(12, 1)
    batch_size: int = _number(64, 8)
    learning_rate: float = _number(1e-3, 0, open_low=True)
    weight_decay: float = _number(0.05, 0)
    temperature: float = _number(0.1, 0, open_low=True)
    ce_weight: float = _number(0.0, 0, 1000)
    soft_weight: float = _number(0.03, 0, 1)
    normalization: str = _choice("pair", "pair", "level")
    level_weights: tuple[float, ...] | None = _number(None, 0)
    block_dims: tuple[int, ...] | None = _number(None, 2, 8192)
    temperatures: tuple[float, ...] | None = _number(None, 0, open_low=True)
    seed: int = _number(0, 0, 2**31 - 1)
    precision: str = _choice("auto", "auto", "float32", "bfloat16", "float16")
    num_workers: int = _number(0, 0, 256)
    map_method: str = _choice("tsne", "tsne", "umap")
    photos: str | None = None
    run_name: str = "demo"

    def __post_init__(self):
        for f in dataclasses.fields(self):
            object.__setattr__(self, f.name, _checked(f, getattr(self, f.name)))
        if self.dataset != "synthetic" and not self.data_root:
            raise SettingsError(
                f"data_root is needed for dataset={self.dataset!r}: -p data_root PATH"
            )
        if self.dataset == "features" and self.encoder in ("trained", "frozen"):
            raise SettingsError(
                f"dataset='features' has no photos, and encoder={self.encoder!r} needs them: let "
                "encoder be a file of features"
            )
        if not self.run_name or not all(c.isalnum() or c in "-_." for c in self.run_name):
            raise SettingsError(
                f"run_name={self.run_name!r} names a folder: use letters, digits, '-', '_' and '.'"
            )
        if self.run_name.startswith("."):
            raise SettingsError(f"run_name={self.run_name!r} must not start with '.'")
        try:
            levels = datasets.sources.levels_of(self.dataset, self.levels)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        object.__setattr__(self, "levels", levels)
        for name in ("level_weights", "block_dims", "temperatures"):
            values = getattr(self, name)
            if values is not None and len(values) != len(levels):
                raise SettingsError(
                    f"{name}={[*values]} has {len(values)} values: give one for each of the levels "
                    f"{', '.join(levels)}"
                )

    @classmethod
    def from_dict(cls, values):
        """Settings from a mapping; unknown names are refused with the list of what exists."""
        known = [f.name for f in dataclasses.fields(cls)]
        for name in values:
            if name not in known:
                close = difflib.get_close_matches(str(name), known, n=1)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                raise SettingsError(
                    f"there is no parameter {name!r}.{hint} Parameters: {', '.join(known)}"
                )
        return cls(**values)

    @classmethod
    def from_profile(cls, path, **overrides):
        """Settings from a papermill parameter file such as ``profiles/demo.yaml``."""
        return cls.from_dict(read_yaml(resolve(path)) | overrides)

    @classmethod
    def from_run(cls, folder):
        """Settings of a finished run folder."""
        try:
            return cls.from_dict(read_json(Path(folder) / "config.json")["settings"])
        except SettingsError as error:
            raise SettingsError(
                f"{folder} was made by another version of this project ({error}): delete it, or "
                "choose another run_name"
            ) from error

    @property
    def weights_source(self):
        """``none``, ``pretrained``, or the absolute path of a weights file or a run's folder."""
        if self.weights in ("none", "pretrained"):
            return self.weights
        return str(resolve(self.weights))

    @property
    def encoder_source(self):
        """``trained``, ``frozen``, or the absolute path of a file of features."""
        if self.encoder in ("trained", "frozen"):
            return self.encoder
        return str(resolve(self.encoder))

    def identity(self, method):
        """The settings that decide the weights of a `method` run, as a dict."""
        sources = {"weights": self.weights_source, "encoder": self.encoder_source}
        values = dataclasses.asdict(self) | sources
        left_out = NEVER_IDENTITY | _NOT_ALL_READ.difference(METHODS[method].reads)
        return {k: v for k, v in values.items() if k not in left_out}

    def check_method(self, method):
        """Raise SettingsError if there is no such method, or too few levels for it."""
        if method not in METHODS:
            raise SettingsError(f"method={method!r} is unknown: choose from {', '.join(METHODS)}")
        if METHODS[method].needs_levels and len(self.levels) == 1:
            fine = [name for name, other in METHODS.items() if not other.needs_levels]
            raise SettingsError(
                f"{method} compares levels, and levels={[*self.levels]} is no hierarchy: name a "
                f"coarser level, too, or take {', '.join(fine)}"
            )


_TYPES = {
    str: "text",
    int: "a whole number",
    float: "a number",
    str | None: "text or null",
    dict | None: "a mapping or null",
    str | dict | None: "text, a mapping or null",
}


def _checked(f, value):
    """`value` of dataclass field `f` in its declared type, or SettingsError."""
    if f.name == "weights" and value is None:  # papermill reads -p weights None as null
        value = "none"
    if isinstance(value, Path):
        value = str(value)
    if f.name == "run_name" and type(value) is int:  # papermill reads -p run_name 2024 as a number
        value = str(value)
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        value = _parsed(f, value)  # papermill's -p gives lists and mappings as text
    declared = f.type
    of_one = next((t for t in (declared, *get_args(declared)) if get_origin(t) is tuple), None)
    if of_one is None:
        return _in_bounds(f, _of_type(f.name, value, declared))
    if value is None and declared is not of_one:
        return None
    kind = get_args(of_one)[0]
    if not isinstance(value, list | tuple):
        raise SettingsError(
            f"{f.name}={value!r} is {type(value).__name__}: expected a list, each {_TYPES[kind]}"
        )
    return tuple(_in_bounds(f, _of_type(f.name, one, kind)) for one in value)


def _parsed(f, text):
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise SettingsError(
            f"{f.name}={text!r} begins like a list or mapping and is none"
        ) from None


def _of_type(name, value, declared):
    """`value` if it has the declared type; numbers may come as text, as YAML reads 1e-4."""
    if declared is float and isinstance(value, int | str) and not isinstance(value, bool):
        with contextlib.suppress(ValueError):
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, declared):
        wanted = _TYPES[declared]
        raise SettingsError(f"{name}={value!r} is {type(value).__name__}: expected {wanted}")
    return value


def _in_bounds(f, value):
    """`value` if it is among the options or in the range of field `f`, or SettingsError."""
    options = f.metadata.get("options")
    if options and value not in options:
        raise SettingsError(f"{f.name}={value!r} is unknown: choose from {', '.join(options)}")
    if "range" in f.metadata:
        low, high, open_low = f.metadata["range"]
        inside = (low < value if open_low else low <= value) and value <= high
        if not (inside and math.isfinite(value)):
            above = f"greater than {low}" if open_low else f"at least {low}"
            below = "" if high == float("inf") else f" and at most {high}"
            raise SettingsError(f"{f.name}={value!r} is out of range: {above}{below}")
    return value


def read_parameters(namespace):
    """Settings of a notebook: call it as ``read_parameters(globals())`` below the parameters cell.

    papermill only warns of a misspelt ``-p`` name; this stops. What was assigned is read from the
    source of the cells that start with ``# Parameters`` (the notebook's own and the one papermill
    puts below it), so that other variables of the notebook do not matter.
    """
    known = {f.name for f in dataclasses.fields(Settings)}
    values = {name: namespace[name] for name in known if name in namespace}
    for name in _assigned_in_parameter_cells(namespace.get("In", [])):
        values.setdefault(name, namespace.get(name))
    return Settings.from_dict(values)


def _assigned_in_parameter_cells(inputs):
    """Names assigned in the parameter cells that were run last."""
    cells = itertools.dropwhile(lambda s: not _is_parameters(s), reversed(inputs[:-1]))
    names, seen = [], set()
    for source in itertools.takewhile(_is_parameters, cells):
        first_line = source.lstrip().partition("\n")[0]
        if first_line in seen:  # the same cell, run again: the newer one counts
            continue
        try:
            body = ast.parse(source).body
        except SyntaxError:  # it never ran
            continue
        seen.add(first_line)
        for node in body:
            targets = (
                node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            )
            names += [t.id for t in targets if isinstance(t, ast.Name)]
    return names


def _is_parameters(source):
    return source.lstrip().startswith("# Parameters")


def load_dataset(settings):
    """The `ImageDataset` that the settings name."""
    dials = None
    if settings.dataset == "synthetic":
        dials = _dials(settings.dials or {})
    return datasets.load_dataset(
        settings.dataset,
        None if settings.data_root is None else resolve(settings.data_root),
        levels=settings.levels,
        taxonomy=settings.taxonomy,
        columns=settings.columns,
        metadata=settings.metadata,
        dials=dials,
        group_by=settings.group_by,
        held_out_species=settings.held_out_species,
        cache_dir=cache_dir(),
    )


def _dials(values):
    known = [f.name for f in dataclasses.fields(Dials)]
    if unknown := [name for name in values if name not in known]:
        raise SettingsError(f"dials: there is no dial {unknown[0]!r}. Dials: {', '.join(known)}")
    return Dials(**values)
