"""Reads a recipe: YAML, `--set`, `${vars}`, validation, and the checks that need several stages at once.

Every mistake is reported together, each with its line, its place and the next step.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from compress.errors import RecipeError, did_you_mean
from compress.recipe.fits_goals import check_goals, goal_places
from compress.recipe.fits_hints import check_hints
from compress.recipe.fits_pruning import check_pruning
from compress.recipe.fits_quantizing import check_quantizing
from compress.recipe.fits_students import check_students
from compress.recipe.fits_task import check_task
from compress.recipe.fits_vocabulary import check_vocabularies
from compress.recipe.follows import by_id, check_stages
from compress.recipe.goals import UNKNOWN_METRIC
from compress.recipe.mistakes import Mistake, holds, say, tell
from compress.recipe.overrides import apply_override
from compress.recipe.recipe import Recipe, Written
from compress.recipe.source import Document, parse
from compress.recipe.source import Path as Place
from compress.recipe.stages import STAGE_TYPES, Stage, stage_class, variant_key, variants

# pydantic's words for what YAML calls a list and a mapping
_PLAIN = dict.fromkeys(("tuple_type", "list_type"), "must be a list") | dict.fromkeys(
    ("model_type", "model_attributes_type", "dict_type"), "must be a mapping of keys to values"
)
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


# a stage -> what is wrong with it besides, each with its place in the stage
Look = Callable[[Stage], Sequence[tuple[Place, str]]]


def load_recipe(path: str | Path, overrides: Sequence[str] = (), look: Look = lambda stage: ()) -> Recipe:
    """The recipe at `path`, or the shipped one of that bare name, with `KEY=VALUE` overrides applied.

    look: looks further than the recipe, at files that a stage names; its mistakes are told with the others.

    Raises RecipeError with every mistake found.
    """
    file = find_recipe(path)
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError([f"byte {error.start}: not UTF-8; save the file as UTF-8"], str(path)) from error
    document = parse(text, str(path))
    problems: list[str] = []
    for override in overrides:
        apply_override(document, override, problems)
    variables = document.data.pop("vars", None) or {}
    if not isinstance(variables, dict):
        problems.append("vars: must be a mapping of names to values")
        variables = {}
    known: dict[str, Any] = {}
    for name, value in variables.items():  # one may use those above it
        known[str(name)] = _substitute(value, known, ("vars", str(name)), document, problems)
    data = _substitute(document.data, known, (), document, problems)
    mistakes: list[Mistake] = []
    recipe = _validate(data, look, mistakes)
    problems += tell(mistakes, document, data)
    if problems or recipe is None:
        raise RecipeError(sorted(problems, key=_line_of), str(path))
    places = ((str(goal), say(document, place, "", data)) for place, goal in goal_places(data.get("goals", ())))
    return recipe.read_from(Written(str(path), {goal: place.removesuffix(": ") for goal, place in places}))


def _line_of(problem: str) -> int:
    """Mistakes are told in the order of the file, those of --set first."""
    found = re.match(r"line (\d+)\b", problem)
    return int(found[1]) if found else 0


def shipped_recipes() -> dict[str, Path]:
    """Name -> file of the recipes that come with the package (in a checkout: recipes/)."""
    package = Path(__file__).resolve().parent.parent
    folders = (package / "shipped_recipes", package.parent / "recipes")
    found = next((folder for folder in folders if folder.is_dir()), None)
    return {file.stem: file for file in sorted(found.glob("*.yaml"))} if found else {}


def find_recipe(path: str | Path) -> Path:
    """The file meant by a path or a shipped recipe's bare name. Raises RecipeError if there is neither."""
    file = Path(path)
    if file.is_file():
        return file
    shipped = shipped_recipes()
    if str(path) in shipped:
        return shipped[str(path)]
    what = "is a folder, not a file" if file.is_dir() else "there is no such file, and no shipped recipe of that name"
    names = ", ".join(shipped) or "none"
    raise RecipeError([f"{what}{did_you_mean(file.stem, shipped)}; shipped recipes: {names}"], str(path))


