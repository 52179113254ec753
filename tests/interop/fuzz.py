"""Requests that schemathesis makes of the document, as everybody who could send them: no answer but those described.

Arguments: the server's address, then a role and its API key each (`nobody` has none: `-`).
"""

import contextlib
import io
import re
import sys

import schemathesis
from schemathesis.cli import schemathesis as run

# What an answer must be, whatever was asked. Whether a request was rightly refused is for other tests.
CHECKS = [
    "nothing_broke",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
]
# Cases for each operation, by role; the first role is also asked for every edge of every schema.
CASES = 4


@schemathesis.serializer("application/jose", "application/x-ndjson")
def as_text(ctx, value):
    """Statements and lines are sent as they are."""
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.check
def nothing_broke(ctx, response, case):
    """No fault. To wait in vain for an entry to come is none."""
    told = response.status_code == 503 and b'"not_yet_there"' in response.content
    if response.status_code >= 500 and not told:
        raise AssertionError(f"{response.status_code}: {response.text[:500]}")


def ask(url, role, key, everything):
    """The number of cases that one role sent."""
    phases = "examples,coverage,fuzzing" if everything else "examples,fuzzing"
    command = ["run", f"{url}/openapi.json", "--checks", ",".join(CHECKS), "--phases", phases, "--workers", "1"]
    command += ["--max-examples", str(CASES), "--generation-deterministic", "--no-color", "--warnings", "off"]
    command += ["--suppress-health-check", "all", "--continue-on-failure", "--no-shrink", "--request-timeout", "30"]
    if key != "-":
        command += ["--header", f"Authorization: Bearer {key}"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            run.main(command, standalone_mode=True)
            code = 0
        except SystemExit as end:
            code = end.code
    text = said.getvalue()
    cases = re.search(r"(\d+) generated", text)
    if code != 0 or cases is None:
        sys.exit(f"fuzz.py: as {role}:\n{text[-12000:]}")
    return int(cases.group(1))


def main(url, *roles):
    pairs = list(zip(roles[::2], roles[1::2], strict=True))
    counts = [f"{role} {ask(url, role, key, at == 0)}" for at, (role, key) in enumerate(pairs)]
    print(f"fuzz.py: nothing but what is described; cases: {', '.join(counts)}")


main(*sys.argv[1:])
