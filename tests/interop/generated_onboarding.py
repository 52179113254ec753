"""A brand joins, with a client that openapi-python-client makes of the service's own document: from nothing to the
first award and the first payment in another brand's shop. Every call to the service is a generated function; keys,
statements and signatures are those of onboarding.py.

    python generated_onboarding.py URL DEMO FOLDER

URL serves a network, DEMO is its data folder, of which only key files are used: the operator's and those of the other
brand (SHOP, br_cleaver), which do their own part in earnest elsewhere (marked below). FOLDER is empty: the client is
made there.
"""

import datetime
import importlib
import os
import pathlib
import secrets
import sys

import httpx
import onboarding
from generated import generate
from onboarding import Key, account_of, proven, sign, step

BRAND, PARTICIPANT, UNIT = "br_orchid", "pa_orchid", "ORCHID"


def fail(what):
    sys.exit(f"generated_onboarding.py: {what}")


class Signature(httpx.Auth):
    """Signs what a generated function sends."""

    requires_request_body = True

    def __init__(self, key):
        self.key = key

    def auth_flow(self, request):
        if request.method != "GET":
            # Writes to the log are given one; other changes need it only to be signed.
            request.headers.setdefault("Idempotency-Key", secrets.token_hex(16))
        sign(self.key, request, request.content if request.method != "GET" else None)
        yield request


def client(key=None, token=None):
    """Somebody: a key that signs each request, a bearer token, or nobody."""
    if token:
        return CLIENT.AuthenticatedClient(base_url=URL, token=token)
    return CLIENT.Client(base_url=URL, httpx_args={"auth": Signature(key)} if key else {})


def call(where, who=None, **arguments):
    """Calls an operation; what its answer says."""
    operation = importlib.import_module(f"tallyhouse_client.api.{where}")
    answer = operation.sync_detailed(client=who or client(), **arguments)
    if answer.status_code not in (200, 201):
        fail(f"{where}: {answer.status_code.value} {answer.content.decode()}")
    return answer.parsed


def statements(*jws):
    return MODELS.Statements(jws=list(jws))


def name():
    return secrets.token_hex(16)


def certify(root, key, purpose, **more):
    claims = {"key": key.jwk, "purpose": purpose, "owner": BRAND, "from": NOW, **more}
    cert = root.statement("key-cert+jwt", claims)
    call("keys.certify_key", body=statements(cert, key.approval(cert)))


def registered(root):
    """The application, its approval by the operator, and what came of it."""
    registration = root.command("brand.register", {"brand": BRAND, "participant": PARTICIPANT, "root": root.jwk})
    applied = call(
        "access.apply", body=MODELS.Apply(participant=PARTICIPANT, currency="USD", registration=registration)
    )
    step("ORCHID applies, with its registration signed by its root")
    # The operator's part: two of its roots stand behind every new participant and brand.
    one, two = (Key.read(DEMO / f"keys/operator/root-{n}.jwk") for n in (1, 2))
    entity = one.command("participant.register", {"participant": PARTICIPANT, "currency": "USD"})
    call("brands.register_participant", body=statements(entity, two.approval(entity)))
    approvals = MODELS.Approve(approvals=[one.approval(registration), two.approval(registration)])
    approved = call("access.approve_application", client(one), application=applied.id, body=approvals)
    # (The end of the operator's part.)
    state = call("access.get_application", client(token=applied.token), application=applied.id).state
    brand = call("brands.get_brand", brand=BRAND, min_seq=approved.entry.seq)
    if (state, brand.root) != ("approved", root.kid):
        fail(f"the application is {state}; {brand}")
    step("the operator approves: br_orchid is registered")


def terms(root, issuing):
    """What the brand's points are, what they are worth, and how many may be issued."""
    own = client(root)
    expiry = MODELS.ExpiryType2(months=MODELS.ExpiryMonths(n=6, round_=3))
    unit = MODELS.DefineUnit(unit=UNIT, version=1, scale=0, offset="-05:00", expiry=expiry)
    call("units.define_unit", own, body=unit, idempotency_key=name())
    rates = {"home": [110, 1], "till": [100, 1], "settle": [95, 1], "issue": [110, 1]}
    prices = MODELS.PublishPrices(unit=UNIT, version=1, currency="USD", from_=NOW, **rates)
    call("units.publish_prices", own, body=prices, idempotency_key=name())
    taken = MODELS.PublishAcceptance(brand=BRAND, version=1, units=[MODELS.AcceptedUnit(unit="HARVEST")])
    call("units.publish_acceptance", own, body=taken, idempotency_key=name())
    limits = {"serial": 1, "ceiling": 1_000_000, "hourly": 100_000, "until": NOW + 365 * 86_400}
    budget = root.statement("key-budget+jwt", {"key": issuing.kid, "unit": UNIT, **limits})
    call("keys.set_budget", body=statements(budget))


