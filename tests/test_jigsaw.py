"""The bars of the main recipe on real data. About an hour: `COMPRESS_DATA=DIR pytest -m slow tests/test_jigsaw.py`.

Set JIGSAW_RUN to a folder to keep the run there (and to go on with one that was interrupted).
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DATA = os.environ.get("COMPRESS_DATA")


@pytest.mark.slow
@pytest.mark.skipif(DATA is None, reason="COMPRESS_DATA names no folder with real data")
def test_jigsaw_minilm_reaches_its_bars(tmp_path: Path, command: Callable[..., Any]) -> None:
    out = Path(os.environ.get("JIGSAW_RUN", tmp_path / "run"))
    ended = command("run", "jigsaw-minilm", "--set", f"data.dir={DATA}/jigsaw", "--out", out)
    assert ended.code == 0, ended.err
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    found = {item["id"]: item for item in report["candidates"]}

    def roc_auc(name: str) -> float:
        return float(found[name]["quality_by_set"]["test"]["macro_roc_auc"]["value"])

    assert roc_auc("teacher") >= 0.978
    assert found["teacher"]["quality_by_set"]["test_plus_rare"]["macro_f1"]["value"] >= 0.62
    assert roc_auc("student") >= roc_auc("teacher") - 0.01
    assert roc_auc("student-onnx") == pytest.approx(roc_auc("student"), abs=1e-6)
    assert roc_auc("student-int8") == pytest.approx(roc_auc("student"), abs=0.003)
    assert found["student-onnx"]["model_bytes"] / found["student-int8"]["model_bytes"] >= 3.8
    alone = {name: _p50(found[name]) for name in ("student", "student-int8")}
    assert alone["student"] / alone["student-int8"] >= 2


def _p50(candidate: dict[str, Any]) -> float:
    """Milliseconds at batch 1 on one CPU thread."""
    rows = candidate["latency"]
    return next(float(r["p50_ms"]) for r in rows if (r["device"], r["threads"], r["batch_size"]) == ("cpu", 1, 1))
