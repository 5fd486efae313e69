"""Studies: a few lines of YAML become runs, and finished runs become a summary."""

import dataclasses
import io
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import TINY
from scipy import stats
from tqdm import tqdm

from fgcl_utils import figures
from fgcl_utils.files import read_json, write_json
from fgcl_utils.settings import Settings, SettingsError, load_dataset
from fgcl_utils.study import summary
from fgcl_utils.study.__main__ import main
from fgcl_utils.study.plan import plan, read_spec
from fgcl_utils.study.record import record_path, write_record
from fgcl_utils.study.summary import summarise
from fgcl_utils.study.watching import look


def spec(*entries, **others):
    return {"name": "some", "title": "Some", "profile": "demo", "runs": list(entries)} | others


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty project with the demo profile, as the current folder."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "profiles").mkdir()
    (tmp_path / "_config.yml").touch()
    (tmp_path / "profiles" / "demo.yaml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def finish(job, **measures):
    """Write what a finished run leaves behind."""
    write_json(
        job.folder / "config.json",
        {
            "settings": {"run_name": "demo"} | job.settings.identity(job.method),
            "provenance": {"commit": "c0ffee", "device": "cpu", "threads": 1, "date": "today"},
            "dataset_fingerprint": load_dataset(job.settings).fingerprint,
        },
    )
    measures = {"genus_outliers": 5, "genus_outlier_rate": 0.05, "species_accuracy": 0.5} | measures
    measures |= {"genus_outlier_rate_interval": [0, 1]}
    values = {"seconds": 2.0, "n_test": 100, "val": measures} | measures
    if job.method == "hcl_blocks":
        share = job.settings.seed / 10
        curve = [{"genus_share": w, "genus_accuracy": w, "species_accuracy": share} for w in (0, 1)]
        values |= {"shares": [1 - share, share], "share_curves": {"val": curve, "test": curve}}
    write_json(job.folder / "metrics.json", values)
    rows = [[epoch, 0.1, epoch / 10, None] for epoch in (1, 2)]
    columns = ["epoch", "train_loss", "val_species_accuracy", "val_genus_outlier_rate"]
    pd.DataFrame(rows, columns=columns).to_csv(job.folder / "history.csv", index=False)


def test_lists_are_multiplied_out_seed_by_seed(root):
    entry = {"method": "hcl", "soft_weight": [0.1, 0.2], "normalization": ["pair", "level"]}
    jobs = plan(spec(entry), seeds=3)
    assert len(jobs) == 12
    assert [job.settings.seed for job in jobs] == [0] * 4 + [1] * 4 + [2] * 4
    made = {(job.settings.soft_weight, job.settings.normalization) for job in jobs}
    assert made == {(0.1, "pair"), (0.1, "level"), (0.2, "pair"), (0.2, "level")}


def test_the_usual_settings_are_the_profile_s_own_runs(root):
    usual, other = plan(spec({"method": "hcl", "soft_weight": [0.03, 0.1]}))
    assert usual.overrides == {} and usual.group == "hcl"
    assert usual.settings == Settings()
    assert other.settings == Settings(soft_weight=0.1, run_name="demo.soft_weight-0.1")
    assert other.group == "hcl_soft_weight-0_1"


def test_what_a_method_does_not_read_makes_no_second_run(root):
    jobs = plan(spec({"soft_weight": [0.1, 0.2], "epochs": 3}))
    assert [job.group for job in jobs] == [
        "ce_epochs-3",
        "supcon_epochs-3",
        "hcl_epochs-3_soft_weight-0_1",
        "hcl_epochs-3_soft_weight-0_2",
    ]


def test_dials_are_turned_one_by_one(root):
    base = {"dials": {"n_images": 600}, "run_name": "gain"}
    jobs = plan(spec({"method": "ce", "dials.tail": [0, 1]}, settings=base))
    assert [job.settings.dials for job in jobs] == [
        {"n_images": 600, "tail": 0},
        {"n_images": 600, "tail": 1},
    ]
    assert [job.settings.run_name for job in jobs] == ["gain.dials.tail-0", "gain.dials.tail-1"]


def test_parameters_go_on_top(root):
    (job,) = plan(spec({"method": "ce"}), parameters={"epochs": 2})
    assert job.settings.epochs == 2 and job.overrides == {}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"method": "simclr"}, "method='simclr' is unknown: choose from ce, supcon, hcl"),
        ({"softweight": 1}, "no parameter 'softweight'"),
        ({"soft_weight": [0.1, 7]}, "soft_weight=7.0 is out of range"),
    ],
)
def test_a_wrong_entry_stops_before_anything_runs(root, entry, message):
    with pytest.raises(SettingsError, match=message):
        plan(spec(entry))


