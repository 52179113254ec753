"""A brand joins, with requests, http-message-signatures, PyJWT and aics-tlog: from nothing to the first award and the
first payment in another brand's shop. Nothing of ours but the service.

    python onboarding.py URL DEMO

URL serves a network, DEMO is its data folder, of which only key files are used: the operator's and those of the other
brand (SHOP, br_cleaver), which do their own part in earnest elsewhere (marked below).
"""

import base64
import datetime
import hashlib
import json
import os
import pathlib
import random
import secrets
import sys
import time

import jwt
import requests
from aics_tlog import parse_note, parse_vkey, verify_checkpoint, verify_leaf_inclusion
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms

CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def fail(what):
    sys.exit(f"onboarding.py: {what}")


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key(HTTPSignatureKeyResolver):
    """An Ed25519 key that signs statements, for one network, and requests."""

    net = None

    def __init__(self, private=None):
        self.private = private or Ed25519PrivateKey.generate()
        self.jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(self.private.public_key().public_bytes_raw())}
        canonical = json.dumps(self.jwk, separators=(",", ":"), sort_keys=True)
        self.kid = b64(hashlib.sha256(canonical.encode()).digest())

    @classmethod
    def read(cls, path):
        jwk = json.loads(path.read_text())
        return cls(Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(jwk["d"] + "=")))

    def resolve_private_key(self, key_id):
        return self.private

    def statement(self, typ, claims):
        headers = {"typ": typ, "kid": self.kid}
        return jwt.encode({"aud": Key.net, **claims}, self.private, algorithm="EdDSA", headers=headers)

    def command(self, kind, args):
        return self.statement("command+jwt", {"cid": secrets.token_hex(16), "kind": kind, "args": args})

    def approval(self, statement):
        digest = hashlib.sha256(statement.rpartition(".")[0].encode()).hexdigest()
        return self.statement("approval+jwt", {"digest": digest})


def send(request):
    answer = requests.Session().send(request, timeout=30)
    if not answer.ok:
        fail(f"{request.method} {request.path_url}: {answer.status_code} {answer.text}")
    return answer.json()


def sign(key, request, body):
    """Signs a request, of whatever library. What is signed stands in any order: it is shuffled here."""
    covered = ["@method", "@target-uri"] + [name for name in ("content-type", "idempotency-key") if name in request.headers]
    random.shuffle(covered)
    now = datetime.datetime.now(datetime.timezone.utc)
    HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=key).sign(
        request,
        key_id=key.kid,
        created=now,
        expires=now + datetime.timedelta(seconds=120),
        nonce=secrets.token_urlsafe(24),
        label=random.choice(["sig1", "pyramid"]),
        tag="tallyhouse-v1",
        covered_component_ids=covered,
        body=body,
    )


def signed(key, method, path, body=None, name=None, headers=()):
    """Sends a signed request."""
    request = requests.Request(method, URL + path, headers=dict(headers))
    if body is not None:
        request.data = json.dumps(body).encode()
        request.headers["Content-Type"] = "application/json"
    if method != "GET":
        request.headers["Idempotency-Key"] = name or secrets.token_hex(16)
    request = request.prepare()
    sign(key, request, request.body)
    return send(request)


def statements(path, *all):
    body, headers = "\n".join(all).encode(), {"Content-Type": "application/jose"}
    return send(requests.Request("POST", URL + path, data=body, headers=headers).prepare())


def get(path):
    return send(requests.Request("GET", URL + path).prepare())


BEGUN = time.monotonic()
STEPS = 0


def step(what):
    global STEPS
    STEPS += 1
    print(f"{STEPS:2}  {(time.monotonic() - BEGUN) * 1000:6.0f} ms  {what}", flush=True)


def certify(root, key, purpose, **more):
    claims = {"key": key.jwk, "purpose": purpose, "owner": "br_pyramid", "from": NOW, **more}
    cert = root.statement("key-cert+jwt", claims)
    statements("/v1/keys", cert, key.approval(cert))


def registered(root):
    """The application, its approval by the operator, and what came of it."""
    args = {"brand": "br_pyramid", "participant": "pa_pyramid", "root": root.jwk}
    registration = root.command("brand.register", args)
    application = {"participant": "pa_pyramid", "currency": "USD", "registration": registration}
    sent = requests.post(URL + "/v1/applications", json=application, timeout=30)
    if sent.status_code != 201:
        fail(f"the application: {sent.text}")
    step("PYRAMID applies, with its registration signed by its root")
    applied = sent.json()
    # The operator's part: two of its roots stand behind every new participant and brand.
    one, two = (Key.read(DEMO / f"keys/operator/root-{n}.jwk") for n in (1, 2))
    entity = one.command("participant.register", {"participant": "pa_pyramid", "currency": "USD"})
    statements("/v1/participants", entity, two.approval(entity))
    approvals = {"approvals": [one.approval(registration), two.approval(registration)]}
    signed(one, "POST", f"/v1/applications/{applied['id']}/approvals", approvals)
    # (The end of the operator's part.)
    headers = {"Authorization": f"Bearer {applied['token']}"}
    state = requests.get(f"{URL}/v1/applications/{applied['id']}", headers=headers, timeout=30).json()["state"]
    if state != "approved":
        fail(f"the application is {state}")
    step("the operator approves: br_pyramid is registered")


