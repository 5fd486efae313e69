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
        "commit": commit(),
        "duration_s": round(time.perf_counter() - began, 1),
        "cpu": cpu_name(),
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "versions": {package: installed(package) for package in packages},
    }
    return about | more


def cpu_name():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def installed(package):
    """The package's version; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