def test_wrong_files_are_named(root, capsys):
    assert main(["experiments/none.yaml"]) == 2
    assert "there is no" in capsys.readouterr().err
    (root / "odd.yaml").write_text("runs: []\nseed: 3\n")
    with pytest.raises(SettingsError, match="unknown entry 'seed'"):
        read_spec("odd.yaml")


def test_summary_is_student_s_interval_over_seeds(root):
    one = spec({})
    jobs = plan(one, seeds=3)
    rng = np.random.default_rng(0)
    values = {(job.method, job.settings.seed): rng.uniform(10, 20) for job in jobs}
    for job in jobs:
        rate = values[job.method, job.settings.seed] / 100
        finish(job, genus_outliers=int(100 * rate), genus_outlier_rate=rate)
    summary = summarise(one, jobs)
    groups = summary["groups"]

    hcl = np.array([values["hcl", seed] for seed in range(3)]) / 100
    ce = np.array([values["ce", seed] for seed in range(3)]) / 100
    for found, sample in (
        (groups["hcl"]["test"]["genus_outlier_rate"], hcl),
        (groups["hcl"]["val"]["genus_outlier_rate"], hcl),
        (groups["hcl"]["vs_ce"]["genus_outlier_rate"], hcl - ce),
    ):
        interval = stats.ttest_1samp(sample, 0).confidence_interval()
        assert found["mean"] == pytest.approx(sample.mean(), abs=1e-5)
        assert (found["low"], found["high"]) == pytest.approx(tuple(interval), abs=1e-5)
    assert groups["hcl"]["seeds"] == [0, 1, 2]
    outliers = {method: groups[method]["test"]["genus_outliers"]["mean"] for method in groups}
    change = outliers["hcl"] / outliers["ce"] - 1
    assert groups["hcl"]["change"]["test"] == pytest.approx(change)
    assert groups["ce"]["change"]["test"] == 0
    table = summary["tables"]["test"]
    table = pd.DataFrame(table["rows"], columns=table["columns"])
    shown = table.set_index("runs")["change against CE"]
    assert shown["CE"] == "" and f"{abs(100 * change):.0f} (" in shown["HCL"]
    assert groups["ce"]["vs_ce"]["species_accuracy"] == {"mean": 0, "low": 0, "high": 0}


def test_curves_are_what_validation_said_with_the_plain_settings(root):
    one = spec({"method": "hcl", "soft_weight": [0.03, 0.1]})
    jobs = plan(one, seeds=2)
    for job in jobs:
        finish(job)
    summary = summarise(one, jobs)
    of_a_seed = {"epoch": [1, 2], "val_species_accuracy": [0.1, 0.2]}
    assert summary["curves"] == {"hcl": [of_a_seed, of_a_seed]}
    figure = figures.recorded_learning(summary)
    assert [trace.name for trace in figure.data if trace.showlegend] == ["HCL"]
    with pytest.raises(ValueError, match="no curves of ce; there are those of hcl"):
        figures.recorded_learning(summary, ["ce"])


def test_one_seed_has_no_interval_and_unfinished_runs_are_left_out(root):
    one = spec({})
    ce, supcon, _ = jobs = plan(one)
    for job in (ce, supcon):
        finish(job)
    summary = summarise(one, jobs)
    assert set(summary["groups"]) == {"ce", "supcon"}
    assert summary["groups"]["ce"]["test"]["genus_outliers"] == {
        "mean": 5.0,
        "low": None,
        "high": None,
    }
    assert summary["tables"]["test"]["rows"][0][0] == "CE"


