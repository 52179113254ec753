"""A client that openapi-python-client makes of the document, and what somebody does with it who has an API key.

Arguments: the server's address, an API key, an empty folder.
"""

import importlib
import json
import pathlib
import subprocess
import sys
import urllib.request

# Media types that the generator has no name for, by those that it treats alike.
CONFIG = """\
content_type_overrides:
  application/jose: application/octet-stream
  application/x-ndjson: application/octet-stream
  application/openmetrics-text: text/plain
  text/event-stream: text/plain
"""


def must(holds, what):
    if not holds:
        sys.exit(f"generated.py: {what}")


def generate(url, folder):
    """Makes the client; the names of its operations."""
    with urllib.request.urlopen(f"{url}/openapi.json", timeout=30) as answer:
        document = json.load(answer)
    folder = pathlib.Path(folder)
    (folder / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    (folder / "config.yaml").write_text(f"{CONFIG}post_hooks: []\n", encoding="utf-8")
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning", "--meta", "none"]
    command += ["--path", folder / "openapi.json", "--config", folder / "config.yaml"]
    command += ["--output-path", folder / "tallyhouse_client"]
    made = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    must(made.returncode == 0, f"the generator objects:\n{made.stdout[-3000:]}{made.stderr[-3000:]}")
    operations = [one["operationId"] for item in document["paths"].values() for one in item.values()]
    modules = [path for path in folder.glob("tallyhouse_client/api/*/*.py") if path.stem != "__init__"]
    must(len(modules) == len(operations), f"{len(modules)} of {len(operations)} operations were generated")
    sys.path.insert(0, str(folder))
    return len(operations)


def story(url, key):
    """Somebody finds a member's account, gives it points, and looks."""
    client = importlib.import_module("tallyhouse_client").AuthenticatedClient(base_url=url, token=key)
    models = importlib.import_module("tallyhouse_client.models")

    def call(where, **arguments):
        operation = importlib.import_module(f"tallyhouse_client.api.{where}")
        return operation.sync_detailed(client=client, **arguments)

    network = call("network.get_network").parsed
    must(network.driven and network.currencies[0].code == "EUR", f"another network: {network}")
    me = call("network.get_me").parsed
    must(me.whom == "br_harvest" and "awards:write" in me.scopes, f"somebody else: {me}")
    member = models.Member(alias="m-77", unit="HARVEST")
    account = call("accounts.resolve_account", body=member).parsed.account
    again = call("accounts.resolve_account", body=member).parsed.account
    must(account == again, f"{account} is {again} the next time")

    order = models.AwardOrder(iss="br_harvest", unit="HARVEST", sub=account, amount=120)
    dry = call("awards.award", body=order, idempotency_key="generated-1", dry_run=True)
    must(dry.status_code == 200 and dry.parsed.dry_run, f"not dry: {dry}")
    first = call("awards.award", body=order, idempotency_key="generated-1", prefer="return=proof")
    must(first.status_code == 201 and first.parsed.kind == "points.issued", f"no award: {first.content}")
    must(first.parsed.proof is not None, "an answer without its proof")
    retry = call("awards.award", body=order, idempotency_key="generated-1")
    must(retry.parsed.seq == first.parsed.seq, "a retry is another entry")
    must(retry.headers["idempotency-replayed"] == "true", "a retry that does not say so")
    order.amount = 0
    no = call("awards.award", body=order, idempotency_key="generated-2")
    must(no.status_code == 422 and no.parsed.code == "amount_too_small", f"not refused: {no.content}")

    seq = first.parsed.seq
    balance = call("accounts.get_account", account=account, min_seq=seq).parsed
    must(balance.available == 120 and balance.lots[0].points == 120, f"another balance: {balance}")
    moved = call("accounts.list_movements", account=account, min_seq=seq).parsed.items
    must([(one.seq, one.amount) for one in moved] == [(seq, 120)], f"other movements: {moved}")
    events = call("log.list_events", after=seq - 1, min_seq=seq).parsed.items
    must(events[0].seq == seq and len(events[0].parts) > 0, f"other events: {events}")
    must(call("log.get_proof", seq=seq).status_code == 200, "no proof")


def main(url, key, folder):
    count = generate(url, folder)
    story(url, key)
    print(f"generated.py: a client of {count} operations, and its story")


if __name__ == "__main__":
    main(*sys.argv[1:])
