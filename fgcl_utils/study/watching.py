"""How far the runs of a study are: read from their folders, whoever makes them."""

import contextlib
import csv
import threading

from tqdm import tqdm

from fgcl_utils.settings import Settings
from fgcl_utils.study.plan import described

_EVERY = 1.0  # seconds


@contextlib.contextmanager
def shown(jobs):
    """While the block runs, a bar of the epochs of all `jobs`: done, time left, the latest loss."""
    ended = threading.Event()
    done = [len(epochs(job)) for job in jobs]
    total = sum(job.settings.epochs for job in jobs)
    with tqdm(total=total, initial=sum(done), unit="epoch") as bar:

        def follow():
            while not ended.wait(_EVERY):
                look(jobs, done, bar)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            look(jobs, done, bar)


def look(jobs, done, bar):
    """Bring `done`, the epochs of each job, and `bar` up to date."""
    for k, job in enumerate(jobs):
        rows = epochs(job)
        if len(rows) > done[k]:
            epoch, loss = f"{len(rows)}/{job.settings.epochs}", float(rows[-1]["train_loss"])
            bar.set_postfix_str(f"{described(job)}: epoch {epoch}, loss {loss:.3f}", refresh=False)
        done[k] = len(rows)
    news = sum(done) - bar.n
    bar.update(news)
    if news or bar.fp.isatty():  # the clock; in the log of a job it would be a line a second
        bar.refresh()


def epochs(job):
    """The rows of the job's history.csv; none if its folder holds a run with other settings."""
    try:
        held = Settings.from_run(job.folder).identity(job.method)
        with (job.folder / "history.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError):  # not begun, or of another version
        return []
    return rows[: job.settings.epochs] if held == job.settings.identity(job.method) else []
