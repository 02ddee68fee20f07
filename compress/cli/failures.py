"""An exception as one clear paragraph and an exit code."""

import errno

from compress.errors import CompressError, UserError
from eval.errors import EvalError


def said(error: Exception) -> tuple[str, int]:
    """One paragraph, and the exit code."""
    if isinstance(error, CompressError):
        return str(error), error.exit_code
    machine = _of_the_machine(error)
    if machine is not None or isinstance(error, EvalError | OSError):
        return machine or str(error), UserError.exit_code
    text = f"this is a fault of compress, not of yours: {type(error).__name__}: {error}"
    return f"{text}\nRun it again with --debug for the traceback.", 1


def _of_the_machine(error: Exception) -> str | None:
    """What is missing, where the machine has too little of it. Libraries each say it in their own way."""
    text = str(error)
    if type(error).__name__ == "OutOfMemoryError" or "CUDA out of memory" in text:
        return (
            "the GPU's memory is full. Give the stage a smaller batch_size or max_tokens, or end what else uses the "
            "GPU; the same command goes on from what was finished."
        )
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        return (
            "this machine's memory is full. Give the stage a smaller batch_size or max_tokens, or end other programs; "
            "the same command goes on from what was finished."
        )
    if getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in text:
        name = getattr(error, "filename", None)
        return (
            f"the disk is full{f' (writing {name})' if name else ''}. Free some space, or give --out a folder on "
            "another disk; nothing half-written is kept, and the same command goes on from what was finished."
        )
    if isinstance(error, EOFError):
        return (
            f"a file ends before its content does{f' ({text})' if text else ''}: it was not copied or downloaded "
            "whole. Fetch it again; --debug shows which one it is."
        )
    return None
