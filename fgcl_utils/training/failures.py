"""What may go wrong around a run, each as one message: what, where, what is kept, how to mend."""

import contextlib
import errno
import re
import time
from types import SimpleNamespace

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError

from fgcl_utils.training import checkpoints

_ABANDONED = 24 * 3600  # seconds
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


class RunFailed(RuntimeError):
    """A run cannot go on, for a reason outside the program; its folder is as it should be."""


class RunStopped(KeyboardInterrupt):
    """A run was stopped by its user; the same command goes on with it."""

    def _render_traceback_(self):  # what Jupyter shows instead of a traceback
        return [str(self)]


@contextlib.contextmanager
def explained(folder, settings):
    """Turn the failures of the block that are known into one message.

    Parameters
    ----------
    folder : Path
        The run's.
    settings : Settings

    Yields
    ------
    SimpleNamespace
        Its `place` says in words how far the run has come: keep it up to date.

    Raises
    ------
    RunStopped
        For Ctrl-C.
    RunFailed
        Out of memory, no space left, or no permission to write.
    """
    watch = SimpleNamespace(place="before the first step")
    try:
        yield watch
    except KeyboardInterrupt:
        raise RunStopped(f"stopped {watch.place}. {_kept(folder)}") from None
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise RunFailed(
            f"out of memory {watch.place}, with batch_size={settings.batch_size} and image_size="
            f"{settings.image_size}: try batch_size={max(8, settings.batch_size // 2)}, a smaller "
            "image_size or, in a loop of your own, fgcl_utils.losses.backward_in_chunks, which "
            f"takes the gradient of the whole batch in parts. {_kept(folder)}"
        ) from error
    except (OSError, SafetensorError) as error:
        number = _error_number(error)
        if number in _FULL:
            what = f"no space left on the disk of {folder}: clear some"
        elif number in _FORBIDDEN:
            what = f"{folder} cannot be written: make it writable, or choose another run_name"
        else:
            raise
        raise RunFailed(f"{what}. It happened {watch.place} ({error}). {_kept(folder)}") from error


@contextlib.contextmanager
def sole_writer(folder):
    """Hold the run of `folder`: a second process that wants it waits for the first."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))  # the system frees it on any death
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        print(f"another process is making {folder}: waiting for it")
        held = lock.acquire()
    with held:
        yield


def remove_half_written(folder, cache_dir):
    """Remove what killed processes left; call it as the sole writer of the run's `folder`.

    Several runs share the cache: there, what was not written to for a day goes.
    """
    stale = list(folder.glob(".*.*"))  # see files.written_aside
    stale += [
        path
        for path in cache_dir.glob("*/*.partial")
        if time.time() - path.stat().st_mtime > _ABANDONED
    ]
    for path in stale:
        path.unlink(missing_ok=True)


def _kept(folder):
    """What of a run a new start will find, in a sentence."""
    with contextlib.suppress(OSError, SafetensorError, KeyError):  # a head has no epochs to keep
        done = checkpoints.epochs_done(folder / "checkpoint.safetensors")
        return f"Kept: the state after epoch {done}; the same command goes on from there."
    return "No epoch was finished; the same command starts again."


def _is_out_of_memory(error):
    allocator = "can't allocate memory" in str(error)  # torch's on the CPU: a bare RuntimeError
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or allocator


def _error_number(error):
    """The system's number of an error, which safetensors gives as text; None without one."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"os error (\d+)", str(error))
    return int(found[1]) if found else None
