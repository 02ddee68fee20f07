"""Nobody is told what is run here."""

import os


def no_telemetry() -> None:
    """Turns off what Hugging Face libraries report home. They read it when imported, so this comes before."""
    for name, value in {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_UPDATE_DOWNLOAD_COUNTS": "0",
        "DO_NOT_TRACK": "1",
    }.items():
        os.environ.setdefault(name, value)
