# What the scripts of the analyst have in common: signed requests with curl and tallyhouse, and what a bank sends.
#
#     source analyst.sh URL DEMO WORK
#
# URL serves a demo's network with a settlement account in USD, DEMO is its data folder, of which key files are used and
# the log is read. WORK is a folder for a member's keys and the bank's files. TALLYHOUSE names the program.
set -euo pipefail
URL=$1 DEMO=$2 WORK=$3
IBAN=DE89370400440532013000 MEMBER=wa_0123456789abcdefghjkmnpqrs

tallyhouse() { command "${TALLYHOUSE:-tallyhouse}" "$@"; }
fail() { echo "$(basename "$0"): $*" >&2; exit 1; }
steps=0
step() { steps=$((steps + 1)); printf '%2d  %s\n' "$steps" "$*"; }
# The first value of a member of JSON.
field() { grep -oE "\"$1\":(\"[^\"]*\"|[0-9-]+)" | head -n 1 | sed -E 's/^"[^"]*":"?//; s/"$//'; }
jose() { curl -sS --fail-with-body -H 'content-type: application/jose' --data-binary @- "$URL$1"; }
# Whoever signs: sign METHOD PATH OWNER/KEY, then what else there is to say.
sign() { local what=(--as "$3" --url "$URL" --data "$DEMO"); tallyhouse sign "$1" "$2" "${what[@]}" "${@:4}" | sh; }
analyst() { sign "$1" "$2" operator/analyst "${@:3}"; }
two() { analyst "$@" --approve operator/approver-1 --approve operator/approver-2; }
now() { curl -sS --fail-with-body "$URL/v1/network" | field time; }
seconds() { date -u -d "$(now) $*" +%s; }
# The demo stands still between commands: so much later, the next one says.
later() { echo "tallyhouse-time: $(date -u -d "$(now) $*" +%FT%TZ)"; }
money() { printf '%d.%02d' $(($1 / 100)) $(($1 % 100)); }

# What the bank books. ENTRY CENTS CRDT|DBIT, then the payment's details.
entry() {
    printf "<Ntry><Amt Ccy='USD'>%s</Amt><CdtDbtInd>%s</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>" "$(money "$2")" "$3"
    printf '<BookgDt><Dt>%s</Dt></BookgDt><AcctSvcrRef>%s</AcctSvcrRef>' "$(now | cut -c 1-10)" "$1"
    printf '<NtryDtls><TxDtls>%s</TxDtls></NtryDtls></Ntry>' "$4"
}
paid_in() { entry "$1" "$2" CRDT "<RmtInf><Strd><CdtrRefInf><Ref>$3</Ref></CdtrRefInf></Strd></RmtInf>"; }
paid_out() { entry "$1" "$2" DBIT "<Refs><EndToEndId>${3/_/-}</EndToEndId></Refs>"; }
message() { # KIND OUTER INNER ID CONTENT
    printf "{\"document\":\"<Document xmlns='urn:iso:std:iso:20022:tech:xsd:camt.%s.001.08'><%s><%s><Id>%s</Id>" "$1" "$2" "$3" "$4"
    printf '<Acct><Id><IBAN>%s</IBAN></Id><Ccy>USD</Ccy></Acct>%s</%s></%s></Document>"}' "$IBAN" "$5" "$3" "$2"
}
balance() {
    printf "<Bal><Tp><CdOrPrtry><Cd>%s</Cd></CdOrPrtry></Tp><Amt Ccy='USD'>%s</Amt>" "$1" "$(money "$2")"
    printf '<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>%s</Dt></Dt></Bal>' "$(now | cut -c 1-10)"
}
notification() { message 054 BkToCstmrDbtCdtNtfctn Ntfctn "$1" "$2"; }
statement() { message 053 BkToCstmrStmt Stmt "$1" "$(balance OPBD "$2")$(balance CLBD "$3")$4"; }
# Matched by the house, imported by the analyst, accepted by an approver. Says what was matched.
accepted() {
    local read import
    read=$(analyst POST /v1/bank-statements:match --body "$1")
    import=$(sed -E 's/.*"imports":\[(.*)\]\}\].*/\1/' <<< "$read")
    analyst POST /v1/bank-statements --body "$import" > /dev/null || fail "not imported: $read"
    sign POST /v1/bank-statements/acceptances operator/approver-1 --body "{\"currency\":\"$(field currency <<< "$import")\",\"statement\":\"$(field statement <<< "$import")\"}" \
        > "$WORK/accepted.json" || fail "not accepted: $(cat "$WORK/accepted.json")"
    echo "$(field matched <<< "$read") matched, $(field repeated <<< "$read") counted before," \
        "$(grep -o '"why":"[a-z_]*"' <<< "$read" | wc -l) for a person"
}
