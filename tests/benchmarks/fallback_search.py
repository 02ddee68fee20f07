"""Does label-aware fallback give a model with outlier channels its labels back, and at what price? Run by hand.

    python tests/benchmarks/fallback_search.py --data DIR --artifact RUN/artifacts/tiny --output fallback.json

DIR holds Jigsaw's files, RUN is one of jigsaw-ladder, or of any recipe with a BERT. A few minutes a scheme on 2 cores;
nothing else should run beside it.

Outlier channels are planted in some layers (tests/planted.py): the fp32 model answers as it did, and plain int8 loses
.02 or more of some label's ROC-AUC. Then the quantize stage makes it with `fallback`, and all three are judged on the
validation rows, that the search saw, and on the test rows, that it did not. Timed is the whole stage.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from planted import plant_outliers

from compress.artifact import Artifact, open_artifact, seal
from compress.context import Context
from compress.data import load_splits
from compress.encoder.files import load_classifier, save_classifier
from compress.environment import environment
from compress.inputs import Inputs
from compress.recipe.data import Data
from compress.recipe.quantizing import Int8Dynamic, Int8Static, Quantize
from compress.recipe.stages import Export
from compress.runtime import open_predictor
from compress.stages import export, quantize
from compress.tokenizer import copy_tokenizer
from eval.contract import LabelledTexts
from eval.metrics import per_label, roc_auc

SEED = 13


def planted(artifact: Artifact, layers: list[int], scale: float, channels: int, folder: Path) -> Artifact:
    """The artifact with outlier channels in these layers."""
    folder.mkdir()
    model = load_classifier(artifact.path)
    plant_outliers(model, layers, scale, channels)
    copy_tokenizer(artifact.path, folder)
    (folder / "decision.json").write_bytes((artifact.path / "decision.json").read_bytes())
    save_classifier(model, folder)
    seal(folder, artifact.manifest.model_copy(update={"file_sha256s": {}}))
    return open_artifact(folder)


def make(run: Any, config: Any, parent: Artifact, splits: Any, folder: Path) -> tuple[Artifact, float]:
    """A stage's artifact, and the seconds that it took."""
    folder.mkdir()
    inputs = Inputs(parent.manifest.task, parent, (), lambda: splits)
    started = time.perf_counter()
    made = run(config, inputs, Context(SEED, "cpu", folder, folder), folder)
    seconds = time.perf_counter() - started
    update = {"format": made.format, "precision": made.precision, "notes": made.notes, "file_sha256s": {}}
    seal(folder, parent.manifest.model_copy(update=update))
    return open_artifact(folder), seconds


def scheme(name: str, fallback: dict[str, float] | None) -> Quantize:
    """The stage's config. name: int8_static or int8_dynamic."""
    given = {"id": "int8", "type": "quantize", "from": "onnx", "scheme": name, "fallback": fallback}
    return (Int8Static if name == "int8_static" else Int8Dynamic).model_validate(given)


def judged(artifact: Artifact, rows: LabelledTexts) -> list[float | None]:
    """ROC-AUC of every label."""
    return list(per_label(roc_auc, rows.targets, open_predictor(artifact).predict_proba(rows.texts)))


def worst(before: list[float | None], after: list[float | None]) -> float:
    """The most that a label loses."""
    return max(one - other for one, other in zip(before, after, strict=True) if one is not None and other is not None)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--data", type=Path, required=True)
    asked.add_argument("--artifact", type=Path, required=True)
    asked.add_argument("--output", type=Path, required=True)
    asked.add_argument("--schemes", nargs="+", default=["int8_static", "int8_dynamic"])
    asked.add_argument("--layers", nargs="+", type=int, default=[0, 1])
    asked.add_argument("--scale", type=float, default=1000.0)
    asked.add_argument("--channels", type=int, default=1)
    asked.add_argument("--minutes", type=float, default=10.0)
    asked.add_argument("--rows", type=int, default=512)
    options = asked.parse_args()
    parent = open_artifact(options.artifact)
    splits = load_splits(Data(dir=str(options.data)), parent.manifest.task, SEED)
    test = next(iter(splits.tests.values()))
    found: dict[str, Any] = {"labels": parent.manifest.labels, "layers": options.layers, "scale": options.scale}
    found |= {"channels": options.channels, "environment": environment()}
    with TemporaryDirectory() as scratch:
        work = Path(scratch)
        torch_model = planted(parent, options.layers, options.scale, options.channels, work / "torch")
        onnx, _ = make(export.run, Export(id="onnx", type="export"), torch_model, splits, work / "onnx")
        before = {name: judged(onnx, rows) for name, rows in (("validation", splits.validation), ("test", test))}
        found["fp32"] = before
        for name in options.schemes:
            for how in (None, {"minutes": options.minutes, "rows": options.rows}):
                made, seconds = make(quantize.run, scheme(name, how), onnx, splits, work / f"{name}-{how is None}")
                after = {"validation": judged(made, splits.validation), "test": judged(made, test)}
                lost = {part: worst(before[part], after[part]) for part in after}
                size = (made.path / "model.onnx").stat().st_size
                key = name if how is None else f"{name}+fallback"
                found[key] = after | {"lost": lost, "seconds": seconds, "bytes": size, "notes": made.manifest.notes}
                print(
                    key,
                    {part: round(it, 4) for part, it in lost.items()},
                    f"{seconds:.0f} s",
                    *made.manifest.notes,
                    sep="\n  ",
                    flush=True,
                )
                options.output.write_text(json.dumps(found, indent=1, default=float) + "\n", encoding="utf-8")


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
