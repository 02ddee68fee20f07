"""The JSON Schema of report.json, made from the dataclasses: python -m eval.report.schema writes report.schema.json."""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from eval.report.report import SCHEMA_VERSION, Report

FILE = Path(__file__).with_name("report.schema.json")
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def report_schema() -> dict[str, Any]:
    """The document as `Report.to_json` writes it: that of the dataclasses, but for what is written flat or renamed.

    Keys may be added, so none that is not named here is an error.
    """
    schema: dict[str, Any] = TypeAdapter[Report](Report).json_schema(ref_template="#/$defs/{model}")
    parts = schema["$defs"]
    properties = schema["properties"]
    del properties["first_set"]  # it is the first one of each quality_by_set
    properties["teacher"] = properties.pop("teacher_id")
    properties["schema_version"] = {"const": SCHEMA_VERSION}
    schema["required"] = [
        "schema_version",
        *("teacher" if name == "teacher_id" else name for name in schema["required"] if name != "first_set"),
    ]
    _flatten(parts["Measurement"], parts.pop("Footprint"))
    return {
        "$schema": _DIALECT,
        "title": "report.json of compress",
        "description": "null is undefined or not measured; an interval is 95 %.",
        **{key: value for key, value in schema.items() if key not in {"title", "description"}},
    }


def _flatten(measurement: dict[str, Any], footprint: dict[str, Any]) -> None:
    """A candidate's footprint stands beside its other keys, and `quality` repeats its first test set."""
    properties = measurement["properties"]
    del properties["footprint"]
    qualities = properties["quality_by_set"]["additionalProperties"]["anyOf"]
    properties |= footprint["properties"] | {"quality": {"anyOf": [*qualities, {"type": "null"}]}}
    measurement["required"] = [
        *(name for name in measurement["required"] if name != "footprint"),
        *footprint["required"],
        "quality",
    ]


def schema_text() -> str:
    """What report.schema.json holds."""
    return json.dumps(report_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(schema_text(), encoding="utf-8")