def terms(root, issuing):
    """What the brand's points are, what they are worth, and how many may be issued."""
    expiry = {"months": {"n": 6, "round": 3}}
    unit = {"unit": "PYRAMID", "version": 1, "scale": 0, "offset": "-05:00", "expiry": expiry}
    signed(root, "POST", "/v1/units", unit)
    rates = {"home": [110, 1], "till": [100, 1], "settle": [95, 1], "issue": [110, 1]}
    signed(root, "POST", "/v1/prices", {"unit": "PYRAMID", "version": 1, "currency": "USD", "from": NOW, **rates})
    signed(root, "POST", "/v1/acceptance", {"brand": "br_pyramid", "version": 1, "units": [{"unit": "HARVEST"}]})
    limits = {"serial": 1, "ceiling": 1_000_000, "hourly": 100_000, "until": NOW + 365 * 86_400}
    statements("/v1/budgets", root.statement("key-budget+jwt", {"key": issuing.kid, "unit": "PYRAMID", **limits}))


def account_of(key):
    """The account that a key opens: the first 16 bytes of its thumbprint in Crockford's base32."""
    number = int.from_bytes(base64.urlsafe_b64decode(key.kid + "=")[:16], "big")
    return "ac_" + "".join(CROCKFORD[number >> 5 * place & 31] for place in reversed(range(26)))


def paid(holder, account):
    """The other brand's part: it takes PYRAMID from now on, and its till asks for the payment."""
    keys = DEMO / "keys" / SHOP
    listed = get(f"/v1/brands/{SHOP}/acceptance")
    units = listed["units"] + [{"unit": "PYRAMID"}]
    signed(Key.read(keys / "root.jwk"), "POST", "/v1/acceptance",
           {"brand": SHOP, "version": listed["version"] + 1, "units": units})
    step(f"{SHOP} takes PYRAMID")
    till = Key.read(min(keys.glob("till-*.jwk")))
    consent = holder.statement("payment-consent+jwt", {
        "jti": secrets.token_hex(16), "account": account, "payee": SHOP, "payment": "pyramid-pays-1",
        "amount": 20_000, "currency": "USD", "points": 200, "deadline": NOW + 900, "exp": NOW + 240,
    })
    bill = {"amount": 20_000, "currency": "USD", "deadline": NOW + 600, "capture": True}
    headers = {"Tallyhouse-Consents": consent}
    done = signed(till, "POST", "/v1/payments", bill, "pyramid-pays-1", headers)
    again = signed(till, "POST", "/v1/payments", bill, "pyramid-pays-1", headers)
    if (again["seq"], again["payment"]) != (done["seq"], done["payment"]):
        fail(f"asked again, another payment: {again}")
    return done


def proven(proof, vkey, kind):
    """Checks a proof without a line: the checkpoint is signed, and the envelope stands in its tree."""
    note = verify_checkpoint(parse_note(proof["checkpoint"].encode()), parse_vkey(vkey))
    envelope = proof["envelope"].encode()
    entry = json.loads(envelope)
    path = [bytes.fromhex(one) for one in proof["path"]]

    def holds(leaf):
        return verify_leaf_inclusion(leaf, entry["seq"], note.size, path, note.root)

    if not note.ok or entry["kind"] != kind or not holds(envelope) or holds(envelope + b" "):
        fail("the proof does not hold")


def main():
    root, issuing, till, holder = Key(), Key(), Key(), Key()
    step("PYRAMID makes its keys, and a member theirs")
    registered(root)
    certify(root, issuing, "issuing")
    certify(root, till, "till", till={"store": "s1", "till": "t1", "participant": "pa_pyramid"})
    step("PYRAMID certifies its issuing key and its till")
    terms(root, issuing)
    step("PYRAMID defines its points, publishes prices, takes HARVEST, and gives its issuing key a budget")
    account = account_of(holder)
    signed(holder, "POST", "/v1/accounts", {"account": account, "unit": "PYRAMID", "key": holder.jwk})
    step("a member opens an account with a key of their own")
    award = {"iss": "br_pyramid", "unit": "PYRAMID", "sub": account, "amount": 500, "ref": "R-1", "store": "s1"}
    signed(issuing, "POST", "/v1/awards", award, "receipt-1")
    step("the first award: 500 PYRAMID")
    done = paid(holder, account)
    step(f"the first payment elsewhere: USD 2.00 of a bill at {SHOP}, as entry {done['seq']}")
    after = {"Min-Seq": str(done["seq"])}
    left = signed(holder, "GET", f"/v1/accounts/{account}", headers=after)["available"]
    owed = signed(issuing, "GET", "/v1/obligations", headers=after)["items"]
    owed = [(one["debtor"], one["currency"], one["amount"]) for one in owed]
    if left != 300 or owed != [("pa_pyramid", "USD", 19_000)]:
        fail(f"the member has {left}; obligations: {owed}")
    step("the member has 300 PYRAMID left; PYRAMID owes the shop USD 1.9000")
    proven(signed(issuing, "GET", f"/v1/entries/{done['seq']}/proof"), NETWORK["log_key"], "payment.authorised")
    step("the proof of it holds, by aics-tlog")
    print(f"onboarding.py: from nothing to a payment elsewhere in {STEPS} steps")


if __name__ == "__main__":
    try:
        URL, DEMO = sys.argv[1], pathlib.Path(sys.argv[2])
        SHOP = os.environ.get("SHOP", "br_cleaver")
        NETWORK = get("/v1/network")
        Key.net = NETWORK["net"]
        NOW = int(datetime.datetime.fromisoformat(NETWORK["time"]).timestamp())
        main()
    except (IndexError, KeyError, OSError, ValueError) as error:
        fail(f"{error!r}")
