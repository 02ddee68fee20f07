"""The `task` and `data` sections of a recipe: what is predicted, from which columns of which files."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, Tag, model_validator

from compress.recipe.model import Section

Name = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


def _as_tuple(value: object) -> object:
    """One item or a list of them; YAML users write either."""
    return value if isinstance(value, list | tuple) else (value,)


def _numbers_as_text(value: object) -> object:
    """Labels and file values are text, also where YAML reads a number (classes 1..4)."""
    if isinstance(value, dict):
        return {str(key): _numbers_as_text(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_numbers_as_text(item) for item in value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Task(Section):
    """What the classifier predicts.

    text: the text column, or several, joined with `join`. multi_label: each label is a column of 0 and 1.
    single_label: `label_column` holds the class; `values` maps what the file has ("1") to a label ("World").
    """

    type: Literal["multi_label", "single_label"]
    text: Annotated[tuple[Name, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
    join: str = "\n"
    labels: Annotated[tuple[Name, ...], BeforeValidator(_numbers_as_text), Field(min_length=1)]
    label_column: Name | None = None
    values: Annotated[dict[str, Name], BeforeValidator(_numbers_as_text)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("labels: a name occurs twice")
        single = self.type == "single_label"
        if single and len(self.labels) < 2:
            raise ValueError("labels: single_label needs at least two classes; for one yes/no label use multi_label")
        if single and self.label_column is None:
            raise ValueError(
                "label_column: single_label needs the column that holds the class, e.g. label_column: class"
            )
        if not single and (self.label_column or self.values):
            raise ValueError("label_column and values belong to single_label; multi_label reads one 0/1 column a label")
        strangers = sorted(set((self.values or {}).values()) - set(self.labels))
        if strangers:
            raise ValueError(f"values: {', '.join(strangers)} not among labels ({', '.join(self.labels)})")
        return self


class HubSource(Section):
    """A dataset on the Hugging Face hub, read through `datasets`. Pin `revision` so that a run can be repeated."""

    hub: Name
    split: Name
    config: Name | None = None
    revision: Name | None = None


class BuiltinSource(Section):
    """Rows that the package generates itself. comments: short synthetic comments with the six Jigsaw labels."""

    builtin: Literal["comments"]
    split: Literal["train", "validation", "unlabeled", "test"]


def _source_kind(value: object) -> str:
    """Which of the three a source is, by its keys, so that a mistake in it is told once."""
    if isinstance(value, HubSource | BuiltinSource):
        return "hub dataset" if isinstance(value, HubSource) else "built-in data"
    if isinstance(value, dict):
        return "built-in data" if "builtin" in value else "hub dataset"
    return "a file"


Source = Annotated[
    Annotated[Name, Tag("a file")]
    | Annotated[HubSource, Tag("hub dataset")]
    | Annotated[BuiltinSource, Tag("built-in data")],
    Discriminator(_source_kind),
]
Sources = Annotated[tuple[Source, ...], BeforeValidator(_as_tuple), Field(min_length=1)]


def _named(value: object) -> object:
    """A test set without a name is called test."""
    return (
        value if value is None or (isinstance(value, dict) and not {"hub", "builtin"} & set(value)) else {"test": value}
    )


class Data(Section):
    """Where the rows come from.

    A file name ends in .csv, .tsv, .jsonl or .parquet and is relative to `dir` if that is given, else to the current
    folder. `dir` alone reads the folder of the Jigsaw competition as Kaggle gives it (test_labels.csv, -1 dropped), or
    one with train, validation, unlabeled and test files. builtin alone takes every split from the generator. Without a
    validation file, `validation_share` of train is split off by seed, stratified. drop_overlap leaves out train rows
    whose text recurs in a validation or test set. unlabeled: rows of which only the text is read.
    """

    dir: Name | None = None
    builtin: Literal["comments"] | None = None
    train: Sources | None = None
    validation: Sources | None = None
    unlabeled: Sources | None = None
    test: Annotated[dict[Name, Sources], BeforeValidator(_named)] | None = None
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    drop_overlap: bool = False

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.dir and self.builtin:
            raise ValueError("dir and builtin: give one of them")
        if not self.dir and not self.builtin and (self.train is None or self.test is None):
            raise ValueError("give dir, or builtin, or both train and test")
        return self


def label_config(task: Task) -> dict[str, object]:
    """What a transformers config.json says of a task: id2label, label2id, problem_type."""
    return {
        "id2label": dict(enumerate(task.labels)),
        "label2id": {label: index for index, label in enumerate(task.labels)},
        "problem_type": f"{task.type}_classification",
    }
