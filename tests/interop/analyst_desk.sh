#!/usr/bin/env bash
# What else an analyst does between two cycles, with curl and tallyhouse: what stands behind points and debts, a dispute, a
# brand's own counts, an account that changes, the end of a month, and what goes to the accountants.
#
#     analyst_desk.sh URL DEMO WORK
#
# After analyst_month.sh, on the same network and folders.
source "$(dirname "$0")/analyst.sh" "$@"
NET=$(curl -sS --fail-with-body "$URL/v1/network" | field net)

# Money of nobody's comes in, by a statement that goes on from the last one: NAME AMOUNT IN CENTS.
BALANCE=${BALANCE:-0}
came() {
    local line
    line=$(entry "BANK-$1" "$2" CRDT "<RmtInf><Ustrd>$3</Ustrd></RmtInf>")
    accepted "$(statement "$1" "$BALANCE" $((BALANCE + $2)) "$line")" > /dev/null
}
# What is taken back needs the consent of whose it is.
back() { two POST /v1/cover --body "{$MINE,$1}" --approve br_harvest/approver-1; }
code() { field code; }

# A reserve: what must stand behind a unit's points, brought, and taken back as far as it is not needed.
RATIO='"unit":"HARVEST","currency":"USD","version":1,"ratio":1000000'
step "reserve: two people want all of HARVEST's points backed: $(two POST /v1/reserves --body "{$RATIO}" | field kind)"
AWARD='"iss":"br_harvest","unit":"HARVEST","amount":100'
MEMBERS=$(tallyhouse keys show "$MEMBER" --unit HARVEST --data "$WORK" | grep -o 'ac_[0-9a-z]*')
award() { sign POST /v1/awards br_harvest/issuing --id "$1" --body "{$AWARD,\"sub\":\"$MEMBERS\"}"; }
step "nothing is there yet, so br_harvest awards no point: $(award desk-1 2> /dev/null | code || true)"
came S-3 30000 'reserve of HARVEST'
MINE='"participant":"pa_harvest","currency":"USD"'
SEQ=$(two POST /v1/cover --body "{$MINE,\"unit\":\"HARVEST\",\"way\":\"in\",\"amount\":3000000,
    \"line\":{\"statement\":\"S-3\",\"line\":0}}" | field seq)
step "300.00 came in by line 0 of statement S-3 and are its reserve, entry $SEQ"
step "it awards: $(award desk-2 | field kind)"
EARLY=$(back '"unit":"HARVEST","way":"out","amount":3000000,"reference":"OUT-1"' 2> /dev/null || true)
SEQ=$(back '"unit":"HARVEST","way":"out","amount":100000,"reference":"OUT-2"' | field seq)
step "all of it back is refused with $(code <<< "$EARLY"), 10.00 go, entry $SEQ: $(analyst GET "/v1/units/HARVEST/funding" \
    --header "min-seq: $SEQ" | field held) of its smallest units are held"

# Cover: what stands behind a participant's debts, and how far it may go.
two POST /v1/funding --body "{$MINE,\"version\":1}" > /dev/null
BALANCE=30000
came S-4 5000 'cover of pa_harvest'
SEQ=$(two POST /v1/cover --body "{$MINE,\"way\":\"in\",\"amount\":500000,\"line\":{\"statement\":\"S-4\",\"line\":0}}" | field seq)
step "cover: 50.00 of pa_harvest came in by statement S-4, entry $SEQ"
SEQ=$(two POST /v1/funding --body "{$MINE,\"version\":2,\"cap\":2000000,\"covered\":true}" | field seq)
EXPOSURE=$(analyst GET /v1/participants/pa_harvest/exposure --header "min-seq: $SEQ")
step "it may owe 200.00 at the most, and no more than its cover: $(field headroom <<< "$EXPOSURE") of headroom is left"
LESS=$(back '"way":"out","amount":490000,"reference":"OUT-3"' 2> /dev/null || true)
SEQ=$(back '"way":"out","amount":200000,"reference":"OUT-4"' | field seq)
step "49.00 of it back is refused with $(code <<< "$LESS"), 20.00 go, entry $SEQ"
step "its cover as it came and went: $(analyst GET /v1/participants/pa_harvest/cover --header "min-seq: $SEQ" \
    | grep -o '"change":"[a-z_]*"' | sed 's/.*:"//; s/"//' | paste -sd ' ')"

# A dispute: pa_harvest does not agree with what it owes for a payment.
PAID=$(sign GET '/v1/payments?limit=1' br_cleaver/root)
PAYMENT=$(grep -o 'pay_[0-9]*\.[0-9]*' <<< "$PAID" | head -n 1)
printf 'the bill says 35.00' > "$WORK/letter.txt"
LETTER=$(sha256sum < "$WORK/letter.txt" | cut -d ' ' -f 1)
DISPUTE=dsp_$(sign POST /v1/disputes br_harvest/issuing --body "{\"payment\":\"$PAYMENT\",\"unit\":\"HARVEST\",\"amount\":50000,
    \"reason\":\"wrong_amount\",\"evidence\":[\"$LETTER\"]}" | field seq).0
step "dispute: br_harvest disputes 5.00 of what it owes for $PAYMENT: $DISPUTE"
CONTENT=$(base64 -w 0 < "$WORK/letter.txt" | tr '+/' '-_' | tr -d '=')
step "its letter is kept beside the log: $(sign POST "/v1/documents/$DISPUTE" br_harvest/root \
    --body "{\"media_type\":\"text/plain\",\"content\":\"$CONTENT\"}" | field bytes) bytes of the hash that stands in it"
