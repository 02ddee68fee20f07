"""The whole recipe, as `load_recipe` returns it: every value typed, every reference checked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from compress.recipe.data import Data, Name, Task
from compress.recipe.goals import Goals, by_candidate
from compress.recipe.model import Section, distinct, one_of, plain_name
from compress.recipe.stages import Distill, Export, Follows, Quantize, Stage, Taught, Tfidf, Training
from compress.recipe.students import Positive, PretrainedStudent
from compress.recipe.thresholds import Thresholds
from compress.recipe.training import Seed
from eval.goals.goal import TEACHER, Goal


def _counts_threads(value: object) -> bool:
    digits = str(value).removesuffix(".0")
    return value == "all" or (digits.isascii() and digits.isdecimal() and int(digits) > 0)


Threads = Annotated[Positive | Literal["all"], one_of("a whole number from 1 up, or all", _counts_threads)]
Baseline = Literal["tfidf", "tfidf_chars"]
_BASELINES: dict[str, Literal["words", "words_chars"]] = {"tfidf": "words", "tfidf_chars": "words_chars"}


class Evaluate(Section):
    """What is measured. threads: `all` is every core this process may use; with fewer, tokenization stays on one.

    Latency: for each batch size and thread count, `rounds` rounds, or fewer when `max_seconds` are over (opening the
    models included). resamples: of the bootstrap behind intervals of averages, rankings and differences. devices: auto
    is the CPU, and CUDA where there is a GPU. slices: columns of the test files by whose values quality is told apart.
    disagreements: how many of the worst with the teacher are listed, with their texts. lengths: times also on texts
    that all have so many tokens. cold_start: also the time from the start of a process to its first answer, and its
    memory. price_per_hour: of this machine, in any currency, for the cost of a million texts.
    """

    batch_sizes: Annotated[tuple[Positive, ...], Field(min_length=1), AfterValidator(distinct)] = (1, 32)
    threads: Annotated[tuple[Threads, ...], Field(min_length=1), AfterValidator(distinct)] = (1, "all")
    rounds: Annotated[int, Field(ge=5)] = 250
    max_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60.0
    resamples: Annotated[int, Field(ge=100)] = 1000
    devices: Literal["auto", "cpu"] = "auto"
    slices: Annotated[tuple[Name, ...], AfterValidator(distinct)] = ()
    disagreements: Annotated[int, Field(ge=0)] = 20
    lengths: Annotated[tuple[Annotated[int, Field(ge=4)], ...], AfterValidator(distinct)] = ()
    cold_start: bool = False
    price_per_hour: Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)] | None = None


@dataclass(frozen=True)
class Repeat:
    """A stage once more: trained with another seed, or made of such a training. stage: it, under an id of its own.

    of: the id of the stage it repeats. seed: of the training; first: the seed of the one that it repeats.
    """

    stage: Stage
    of: str
    seed: int
    first: int


@dataclass(frozen=True)
class Written:
    """Where a recipe stands, for messages that only its data bring about. goals: the text of each -> its place.

    All are equal: where a recipe stands is no part of what it says.
    """

    file: str = field(default="", compare=False)
    goals: Mapping[str, str] = field(default_factory=dict, compare=False)


class Recipe(Section):
    """From a teacher to deployable files. Stages run in order; each names the one it starts from.

    thresholds: how every model's decisions are fitted on validation, so that all of them compare. goals: what the last
    stage must reach, or each of those that it names.
    """

    version: Literal[1]
    name: Annotated[str, AfterValidator(plain_name("_.-"))]
    seed: Seed = 13
    task: Task
    data: Data
    baselines: Annotated[tuple[Baseline, ...], AfterValidator(distinct)] = ()
    thresholds: Thresholds = "max_f1"
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    evaluate: Evaluate = Evaluate()
    goals: Goals = ()
    _written: Written = PrivateAttr(default_factory=Written)

    @model_validator(mode="after")
    def _builtin_fits(self) -> Self:
        if self.data.builtin is not None and self.task.type != "multi_label":
            raise ValueError(
                f"data.builtin: the built-in {self.data.builtin} are multi_label, the task is {self.task.type}"
            )
        return self

    @model_validator(mode="after")
    def _decides(self) -> Self:
        if self.thresholds != "max_f1" and self.task.type != "multi_label":
            how = "the likeliest class is taken" if self.task.type == "single_label" else "nothing is decided"
            raise ValueError(f"thresholds would have no effect: of {self.task.type} {how}; remove the key")
        if self.evaluate.slices and self.task.type == "regression":
            raise ValueError("evaluate.slices would have no effect: slices are told of classifiers; remove the key")
        if self.evaluate.slices and self.data.builtin is not None:
            raise ValueError("evaluate.slices: the built-in comments have no further columns; remove the key")
        return self

    def read_from(self, written: Written) -> Self:
        """The same, with where it stands."""
        copy = self.model_copy()
        copy._written = written
        return copy

    @property
    def written(self) -> Written:
        """Where it stands; of one made in Python nowhere."""
        return self._written

    def seed_of(self, stage: Stage) -> int:
        """Of a stage's chance: its own where it has one."""
        own = stage.seed if isinstance(stage, Training) else None
        return self.seed if own is None else own

    @property
    def repeats(self) -> tuple[Repeat, ...]:
        """What `seeds` asks for beside the stages themselves: the same trainings with the seeds that come next.

        And all that is exported and quantized of them: chance moves what is deployed.
        """
        found: list[Repeat] = []
        for stage in self.stages:
            if isinstance(stage, Training):
                first = self.seed_of(stage)
                own = {seed: {"seeds": 1, "seed": seed} for seed in range(first + 1, first + stage.seeds)}
                found += [_again(stage, seed, first, changed) for seed, changed in own.items()]
            elif isinstance(stage, Export | Quantize):
                made = [it for it in found if it.of == stage.from_]
                found += [_again(stage, it.seed, it.first, {"from_": it.stage.id}) for it in made]
        return tuple(found)

    @property
    def all_stages(self) -> tuple[Stage, ...]:
        """The baselines as stages of their own, then the recipe's stages."""
        asked = tuple(Tfidf(id=name, type="tfidf", features=_BASELINES[name]) for name in self.baselines)
        return (*asked, *self.stages)

    @property
    def every_stage(self) -> tuple[Stage, ...]:
        """All that a run makes, in the order it does: further seeds come last."""
        return (*self.all_stages, *(repeat.stage for repeat in self.repeats))

    @property
    def goals_by_candidate(self) -> dict[str, tuple[Goal, ...]]:
        """A plain list of goals is the last stage's."""
        return by_candidate(self.goals, self.stages[-1].id)

    @property
    def all_ids(self) -> tuple[str, ...]:
        """Of everything a run makes, in the order it does."""
        return tuple(stage.id for stage in self.every_stage)