def test_a_method_is_compared_with_ce_on_the_same_data(root):
    one = spec({"dials.tail": [0, 1]})
    jobs = plan(one)
    for job in jobs:
        tail, is_ce = job.settings.dials["tail"], job.method == "ce"
        finish(job, genus_outlier_rate=0.1 * tail + 0.3 * is_ce)
    for name, group in summarise(one, jobs)["groups"].items():
        expected = 0 if name.startswith("ce") else -0.3
        assert group["vs_ce"]["genus_outlier_rate"]["mean"] == pytest.approx(expected)
        assert group["vs_ce_levels"] == {}, "which was not run"


def test_a_method_is_compared_with_the_control_that_is_told_as_much(root):
    one = spec({"method": ["ce", "ce_levels", "hcl"]}, {"method": "hcl", "soft_weight": 0.1})
    jobs = plan(one, seeds=2)
    for n, job in enumerate(jobs):
        finish(job, genus_outliers=n)
    groups = summarise(one, jobs)["groups"]
    found = {name: group["vs_ce_levels"]["genus_outliers"] for name, group in groups.items()}
    assert {name: each["mean"] for name, each in found.items()} == {
        "ce": -1,
        "ce_levels": 0,
        "hcl": 1,
        "hcl_soft_weight-0_1": 2,
    }
    assert found["hcl"]["low"] == found["hcl"]["high"] == 1


def written(one, jobs, parameters=None):
    """The record of a study that these jobs were added to, without the moment."""
    found = read_json(write_record(one, jobs, parameters))
    return {name: value for name, value in found.items() if name != "provenance"}


@pytest.fixture
def study(root):
    """A study and its finished jobs, seed by seed."""
    more = {"method": "hcl", "temperature": 0.2}, {"method": "hcl", "level_weights": [[1.0, 0.2]]}
    one = spec({"method": ["ce", "hcl", "hcl_blocks"]}, *more)
    jobs = plan(one, seeds=3)
    for n, job in enumerate(jobs):
        finish(job, genus_outliers=10 + n)
    return one, jobs


@pytest.fixture
def record(study):
    return written(*study)


def test_a_study_adds_to_its_record(study, record):
    one, jobs = study
    path = record_path(one)
    assert written(one, jobs[4:8]) == record
    path.unlink()
    assert len(written(one, jobs[:8])["runs"]) == 8
    assert written(one, jobs[8:]) == record
    assert os.listdir(path.parent) == ["some.json"]


def test_seeds_are_in_order_whichever_came_first(study, record):
    one, jobs = study
    record_path(one).unlink()
    written(one, jobs[8:])
    late = written(one, jobs[:8])
    assert late["groups"] == record["groups"]
    assert [late[name] for name in ("lines", "chosen")] == [
        record[name] for name in ("lines", "chosen")
    ]
    assert late["chosen"] == {"hcl_blocks": [0.0, 0.1, 0.2]}
    assert len(late["curves"]["hcl_blocks"]) == 3


def test_a_run_that_is_made_again_takes_its_own_place(study, record):
    one, jobs = study
    finish(jobs[1], genus_outliers=99)
    found = written(one, jobs[1:2])
    assert found["runs"][1]["test"]["genus_outliers"] == 99
    assert [run["group"] for run in found["runs"]] == [run["group"] for run in record["runs"]]
    others = [name for name in record["groups"] if name != jobs[1].group]
    assert [found["groups"][name] for name in others] == [record["groups"][name] for name in others]


def test_seeds_are_those_that_every_method_has(study, record):
    one, _ = study
    assert record["headline"]["n_seeds"] == 3
    more = [job for job in plan(one, seeds=4) if job.group == "ce" and job.settings.seed == 3]
    finish(*more)
    found = written(one, more)
    assert found["groups"]["ce"]["seeds"] == [0, 1, 2, 3] and found["headline"]["n_seeds"] == 3


def test_a_record_of_other_settings_or_data_is_moved_aside(study, record, capsys):
    one, jobs = study
    (longer,) = plan(one | {"runs": [{"method": "ce"}]}, parameters={"epochs": 3})
    finish(longer)
    assert len(written(one, [longer], {"epochs": 3})["runs"]) == 1
    said = capsys.readouterr().out
    aside = record_path(one).parent / said.split("kept as ")[1].strip()
    assert read_json(aside)["groups"] == record["groups"]
    assert written(one, jobs[:1]) == record, "it comes back"
    assert len(os.listdir(aside.parent)) == 2 and not aside.exists()

    snakes = record | {"dataset_fingerprint": "snakes"}
    write_json(record_path(one), snakes)
    assert len(written(one, jobs[1:2])["runs"]) == 1
    asides = set(record_path(one).parent.glob("some.*.json")) - {aside}
    assert snakes in [read_json(path) for path in asides]