moved() { sign POST /v1/disputes/moves "$1" --body "{\"dispute\":\"$DISPUTE\",\"step\":\"$2\"}"; }
WRONG=$(moved operator/analyst review 2> /dev/null || true)
step "what cannot be done yet says so: $(field detail <<< "$WRONG")"
step "charged back: $(moved operator/analyst charge_back | field kind); pa_cleaver has 30 days"
SEQ=$(moved br_cleaver/root accept | field seq)
ENDED=$(sign GET '/v1/disputes?open=false' br_cleaver/root --header "min-seq: $SEQ")
step "br_cleaver accepts, entry $SEQ: $(field dispute <<< "$ENDED") is $(field stage <<< "$ENDED"), the points are $(
    grep -o '"outcome":{[^}]*' <<< "$ENDED" | field points)d"

# Reconciliation: what br_cleaver's own books say of its tills.
TILL="\"store\":\"$(field store <<< "$PAID")\",\"till\":\"$(field till <<< "$PAID")\""
DAY=$(field at <<< "$PAID" | cut -c 1-10)
compare() { # PAYMENTS CAPTURED
    sign POST /v1/reconciliations br_cleaver/root --body "{\"currency\":\"${CURRENCY:-USD}\",\"from\":\"$DAY\",\"to\":\"$DAY\",
        \"rows\":[{$TILL,\"day\":\"$DAY\",\"payments\":$1,\"captured\":$2,\"refunded\":0}]}"
}
SAME=$(compare 1 400000) LESS=$(compare 1 350000)
step "reconciliation of $DAY: with 40.00 at the till $(field matched <<< "$SAME") is the same; with 35.00 $(
    grep -o '"here":' <<< "$LESS" | wc -l) differs"
step "in a currency that the network has not: $(CURRENCY=EUR compare 1 1 2> /dev/null | field detail || true)"

# Bank details: a new account counts from the next cycle on, once somebody called back.
SALT=$(head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n')
DETAILS="{\"participant\":\"pa_harvest\",\"currency\":\"USD\",\"name\":\"Harvest Ltd\",\"iban\":\"FR1420041010050500013M02606\"}"
KEPT=$(sign POST /v1/bank-details:keep br_harvest/root --body "{\"salt\":\"$SALT\",\"details\":$DETAILS}" | field commitment)
SEQ=$(sign POST /v1/bank-details br_harvest/root --approve br_harvest/approver-1 --approve br_harvest/approver-2 \
    --body "{$MINE,\"version\":3,\"commitment\":\"$KEPT\"}" | field seq)
step "bank details: pa_harvest's root and two of its approvers commit to a new account, entry $SEQ"
SEQ=$(analyst POST /v1/bank-details/confirmations --body "{$MINE,\"version\":3}" | field seq)
CYCLE=$(analyst GET '/v1/cycles?limit=1' --header "min-seq: $SEQ" | field cycle)
step "the house called back, entry $SEQ: version 3 counts from cycle $((CYCLE + 1)) on, cycle $CYCLE is paid to an earlier one"

# The month is over.
MONTH=$(date -u -d "$(now | cut -c 1-7)-01 - 1 month" +%Y-%m)
step "period: two people close $MONTH with entry $SEQ: $(two POST /v1/periods --body "{\"month\":\"$MONTH\",\"seq\":$SEQ}" | field kind)"
CLOSED=$(analyst GET /v1/periods --header "min-seq: $((SEQ + 1))")
step "its checkpoint is $((SEQ + 1)) $(field root <<< "$CLOSED" | cut -c 1-16)…"
LATER=$(two POST /v1/periods --body "{\"month\":\"$MONTH\",\"seq\":$SEQ}" 2> /dev/null || true)
step "once: again it is refused with $(code <<< "$LATER")"

# For the accountants, each brand's own, as of that entry.
own() { sign GET "$1" br_harvest/root "${@:2}"; }
own "/v1/reports/journal?to=$SEQ&for=hledger" > "$WORK/harvest.journal"
own "/v1/reports/journal?to=$SEQ" --header 'accept: text/csv' > "$WORK/harvest.csv"
own "/v1/reports/liability?to=$SEQ" --header 'accept: text/csv' > "$WORK/liability.csv"
step "journal of pa_harvest through entry $SEQ: batch $(sed -n 's/^; batch: //p' "$WORK/harvest.journal"), $(
    grep -c ' \* (TH-' "$WORK/harvest.journal") documents, $(($(wc -l < "$WORK/harvest.csv") - 1)) amounts"
tallyhouse journal --format hledger --participant pa_harvest --to "$SEQ" --data "$DEMO" | cmp - "$WORK/harvest.journal" \
    || fail "the program writes another journal than the server"
step "liability of HARVEST: $(tail -n 1 "$WORK/liability.csv" | cut -d , -f 3,5,6,8)"
step "what it left with the house, by its journal: $(tail -n 40 "$WORK/harvest.journal" | sed -nE \
    's/^ *Assets:(Cover:House|Reserve:HARVEST) .* = ([0-9.]+) .*/\1 \2/p' | paste -sd ', ')"

echo "$(basename "$0"): between two cycles in $steps steps"
