#!/usr/bin/env bash
# A month in the clearing house, with curl and tallyhouse: what an analyst does from the last payment of the month to the
# report of its cycle.
#
#     analyst_month.sh URL DEMO WORK
#
# URL serves a demo's network with a settlement account in USD, DEMO is its data folder, of which key files are used and
# the log is read. WORK is an empty folder, for a member's keys and the bank's files. TALLYHOUSE names the program.
source "$(dirname "$0")/analyst.sh" "$@"

# The month's payments, which others make: three members pay elsewhere. Their keys are one person's here.
NET=$(curl -sS --fail-with-body "$URL/v1/network" | field net)
tallyhouse keys new "$MEMBER" --data "$WORK" > /dev/null
pays() { # ISSUER, AMOUNT OF POINTS, SHOP, BILL
    local brand=br_${1,,} shop=br_${3,,} key serial account till consent
    key=$(tallyhouse keys show "$brand" issuing --json --data "$DEMO" | field kid)
    serial=$(sign GET "/v1/budgets/$key" "$brand/issuing" | field serial)
    tallyhouse keys budget "$brand" issuing --unit "$1" --serial $((serial + 1)) --ceiling 1000000000 --hourly 100000000 \
        --until "$(date -u -d "$(now) + 365 days" +%F)" --net "$NET" --data "$DEMO" | jose /v1/budgets > /dev/null
    key=$(tallyhouse keys show "$MEMBER" --unit "$1" --data "$WORK" | tail -n 1)
    account=$(tallyhouse keys show "$MEMBER" --unit "$1" --data "$WORK" | grep -o 'ac_[0-9a-z]*')
    tallyhouse sign POST /v1/accounts --as "$MEMBER/$1" --url "$URL" --data "$WORK" \
        --body "{\"account\":\"$account\",\"unit\":\"$1\",\"key\":$key}" | sh > /dev/null
    sign POST /v1/awards "$brand/issuing" --id "month-award-$1" \
        --body "{\"iss\":\"$brand\",\"unit\":\"$1\",\"sub\":\"$account\",\"amount\":$2}" > /dev/null
    till=$(cd "$DEMO/keys/$shop" && ls till-*.jwk | head -n 1)
    consent=$(tallyhouse sign consent --as "$MEMBER/$1" --account "$account" --payee "$shop" --payment "month-$1" \
        --amount "$4" --currency USD --points "$2" --at "$(now)" --net "$NET" --data "$WORK")
    sign POST /v1/payments "$shop/${till%.jwk}" --id "month-$1" --consent "$consent" \
        --body "{\"amount\":$4,\"currency\":\"USD\",\"deadline\":$(seconds + 10 minutes),\"capture\":true}"
}
LAST=0
for bill in 'HARVEST 5000 CLEAVER 400000' 'CLEAVER 3000 APOTHECARY 100000' 'APOTHECARY 2000 HARVEST 150000'; do
    LAST=$(pays $bill | field seq)