def awarded(issuing, account):
    """The first award, and what it takes of the budget."""
    order = MODELS.AwardOrder(iss=BRAND, unit=UNIT, sub=account, amount=500, ref="R-1", store="s1")
    done = call("awards.award", client(issuing), body=order, idempotency_key="receipt-1")
    again = call("awards.award", client(issuing), body=order, idempotency_key="receipt-1")
    budget = call("keys.get_budget", client(issuing), kid=issuing.kid, min_seq=done.seq)
    if (again.seq, budget.used, budget.used_this_hour) != (done.seq, 500, 500):
        fail(f"asked again, another award: {again}; {budget}")
    return done


def paid(holder, account, after):
    """The other brand's part: it takes ORCHID from now on, and its till asks for the payment."""
    keys = DEMO / "keys" / SHOP
    listed = call("units.get_acceptance", brand=SHOP, min_seq=after)
    units = [*listed.units, MODELS.AcceptedUnit(unit=UNIT)]
    taken = MODELS.PublishAcceptance(brand=SHOP, version=listed.version + 1, units=units)
    call("units.publish_acceptance", client(Key.read(keys / "root.jwk")), body=taken, idempotency_key=name())
    step(f"{SHOP} takes ORCHID")
    till = Key.read(min(keys.glob("till-*.jwk")))
    consent = holder.statement("payment-consent+jwt", {
        "jti": name(), "account": account, "payee": SHOP, "payment": "orchid-pays-1",
        "amount": 20_000, "currency": "USD", "points": 200, "deadline": NOW + 900, "exp": NOW + 240,
    })
    bill = MODELS.Authorise(amount=20_000, currency="USD", deadline=NOW + 600, capture=True)
    request = {"body": bill, "idempotency_key": "orchid-pays-1", "tallyhouse_consents": consent}
    done = call("payments.authorise_payment", client(till), **request)
    again = call("payments.authorise_payment", client(till), **request)
    if (again.seq, again.payment) != (done.seq, done.payment):
        fail(f"asked again, another payment: {again}")
    shown = call("payments.get_payment", client(till), payment=done.payment, min_seq=done.seq)
    if (shown.captured, shown.shares[0].points) != (20_000, 200):
        fail(f"another payment: {shown}")
    return done


def main():
    root, issuing, till, holder = Key(), Key(), Key(), Key()
    step("ORCHID makes its keys, and a member theirs")
    registered(root)
    certify(root, issuing, "issuing")
    certify(root, till, "till", till={"store": "s1", "till": "t1", "participant": PARTICIPANT})
    step("ORCHID certifies its issuing key and its till")
    terms(root, issuing)
    step("ORCHID defines its points, publishes prices, takes HARVEST, and gives its issuing key a budget")
    account = account_of(holder)
    opening = {"account": account, "unit": UNIT, "key": holder.jwk}
    call("accounts.open_account", client(holder), body=MODELS.OpenAccount.from_dict(opening), idempotency_key=name())
    step("a member opens an account with a key of their own")
    award = awarded(issuing, account)
    step("the first award: 500 ORCHID")
    done = paid(holder, account, award.seq)
    step(f"the first payment elsewhere: USD 2.00 of a bill at {SHOP}, as entry {done.seq}")
    left = call("accounts.get_account", client(holder), account=account, min_seq=done.seq).available
    owed = call("settlement.list_obligations", client(issuing), min_seq=done.seq).items
    owed = [(one.debtor, one.currency, one.amount) for one in owed]
    if left != 300 or owed != [(PARTICIPANT, "USD", 19_000)]:
        fail(f"the member has {left}; obligations: {owed}")
    step("the member has 300 ORCHID left; ORCHID owes the shop USD 1.9000")
    proof = call("log.get_proof", client(issuing), seq=done.seq).to_dict()
    proven(proof, NETWORK.log_key, "payment.authorised")
    step("the proof of it holds, by aics-tlog")
    print(f"generated_onboarding.py: from nothing to a payment elsewhere in {onboarding.STEPS} steps")


if __name__ == "__main__":
    try:
        URL, DEMO = sys.argv[1], pathlib.Path(sys.argv[2])
        SHOP = os.environ.get("SHOP", "br_cleaver")
        generate(URL, sys.argv[3])
        CLIENT = importlib.import_module("tallyhouse_client")
        MODELS = importlib.import_module("tallyhouse_client.models")
        NETWORK = call("network.get_network")
        Key.net = NETWORK.net
        NOW = int(datetime.datetime.fromisoformat(NETWORK.time).timestamp())
        main()
    except (IndexError, KeyError, OSError, ValueError) as error:
        fail(f"{error!r}")
