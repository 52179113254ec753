"""Tokens, by PyJWT.

    python tokens.py verify tokens.json       # [{"token", "jwk", "typ", "aud"}, ...] made by us
    python tokens.py make orders.json         # [{"jwk" (private), "typ", "claims"}, ...]: prints a token a line

`kid` is the RFC 7638 thumbprint of the key. PyJWT checks signature and audience; whether instants have passed is
judged at the time of the entry, not now.
"""

import base64
import hashlib
import json
import sys

import jwt

OPTIONS = {"verify_exp": False, "verify_iat": False}


def fail(what):
    sys.exit(f"tokens.py: {what}")


def thumbprint(jwk):
    canonical = json.dumps({name: jwk[name] for name in ("crv", "kty", "x")}, separators=(",", ":"), sort_keys=True)
    return base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).rstrip(b"=").decode()


def verified(token, jwk, audience, typ):
    """The claims if everything holds, else None."""
    try:
        header = jwt.get_unverified_header(token)
        if header != {"alg": "EdDSA", "typ": typ, "kid": thumbprint(jwk)}:
            return None
        return jwt.decode(token, jwt.PyJWK(jwk, "EdDSA"), ["EdDSA"], audience=audience, options=OPTIONS)
    except (jwt.PyJWTError, UnicodeDecodeError):
        return None


def bent(token):
    """The token with one bit flipped in each byte in turn. The bytes, not the text: its last characters have spare
    bits that PyJWT passes over. Our own reader is strict about them."""
    parts = [base64.urlsafe_b64decode(part + "==") for part in token.split(".")]
    for n, part in enumerate(parts):
        for at in range(0, len(part), max(1, len(part) // 40)):
            changed = bytearray(part)
            changed[at] ^= 1
            yield ".".join(
                base64.urlsafe_b64encode(data).rstrip(b"=").decode()
                for data in [*parts[:n], bytes(changed), *parts[n + 1 :]]
            )


def verify(tokens):
    flips = 0
    for one in tokens:
        token, jwk, audience, typ = one["token"], one["jwk"], one["aud"], one["typ"]
        if verified(token, jwk, audience, typ) is None:
            fail(f"a {typ} does not verify")
        for other in bent(token):
            if verified(other, jwk, audience, typ) is not None:
                fail(f"NOT noticed: a flipped bit in a {typ}: {other}")
            flips += 1
        stranger = next(t["jwk"] for t in tokens if t["jwk"] != jwk)
        if verified(token, {**stranger}, audience, typ) or verified(token, jwk, "0" * 64, typ):
            fail(f"NOT noticed: another key, or another network, for a {typ}")
        unsigned = jwt.encode({"aud": audience}, None, algorithm="none", headers={"typ": typ, "kid": thumbprint(jwk)})
        if verified(unsigned, jwk, audience, typ) is not None:
            fail("NOT noticed: a token that nobody signed")
    types = len({one["typ"] for one in tokens})
    print(f"tokens.py: {len(tokens)} tokens of {types} types verify; noticed {flips} flipped bits, other keys, other networks")


def make(orders):
    for order in orders:
        jwk = order["jwk"]
        headers = {"typ": order["typ"], "kid": thumbprint(jwk)}
        print(jwt.encode(order["claims"], jwt.PyJWK(jwk, "EdDSA").key, algorithm="EdDSA", headers=headers))


def main(verb, path):
    with open(path, encoding="utf-8") as file:
        {"verify": verify, "make": make}[verb](json.load(file))


try:
    main(*sys.argv[1:])
except (KeyError, OSError, ValueError) as error:
    fail(f"not readable: {error!r}")
