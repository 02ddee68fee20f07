"""Predictors: probabilities of any artifact, on the threads asked for and the device they say."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compress.artifact import open_artifact
from compress.runtime import open_predictor
from compress.runtime.footprint import footprint
from compress.threads import all_threads
from compress.tokenizer import open_tokenizer

STAGES = ("teacher", "student", "pruned", "student-onnx", "student-fp16", "student-int8", "tfidf")
TEXTS = ("you are a numpty", "", "the map " * 200, "\U0001f600 \u4e2d\u6587 na\u00efve", "x")


@pytest.fixture(params=STAGES)
def artifact(tiny_run: Path, request: pytest.FixtureRequest) -> Any:
    return open_artifact(tiny_run / "artifacts" / request.param)


def test_any_text_gets_probabilities_in_order(artifact: Any) -> None:
    predictor = open_predictor(artifact)
    together = predictor.predict_proba(TEXTS)
    assert together.shape == (len(TEXTS), 6)
    assert together.dtype == np.float32
    assert ((together >= 0) & (together <= 1)).all()
    # dynamic int8 scales by the batch; fp16 rounds otherwise in other shapes
    tolerance = {"int8": 2e-2, "fp16": 2e-3}.get(artifact.manifest.precision, 1e-5)
    alone = np.concatenate([predictor.predict_proba([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=tolerance)
    np.testing.assert_allclose(predictor.predict_proba(TEXTS[::-1])[::-1], together, atol=tolerance)
    assert predictor.predict_proba(()).shape == (0, 6)
    assert predictor.labels == artifact.manifest.labels


def test_the_calibration_temperature_is_applied_to_the_logits(artifact: Any) -> None:
    predictor = open_predictor(artifact)
    logits = predictor.predict_logits(TEXTS[:1])
    expected = 1 / (1 + np.exp(-logits / artifact.decision().calibration_temperature))
    np.testing.assert_allclose(predictor.predict_proba(TEXTS[:1]), expected, rtol=1e-5)


def test_cuda_asked_for_and_absent_is_called_cpu(artifact: Any) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    predictor = open_predictor(artifact, device="cuda")
    assert predictor.device == "cpu"
    assert predictor.predict_proba(TEXTS).shape == (len(TEXTS), 6)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_bound_at_every_call(tiny_run: Path, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "before")
    try:
        mine = open_predictor(open_artifact(tiny_run / "artifacts" / "teacher"), threads=threads)
        other = open_predictor(open_artifact(tiny_run / "artifacts" / "teacher"), threads=3 - threads)
        onnx = open_predictor(open_artifact(tiny_run / "artifacts" / "student-onnx"), threads=threads)
        other.predict_proba(TEXTS)
        mine.predict_proba(TEXTS)
        assert torch.get_num_threads() == threads == mine.threads
        assert os.environ["TOKENIZERS_PARALLELISM"] == ("false" if threads == 1 else "true")
        other.predict_proba(TEXTS)
        onnx.predict_proba(TEXTS)
        assert os.environ["TOKENIZERS_PARALLELISM"] == ("false" if threads == 1 else "true")
        options = onnx.session.get_session_options()
        assert (options.intra_op_num_threads, options.inter_op_num_threads) == (threads, 1)
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    finally:
        torch.set_num_threads(before)


def test_fewer_threads_than_all_tokenize_on_one(tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compress.tokenizer.all_threads", lambda: 8)
    monkeypatch.delenv("RAYON_NUM_THREADS", raising=False)
    tokenizer = open_tokenizer(tiny_run / "artifacts" / "teacher", 32)
    for threads, parallel in ((1, "false"), (2, "false"), (8, "true"), (9, "true"), (0, "true")):
        monkeypatch.setenv("TOKENIZERS_PARALLELISM", "before")
        tokenizer.encode(TEXTS, threads)
        assert os.environ["TOKENIZERS_PARALLELISM"] == parallel
    assert os.environ["RAYON_NUM_THREADS"] == "8"
    monkeypatch.setenv("RAYON_NUM_THREADS", "3")
    tokenizer.encode(TEXTS)
    assert os.environ["RAYON_NUM_THREADS"] == "3"


def test_all_threads_is_what_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = len(os.sched_getaffinity(0))
    for asked, expected in (("", cores), ("1", 1), ("9999", cores), ("nonsense", cores), ("0", 1)):
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
        assert all_threads() == expected


def test_one_thread_runs_on_one_core(tiny_run: Path) -> None:
    """Threads that were started are no proof; those of the session are counted."""
    import threading

    def threads_of_the_process() -> int:
        return len(os.listdir("/proc/self/task"))

    if not Path("/proc/self/task").is_dir():
        pytest.skip("no /proc here")
    open_predictor(open_artifact(tiny_run / "artifacts" / "student-int8"), threads=1).predict_proba(TEXTS)
    before = threads_of_the_process()
    predictor = open_predictor(open_artifact(tiny_run / "artifacts" / "student-onnx"), threads=1)
    predictor.predict_proba(TEXTS * 50)
    assert threads_of_the_process() == before
    assert threading.active_count() >= 1


def test_progress_reaches_the_number_of_texts(artifact: Any) -> None:
    told: list[tuple[int, int]] = []
    open_predictor(artifact).predict_logits(TEXTS, lambda done, total: told.append((done, total)))
    assert told[-1] == (len(TEXTS), len(TEXTS))
    assert told == sorted(told)


def test_footprints_count_the_files_and_the_weights(artifact: Any) -> None:
    weighed = footprint(artifact)
    names = artifact.manifest.file_sha256s
    assert weighed.size_bytes == sum((artifact.path / name).stat().st_size for name in names)
    assert 0 < weighed.size_gzip_bytes < weighed.size_bytes
    assert weighed.model_bytes == sum((artifact.path / n).stat().st_size for n in names if n.startswith("model."))
    if artifact.manifest.format == "torch":
        from compress.encoder.files import load_classifier

        model = load_classifier(artifact.path)
        assert weighed.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_a_models_formats_have_its_parameters(tiny_run: Path) -> None:
    def parameters(name: str) -> int:
        return footprint(open_artifact(tiny_run / "artifacts" / name)).parameters

    # constants of the graph come on top; nothing of the model is missing but the segments' row of 16, which is added to
    # the positions
    for name in ("student-onnx", "student-fp16", "student-int8"):
        assert parameters("student") - 16 <= parameters(name) <= 1.02 * parameters("student")
