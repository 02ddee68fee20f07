"""The `task` and `data` sections of a recipe: what is predicted, from which columns of which files."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, Tag, model_validator

from compress.errors import did_you_mean
from compress.recipe.model import Section, one_of

Name = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


def _as_tuple(value: object) -> object:
    """One item or a list of them; YAML users write either."""
    return value if isinstance(value, list | tuple) else (value,)


def _numbers_as_text(value: object) -> object:
    """Labels and file values are text, also where YAML reads a number (classes 1..4)."""
    if isinstance(value, dict):
        return {_numbers_as_text(key): _numbers_as_text(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_numbers_as_text(item) for item in value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _values_kind(value: object) -> str:
    """A mapping, or else the name of a rule, so that a mistake in `values` is told once."""
    return "a mapping" if isinstance(value, dict) else "a rule"


def _is_values(value: object) -> bool:
    return isinstance(value, dict) or value in ("from_0", "from_1")


Values = Annotated[
    Annotated[dict[str, Name], BeforeValidator(_numbers_as_text), Tag("a mapping")]
    | Annotated[Literal["from_0", "from_1"], Tag("a rule")],
    Discriminator(_values_kind),
    one_of("from_0, from_1 or a mapping of what the cells hold to labels", _is_values),
]


class Task(Section):
    """What the classifier predicts, and how a row says it.

    text: the text column, or several, joined with `join`. multi_label: each label is a column of 0 and 1; or
    `label_column` holds those that apply, `separator` (a comma) between them, an empty cell where none does.
    single_label: `label_column` holds the class. values: what the file has ("1") -> label ("World"), or from_0, from_1:
    the label's number, counted from there in the order of `labels`. regression: each of `labels` is a column of
    numbers, a target. columns: of .csv and .tsv files without a header line; a file whose first line names the text
    and label columns has one, and is read by it.
    """

    type: Literal["multi_label", "single_label", "regression"]
    text: Annotated[tuple[Name, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
    join: str = "\n"
    labels: Annotated[tuple[Name, ...], BeforeValidator(_numbers_as_text), Field(min_length=1)]
    label_column: Name | None = None
    values: Values | None = None
    separator: Annotated[str, StringConstraints(min_length=1)] | None = None
    columns: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("labels: a name occurs twice")
        if self.type == "regression":
            return self._reads_numbers()
        single = self.type == "single_label"
        if single and len(self.labels) < 2:
            raise ValueError("labels: single_label needs at least two classes; for one yes/no label use multi_label")
        if single and self.label_column is None:
            raise ValueError(
                "label_column: single_label needs the column that holds the class, e.g. label_column: class"
            )
        if single and self.separator:
            raise ValueError("separator: single_label has one class a row; for several labels a row use multi_label")
        if self.label_column is None and (self.values or self.separator):
            raise ValueError(
                "values and separator say how label_column is read; without it multi_label reads one 0/1 column a label"
            )
        strangers = sorted(set(self.values.values()) - set(self.labels)) if isinstance(self.values, dict) else []
        if strangers:
            raise ValueError(f"values: {', '.join(strangers)} not among labels ({', '.join(self.labels)})")
        return self

    def _reads_numbers(self) -> Self:
        for key in ("label_column", "values", "separator"):
            if getattr(self, key) is not None:
                raise ValueError(
                    f"{key}: regression reads one column of numbers for each target, and labels names these columns; "
                    f"take {key} out"
                )
        return self

    @model_validator(mode="after")
    def _text_hides_no_answer(self) -> Self:
        both = [name for name in self.text if name in self.label_columns]
        if both:
            raise ValueError(
                f"text: {both[0]!r} is also read for the labels; a model that sees the answer learns nothing else, so "
                "take it out of one of them"
            )
        return self

    @model_validator(mode="after")
    def _columns_fit(self) -> Self:
        if self.columns is None:
            return self
        if len(set(self.columns)) < len(self.columns):
            raise ValueError("columns: a name occurs twice; each column needs a name of its own, also one not read")
        for name in (*self.text, *self.label_columns):
            if name not in self.columns:
                raise ValueError(
                    f"columns: {name!r} is read and not among them ({', '.join(self.columns)}); columns names every "
                    f"column of the file, in its order{did_you_mean(name, self.columns)}"
                )
        return self

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The columns that hold the labels."""
        return (self.label_column,) if self.label_column is not None else self.labels


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


def _is_source(value: object) -> bool:
    """A mapping has one of the keys that say which it is."""
    return not isinstance(value, dict) or len({"hub", "builtin"} & set(value)) == 1


Source = Annotated[
    Annotated[Name, Tag("a file")]
    | Annotated[HubSource, Tag("hub dataset")]
    | Annotated[BuiltinSource, Tag("built-in data")],
    Discriminator(_source_kind),
    one_of("a file's name, {hub: ID, split: NAME} or {builtin: comments, split: NAME}, one of them", _is_source),
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
    whose text recurs in a validation or test set. unlabeled: rows of which only the text is read. test_share: where
    there is no test file, such a share of train is split off first, in the same way, and is the test set `test`.
    """

    dir: Name | None = None
    builtin: Literal["comments"] | None = None
    train: Sources | None = None
    validation: Sources | None = None
    unlabeled: Sources | None = None
    test: Annotated[dict[Name, Sources], BeforeValidator(_named)] | None = None
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    test_share: Annotated[float, Field(gt=0, lt=1)] | None = None
    drop_overlap: bool = False

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.dir and self.builtin:
            raise ValueError("dir and builtin: give one of them")
        if self.test_share is not None and (self.test is not None or self.builtin):
            there = "test" if self.test is not None else "builtin"
            raise ValueError(f"test_share would have no effect beside {there}: it takes test rows from train")
        if not self.dir and not self.builtin and (self.train is None or not (self.test or self.test_share)):
            raise ValueError("give dir, or builtin, or both train and test; test_share: 0.1 takes test rows from train")
        return self


def label_config(task: Task) -> dict[str, object]:
    """What a transformers config.json says of a task: id2label, label2id, problem_type."""
    return {
        "id2label": dict(enumerate(task.labels)),
        "label2id": {label: index for index, label in enumerate(task.labels)},
        "problem_type": task.type if task.type == "regression" else f"{task.type}_classification",
    }
