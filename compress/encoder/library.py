"""What transformers is asked for, and how its words differ from one architecture to the next."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from compress.recipe.students import Pooling


def auto_class(pooling: Pooling) -> Any:
    """The transformers class for a pooling, by optimum's table of tasks: with the architecture's head, or without."""
    from optimum.exporters.tasks import TasksManager

    return TasksManager.get_model_class_for_task("text-classification" if pooling == "own" else "feature-extraction")


def without_pooler(config: Any, pooling: Pooling) -> dict[str, Any]:
    """What builds the base model without its pooler, which our heads never use, where it can be."""
    takes = config.model_type in {"bert", "roberta", "xlm-roberta", "camembert", "albert", "mpnet"}
    return {"add_pooling_layer": False} if takes and pooling != "own" else {}


def head_dropout(config: Any) -> float:
    """The share that a head drops while it is trained."""
    found = getattr(config, "classifier_dropout", None)
    return float(found if found is not None else getattr(config, "hidden_dropout_prob", 0.1))


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No bar and no table of the head's weights that are not there: they never are, before a fine-tuning."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