def test_a_record_that_is_to_come_back_and_is_broken_changes_nothing(study, record):
    one, jobs = study
    (longer,) = plan(one | {"runs": [{"method": "ce"}]}, parameters={"epochs": 3})
    finish(longer)
    written(one, [longer], {"epochs": 3})
    (aside,) = record_path(one).parent.glob("some.*.json")
    aside.write_text("{")
    before = record_path(one).read_text()
    with pytest.raises(ValueError, match=aside.name):
        write_record(one, jobs)
    assert record_path(one).read_text() == before and aside.read_text() == "{"


def test_what_cannot_change_a_run_makes_no_other_record(study, record):
    one, jobs = study
    assert written(one, jobs[:1], {"num_workers": 4})["groups"] == record["groups"]
    assert os.listdir(record_path(one).parent) == ["some.json"]


def test_finished_runs_on_other_data_are_no_part_of_a_record(study, record):
    one, jobs = study
    config = read_json(jobs[0].folder / "config.json")
    write_json(jobs[0].folder / "config.json", config | {"dataset_fingerprint": "snakes"})
    with pytest.raises(SettingsError, match="was trained on other data"):
        write_record(one, jobs)
    assert read_json(record_path(one))["groups"] == record["groups"]


def test_groups_have_today_s_names(study, record):
    one, jobs = study
    older = [run | {"group": run["group"].replace("-", "_")} for run in record["runs"]]
    write_json(record_path(one), record | {"runs": older})
    assert written(one, jobs[:1]) == record


def test_a_setting_that_a_record_lacks_had_its_default(study, record):
    one, jobs = study
    settings = {k: v for k, v in record["settings"].items() if k != "levels"}
    write_json(record_path(one), record | {"settings": settings})
    assert written(one, jobs[:1]) == record


def test_level_blocks_without_validation_images_are_added_to(root):
    one = spec({"method": ["ce", "hcl_blocks"]})
    jobs = plan(one, seeds=2)
    for job in jobs:
        finish(job)
        values = read_json(job.folder / "metrics.json")
        del values["val"]
        values.get("share_curves", {}).pop("val", None)
        write_json(job.folder / "metrics.json", values)
    written(one, jobs[:2])
    assert len(written(one, jobs[2:])["lines"]["test"]["hcl_blocks"]) == 2


@pytest.mark.parametrize(
    ("content", "expected"),
    [("{", "cannot be read"), ("[]", "no record of a study"), ("{}", "no record of a study")],
)
def test_what_is_no_record_is_named_before_anything_runs(root, capsys, content, expected):
    profile = root / "profiles" / "demo.yaml"
    path = record_path(read_spec(profile))
    path.parent.mkdir()
    path.write_text(content)
    assert main([str(profile)]) == 2
    told = capsys.readouterr()
    assert str(path) in told.err and expected in told.err and "0 of them" not in told.out
    assert path.read_text() == content


def test_a_run_with_other_settings_does_not_count(root):
    jobs = plan(spec({"method": "hcl"}))
    finish(jobs[0])
    assert jobs[0].is_finished
    assert not plan(spec({"method": "hcl"}), parameters={"epochs": 3})[0].is_finished


