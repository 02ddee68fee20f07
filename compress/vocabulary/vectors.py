"""Word vectors: a text file, plain or gzipped, or a folder with a NumPy array and a Parquet list of its words."""

import gzip
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from compress.artifact import sha256_file, sha256_text
from compress.errors import EncoderError
from compress.pretrained import in_package
from compress.recipe.students import WordVectors

Floats = NDArray[np.float32]


def find_vectors(wanted: WordVectors) -> Path:
    """The file, or the folder, on this disk. Raises EncoderError where it is not there or has another sha256."""
    found = _place(wanted.vectors)
    if wanted.sha256 is not None and vectors_sha256(found) != wanted.sha256:
        raise EncoderError(
            f"embeddings.sha256: {found} has sha256 {vectors_sha256(found)}, the recipe pins {wanted.sha256}. "
            "These are other vectors: name those, or pin these."
        )
    return found


def _place(name: str) -> Path:
    """Raises EncoderError where nothing is there, or the package is not installed."""
    try:
        found = in_package(name.removeprefix("package:")) if name.startswith("package:") else Path(name).expanduser()
    except (EncoderError, RuntimeError) as error:  # the latter of the home of a user who does not exist
        raise EncoderError(f"embeddings.vectors: {error}") from error
    if not found.exists():
        raise EncoderError(
            f"embeddings.vectors: {name} does not exist. Name a text file of vectors, or package:NAME/PATH."
        )
    return found


def vectors_sha256(found: Path) -> str:
    """Of a file its sha256; of a folder that of its array."""
    return _sha256(_parts(found)[0] if found.is_dir() else found)


def vectors_identity(wanted: WordVectors) -> str:
    """What a cache key says of them: the digest of all their files."""
    found = find_vectors(wanted)
    return sha256_text(" ".join(map(_sha256, _parts(found) if found.is_dir() else (found,))))


def _sha256(file: Path) -> str:
    """Read once while the file stays as it is: gigabytes, which a pin and the keys of several stages ask about."""
    state = file.stat()
    return _sha256_of(file, state.st_mtime_ns, state.st_size)


@lru_cache
def _sha256_of(file: Path, changed_ns: int, size_bytes: int) -> str:
    return sha256_file(file)


def vectors_width(found: Path) -> int:
    """Numbers of a vector. Raises EncoderError where the first line is none, or an array holds no rows of numbers."""
    if found.is_dir():
        return int(_array(_parts(found)[0]).shape[1])
    with _lines(found) as lines:
        for number, line in enumerate(lines):
            fields = line.rstrip().split(" ")
            if number == 0 and len(fields) == 2:  # word2vec's first line says how many there are
                continue
            _numbers(found, number, fields[1:])
            return len(fields) - 1
    raise EncoderError(f"embeddings.vectors: {found} holds no vectors.")


def read_vectors(found: Path, words: Mapping[str, int]) -> dict[int, Floats]:
    """The vectors (width,) of the words that are there, by the words' numbers; a word's first line counts.

    Raises EncoderError for a line that is not a word and numbers, or where no word is there at all.
    """
    vectors = _from_folder(found, words) if found.is_dir() else _from_text(found, words)
    if not vectors:
        raise EncoderError(f"embeddings.vectors: {found} has a vector for none of the vocabulary's words.")
    return vectors


def check_vectors(wanted: WordVectors, width: int) -> None:
    """Raises EncoderError where they are not there, or are of another width than the student's embeddings."""
    found = vectors_width(find_vectors(wanted))
    if found != width:
        raise EncoderError(
            f"embeddings.vectors: {wanted.vectors} has vectors of {found} numbers, the student's embeddings have "
            f"{width}. Write embedding_rank: {found} (or width: {found}), or name other vectors."
        )


def _from_text(found: Path, words: Mapping[str, int]) -> dict[int, Floats]:
    vectors: dict[int, Floats] = {}
    width = vectors_width(found)
    with _lines(found) as lines:
        for number, line in enumerate(lines):
            word, _, rest = line.rstrip("\n").partition(" ")
            if word in words and words[word] not in vectors and (number or rest.count(" ")):
                vector = _numbers(found, number, rest.split())
                if len(vector) != width:
                    raise _broken(found, number, f"{len(vector)} numbers, the first has {width}")
                vectors[words[word]] = vector
    return vectors


def _from_folder(found: Path, words: Mapping[str, int]) -> dict[int, Floats]:
    array, listed = _parts(found)
    rows, listed_words = _array(array), _listed(listed)
    if len(rows) != len(listed_words):
        raise EncoderError(
            f"embeddings.vectors: {array} has {len(rows):,} rows and {listed} {len(listed_words):,} words; the array "
            "holds a row for each word, in their order."
        )
    vectors: dict[int, Floats] = {}
    for row, word in enumerate(listed_words):
        if word in words:
            vectors.setdefault(words[word], np.asarray(rows[row], np.float32))
    return vectors


def _parts(folder: Path) -> tuple[Path, Path]:
    arrays, lists = sorted(folder.glob("*.npy")), sorted(folder.glob("*.parquet"))
    if len(arrays) != 1 or len(lists) != 1:
        raise EncoderError(
            f"embeddings.vectors: {folder} holds {len(arrays)} .npy and {len(lists)} .parquet files; a folder of "
            "vectors holds one of each, the array and its words in order. Or name a text file."
        )
    return arrays[0], lists[0]


def _array(file: Path) -> NDArray[Any]:
    """The rows, not read into memory. Raises EncoderError where they are not numbers in rows."""
    try:
        rows = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise EncoderError(f"embeddings.vectors: {file} is no array that NumPy reads: {error}") from error
    if not isinstance(rows, np.ndarray):
        raise EncoderError(f"embeddings.vectors: {file} holds several arrays; save the one of the vectors by np.save.")
    if rows.ndim != 2 or rows.dtype.kind not in "fiu":
        raise EncoderError(
            f"embeddings.vectors: {file} holds {rows.dtype} in {rows.ndim} dimensions; it should hold numbers in two, "
            "a row for each word."
        )
    return np.asarray(rows)


def _listed(file: Path) -> list[Any]:
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        return list(parquet.read_table(file).column(0).to_pylist())
    except (pyarrow.ArrowException, IndexError) as error:
        raise EncoderError(
            f"embeddings.vectors: {file} is no Parquet file with the words in its first column: {error}"
        ) from error


@contextmanager
def _lines(found: Path) -> Iterator[IO[str]]:
    """A file's lines; only a line end ends one, since words may hold other separators.

    Raises EncoderError, from within the block too, where what is read is not text in UTF-8, or of .gz not gzipped.
    """
    zipped = found.suffix == ".gz"
    try:
        with (gzip.open if zipped else open)(found, "rt", encoding="utf-8", newline="\n") as lines:
            yield lines
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise EncoderError(
            f"embeddings.vectors: {found} is no {'gzipped ' if zipped else ''}text in UTF-8: {error}. A file of "
            "vectors has a word and its numbers a line."
        ) from error


def _numbers(found: Path, number: int, fields: list[str]) -> Floats:
    try:
        vector = np.array(fields, np.float32)
    except ValueError as error:
        raise _broken(found, number, f"what is no number ({error})") from error
    if not len(vector) or not np.isfinite(vector).all():
        raise _broken(found, number, "no finite numbers")
    return vector


def _broken(found: Path, number: int, what: str) -> EncoderError:
    return EncoderError(
        f"embeddings.vectors: line {number + 1} of {found} holds {what}; a line is a word and its numbers."
    )
