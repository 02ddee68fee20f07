"""A classifier nobody trained, as a torch artifact and as ONNX: what the backends' tests convert."""

from pathlib import Path
from typing import Any

TEMPERATURE = 1.5


def torch_artifact(shop: Any, encoder: Path, pooling: str = "mean_max", **changes: Any) -> Any:
    """An artifact of format torch on a pretrained encoder, its head drawn by chance so that texts differ."""
    import torch

    from compress.artifact import Decision, save_readout
    from compress.encoder.build import build_classifier
    from compress.encoder.files import save_classifier
    from compress.encoder.source import open_pretrained
    from compress.inputs import Made
    from compress.recipe.stages import Export
    from compress.tokenizer import save_pretrained_tokenizer

    def begin(config: Any, inputs: Any, context: Any, folder: Path) -> Made:
        torch.manual_seed(13)
        model = build_classifier(open_pretrained(encoder), shop.task, pooling, 32)
        if pooling != "own":
            torch.nn.init.normal_(model.head.weight)
        save_classifier(model, folder)
        save_pretrained_tokenizer(encoder, folder, 32)
        thresholds = tuple(0.4 + 0.04 * place for place in range(len(shop.task.labels)))
        save_readout(Decision(calibration_temperature=TEMPERATURE, thresholds=thresholds), folder)
        return Made("torch", 32, **changes)

    return shop.make(begin, Export(id="model", type="export"))


def onnx_artifact(shop: Any, parent: Any) -> Any:
    """The same, exported."""
    from compress.recipe.stages import Export
    from compress.stages import export

    return shop.make(export.run, Export(id="model-onnx", type="export"), parent=parent)
