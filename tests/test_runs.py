"""Settings refuse what cannot be meant; run folders lose nothing."""

import dataclasses
import json

import numpy as np
import pytest

from fgcl_utils import runs
from fgcl_utils.files import project_root, read_json, resolve, write_json, write_npz
from fgcl_utils.provenance import provenance
from fgcl_utils.settings import Settings, SettingsError, load_dataset, read_parameters


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty project in a temporary folder, seen from its notebooks/."""
    (tmp_path / "_config.yml").touch()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    return tmp_path


class Data:
    name = "synthetic"

    def __init__(self, fingerprint="f"):
        self.fingerprint = fingerprint

    def summary(self):
        return {"name": self.name, "n_images": {"train": 1}, "fingerprint": self.fingerprint}

    def replaced_since(self, summary):
        return ["Agaricus sp. 01"] if self.replaced else []

    replaced = False


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochz": 3}, r"no parameter 'epochz'. Did you mean 'epochs'\? Parameters: dataset, "),
        ({"epochs": "3"}, "epochs='3' is str: expected a whole number"),
        ({"epochs": True}, "epochs=True is bool"),
        ({"epochs": 2.5}, "epochs=2.5 is float"),
        ({"epochs": 0}, "epochs=0 is out of range: at least 1"),
        ({"learning_rate": 0}, "learning_rate=0.0 is out of range: greater than 0"),
        ({"temperature": float("nan")}, "temperature=nan is out of range"),
        ({"temperature": float("inf")}, "temperature=inf is out of range"),
        ({"soft_weight": 1.5}, "soft_weight=1.5 is out of range: at least 0 and at most 1"),
        ({"dataset": "imagenet"}, "choose from synthetic, grocery, df20_mini, csv, folder"),
        ({"dataset": "csv"}, "data_root is needed for dataset='csv'"),
        ({"columns": "path"}, "columns='path' is str: expected a mapping or null"),
        ({"run_name": "../elsewhere"}, "names a folder"),
        ({"run_name": ".."}, "must not start with"),
        ({"run_name": ""}, "names a folder"),
    ],
)
def test_settings_refuse(values, message):
    with pytest.raises(SettingsError, match=message):
        Settings.from_dict(values)


def test_settings_take_whole_numbers_and_null_where_they_are_meant():
    settings = Settings.from_dict({"learning_rate": "1e-4", "weights": None, "run_name": 2024})
    assert settings.learning_rate == 0.0001
    assert settings.run_name == "2024"
    assert Settings(learning_rate=1).learning_rate == 1.0
    assert settings.weights == "none"


def test_unknown_dial_lists_the_dials():
    with pytest.raises(SettingsError, match=r"no dial 'gap'. Dials: n_species"):
        load_dataset(Settings(dials={"gap": 1}))


def test_parameters_are_read_from_the_parameter_cells_alone():
    cells = ["", "# Parameters: all\nepochs = 3", "# Parameters\nseed = 1", "settings = read()"]
    names = {"In": cells, "epochs": 3, "seed": 1, "rows": 7}
    assert read_parameters(names) == Settings(epochs=3, seed=1)


def test_a_misspelt_injected_parameter_stops():
    cells = ["", "# Parameters: all\nepochs = 3", "# Parameters\nsead = 1", "settings = read()"]
    with pytest.raises(SettingsError, match=r"no parameter 'sead'. Did you mean 'seed'"):
        read_parameters({"In": cells, "epochs": 3, "sead": 1})


@pytest.mark.parametrize("faulty", ["sead = 1", "seed = = 1"])
@pytest.mark.parametrize("between", [["x = 1"], []])
def test_a_faulty_cell_does_not_matter_once_mended(faulty, between):
    cells = ["", f"# Parameters: all\n{faulty}", *between, "# Parameters: all\nseed = 1", "here()"]
    assert read_parameters({"In": cells, "sead": 1, "seed": 1}) == Settings(seed=1)


def test_a_refused_cell_is_refused_again():
    cells = ["", "# Parameters: all\nsead = 1", "settings = read()", "settings = read()"]
    with pytest.raises(SettingsError, match="sead"):
        read_parameters({"In": cells, "sead": 1})


def test_relative_paths_are_relative_to_the_root(root):
    assert project_root() == root
    assert resolve("data") == root / "data"
    assert resolve(root / "data") == root / "data"


def test_identity_ignores_what_a_method_does_not_use():
    base = Settings()
    for name, value in {"soft_weight": 0.9, "temperature": 0.5, "head": "linear"}.items():
        changed = dataclasses.replace(base, **{name: value})
        assert base.identity("ce") == changed.identity("ce")
        assert base.identity("hcl") != changed.identity("hcl")
    moved = dataclasses.replace(base, data_root="elsewhere", num_workers=3, run_name="other")
    assert base.identity("hcl") == moved.identity("hcl")


def test_a_run_with_other_settings_is_kept_and_comes_back(root):
    short, long = Settings(epochs=1), Settings(epochs=2)
    folder = runs.open_run(short, "ce", Data())
    (folder / "history.csv").write_text("short")
    assert runs.open_run(short, "ce", Data()) == folder
    assert (folder / "history.csv").exists()

    assert runs.open_run(long, "ce", Data()) == folder
    assert not (folder / "history.csv").exists()
    (folder / "history.csv").write_text("long")

    runs.open_run(short, "ce", Data())
    assert (folder / "history.csv").read_text() == "short"
    runs.open_run(long, "ce", Data())
    assert (folder / "history.csv").read_text() == "long"


def test_a_study_holds_one_data_set(root):
    runs.open_run(Settings(), "ce", Data("a"))
    with pytest.raises(SettingsError, match="describes another data set"):
        runs.open_run(Settings(), "hcl", Data("b"))


def test_runs_on_photos_that_were_replaced_are_not_taken_for_these(root):
    data = Data()
    runs.open_run(Settings(), "ce", data)
    data.replaced = True
    with pytest.raises(SettingsError, match=r"1 classes have been replaced .*Agaricus sp. 01"):
        runs.open_run(Settings(), "ce", data)


def test_missing_runs_are_named_with_their_commands(root):
    with pytest.raises(FileNotFoundError) as error:
        runs.load_study(Settings(run_name="mine", seed=3), Data())
    message = str(error.value)
    for name in ("01_ce_baseline", "02_supcon", "03_hcl"):
        command = (
            f"papermill notebooks/{name}.ipynb executed/{name}.ipynb -p run_name mine -p seed 3"
        )
        assert command in message


def test_files_appear_whole_or_not_at_all(tmp_path):
    path = tmp_path / "values.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_arrays_come_back(tmp_path):
    arrays = {"train": np.arange(6, dtype=np.float32).reshape(2, 3)}
    write_npz(tmp_path / "a.npz", arrays)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as read:
        np.testing.assert_array_equal(read["train"], arrays["train"])


def test_provenance_can_be_written(tmp_path):
    write_json(tmp_path / "p.json", provenance())
    assert {"versions", "device", "commit", "date"} <= set(read_json(tmp_path / "p.json"))