def _substitute(value: Any, variables: dict[str, Any], place: Place, document: Document, problems: list[str]) -> Any:
    """Replaces `${name}`: a text that is one variable takes its value and type, others are spliced as text."""
    if isinstance(value, dict):
        return {
            key: _substitute(item, variables, (*place, str(key)), document, problems) for key, item in value.items()
        }
    if isinstance(value, list):
        return [_substitute(item, variables, (*place, i), document, problems) for i, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    unknown = [name for name in _VARIABLE.findall(value) if name not in variables]
    for name in unknown:
        known = ", ".join(variables) or "none"
        hint = did_you_mean(name, variables)
        problems.append(
            say(
                document,
                place,
                f"${{{name}}} is not among vars ({known}){hint}; add it, or --set vars.{name}=...",
                document.data,
            )
        )
    if unknown:
        return value
    whole = _VARIABLE.fullmatch(value)
    if whole:
        document.taken[place] = whole[1]
    return variables[whole[1]] if whole else _VARIABLE.sub(lambda match: str(variables[match[1]]), value)


def _validate(data: dict[str, Any], look: Look, mistakes: list[Mistake]) -> Recipe | None:
    """Validates the frame and each stage apart, so that a mistake in one hides none in another."""
    raw_stages = data.get("stages")
    items = raw_stages if isinstance(raw_stages, list) else []
    adapter: TypeAdapter[Any] = TypeAdapter(Stage)
    parsed = [
        _try(partial(adapter.validate_python, item), ("stages", index), Stage, data, mistakes)
        for index, item in enumerate(items)
    ]
    # a placeholder stands for the stages, which were just validated one by one
    frame = data | ({"stages": [{"id": "placeholder", "type": "tfidf"}]} if items else {})
    recipe = _try(partial(Recipe.model_validate, frame), (), Recipe, data, mistakes)
    asked = data.get("baselines")
    baselines = recipe.baselines if recipe else [str(name) for name in asked] if isinstance(asked, list) else []

    def report(index: int, key: str, text: str) -> None:
        mistakes.append(Mistake(("stages", index, key), text))

    filled = check_stages(items, parsed, baselines, report)
    task = data.get("task")
    check_task(parsed, task.get("type") if isinstance(task, dict) else None, report)
    known = by_id(filled)
    check_hints(parsed, known, baselines, report)
    check_students(parsed, known, baselines, report)
    check_pruning(parsed, known, report)
    check_vocabularies(parsed, known, report)
    check_quantizing(parsed, known, task.get("type") if isinstance(task, dict) else None, report)
    for index, stage in enumerate(parsed):
        found = () if stage is None else look(stage)
        mistakes += [Mistake(("stages", index, *place), text) for place, text in found]
    check_goals(data, parsed, lambda place, text: mistakes.append(Mistake(place, text)))
    return None if recipe is None or mistakes else recipe.model_copy(update={"stages": tuple(filled)})


def _try(build: Callable[[], Any], place: Place, shape: Any, data: dict[str, Any], mistakes: list[Mistake]) -> Any:
    try:
        return build()
    except ValidationError as error:
        details = error.errors(include_url=False)
        mistakes += [_explain(it, place, shape, data) for it in details if not _follows(it, details)]
        return None


def _follows(detail: ErrorDetails, details: Sequence[ErrorDetails]) -> bool:
    """Whether it is told elsewhere: a list too short because its items have mistakes; a goal's metric (check_goals)."""
    place = detail["loc"]
    below = any(len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in details)
    return detail["type"] == UNKNOWN_METRIC or (detail["type"] == "too_short" and below)


def _explain(detail: ErrorDetails, prefix: Place, shape: Any, data: dict[str, Any]) -> Mistake:
    kind, context = detail["type"], detail.get("ctx", {})
    place = _real_place((*prefix, *detail["loc"]), data, missing=kind == "missing")
    last = str(detail["loc"][-1]) if detail["loc"] else ""
    if kind == "extra_forbidden":
        known = _fields(shape, detail["loc"][:-1], data if not prefix else _at(data, prefix))
        return Mistake(place, f"unknown key{did_you_mean(last, known)}; known here: {', '.join(known)}")
    if kind == "missing":
        return Mistake(place, "is missing")
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        return _no_branch(str(context.get("tag", "")), place, data)
    if kind == "literal_error":
        options = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        hint = did_you_mean(str(detail["input"]), options)
        named = ", ".join(options) or context.get("expected")
        return Mistake(place, f"{detail['input']!r} is not one of {named}{hint}")
    if kind == "too_short":
        return Mistake(place, "holds nothing; name at least one")
    if kind == "string_type" and isinstance(detail["input"], bool | int | float):
        return Mistake(place, f"YAML reads this as {detail['input']!r}, and it must be text: quote it")
    message = _PLAIN.get(kind) or detail["msg"].removeprefix("Value error, ")
    shown = "" if isinstance(detail["input"], dict | list | BaseModel) else f" (found {detail['input']!r})"
    return Mistake(place, message[0].lower() + message[1:] + shown)


def _no_branch(found: str, place: Place, data: Any) -> Mistake:
    """A stage without a type, method or scheme, or with none that there is. found: what it says."""
    stage_type = str(_at(data, place).get("type"))
    key = variant_key(stage_type)
    if key is None:
        text = f"{found!r} is no type of stage{did_you_mean(found, STAGE_TYPES)}" if found else "needs a type"
        return Mistake((*place, "type"), f"{text}; types: {', '.join(STAGE_TYPES)}")
    known = variants(stage_type)
    text = f"{found!r} is not one of {', '.join(known)}" if found else f"is missing; one of {', '.join(known)}"
    return Mistake((*place, key), text + (did_you_mean(found, known) if found else ""))


def _real_place(place: Place, data: Any, missing: bool) -> Place:
    """Pydantic's location without the parts that name a branch of a union and stand nowhere in the YAML.

    missing: its last part is a key that should stand there.
    """
    real: list[str | int] = []
    here: Any = data
    for depth, part in enumerate(place):
        key = "from" if part == "from_" else part
        if holds(here, key):
            here = here[key]
        elif not missing or depth < len(place) - 1 or not isinstance(here, dict):
            continue
        real.append(key)
    return tuple(real)


def _at(data: Any, place: Place) -> Any:
    for part in place:
        data = data[part]
    return data


def _fields(shape: Any, location: Place, value: Any) -> list[str]:
    """Names of the keys allowed at `location` inside `shape`, which fits `value`."""
    annotations, models = [shape], _models(shape, value)
    for part in location:
        fields = [model.model_fields[str(part)] for model in models if str(part) in model.model_fields]
        annotations = [field.annotation for field in fields] or annotations
        value = value[part] if holds(value, part) else value
        models = [model for annotation in annotations for model in _models(annotation, value)]
    names = [field.alias or name for model in models for name, field in model.model_fields.items()]
    return sorted(set(names), key=names.index)


def _models(annotation: Any, value: Any) -> list[type[BaseModel]]:
    """The models inside an annotation; of the stages only the one that `value` names, of students the likelier."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) is Annotated:
        return _models(get_args(annotation)[0], value)
    if get_origin(annotation) not in {Union, UnionType, tuple, dict}:
        return []
    models = [model for branch in get_args(annotation) for model in _models(branch, value)]
    keys = set(value) if isinstance(value, dict) else set()
    wanted = stage_class(value) if isinstance(value, dict) else None
    return [wanted] if wanted in models else sorted(models, key=lambda model: -len(keys & set(model.model_fields)))[:1]
