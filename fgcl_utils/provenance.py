"""What a number depends on besides its settings."""

import contextlib
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from fgcl_utils.files import project_root


def provenance():
    """Versions, device and commit: what a number depends on besides its settings."""
    import torch

    packages = ("torch", "torchvision", "timm", "numpy", "scikit-learn", "pandas", "accelerate")
    versions = {"python": platform.python_version()}
    for name in packages:
        with contextlib.suppress(PackageNotFoundError):
            versions[name] = version(name)
    cuda = torch.cuda.is_available()
    return {
        "versions": versions,
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "threads": torch.get_num_threads(),
        "processes": int(os.environ.get("WORLD_SIZE", 1)),  # as accelerate and torchrun set it
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def commit():
    """Commit of the project's checkout, with '+' if files differ from it; None outside git.

    A copy without .git that lies in another repository has none: that one's says nothing of it.
    """

    def git(*arguments):
        return subprocess.run(
            ["git", *arguments], cwd=project_root(), capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        if git("rev-parse", "--show-cdup"):  # the way up from here to the repository's top
            return None
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
