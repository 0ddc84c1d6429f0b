"""What ran a task: code, libraries, device, memory. Every row carries it."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch


@cache
def commit() -> tuple[str | None, bool | None]:
    """The checkout's commit, and whether its code differs from it; None in a wheel."""
    home = Path(__file__).resolve().parents[2]
    if not (home / ".git").exists():
        return None, None
    code = ["bench", "attacks", "defenses", "pyproject.toml"]
    head = _git(home, "rev-parse", "HEAD")
    changed = _git(home, "status", "--porcelain", "--", *code)
    return head, None if changed is None else bool(changed)


def _git(home: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(home), *words], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


@cache
def processor() -> str:
    """The CPU by name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor() or platform.machine()


def device_name(device: torch.device) -> str:
    """The GPU or the CPU by name."""
    if device.type != "cuda":
        return processor()
    # The driver of a cluster may have none of its own.
    here = torch.cuda.is_available()
    return torch.cuda.get_device_name(device) if here else "a GPU of the cluster"


def versions(device: torch.device) -> dict[str, str | None]:
    """torch, CUDA where it is used, Python and platform."""
    return {
        "torch": torch.__version__,
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }


def set_precision(precision: str) -> None:
    """Let float32 products on a GPU be exact under fp32, and TF32 under bf16."""
    tf32 = precision == "bf16"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True


def forget_peak(device: torch.device) -> None:
    """Start to measure peak memory anew, where the system allows it."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):  # Linux: resets the peak of the resident set
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: torch.device) -> int:
    """Bytes since `forget_peak`: of the GPU's allocator, or the process's residence."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        status = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        status = []
    for line in status:
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
