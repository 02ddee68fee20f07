"""The baseline as a stage: TF-IDF and logistic (of a regression, ridge) regression, fitted on the teacher's rows."""

import json
from pathlib import Path

from compress.artifact import Decision, save_readout
from compress.context import Context
from compress.inputs import Inputs, Made
from compress.recipe.data import label_config
from compress.recipe.stages import Tfidf
from compress.runtime.tfidf import save_tfidf
from compress.scaling import Scaling
from compress.train.decision import fit_decision, precision_notes
from eval.baseline.classifier import TfidfModel, fit_tfidf
from eval.baseline.ridge import TfidfRegression, fit_tfidf_regression


def run(config: Tfidf, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Fits on train, chooses its regularization and decision on validation."""
    context.progress(f"{config.id}: fitting", 0, 1)
    fit = _regression if inputs.task.type == "regression" else _classifier
    model, readout, notes = fit(config, inputs, context.seed)
    save_tfidf(model, folder)
    (folder / "config.json").write_text(json.dumps(label_config(inputs.task), indent=2) + "\n", encoding="utf-8")
    save_readout(readout, folder)
    context.progress(f"{config.id}: fitting", 1, 1)
    return Made("tfidf", None, notes=notes)


def _classifier(config: Tfidf, inputs: Inputs, seed: int) -> tuple[TfidfModel, Decision, tuple[str, ...]]:
    splits, task, asked = inputs.splits(), inputs.task, inputs.thresholds
    model = fit_tfidf(
        splits.train.texts,
        splits.train.targets,
        task.labels,
        kind=config.features,
        single_label=task.type == "single_label",
        seed=seed,
        validation=splits.validation,
    )
    logits = model.predict_logits(splits.validation.texts)
    decision = fit_decision(logits, splits.validation, task, asked)
    return model, decision, precision_notes(decision, logits, splits.validation, task, asked)


def _regression(config: Tfidf, inputs: Inputs, seed: int) -> tuple[TfidfRegression, Scaling, tuple[str, ...]]:
    """It gives values, so they are not scaled."""
    splits = inputs.splits()
    model = fit_tfidf_regression(
        splits.train.texts,
        splits.train.targets,
        inputs.task.labels,
        kind=config.features,
        seed=seed,
        validation=splits.validation,
    )
    return model, Scaling.none(len(inputs.task.labels)), ()
