"""What may go wrong around a run is said in one message, and nothing that was made is lost."""

import errno
import os
import tempfile
import threading

import pytest
import torch
from safetensors import SafetensorError
from tiny_runs import SMALL, make_project

from fgcl_utils import runs, training
from fgcl_utils.settings import Settings, load_dataset
from fgcl_utils.training import failures


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return make_project(tmp_path)


@pytest.fixture
def settings():
    return Settings(**SMALL)


def fail_in_second_epoch(patch, name, error):
    """Make a method of the trainer raise once the first epoch is kept."""
    method = getattr(training.Trainer, name)

    def failing(self, *arguments, **options):
        if (self.folder / "checkpoint.safetensors").exists():
            raise error
        return method(self, *arguments, **options)

    patch.setattr(training.Trainer, name, failing)


def out_of_memory_on_the_cpu():
    try:
        torch.empty(2**60)
    except RuntimeError as error:
        return error


def no_space():
    return SafetensorError("I/O error: No space left on device (os error 28)")


@pytest.mark.parametrize(
    ("where", "error", "message"),
    [
        ("_step", torch.OutOfMemoryError("CUDA out of memory"), "out of memory in epoch 2 of 2, s"),
        ("_step", out_of_memory_on_the_cpu(), "batch_size=32 .* try batch_size=16.*in_chunks"),
        ("_save_weights", no_space(), "no space left on the disk of .* in epoch 2 of 2, after its"),
        ("_save_weights", OSError(errno.ENOSPC, "No space left"), "clear some"),
        ("_save_epoch", OSError(errno.EROFS, "Read-only file system"), "cannot be written"),
        ("_step", KeyboardInterrupt(), "^stopped in epoch 2 of 2, step 1 of 4"),
    ],
)
def test_what_went_wrong_is_said_and_the_state_kept(
    root, settings, monkeypatch, where, error, message
):
    data = load_dataset(settings)
    with monkeypatch.context() as patch:
        fail_in_second_epoch(patch, where, error)
        with pytest.raises((failures.RunFailed, failures.RunStopped), match=message) as told:
            training.train(settings, "hcl", data)
    assert "\n" not in str(told.value)
    assert str(told.value).endswith(
        "Kept: the state after epoch 1; the same command goes on from there."
    )
    folder = runs.run_folder(settings, "hcl")
    assert not list(folder.glob(".*"))  # the half-written file is gone
    epochs = []
    monkeypatch.setattr(
        training.Trainer,
        "_train_epoch",
        lambda self, epoch, bar: (
            epochs.append(epoch) or {"epoch": 2, "train_loss": 0, "seconds": 0}
        ),
    )
    training.train(settings, "hcl", data)
    assert epochs == [1]


def test_out_of_memory_at_the_first_step_says_that_nothing_was_finished(
    root, settings, monkeypatch
):
    def step(self, *arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(training.Trainer, "_step", step)
    with pytest.raises(failures.RunFailed, match=r"in epoch 1 of 2, step 1 of 4.*No epoch was fin"):
        training.train(settings, "ce", load_dataset(settings))


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_is_told_before_anything_is_computed(
    root, settings, monkeypatch, number
):
    data = load_dataset(settings)

    def forbidden(*arguments, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "mkstemp", forbidden)
    monkeypatch.setattr(training, "Trainer", lambda *_: pytest.fail("it began"))
    with pytest.raises(failures.RunFailed, match="make it writable, or choose another run_name"):
        training.train(settings, "hcl", data)


def test_other_errors_pass_unchanged(root, settings):
    for error in (RuntimeError("shapes differ"), FileNotFoundError(errno.ENOENT, "no such file")):
        with pytest.raises(type(error)) as told, failures.explained(root, settings):
            raise error
        assert told.value is error


def test_jupyter_shows_a_stop_as_one_line(root, settings, capsys):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    shell.user_ns |= {"failures": failures, "root": root, "settings": settings}
    result = shell.run_cell(
        "with failures.explained(root, settings) as watch:\n"
        "    watch.place = 'in epoch 3 of 9, step 1 of 4'\n"
        "    raise KeyboardInterrupt"
    )
    shown = capsys.readouterr().out
    assert isinstance(result.error_in_exec, KeyboardInterrupt)  # which ends Run All
    assert shown.strip() == (
        "stopped in epoch 3 of 9, step 1 of 4. "
        "No epoch was finished; the same command starts again."
    )


def test_a_second_process_waits_for_the_first_and_then_loads(root, settings, monkeypatch, capsys):
    folder = runs.run_folder(settings, "ce")
    holding, finish = threading.Event(), threading.Event()

    def hold():
        with failures.sole_writer(folder):
            holding.set()
            finish.wait(60)
            folder.mkdir()

    first = threading.Thread(target=hold)
    first.start()
    assert holding.wait(60)
    threading.Timer(0.2, finish.set).start()
    with failures.sole_writer(folder):
        assert folder.exists()
    first.join()
    assert f"another process is making {folder}: waiting for it" in capsys.readouterr().out


def test_what_killed_processes_left_is_removed(root, settings):
    data = load_dataset(settings)
    folder = runs.run_folder(settings, "hcl")
    images = data.cache_dir / "images"
    for place in (folder, images):
        place.mkdir(parents=True)
    left = folder / ".checkpoint.safetensors.x1y2z3"
    abandoned, growing = images / "a.partial", images / "b.partial"
    for path in (left, abandoned, growing):
        path.write_bytes(b"half")
    os.utime(abandoned, (0, 0))
    failures.remove_half_written(folder, data.cache_dir)
    assert not left.exists()
    assert not abandoned.exists()
    assert growing.exists()  # another run may be writing it
