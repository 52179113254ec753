"""Validates an OpenAPI document with openapi-spec-validator. Argument: the file."""

import json
import sys

from openapi_spec_validator import OpenAPIV31SpecValidator


def main(path):
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    if not document.get("openapi", "").startswith("3.1."):
        sys.exit("openapi.py: not of version 3.1")
    errors = list(OpenAPIV31SpecValidator(document).iter_errors())
    for error in errors[:10]:
        print(f"openapi.py: {'/'.join(map(str, error.absolute_path))}: {error.message[:300]}", file=sys.stderr)
    if errors:
        sys.exit(1)
    count = sum(len(item) for item in document["paths"].values())
    print(f"openapi.py: valid, {count} operations")


main(sys.argv[1])
