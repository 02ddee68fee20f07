"""report.schema.json is made from the dataclasses, and holds of what is written."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from reports import bare_report, full_report, regression_report

from eval.report.report import dump_report
from eval.report.schema import FILE, schema_text

RESULTS = sorted((Path(__file__).parent / "benchmarks" / "results").glob("*.json"))
REPORTS = [file for file in RESULTS if "candidates" in json.loads(file.read_bytes())]


@pytest.fixture(scope="module")
def schema():
    return Draft202012Validator(json.loads(FILE.read_bytes()))


def closed(part):
    """The schema in which a key that an object does not name is an error. Free maps, by label say, name none."""
    if isinstance(part, list):
        return [closed(it) for it in part]
    if not isinstance(part, dict):
        return part
    names_its_keys = part.get("type") == "object" and "properties" in part
    return {key: closed(it) for key, it in part.items()} | ({"additionalProperties": False} if names_its_keys else {})


def problems(schema, document):
    return [f"{'.'.join(map(str, it.path))}: {it.message[:200]}" for it in schema.iter_errors(document)]


def test_the_file_is_what_the_dataclasses_say():
    assert FILE.read_text(encoding="utf-8") == schema_text(), "run: python -m eval.report.schema"
    Draft202012Validator.check_schema(json.loads(schema_text()))


@pytest.mark.parametrize("make", [full_report, bare_report, regression_report])
def test_it_holds_of_every_kind_of_report(schema, make):
    document = json.loads(dump_report(make()))
    assert problems(schema, document) == []
    assert set(document) <= set(schema.schema["properties"])
    measured = schema.schema["$defs"]["Measurement"]["properties"]
    assert set(document["candidates"][0]) <= set(measured)


def test_it_holds_of_a_run(schema, tiny_run):
    assert problems(schema, json.loads((tiny_run / "report.json").read_bytes())) == []


@pytest.mark.parametrize("file", REPORTS, ids=lambda file: file.stem)
def test_it_holds_of_reports_of_earlier_versions_and_still_has_all_their_keys(schema, file):
    assert problems(Draft202012Validator(closed(schema.schema)), json.loads(file.read_bytes())) == []


def test_it_still_has_the_keys_that_no_earlier_report_kept_here_has(schema):
    averages = {f"macro_{metric}" for metric in ("rmse", "mae", "r2", "spearman")}
    kept = {
        "SetQuality": {"positive_rows"},
        "RegressionQuality": {"rows", "targets", "r2_against"} | averages,
        "TargetQuality": {"rmse", "mae", "r2", "spearman", "mean", "deviation"},
    }
    for name, keys in kept.items():
        assert keys <= set(schema.schema["$defs"][name]["properties"]), name


def test_a_key_that_was_taken_away_is_seen(schema):
    document = json.loads(dump_report(full_report()))
    less = json.loads(FILE.read_bytes())
    del less["$defs"]["Measurement"]["properties"]["cold_start_ms"]
    assert problems(Draft202012Validator(less), document) == []
    assert any("cold_start_ms" in it for it in problems(Draft202012Validator(closed(less)), document))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda document: document.pop("teacher"), "'teacher' is a required property"),
        (lambda document: document["candidates"][0].update(size_bytes="big"), "size_bytes"),
        (lambda document: document["candidates"][0].pop("quality"), "'quality' is a required property"),
        (lambda document: document.update(schema_version=2), "schema_version"),
        (lambda document: document["candidates"][0]["latency"][0].pop("p50_ms"), "p50_ms"),
        (lambda document: document["verdicts"][0].update(state="maybe"), "maybe"),
    ],
)
def test_it_does_not_hold_of_what_is_spoilt(schema, spoil, says):
    document = json.loads(dump_report(full_report()))
    spoil(document)
    assert any(says in problem for problem in problems(schema, document))


def test_a_key_that_a_later_version_adds_is_no_error(schema):
    document = json.loads(dump_report(bare_report()))
    document["added_later"] = document["candidates"][0]["added_later"] = 1
    assert problems(schema, document) == []
