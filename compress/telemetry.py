"""Nobody is told what is run here."""

import os
import sys
from importlib.util import find_spec
from typing import Any, cast


def no_telemetry() -> None:
    """Turns off what Hugging Face libraries and OpenVINO report home. They look when imported, so this comes before.

    OpenVINO and NNCF know no switch of their own: at import they write an id of this user into ~/intel and send an
    event, unless openvino_telemetry cannot be imported, for which both have a stub.
    """
    for name, value in {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_UPDATE_DOWNLOAD_COUNTS": "0",
        "DO_NOT_TRACK": "1",
    }.items():
        os.environ.setdefault(name, value)
    if find_spec("openvino_telemetry") is not None:
        cast(dict[str, Any], sys.modules).setdefault("openvino_telemetry", None)  # which Python takes for not installed
