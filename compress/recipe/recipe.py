"""The whole recipe, as `load_recipe` returns it: every value typed, every reference checked."""

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from compress.recipe.data import Data, Task
from compress.recipe.model import Section, distinct, plain_name
from compress.recipe.stages import Distill, Follows, Positive, Prune, Stage, Tfidf, Training

Threads = Positive | Literal["all"]
Baseline = Literal["tfidf", "tfidf_chars"]
_BASELINES: dict[str, Literal["words", "words_chars"]] = {"tfidf": "words", "tfidf_chars": "words_chars"}


class Evaluate(Section):
    """What is measured. threads: `all` is every core this process may use; with fewer, tokenization stays on one.

    Latency: for each batch size and thread count, `rounds` rounds, or fewer when `max_seconds` are over. resamples: of
    the bootstrap behind each 95 % interval. devices: auto is the CPU, and CUDA where there is a GPU.
    """

    batch_sizes: Annotated[tuple[Positive, ...], Field(min_length=1), AfterValidator(distinct)] = (1, 32)
    threads: Annotated[tuple[Threads, ...], Field(min_length=1), AfterValidator(distinct)] = (1, "all")
    rounds: Annotated[int, Field(ge=5)] = 250
    max_seconds: Annotated[float, Field(gt=0)] = 60.0
    resamples: Annotated[int, Field(ge=100)] = 1000
    devices: Literal["auto", "cpu"] = "auto"


@dataclass(frozen=True)
class Repeat:
    """One more training of a stage. stage: it, under an id of its own; of: the id of the stage it repeats."""

    stage: Stage
    of: str
    seed: int


class Recipe(Section):
    """From a teacher to deployable files. Stages run in order; each names the one it starts from."""

    version: Literal[1]
    name: Annotated[str, AfterValidator(plain_name("_.-"))]
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 13
    task: Task
    data: Data
    baselines: Annotated[tuple[Baseline, ...], AfterValidator(distinct)] = ()
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    evaluate: Evaluate = Evaluate()

    @model_validator(mode="after")
    def _builtin_fits(self) -> Self:
        if self.data.builtin is not None and self.task.type != "multi_label":
            raise ValueError(
                f"data.builtin: the built-in {self.data.builtin} are multi_label, the task is {self.task.type}"
            )
        return self

    @property
    def repeats(self) -> tuple[Repeat, ...]:
        """The trainings that `seeds` asks for beside the stages themselves: the same with the seeds that come next."""
        return tuple(
            Repeat(stage.model_copy(update={"id": f"{stage.id}.seed{seed}", "seeds": 1}), stage.id, seed)
            for stage in self.stages
            if isinstance(stage, Training)
            for seed in range(self.seed + 1, self.seed + stage.seeds)
        )

    @property
    def all_stages(self) -> tuple[Stage, ...]:
        """The baselines as stages of their own, then the recipe's stages."""
        asked = tuple(Tfidf(id=name, type="tfidf", features=_BASELINES[name]) for name in self.baselines)
        return (*asked, *self.stages)

    @property
    def all_ids(self) -> tuple[str, ...]:
        """Of everything a run makes, in the order it does."""
        return tuple(stage.id for stage in (*self.all_stages, *(repeat.stage for repeat in self.repeats)))


def stage_inputs(stage: Stage) -> tuple[str, ...]:
    """Ids of the stages that `stage` reads: what it follows, then its teacher. `from` must have been filled in."""
    followed = (stage.from_,) if isinstance(stage, Follows) and stage.from_ is not None else ()
    teacher = (stage.teacher,) if isinstance(stage, Distill | Prune) and stage.teacher is not None else ()
    return tuple(dict.fromkeys((*followed, *teacher)))
