"""Small things that tests share: tiny random encoders, comment files, a recipe of a few seconds. Nothing is fetched."""

import contextlib
import csv
import dataclasses
import io
import os
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# before huggingface_hub is imported, which reads it once
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import hypothesis
import pytest
import yaml
from families import save_family

from compress.telemetry import no_telemetry

no_telemetry()

# no deadline: on a busy machine a first call takes seconds; the same examples every time
hypothesis.settings.register_profile("tests", deadline=None, derandomize=True)
hypothesis.settings.load_profile("tests")

LABELS = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
_PLAIN = (
    "please add a source to the second paragraph",
    "the article was moved to a new title",
    "thanks for the quick review",
    "I think the table needs another column",
    "see the talk page for details",
    "the map is from an older edition",
)
_BAD = {
    "toxic": "what a rotten thing to write",
    "severe_toxic": "utterly vile and rotten garbage",
    "obscene": "this is darn crappy stuff",
    "threat": "I will come and smash you",
    "insult": "you are a numpty and a clown",
    "identity_hate": "all islanders are vermin",
}
_FILLERS = (
    "really",
    "again",
    "today",
    "on this page",
    "my friend",
    "for once",
    "sadly",
    "as before",
    "in short",
    "well",
)
_ROWS = {"train": 120, "validation": 80, "unlabeled": 80, "test": 80}


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


# ---------------------------------------------------------------------------------------------------- comments


@dataclass(frozen=True)
class Comment:
    """A text and the labels that hold for it."""

    text: str
    labels: frozenset[str]


def _comments(count: int, chooser: random.Random, taken: set[str]) -> list[Comment]:
    """`count` different comments, none of them in `taken`; the first ones carry each label in turn."""
    made: list[Comment] = []
    while len(made) < count:
        turn = len(made)
        bad = [LABELS[turn % 6]] if turn < 18 else [label for label in LABELS if chooser.random() < 0.15]
        parts = [*(_BAD[label] for label in bad), chooser.choice(_PLAIN), *chooser.sample(_FILLERS, 3)]
        chooser.shuffle(parts)
        text = " ".join(parts)
        if text not in taken:
            taken.add(text)
            made.append(Comment(text, frozenset(bad) | ({"toxic"} if bad else set())))
    return made