done
# Each brand says where it is paid from the next cycle on: its root and two of its approvers sign for it, the house calls back.
# For this cycle counts what they said when they joined, as the demo has it.
for brand in harvest cleaver apothecary; do
    salt=$(head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n')
    details="{\"participant\":\"pa_$brand\",\"currency\":\"USD\",\"name\":\"${brand^} Ltd\",\"iban\":\"GB29NWBK60161331926819\"}"
    kept=$(sign POST /v1/bank-details:keep "br_$brand/root" --body "{\"salt\":\"$salt\",\"details\":$details}" | field commitment)
    sign POST /v1/bank-details "br_$brand/root" --approve "br_$brand/approver-1" --approve "br_$brand/approver-2" \
        --body "{\"participant\":\"pa_$brand\",\"currency\":\"USD\",\"version\":2,\"commitment\":\"$kept\"}" > /dev/null
    analyst POST /v1/bank-details/confirmations \
        --body "{\"participant\":\"pa_$brand\",\"currency\":\"USD\",\"version\":2}" > /dev/null
done
# (The end of the others' part.)

CYCLE=$(analyst GET '/v1/cycles?limit=1' --header "min-seq: $LAST" | field cycle)
BODY="{\"cycle\":$CYCLE"
shown() { analyst GET "/v1/cycles/$CYCLE" --header "min-seq: $1"; }
stage() { shown "$1" | field stage; }
moved() { analyst POST /v1/cycles/moves --body "$BODY,$1}" "${@:2}" | field seq; }
agreed() { two POST /v1/cycles/moves --body "$BODY,$1}" "${@:2}" | field seq; }

step "two people set what may be written off of a payment: $(two POST /v1/schedule \
    --body '{"version":1,"hour":6,"grace_minutes":30,"tolerance":[{"currency":"USD","amount":500}]}' | field kind), up to 0.05 USD"

SEQ=$(analyst POST /v1/cycles --body "$BODY}" | field seq)
step "sealed: cycle $CYCLE ends before entry $SEQ, cycle $((CYCLE + 1)) is open"

computed() {
    local digest
    shown "$1" > /dev/null
    digest=$(tallyhouse cycle "$CYCLE" --json --data "$DEMO" | field digest)
    analyst POST /v1/cycles/computations --body "$BODY,\"version\":$2,\"digest\":\"$digest\"}" | field seq
}
SEQ=$(computed "$SEQ" 1)
step "computed: the digest of the nets behind its entries is the log's own, version 1 at entry $SEQ"

SEQ=$(moved "\"step\":\"review\",\"until\":$(seconds + 1 day)")
step "in review: participants object until $(date -u -d "$(now) + 1 day" +%F)"

OBJECTION=$(sign POST /v1/objections br_harvest/issuing --body "$BODY,\"debtor\":\"pa_harvest\",\"creditor\":\"pa_cleaver\",
    \"currency\":\"USD\",\"amount\":20000,\"reason\":\"not_ours\"}" | field seq)
step "pa_harvest objects to 2.00 of what it owes pa_cleaver: obj_$OBJECTION.0"

SEQ=$(two POST /v1/objections/answers \
    --body "{\"objection\":\"obj_$OBJECTION.0\",\"answer\":\"accepted\",\"reason\":\"evidence_seen\"}" | field seq)
SEQ=$(computed "$SEQ" 2)
SEQ=$(moved "\"step\":\"review\",\"until\":$(seconds + 1 day)")
step "accepted by two: 2.00 go on to cycle $((CYCLE + 1)), and version 2 is in review"

EARLY=$(two POST /v1/cycles/moves --body "$BODY,\"step\":\"approve\",\"version\":2}" 2> /dev/null || true)
SEQ=$(agreed '"step":"approve","version":2' --header "$(later + 25 hours)")
step "approved by two, a day later; before that it was $(field code <<< "$EARLY")"

SEQ=$(moved "\"step\":\"pay_in\",\"until\":$(seconds + 3 days)")
NOTICES=$(analyst GET "/v1/cycles/$CYCLE/notices/USD" --header "min-seq: $SEQ" | sed 's/{"instruction"/\n&/g' | grep '^{"instruction')
step "payers are asked for$(while read -r one; do
    printf ' %s of %s (%s)' "$(field amount <<< "$one")" "$(field participant <<< "$one")" "$(field reference <<< "$one")"
done <<< "$NOTICES")"
[ "$(wc -l <<< "$NOTICES")" = 2 ] || fail "two payers were expected: $NOTICES"

cents() { field amount | tr -d . | sed 's/^0*//'; }
FIRST=$(head -n 1 <<< "$NOTICES") SECOND=$(tail -n 1 <<< "$NOTICES")
A=$(cents <<< "$FIRST") B=$(cents <<< "$SECOND")
ONE=$(paid_in "BANK-1" "$A" "$(field reference <<< "$FIRST")")
step "camt.054: $(field participant <<< "$FIRST") paid $(money "$A"): $(accepted "$(notification N-1 "$ONE")")"

