"""Several processes that train one model together, as torchrun starts them; alone otherwise.

The first runs the recipe and writes its files; the others take part in its trainings. Alone nothing here imports torch.
"""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

Value = TypeVar("Value")
_GIVEN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
# the others wait while the first asks a teacher or measures, which takes hours on large data
_PATIENCE = timedelta(days=30)


class TookPart(Exception):  # noqa: N818, no error
    """Ends a stage in a process that was there for its training alone."""


def how_many() -> int:
    """Processes that were started together; 1 where this one was started by itself."""
    # a cluster's scheduler may set some of them, a launcher sets them all
    return int(os.environ["WORLD_SIZE"]) if all(name in os.environ for name in _GIVEN) else 1


def number() -> int:
    """This process's number among them, from 0."""
    return int(os.environ["RANK"]) if how_many() > 1 else 0


def from_first(make: Callable[[], Value]) -> Value:
    """What `make` gives in the first process, in all of them; the others wait for it and do not call theirs."""
    if how_many() == 1:
        return make()
    import torch

    box = [make() if number() == 0 else None]
    _group().broadcast_object_list(box, src=0, device=torch.device("cpu"))
    return box[0]  # type: ignore[return-value] # the first has put its own there


@contextmanager
def first_alone() -> Iterator[None]:
    """The first process goes through the block alone; the others come after it, and find the files that it wrote."""
    if number() > 0:
        from_first(lambda: None)
    yield
    if number() == 0:
        from_first(lambda: None)


def meet() -> None:
    """Returns when every process has come here."""
    if how_many() > 1:
        _group().barrier()


def leave() -> None:
    """Ends the connections of this process, before it ends itself."""
    if how_many() > 1 and _initialized():
        # a trainer and its model hold each other, and the model its connections: their threads would go on until
        # Python ends, and one that lets go of a tensor then aborts the process. Collected first: the last to let go
        # of a connection waits for its threads, and a collector that waits holds the lock that they wait for
        gc.collect()
        _group().destroy_process_group()


def end_at_once(code: int) -> None:
    """Ends this process, which failed, where others are still connected to it; returns where none is.

    Python's own end would wait for threads that wait for the others, which wait for this process.
    """
    connected = how_many() > 1 and "torch.distributed" in sys.modules and _initialized()
    if connected:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _initialized() -> bool:
    from torch import distributed

    return bool(distributed.is_initialized())


def _group() -> Any:
    """torch.distributed, its processes connected."""
    import torch
    from torch import distributed

    if not distributed.is_initialized():
        backend = "gloo"
        if torch.cuda.is_available():
            # else all processes of a machine would meet, and measure, on its first GPU
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
            backend = "cpu:gloo,cuda:nccl"
        distributed.init_process_group(backend, timeout=_PATIENCE)
    return distributed