def write_csv(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    """Writes rows, the header among them, as UTF-8 CSV."""
    with path.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows(rows)
    return path


@pytest.fixture(scope="session")
def comment_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv, validation.csv, unlabeled.csv and test.csv: ids, comments, six labels of 0 and 1.

    Every label has positives in every labelled file; no text occurs twice. Read only: copy it to change it.
    """
    folder = tmp_path_factory.mktemp("comments")
    chooser, taken = random.Random(13), set[str]()
    for name, count in _ROWS.items():
        labels = () if name == "unlabeled" else LABELS
        rows = [
            (f"{name}-{number}", comment.text, *(int(label in comment.labels) for label in labels))
            for number, comment in enumerate(_comments(count, chooser, taken))
        ]
        write_csv(folder / f"{name}.csv", [("id", "comment_text", *labels), *rows])
    return folder


@pytest.fixture(scope="session")
def sentences(comment_files: Path) -> tuple[str, ...]:
    """The comments of train.csv."""
    with (comment_files / "train.csv").open(encoding="utf-8", newline="") as file:
        return tuple(row["comment_text"] for row in csv.DictReader(file))


# ---------------------------------------------------------------------------------------------------- encoders


def _wordpiece(sentences: Sequence[str]) -> Any:
    import tokenizers as t

    from compress.vocabulary.learn import wordpiece_vocabulary

    inner = t.Tokenizer(t.models.WordPiece(unk_token="[UNK]"))  # noqa: S106 - no password
    inner.normalizer = t.normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = t.pre_tokenizers.BertPreTokenizer()
    inner.decoder = t.decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    # the library's trainer alone gives other ids in every process, so every session would test another model
    vocabulary = wordpiece_vocabulary(inner, sentences, 300, special)
    inner.model = t.models.WordPiece(vocabulary, unk_token="[UNK]")  # noqa: S106 - no password
    inner.post_processor = t.processors.BertProcessing(
        ("[SEP]", inner.token_to_id("[SEP]")), ("[CLS]", inner.token_to_id("[CLS]"))
    )
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return inner, dict(zip(names, special, strict=True))


def _byte_pairs(sentences: Sequence[str]) -> Any:
    import tokenizers as t

    inner = t.Tokenizer(t.models.BPE())
    inner.pre_tokenizer = t.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = t.decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = t.trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        show_progress=False,
        initial_alphabet=t.pre_tokenizers.ByteLevel.alphabet(),
    )
    inner.train_from_iterator(sentences, trainer)
    inner.post_processor = t.processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    names = ("cls_token", "pad_token", "sep_token", "unk_token", "mask_token")
    return inner, dict(zip(names, special, strict=True)) | {"bos_token": "<s>", "eos_token": "</s>"}


def _save_encoder(family: str, sentences: Sequence[str], folder: Path) -> None:
    import torch
    from transformers import (
        BertConfig,
        BertModel,
        DistilBertConfig,
        DistilBertModel,
        PreTrainedTokenizerFast,
        RobertaConfig,
        RobertaModel,
    )

    inner, special = (_byte_pairs if family == "roberta" else _wordpiece)(sentences)
    PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=64, **special).save_pretrained(str(folder))
    size = inner.get_vocab_size()
    wide = {"vocab_size": size, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(13)
    model: Any
    match family:
        case "bert":
            model = BertModel(BertConfig(**wide, intermediate_size=64, max_position_embeddings=64, pad_token_id=0))
        case "roberta":
            config = RobertaConfig(**wide, intermediate_size=64, max_position_embeddings=66, type_vocab_size=1)
            model = RobertaModel(config)
        case "distilbert":
            config = DistilBertConfig(
                vocab_size=size,
                dim=32,
                n_layers=2,
                n_heads=2,
                hidden_dim=64,
                max_position_embeddings=64,
                pad_token_id=0,
            )
            model = DistilBertModel(config)
    model.save_pretrained(str(folder))


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory, sentences: tuple[str, ...]) -> Callable[[str], Path]:
    """family -> folder of a random pretrained encoder, 2 layers, width 32, 2 heads, 64 tokens, with its own tokenizer.

    Families: bert and distilbert (WordPiece, 300 pieces at most), roberta (byte pairs, 400 at most); others as
    `families` makes them.
    """
    made: dict[str, Path] = {}

    def encoder(family: str) -> Path:
        if family not in made:
            folder = tmp_path_factory.mktemp(f"tiny-{family}")
            save = _save_encoder if family in {"bert", "roberta", "distilbert"} else save_family
            save(family, sentences, folder)
            made[family] = folder
        return made[family]

    return encoder


# ---------------------------------------------------------------------------------------------------- a recipe


@pytest.fixture(scope="session")
def tiny_recipe_text(comment_files: Path, tiny_encoder: Callable[[str], Path]) -> str:
    """A whole recipe on comment_files, as YAML: teacher, student, pruned, ONNX, fp16, int8, and a baseline."""
    return f"""\
version: 1
name: tiny
seed: 13
vars: {{comments: "{comment_files}"}}
task: {{type: multi_label, text: comment_text, labels: [{", ".join(LABELS)}]}}
data:
  dir: "${{comments}}"
  train: train.csv
  validation: validation.csv
  unlabeled: unlabeled.csv
  test: {{held_out: test.csv}}
baselines: [tfidf]
stages:
  - id: teacher
    type: finetune
    encoder: "{tiny_encoder("bert")}"
    pooling: mean_max
    max_tokens: 32
    epochs: 1
    learning_rate: 1e-3
  - id: student
    type: distill
    teacher: teacher
    student: {{layers: 1, width: 16, heads: 2, tokenizer: {{type: wordpiece, size: 200}}, max_tokens: 32}}
    epochs: 1
    learning_rate: 1e-3
  - {{id: pruned, type: prune, method: magnitude, final_sparsity: 0.5, epochs: 1, teacher: teacher}}
  - {{id: student-onnx, type: export, from: student}}
  - {{id: student-fp16, type: quantize, from: student-onnx, scheme: fp16}}
  - {{id: student-int8, type: quantize, from: student-onnx, scheme: int8_dynamic}}
evaluate: {{batch_sizes: [1], threads: [1], rounds: 5, max_seconds: 1, resamples: 100, devices: cpu}}
"""


@pytest.fixture
def tiny_recipe(tiny_recipe_text: str) -> dict[str, Any]:
    """The same recipe as plain data, the test's own to change."""
    data: dict[str, Any] = yaml.safe_load(tiny_recipe_text)
    for stage in data["stages"][:2]:
        stage["learning_rate"] = 0.001  # PyYAML reads 1e-3 as text
    return data


# ---------------------------------------------------------------------------------------------------- command line


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


def compress_command(*arguments: object, stdin: bytes = b"") -> Ended:
    """`compress ARGUMENTS` in this process, through its own entry point."""
    from compress.cli import main

    out, err, before, keyboard = io.StringIO(), io.StringIO(), sys.argv, sys.stdin
    environment = dict(os.environ)
    sys.argv = ["compress", *map(str, arguments)]
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
    code = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    finally:
        sys.argv, sys.stdin = before, keyboard
        os.environ.clear()
        os.environ.update(environment)
    return Ended(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def command() -> Callable[..., Ended]:
    """command(*arguments, stdin=b"") -> Ended: the command line without a new process."""
    return compress_command


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory, tiny_recipe_text: str) -> Path:
    """The folder of tiny_recipe_text once run, its recipe beside it as recipe.yaml. Read only: copy it to change it."""
    folder = tmp_path_factory.mktemp("tiny-run")
    (folder / "recipe.yaml").write_text(tiny_recipe_text, encoding="utf-8")
    ended = compress_command("run", folder / "recipe.yaml", "--out", folder / "out")
    assert ended.code == 0, ended.err
    return folder / "out"


# ---------------------------------------------------------------------------------------------------- one stage alone


@dataclass(frozen=True)
class Workshop:
    """Runs single stages in a folder of the test's own. splits: what their data is; a test may give its own."""

    folder: Path
    task: Any
    splits: Any

    def context(self, name: str = "work", **changes: Any) -> Any:
        """A CPU context with seed 13 whose checkpoints lie in `name`."""
        from compress.context import Context

        made = Context(13, "cpu", self.folder / name, self.folder / "cache")
        made.work_dir.mkdir(parents=True, exist_ok=True)
        return dataclasses.replace(made, **changes)

    def inputs(self, parent: Any = None, teacher: Any = None) -> Any:
        """What a stage is given. teacher: an artifact, or a list of several with their weights."""
        from compress.inputs import Inputs, Teacher

        weights = teacher if isinstance(teacher, list) else [] if teacher is None else [(teacher, 1.0)]
        teachers = tuple(Teacher(artifact, weight) for artifact, weight in weights)
        return Inputs(self.task, parent, teachers, lambda: self.splits)

    def make(
        self, run: Callable[..., Any], config: Any, parent: Any = None, teacher: Any = None, **changes: Any
    ) -> Any:
        """The artifact that a stage's `run` makes, written as the pipeline writes it. changes: to the context."""
        from compress.artifact import Manifest, open_artifact, seal, writing

        final = self.folder / "artifacts" / config.id
        with writing(final) as folder:
            made = run(config, self.inputs(parent, teacher), self.context(f"work-{config.id}", **changes), folder)
            manifest = Manifest(
                format=made.format,
                precision=made.precision,
                task=self.task,
                max_tokens=made.max_tokens,
                long_text=made.long_text,
                stage_id=config.id,
                stage_type=config.type,
                cache_key="",
                parents={},
                file_sha256s={},
                environment={},
                notes=made.notes,
                marks=made.marks,
            )
            seal(folder, manifest)
        return open_artifact(final)


@pytest.fixture(scope="session")
def comment_task() -> Any:
    """The six labels over comment_text."""
    from compress.recipe.data import Task

    return Task(type="multi_label", text="comment_text", labels=LABELS)


@pytest.fixture(scope="session")
def comment_splits(comment_files: Path, comment_task: Any) -> Any:
    """comment_files, loaded."""
    from compress.data import load_splits
    from compress.recipe.data import Data

    return load_splits(Data(dir=str(comment_files)), comment_task, 13)


@pytest.fixture(scope="session")
def new_workshop(comment_task: Any, comment_splits: Any) -> Callable[[Path], Workshop]:
    """folder -> a Workshop on the comments, there."""
    return lambda folder: Workshop(folder, comment_task, comment_splits)


@pytest.fixture
def workshop(tmp_path: Path, new_workshop: Callable[[Path], Workshop]) -> Workshop:
    """A Workshop in the test's own folder."""
    return new_workshop(tmp_path)


@pytest.fixture(scope="session")
def teacher(
    tmp_path_factory: pytest.TempPathFactory,
    new_workshop: Callable[[Path], Workshop],
    tiny_encoder: Callable[[str], Path],
) -> Any:
    """A torch artifact that has learnt the comments: tiny BERT, mean_max, 32 tokens."""
    from compress.recipe.stages import Finetune
    from compress.stages import finetune

    config = Finetune(
        id="teacher",
        type="finetune",
        encoder=str(tiny_encoder("bert")),
        pooling="mean_max",
        max_tokens=32,
        epochs=12,
        batch_size=8,
        learning_rate=3e-3,
        precision="fp32",
    )
    return new_workshop(tmp_path_factory.mktemp("teacher")).make(finetune.run, config)
