"""What the machine has, and what is said where something is missing."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from compress import environment
from compress.errors import MissingPackageError


def install(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    monkeypatch.setattr(environment, "library_versions", lambda names: {n: "1.0" for n in names if n in packages})


@pytest.mark.parametrize("package", ["onnxruntime", "onnxruntime-gpu"])
def test_one_onnx_runtime_is_right(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    install(monkeypatch, package, "numpy")
    environment.check_onnxruntime()


def test_without_onnx_runtime_both_ways_to_get_it_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    with pytest.raises(MissingPackageError, match=r"(?s)no ONNX Runtime.*'compress\[cpu\]'.*'compress\[cuda\]'"):
        environment.check_onnxruntime()


def test_two_onnx_runtimes_are_told_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "onnxruntime", "onnxruntime-gpu")
    with pytest.raises(MissingPackageError, match=r"(?s)both installed.*pip uninstall -y onnxruntime onnxruntime-gpu"):
        environment.check_onnxruntime()


@pytest.mark.parametrize(
    ("cpuinfo", "features"),
    [
        ("model name\t: X\nflags\t\t: fpu avx2 avx512_bf16 amx_int8 avx512\n", ["avx2", "avx512_bf16", "amx_int8"]),
        ("Features\t: fp asimd asimddp i8mm bf16\n", ["asimd", "asimddp", "i8mm", "bf16"]),
        ("", []),
    ],
)
def test_only_features_that_matter_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cpuinfo: str, features: list[str]
) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    monkeypatch.setattr(environment, "Path", lambda path: tmp_path / Path(path).name)
    assert environment.cpu_features() == features


@pytest.mark.parametrize(
    ("version", "driver"),
    [
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\nGCC: 12.2.0",
            "550.54.15",
        ),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  575.51  Release Build", "575.51"),
        ("", None),
    ],
)
def test_gpus_are_named_without_torch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, driver: str | None
) -> None:
    for number in (1, 0):
        place = tmp_path / "proc/driver/nvidia/gpus" / f"0000:0{number}:00.0"
        place.mkdir(parents=True)
        (place / "information").write_text(f"Model: \t\t NVIDIA H100 {number}\nIRQ:   \t\t 18\nGPU UUID: \t GPU-x\n")
    (tmp_path / "proc/driver/nvidia/version").write_text(version)
    monkeypatch.setattr(environment, "Path", lambda path: tmp_path / path.removeprefix("/"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    found = environment.environment.__wrapped__()
    assert (found["gpu"], found["gpu_driver"]) == ("NVIDIA H100 0, NVIDIA H100 1", driver)
    assert found["cuda_visible_devices"] == "1"


@pytest.mark.parametrize("extra", ["openvino", "inc"])
def test_an_extra_brings_what_is_asked_for_in_versions_that_were_tested(extra: environment.Extra) -> None:
    """Else who installs it is told to install it."""
    root = Path(__file__).parents[1]
    brought = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"][extra]
    names = {re.split(r"[\[>]", requirement)[0] for requirement in brought}
    assert names == set(environment._EXTRAS[extra])
    assert names <= {line.partition("==")[0] for line in (root / "constraints.txt").read_text().splitlines()}


def test_either_name_of_neural_compressor_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "neural-compressor", "torchao")
    environment.check_extra("inc")
    install(monkeypatch, "neural-compressor-pt", "torchao")
    environment.check_extra("inc")
    install(monkeypatch, "neural-compressor-pt")
    with pytest.raises(MissingPackageError, match=r"^torchao is not installed"):
        environment.check_extra("inc")


def test_the_environment_is_plain_json_with_the_versions_behind_a_result() -> None:
    found = environment.environment()
    assert json.loads(json.dumps(found)) == found
    assert set(found) == {
        "cpu", "cpu_features", "cores", "memory_gb", "gpu", "gpu_driver", "cuda_visible_devices", "system", "python",
        "libraries",
    }  # fmt: skip
    libraries = found["libraries"]
    assert isinstance(libraries, dict)
    assert {"torch", "transformers", "onnx", "numpy"} <= set(libraries)


def test_asking_about_the_machine_imports_nothing_heavy() -> None:
    code = (
        "import sys; from compress.environment import environment, check_onnxruntime\n"
        "environment(); check_onnxruntime()\n"
        "print([name for name in ('torch', 'onnxruntime', 'transformers', 'sklearn') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
