"""The form of study files as JSON schema."""

from typing import Any

from bohb_service.study.model import Study


def study_schema() -> dict[str, Any]:
    """A JSON schema by which editors complete and check study files (YAML or TOML).

    It allows what a file may hold, which is a little more than `Study`: the short forms of ``method`` and
    ``needs`` and the path in ``space``. Rules between keys are left to `load_study`.
    """
    schema = Study.model_json_schema()
    properties = schema["properties"]
    names = schema["$defs"]["Method"]["properties"]["name"]["enum"]
    shorts = {"method": {"type": "string", "enum": names}, "space": {"type": "string"}, "needs": {"type": "object"}}
    for key, short in shorts.items():
        described = properties[key]
        forms = described.pop("anyOf", None)
        if forms is None:
            forms = [{name: described.pop(name) for name in ("$ref", "type", "items") if name in described}]
        properties[key] = {"anyOf": [short, *forms], **described}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "BOHB study"}
