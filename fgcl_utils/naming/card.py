"""The model card: what an exported network is, what it was measured to do, and what it is not."""

from pathlib import Path

import yaml

from fgcl_utils.files import read_json
from fgcl_utils.naming.words import WARNING

_TEMPLATE = """\
---
license: other
license_name: to-be-chosen
library_name: {library}
pipeline_tag: image-feature-extraction
tags:
- fine-grained-recognition
- contrastive-learning
- {library}
---

# {model_name}, trained by `{method}` on {dataset} data

{what}

```python
{usage}
```

Photos: the centre square, {size} × {size} pixels, RGB in [0, 1]. {normalisation}

## Data

{n_train:,} training photos of the data set `{dataset}`: {classes}. Fingerprint
`{fingerprint}`.

## Settings

````yaml
{settings}````

Made on {date} at commit `{commit}`, on {device}, with {versions}.

## Measures

On {n_test:,} test photos that training has not seen:

| measure | value |
|---|---|
{measures}

## Intended use

To look for look-alikes, to propose names for a person to check, and to study representations.

## Limits

{warning} It knows the classes of its training photos and no others. Photos that were taken in
another way than these, of another region or season, may be named wrongly with high confidence.
Where the data are synthetic, it says nothing about real fungi.

## Licence

To be chosen by whoever publishes this: put it here, and in the first lines of this file. It depends
on the licences of the training photos and of the weights that training began with.
"""
_WHAT = {
    "timm": ("timm", "The encoder alone: a timm state dict, and timm's config.json."),
    "onnx": (
        "onnx",
        "Encoder, head and normalisation: input `pixels` (N, 3, S, S), output `embedding` (N, D), "
        "unit vectors to be compared by cosine. `python -m fgcl_utils.identify FOLDER PHOTO` names "
        "photos by it.",
    ),
    "torchscript": (
        "pytorch",
        "Encoder, head and normalisation, traced: photos (N, 3, S, S) to unit vectors (N, D), to "
        "be compared by cosine.",
    ),
}


def written(folder, kind, usage):
    """The card of a finished run's export, as Markdown.

    Parameters
    ----------
    folder : path
        The run's.
    kind : {"timm", "onnx", "torchscript"}
    usage : str
        The Python expression that loads the network.
    """
    folder = Path(folder)
    config, measures = read_json(folder / "config.json"), read_json(folder / "metrics.json")
    settings, made = config["settings"], config["provenance"]
    about = folder.parents[1] / "dataset.json"
    known = read_json(about) if about.is_file() else {"classes": {}, "n_images": {}}
    library, what = _WHAT[kind]
    module = usage.partition(".")[0]
    ours = settings["model_name"] in ("vit_demo_patch8_64", "swin_demo_patch4_window4_64")
    imports = "import fgcl_utils.models  # which registers this model with timm\n" if ours else ""
    inside = "The network normalises them itself."
    outside = "Normalise them by mean and std of config.json."
    return _TEMPLATE.format(
        library=library,
        what=what,
        usage=f"import {module}\n{imports if kind == 'timm' else ''}\nmodel = {usage}",
        model_name=settings["model_name"],
        method=config["method"],
        dataset=settings["dataset"],
        size=settings["image_size"],
        normalisation=outside if kind == "timm" else inside,
        n_train=known["n_images"].get("train", 0),
        classes=", ".join(f"{len(c)} of level `{l}`" for l, c in known["classes"].items()),
        fingerprint=config["dataset_fingerprint"][:16],
        settings=yaml.safe_dump(_without_places(settings), allow_unicode=True, sort_keys=False),
        date=made["date"],
        commit=made["commit"],
        device=made["device"],
        versions=", ".join(f"{name} {version}" for name, version in made["versions"].items()),
        n_test=measures["n_test"],
        measures="\n".join(_rows(measures, settings["levels"])),
        warning=WARNING,
    )


def _without_places(settings):
    """The settings, but of files on this machine the name alone."""
    places = ("data_root", "weights", "encoder", "taxonomy")
    return settings | {k: Path(settings[k]).name for k in places if settings.get(k)}


def _rows(measures, levels):
    """Accuracy and outliers of every level, with their intervals."""
    for level in levels:
        for name in (f"{level}_accuracy", f"{level}_knn_accuracy", f"{level}_outlier_rate"):
            if measures.get(name) is not None:
                ends = measures.get(f"{name}_interval")
                interval = f" ({ends[0]:.1%} to {ends[1]:.1%})" if ends else ""
                yield f"| `{name}` | {measures[name]:.1%}{interval} |"
