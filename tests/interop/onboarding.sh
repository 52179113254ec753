#!/usr/bin/env bash
# A brand joins, with curl and tallyhouse: from nothing to the first award and the first payment in another brand's shop.
#
#     onboarding.sh URL DEMO WORK
#
# URL serves a network, DEMO is its data folder, of which only key files are used: the operator's and those of the other
# brand, which do their own part in earnest elsewhere (marked below). WORK is an empty folder, for the keys of the
# new brand and of its first member. TALLYHOUSE names the program, SHOP the other brand.
set -euo pipefail
URL=$1 DEMO=$2 WORK=$3
SHOP=${SHOP:-br_cleaver}
WALLET=wa_0123456789abcdefghjkmnpqrs

tallyhouse() { command "${TALLYHOUSE:-tallyhouse}" "$@"; }
fail() { echo "onboarding.sh: $*" >&2; exit 1; }
begun=$(date +%s%3N) steps=0
step() { steps=$((steps + 1)); printf '%2d  %6d ms  %s\n' "$steps" $(($(date +%s%3N) - begun)) "$*"; }
# The first value of a member of JSON.
field() { grep -oE "\"$1\":(\"[^\"]*\"|[0-9-]+)" | head -n 1 | sed -E 's/^"[^"]*":"?//; s/"$//'; }
network() { curl -sS --fail-with-body "$URL/v1/network"; }
jose() { curl -sS --fail-with-body -H 'content-type: application/jose' --data-binary @- "$URL$1"; }
# Whoever signs: the new brand (and its member), the operator, the other brand.
brand() { tallyhouse sign "$@" --url "$URL" --data "$WORK" | sh; }
theirs() { tallyhouse sign "$@" --url "$URL" --data "$DEMO" | sh; }

NET=$(network | field net) NOW=$(network | field time)
network | field log_key > "$WORK/log.vkey"
now=$(date -u -d "$NOW" +%s)

step "KINO makes its keys: a root, which stays at home, one that issues, one for a till"
for name in root issuing till-1; do tallyhouse keys new br_kino "$name" --data "$WORK" > /dev/null; done
ROOT=$(tallyhouse keys show br_kino root --data "$WORK" | tail -n 1)

step "KINO applies, with its registration signed by its root"
REGISTRATION=$(tallyhouse sign POST /v1/brands --as br_kino/root --jws --net "$NET" --data "$WORK" --id kino-joins \
    --body "{\"brand\":\"br_kino\",\"participant\":\"pa_kino\",\"root\":$ROOT}")
APPLIED=$(curl -sS --fail-with-body -H 'content-type: application/json' "$URL/v1/applications" \
    -d "{\"participant\":\"pa_kino\",\"currency\":\"USD\",\"registration\":\"$REGISTRATION\",\"contact\":\"points@kino.example\"}")
APPLICATION=$(field id <<< "$APPLIED") TOKEN=$(field token <<< "$APPLIED")

# The operator's part: two of its roots stand behind every new participant and brand.
theirs POST /v1/participants --as operator/root-1 --approve operator/root-2 \
    --body '{"participant":"pa_kino","currency":"USD"}' > /dev/null
ONE=$(tallyhouse sign approval "$REGISTRATION" --as operator/root-1 --data "$DEMO")
TWO=$(tallyhouse sign approval "$REGISTRATION" --as operator/root-2 --data "$DEMO")
theirs POST "/v1/applications/$APPLICATION/approvals" --as operator/root-1 \
    --body "{\"approvals\":[\"$ONE\",\"$TWO\"]}" > /dev/null
# (The end of the operator's part.)
STATE=$(curl -sS -H "authorization: Bearer $TOKEN" "$URL/v1/applications/$APPLICATION" | field state)
[ "$STATE" = approved ] || fail "the application is $STATE"
step "the operator approves: br_kino is registered"

tallyhouse keys certify br_kino issuing --purpose issuing --from "$NOW" --net "$NET" --data "$WORK" | jose /v1/keys > /dev/null
tallyhouse keys certify br_kino till-1 --purpose till --store s1 --till t1 --participant pa_kino \
    --from "$NOW" --net "$NET" --data "$WORK" | jose /v1/keys > /dev/null
step "KINO certifies its issuing key and its till"

brand POST /v1/units --as br_kino/root \
    --body '{"unit":"KINO","version":1,"scale":0,"offset":"+01:00","expiry":{"months":{"n":12,"round":1}}}' > /dev/null