def _again(stage: Stage, seed: int, first: int, changed: Mapping[str, object]) -> Repeat:
    named = {"id": f"{stage.id}.seed{seed}", **changed}
    return Repeat(stage.model_copy(update=named), stage.id, seed, first)


def teacher_of(stages: Iterable[Stage]) -> str | None:
    """What speedups are relative to: the stage called teacher, else the first one that others learn from."""
    known = tuple(stages)
    named = next((stage.id for stage in known if stage.id == TEACHER), None)
    return named or next((s.teacher_ids[0] for s in known if isinstance(s, Taught) and s.teacher_ids), None)


def parents_of(stages: Iterable[Stage]) -> dict[str, str]:
    """Stage id -> id of the one it began with: what it follows, else its teacher. `from` must have been filled in."""
    return {stage.id: inputs[0] for stage in stages if (inputs := stage_inputs(stage))}


def stage_inputs(stage: Stage) -> tuple[str, ...]:
    """Ids of the stages that `stage` reads: what it follows, then its teachers. `from` must have been filled in."""
    followed = (stage.from_,) if isinstance(stage, Follows) and stage.from_ is not None else ()
    teachers = stage.teacher_ids if isinstance(stage, Taught) else ()
    begun = layers_of(stage)
    return tuple(dict.fromkeys((*followed, *teachers, *((begun,) if begun else ()))))


def layers_of(stage: Stage) -> str | None:
    """The stage as whose layers a student begins."""
    student = stage.student if isinstance(stage, Distill) else None
    return student.init.from_ if isinstance(student, PretrainedStudent) and student.init else None
