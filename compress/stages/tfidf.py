"""The baseline as a stage: TF-IDF and logistic regression, fitted on the same rows as the teacher."""

import json
from pathlib import Path

from compress.context import Context
from compress.inputs import Inputs, Made
from compress.recipe.data import label_config
from compress.recipe.stages import Tfidf
from compress.runtime.tfidf import save_tfidf
from compress.train.decision import fit_decision
from eval.baseline import fit_tfidf


def run(config: Tfidf, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Fits on train, chooses its regularization and decision on validation."""
    splits = inputs.splits()
    context.progress(f"{config.id}: fitting", 0, 1)
    model = fit_tfidf(
        splits.train.texts,
        splits.train.targets,
        inputs.task.labels,
        kind=config.features,
        single_label=inputs.task.type == "single_label",
        seed=context.seed,
        validation=splits.validation,
    )
    save_tfidf(model, folder)
    (folder / "config.json").write_text(json.dumps(label_config(inputs.task), indent=2) + "\n", encoding="utf-8")
    decision = fit_decision(model.predict_logits(splits.validation.texts), splits.validation, inputs.task)
    (folder / "decision.json").write_text(decision.model_dump_json(indent=2) + "\n", encoding="utf-8")
    context.progress(f"{config.id}: fitting", 1, 1)
    return Made("tfidf", None)