brand POST /v1/prices --as br_kino/root --body "{\"unit\":\"KINO\",\"version\":1,\"currency\":\"USD\",\"from\":$now,
    \"home\":[110,1],\"till\":[100,1],\"settle\":[95,1],\"issue\":[110,1]}" > /dev/null
brand POST /v1/acceptance --as br_kino/root --body '{"brand":"br_kino","version":1,"units":[{"unit":"HARVEST"}]}' > /dev/null
tallyhouse keys budget br_kino issuing --unit KINO --serial 1 --ceiling 1000000 --hourly 100000 \
    --until "$(date -u -d "$NOW + 365 days" +%F)" --net "$NET" --data "$WORK" | jose /v1/budgets > /dev/null
step "KINO defines its points, publishes prices, takes HARVEST, and gives its issuing key a budget"

tallyhouse keys new "$WALLET" --data "$WORK" > /dev/null
KEY=$(tallyhouse keys show "$WALLET" --unit KINO --data "$WORK" | tail -n 1)
ACCOUNT=$(tallyhouse keys show "$WALLET" --unit KINO --data "$WORK" | grep -o 'ac_[0-9a-z]*')
brand POST /v1/accounts --as "$WALLET/KINO" --body "{\"account\":\"$ACCOUNT\",\"unit\":\"KINO\",\"key\":$KEY}" > /dev/null
step "a member opens an account with a key of their own"

brand POST /v1/awards --as br_kino/issuing --id receipt-1 \
    --body "{\"iss\":\"br_kino\",\"unit\":\"KINO\",\"sub\":\"$ACCOUNT\",\"amount\":500,\"ref\":\"R-1\",\"store\":\"s1\"}" > /dev/null
step "the first award: 500 KINO"

# The other brand's part: it takes KINO from now on, and its till asks for the payment.
LIST=$(curl -sS --fail-with-body "$URL/v1/brands/$SHOP/acceptance")
UNITS=$(sed -E 's/.*"units":\[([^]]*)\].*/\1/' <<< "$LIST")
theirs POST /v1/acceptance --as "$SHOP/root" \
    --body "{\"brand\":\"$SHOP\",\"version\":$(($(field version <<< "$LIST") + 1)),\"units\":[${UNITS:+$UNITS,}{\"unit\":\"KINO\"}]}" > /dev/null
step "$SHOP takes KINO"
TILL=$(cd "$DEMO/keys/$SHOP" && ls till-*.jwk | head -n 1)
CONSENT=$(tallyhouse sign consent --as "$WALLET/KINO" --account "$ACCOUNT" --payee "$SHOP" --payment kino-pays-1 \
    --amount 20000 --currency USD --points 200 --at "$NOW" --net "$NET" --data "$WORK")
PAID=$(theirs POST /v1/payments --as "$SHOP/${TILL%.jwk}" --id kino-pays-1 --consent "$CONSENT" \
    --body "{\"amount\":20000,\"currency\":\"USD\",\"deadline\":$((now + 600)),\"capture\":true}")
# (The end of the other brand's part.)
SEQ=$(field seq <<< "$PAID")
step "the first payment elsewhere: USD 2.00 of a bill at $SHOP, as entry $SEQ"

LEFT=$(brand GET "/v1/accounts/$ACCOUNT" --as "$WALLET/KINO" --header "min-seq: $SEQ" | field available)
[ "$LEFT" = 300 ] || fail "the member has $LEFT KINO, not 300"
OWED=$(brand GET /v1/obligations --as br_kino/issuing --header "min-seq: $SEQ")
grep -qE "\"debtor\":\"pa_kino\",\"creditor\":\"pa_[a-z]+\",\"currency\":\"USD\",\"amount\":19000\b" <<< "$OWED" \
    || fail "KINO owes: $OWED"
step "the member has 300 KINO left; KINO owes the shop USD 1.9000"

brand GET "/v1/entries/$SEQ/proof" --as br_kino/issuing > "$WORK/proof.json"
tallyhouse verify-proof "$WORK/proof.json" --vkey-file "$WORK/log.vkey" > "$WORK/shown.txt" || fail "the proof does not hold"
grep -q payment.authorised "$WORK/shown.txt" || fail "the proof shows something else: $(cat "$WORK/shown.txt")"
step "the proof of it holds, offline"

echo "onboarding.sh: from nothing to a payment elsewhere in $steps steps"
