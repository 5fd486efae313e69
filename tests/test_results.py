"""Recorded measurements: complete, consistent, and the only source of the book's numbers."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from fgcl_utils.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
RESULTS = {path.stem: json.loads(path.read_text()) for path in (ROOT / "results").glob("*.json")}
STUDIES = {name: result for name, result in RESULTS.items() if "groups" in result}
EVIDENCE = ["evidence", "grocery", "living"]  # pages that report measurements

studies = pytest.mark.parametrize("name", sorted(STUDIES))


@pytest.mark.parametrize("name", sorted(RESULTS))
def test_says_where_and_when_it_was_measured(name):
    provenance = RESULTS[name]["provenance"]
    for entry in ("date", "commit", "versions", "duration_s"):
        assert provenance.get(entry), f"no {entry}"
    assert provenance.get("device") or provenance.get("cpu")


@pytest.mark.parametrize("name", sorted(RESULTS))
def test_tables_are_rectangular(name):
    for table in RESULTS[name].get("tables", {}).values():
        assert table["rows"]
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}


@pytest.mark.parametrize("name", sorted(RESULTS))
def test_nothing_names_a_machine_s_folders(name):
    assert not re.search(r'"/(home|root|tmp|work|mnt|Users)\b', json.dumps(RESULTS[name]))


@studies
def test_study_has_its_settings_and_every_run_its_origin(name):
    study = STUDIES[name]
    assert study["title"]
    Settings.from_dict(study["settings"] | {"data_root": "."})
    for run in study["runs"]:
        assert run["device"] and run["seconds"] > 0 and run["date"]
        assert isinstance(run["seed"], int) and run["group"] in study["groups"]
        coarse = study.get("levels", ("species", "genus"))[1]
        assert 0 <= run["test"][f"{coarse}_outlier_rate"] <= 1


@studies
def test_groups_are_the_means_of_their_runs(name):
    study = STUDIES[name]
    for slug, group in study["groups"].items():
        of_group = [run for run in study["runs"] if run["group"] == slug]
        assert group["seeds"] == sorted({run["seed"] for run in of_group})
        assert len(of_group) == len(group["seeds"])
        for split in ("val", "test"):
            for measure, summary in group[split].items():
                values = [run[split][measure] for run in of_group]
                assert summary["mean"] == pytest.approx(np.mean(values), abs=1e-5), measure
                if len(values) > 1:
                    assert summary["low"] <= summary["mean"] <= summary["high"]
                else:
                    assert summary["low"] is None and summary["high"] is None


@pytest.mark.parametrize("page", EVIDENCE)
def test_no_measured_number_is_typed(page):
    """What is left of a page without roles, code and tables has no percentage or decimal number."""
    text = (ROOT / "book" / f"{page}.md").read_text(encoding="utf-8")
    assert "{result}`" in text
    text = re.sub(r"```.*?```", "", text, flags=re.S)
    text = re.sub(r"\{[a-z:-]+\}`[^`]*`|`[^`]*`|\$[^$]*\$", "", text)
    text = re.sub(r"95 %", "", text)  # the intervals' confidence
    text = re.sub(r"(?m)^.*\b(?:the paper|The paper)\b.*$", "", text)  # its own numbers
    assert re.findall(r"\d+(?:\.\d+)? ?%|\d+\.\d+", text) == []
