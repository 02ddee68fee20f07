"""The machine and the versions behind a result. Imports nothing heavy."""

import os
import platform
import re
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from compress.artifact import library_versions
from compress.errors import MissingPackageError

LIBRARIES = (
    "torch", "transformers", "tokenizers", "onnx", "onnxscript", "onnxruntime", "onnxruntime-gpu", "optimum", "numpy",
    "scikit-learn", "datasets", "openvino", "nncf", "neural-compressor", "neural-compressor-pt", "torchao",
)  # fmt: skip
Extra = Literal["openvino", "inc"]
_EXTRAS: dict[Extra, tuple[str, ...]] = {"openvino": ("openvino", "nncf"), "inc": ("neural-compressor", "torchao")}
# the same code under another name: its part for torch, without that for TensorFlow
_ALSO = {"neural-compressor": ("neural-compressor-pt",)}
_FEATURES = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "asimddp",
    "i8mm",
    "bf16",
)


@cache
def environment() -> dict[str, object]:
    """Plain JSON: processor, its features, cores, memory, GPUs and driver, system, Python and library versions.

    gpu, gpu_driver and cuda_visible_devices are None where there is none.
    """
    import psutil

    return {
        "cpu": _cpu_line("model name") or platform.processor() or platform.machine(),
        "cpu_features": cpu_features(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "gpu": _gpus(),
        "gpu_driver": _gpu_driver(),
        "cuda_visible_devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": library_versions(LIBRARIES),
    }


def cpu_features() -> list[str]:
    """Those vector extensions that decide how fast bf16 and int8 run; empty where the system does not say."""
    flags = set(f"{_cpu_line('flags')} {_cpu_line('Features')}".split())
    return [name for name in _FEATURES if name in flags]


@dataclass(frozen=True)
class Reading:
    """The machine's clocks at one moment, in seconds; two of them say what it did in between.

    at: wall clock. busy: all that its cores have worked, hypervisor's theft included; own: this process's part of that.
    load: 1-minute load average, None where the system has none.
    """

    at: float
    busy: float
    own: float
    load: float | None

    def others_since(self, before: "Reading") -> float:
        """Cores that other processes kept busy since `before`, on average."""
        passed = max(self.at - before.at, 1e-9)
        return max(0.0, (self.busy - before.busy) - (self.own - before.own)) / passed


def machine_reading() -> Reading:
    """The clocks now."""
    import psutil

    times, own = psutil.cpu_times()._asdict(), psutil.Process().cpu_times()
    working = ("user", "nice", "system", "irq", "softirq", "steal")  # guests' time is in user's
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return Reading(time.monotonic(), sum(times.get(name, 0.0) for name in working), own.user + own.system, load)


def machine_cores() -> int:
    """Cores of the whole machine, whatever this process may use."""
    return os.cpu_count() or 1


def check_onnxruntime() -> None:
    """Raises MissingPackageError unless exactly one ONNX Runtime is installed; two overwrite each other's files."""
    found = sorted(library_versions(("onnxruntime", "onnxruntime-gpu")))
    if not found:
        raise MissingPackageError(
            "no ONNX Runtime is installed. Install one:\n"
            "    pip install 'compress[cpu]'     for the CPU\n    pip install 'compress[cuda]'    for an NVIDIA GPU"
        )
    if len(found) > 1:
        raise MissingPackageError(
            "onnxruntime and onnxruntime-gpu are both installed, and each has overwritten files of the other. "
            "Remove both and install one:\n    pip uninstall -y onnxruntime onnxruntime-gpu\n"
            "    pip install 'compress[cpu]'     or     pip install 'compress[cuda]'"
        )


def check_extra(extra: Extra, needed: tuple[str, ...] = ()) -> None:
    """Raises MissingPackageError, with what to install, unless the packages of an extra are there. Imports none.

    needed: by default all of them.
    """
    missing = [name for name in needed or _EXTRAS[extra] if not library_versions((name, *_ALSO.get(name, ())))]
    if missing:
        what = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed"
        raise MissingPackageError(f"{what}. Install the extra {extra}:\n    pip install 'compress[{extra}]'")


def _cpu_line(key: str) -> str:
    """The first value of `key` in /proc/cpuinfo, or nothing where there is no such file or key."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), "")


def _gpus() -> str | None:
    """The names of all NVIDIA GPUs, as the driver lists them; asking torch would take seconds."""
    files = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    lines = [line.partition(":") for file in files for line in file.read_text(errors="replace").splitlines()]
    return ", ".join(value.strip() for key, _, value in lines if key.strip() == "Model") or None


def _gpu_driver() -> str | None:
    file = Path("/proc/driver/nvidia/version")
    found = re.search(r"\b\d+\.\d+(\.\d+)?\b", file.read_text(errors="replace")) if file.is_file() else None
    return found.group() if found else None


def has_cuda() -> bool:
    """Whether torch sees a CUDA device; where the driver is not even there, without importing torch to ask."""
    # /dev/dxg is the driver's door under WSL
    if platform.system() == "Linux" and not (Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists()):
        return False
    import torch

    return bool(torch.cuda.is_available())