# The second payer's bank kept a cent.
TWO=$(paid_in "BANK-2" $((B - 1)) "$(field reference <<< "$SECOND")")
OPENING=${OPENING:-0} SUM=$((A + B - 1))
step "camt.053: the same, and $(field participant <<< "$SECOND") $(money $((B - 1))): $(accepted "$(statement S-1 "$OPENING" $((OPENING + SUM)) "$ONE$TWO")")"
SEQ=$(field seq < "$WORK/accepted.json")
[ "$(stage "$SEQ")" = pay_in ] || fail "a cent is missing: $(shown "$SEQ")"

SEQ=$(two POST /v1/instructions/moves --body "{\"instruction\":\"$(field instruction <<< "$SECOND")\",\"step\":\"write_off\"}" | field seq)
step "the missing 0.01 is written off by two, pa_tallyhouse bears it: cycle $CYCLE is $(stage "$SEQ")"

SHORT=$(analyst POST /v1/cycles/moves --body "$BODY,\"step\":\"shortfall\"}" --header "$(later + 4 days)" 2> /dev/null || true)
step "nobody is late: a shortfall is refused with $(field code <<< "$SHORT")"

ORDERS=$(analyst GET "/v1/cycles/$CYCLE/orders/USD")
HASH=$(field sha256 <<< "$ORDERS") ORDER=$(sed 's/.*"payments"//' <<< "$ORDERS")
step "to pay out: $(field participant <<< "$ORDER") $(money $(($(field amount <<< "$ORDER") / 100))) to $(field account <<< "$ORDER"), SHA-256 ${HASH:0:16}…"

SEQ=$(agreed "\"step\":\"pay_out\",\"currency\":\"USD\",\"file\":\"$HASH\"")
analyst GET "/v1/cycles/$CYCLE/orders/USD" --header 'accept: application/xml' --header "min-seq: $SEQ" > "$WORK/orders.xml"
[ "$(sha256sum < "$WORK/orders.xml" | cut -d ' ' -f 1)" = "$HASH" ] || fail "another file left than was approved"
step "two sign for the hash at entry $SEQ: pain.001 leaves, $(wc -c < "$WORK/orders.xml") bytes, the same to the byte"

OUT=$(($(field sum <<< "$ORDERS") / 100)) NEXT=$((OPENING + SUM))
THREE=$(paid_out "BANK-3" "$OUT" "$(field instruction <<< "$ORDER")")
FOUR=$(entry "BANK-4" 1 CRDT '<RmtInf><Ustrd>from pa_tallyhouse</Ustrd></RmtInf>')
step "camt.053: $(money "$OUT") went out, 0.01 of pa_tallyhouse came in: $(accepted "$(statement S-2 "$NEXT" "$OPENING" "$FOUR$THREE")")"
shown "$(field seq < "$WORK/accepted.json")" > /dev/null

SEQ=$(two POST /v1/bank-statements/assignments \
    --body '{"currency":"USD","line":{"statement":"S-2","line":0},"operator":"own"}' | field seq)
shown "$SEQ" > /dev/null
step "two say that it is what pa_tallyhouse bore, entry $SEQ: $(tallyhouse bank unmatched --currency USD --data "$DEMO")"

SEQ=$(moved '"step":"settle"')
step "settled at entry $SEQ: cycle $CYCLE is $(stage "$SEQ")"

analyst GET "/v1/cycles/$CYCLE/report" --header 'accept: text/csv' --header "min-seq: $SEQ" > "$WORK/report.csv"
step "the report: $(($(wc -l < "$WORK/report.csv") - 1)) rows, $(grep -c ^document "$WORK/report.csv") documents, checkpoint $(sed -n 2p "$WORK/report.csv" | sed 's/.*,//' | cut -c 1-22)…"

echo "analyst_month.sh: a month in the clearing house in $steps steps"
tallyhouse cycle "$CYCLE" --data "$DEMO"
