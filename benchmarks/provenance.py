"""Where and when a recorded measurement was made, for every benchmark here."""

import os
import platform
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fgcl_utils.provenance import commit


def provenance(began, packages, **more):
    """Date, commit, machine and versions; `began` is a time.perf_counter(), `more` is added."""
    about = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": short_commit(),
        "duration_s": round(time.perf_counter() - began, 1),
        "cpu": cpu_name(),
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "versions": {package: installed(package) for package in packages},
    }
    return about | more


def short_commit():
    """As pages print it: seven digits, and a + where files had changed; None outside git."""
    whole = commit()
    return whole and whole[:7] + "+" * whole.endswith("+")


def cpu_name():
    """The processor's name; on Linux with its family and model, since "AMD EPYC" is many."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    about = {}
    for line in lines:
        key, _, value = line.partition(":")
        about.setdefault(key.strip(), value.strip())
    if "model name" not in about:
        return platform.processor() or platform.machine()
    which = [f"{key} {about[key]}" for key in ("cpu family", "model") if key in about]
    return f"{about['model name']} ({', '.join(which)})" if which else about["model name"]


def installed(package):
    """The package's version; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