def test_studies_run_end_to_end_and_repeat_nothing(executed):
    profile = executed / "profiles" / "tiny.yaml"
    profile.write_text(yaml.safe_dump(TINY), encoding="utf-8")

    def command(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "fgcl_utils.study", "profiles/tiny.yaml", *arguments],
            cwd=executed,
            env=os.environ | {"PYTHONPATH": str(executed), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )

    listed = command("--seeds", "2", "--list").stdout.splitlines()
    assert [line.split()[1] for line in listed] == ["finished"] * 3 + ["ce", "supcon", "hcl"]
    one = command("--seeds", "2", "--job", "3")
    assert one.returncode == 0, one.stderr
    assert "ce seed=1: " in one.stdout
    made = read_json(executed / "runs/tiny/ce/seed-1/config.json")["provenance"]
    assert made["threads"] == 1, "not the cores divided by the runs at a time"
    again = command("--seeds", "2", "--job", "3")
    assert "1 runs, 1 of them finished" in again.stdout
    assert command("--job", "9").returncode == 2

    whole = command()
    assert whole.returncode == 0 and "3 runs, 3 of them finished" in whole.stdout
    summary = read_json(executed / "results" / "tiny.json")
    for method, group in summary["groups"].items():
        measured = read_json(executed / "runs/tiny" / method / "seed-0" / "metrics.json")
        assert group["test"]["genus_outliers"]["mean"] == measured["genus_outliers"]
    failed = command("--seeds", "1", "-p", "run_name", "broken", "-p", "weights", "no.safetensors")
    assert failed.returncode == 1 and "there is no such file" in failed.stdout
    assert read_json(executed / "results" / "tiny.json") == summary  # nothing came of it


def test_a_log_gets_a_line_an_epoch(root):
    job = plan(spec({"method": "ce", "epochs": 4}))[0]
    log, done = io.StringIO(), [0]
    bar = tqdm(total=4, file=log, mininterval=600)  # no line of its own accord
    for loss in ([], [2.5], [2.5], [2.5], [2.5, 2.0], [2.5, 2.0]):
        if loss:
            write_history(job, loss)
        look([job], done, bar)
    lines = log.getvalue().split("\r")[1:]
    assert len(lines) == 3  # at the start, and where there is news
    assert "epoch 2/4" in lines[-1]


def test_progress_is_read_from_the_run_folders(root):
    jobs = plan(spec({"method": ["ce", "hcl"], "epochs": 4}))
    done, bar = [0, 0], tqdm(total=8, file=io.StringIO())
    write_history(jobs[0], [2.5])
    look(jobs, done, bar)
    assert (done, bar.n) == ([1, 0], 1)
    assert bar.postfix == "ce epochs=4 seed=0: epoch 1/4, loss 2.500"
    write_history(jobs[0], [2.5, 2.0])
    write_history(jobs[1], [1.5])
    look(jobs, done, bar)
    assert (done, bar.n) == ([2, 1], 3)
    # A run with other settings in the same folder is not this one's progress.
    (other,) = plan(spec({"method": "hcl", "epochs": 4, "learning_rate": 0.1}))
    write_history(jobs[1], [1.5, 1.0], other.settings)
    look(jobs, done, bar)
    assert (done, bar.n) == ([2, 0], 2)


def write_history(job, losses, settings=None):
    values = {"settings": dataclasses.asdict(settings or job.settings)}
    write_json(job.folder / "config.json", values)
    table = pd.DataFrame({"epoch": range(1, len(losses) + 1), "train_loss": losses})
    table.to_csv(job.folder / "history.csv", index=False)


def test_a_broken_file_of_a_study_is_one_message(root, capsys):
    (root / "odd.yaml").write_text("runs:\n\t- method: ce\n")
    assert main(["odd.yaml"]) == 2
    error = capsys.readouterr().err
    assert "odd.yaml cannot be read" in error and "not tabs" in error


def test_lines_over_shares_are_kept_by_method():
    def row(method, share, **overrides):
        line = [[0, 1], [0.2, 0.1], [0.6, share]]
        lines = {"val": line, "test": line}
        return {
            "method": method,
            "overrides": overrides,
            "lines": lines,
            "shares": [1 - share, share],
        }

    rows = [row("hcl_blocks", 0.5), row("hcl_blocks", 0.25), row("ce_blocks", 0.75)]
    rows += [row("hcl_blocks", 0.1, temperature=1), {"method": "ce", "overrides": {}}]
    found = summary._lines(rows)
    assert found["chosen"] == {"hcl_blocks": [0.5, 0.25], "ce_blocks": [0.75]}
    for split in ("val", "test"):
        assert {m: len(lines) for m, lines in found["lines"][split].items()} == {
            "hcl_blocks": 2,
            "ce_blocks": 1,
        }
    assert found["mean_lines"]["test"]["hcl_blocks"] == [
        {"share": 0, "outlier_rate": 0.2, "accuracy": 0.6},
        {"share": 1, "outlier_rate": 0.1, "accuracy": 0.375},
    ]
    assert summary._lines(rows[-1:]) == {}
