"""A bank, by pyiso20022 (data classes made from the ISO schemas) and xsdata: it writes what banks send.

    python bank.py PLAN.json FOLDER

The plan names the account, its balances and its entries; written are statement.xml (camt.053.001.08), the statement
in the form of 2009 as old.xml (camt.053.001.02), notification.xml (camt.054.001.08) and status.xml
(pain.002.001.10).
"""

import json
import pathlib
import sys

from pyiso20022.camt import camt_053_001_02, camt_053_001_08, camt_054_001_08
from pyiso20022.pain import pain_002_001_10
from xsdata.formats.dataclass.parsers import DictDecoder
from xsdata.formats.dataclass.serializers import XmlSerializer

CREATED = "2026-11-30T20:00:00+01:00"


def money(amount):
    return {"value": amount.lstrip("-"), "Ccy": "EUR"}


def sign(amount):
    return "DBIT" if amount.startswith("-") else "CRDT"


def balance(code, amount, day):
    return {
        "Tp": {"CdOrPrtry": {"Cd": code}},
        "Amt": money(amount),
        "CdtDbtInd": sign(amount),
        "Dt": {"Dt": day},
    }


def details(part, entry, old):
    side = "Cdtr" if sign(part["amount"]) == "DBIT" else "Dbtr"
    who = {"Nm": part.get("name", "Somebody")}
    out = {
        "Refs": {"EndToEndId": part.get("end_to_end", "NOTPROVIDED")},
        "RltdPties": {side: who if old else {"Pty": who}},
    }
    if "iban" in part:
        out["RltdPties"][side + "Acct"] = {"Id": {"IBAN": part["iban"]}}
    if old:
        out["AmtDtls"] = {"TxAmt": {"Amt": money(part["amount"])}}
    else:
        out |= {"Amt": money(part["amount"]), "CdtDbtInd": sign(part["amount"])}
    if "reference" in part:
        kind = {"CdOrPrtry": {"Cd": "SCOR"}, "Issr": "ISO"}
        out["RmtInf"] = {"Strd": [{"CdtrRefInf": {"Tp": kind, "Ref": part["reference"]}}]}
    elif "text" in part:
        out["RmtInf"] = {"Ustrd": [part["text"]]}
    if "return" in entry:
        out["RtrInf"] = {"Rsn": {"Cd": entry["return"]}}
    return out


def entries(plan, old):
    for entry in plan["entries"]:
        parts = entry.get("parts", [entry])
        booked = {"Dt": plan["day"]} if old else {"DtTm": plan["day"] + "T09:30:00+01:00"}
        out = {
            "Amt": money(entry["amount"]),
            "CdtDbtInd": sign(entry["amount"]),
            "Sts": "BOOK" if old else {"Cd": "BOOK"},
            "BookgDt": booked,
            "ValDt": {"Dt": plan["day"]},
            "AcctSvcrRef": entry["entry"],
            "BkTxCd": {"Prtry": {"Cd": "NTRF"}},
            "NtryDtls": [{"TxDtls": [details(part, entry, old) for part in parts]}],
        }
        if "return" in entry:
            out["RvslInd"] = True
        yield out


def statement(plan, old=False):
    return {
        "Id": plan["id"],
        "ElctrncSeqNb": plan["number"],
        "CreDtTm": CREATED,
        "Acct": {"Id": {"IBAN": plan["account"]}, "Ccy": "EUR"},
        "Ntry": list(entries(plan, old)),
    }


def with_balances(plan, old=False):
    both = [balance("OPBD", plan["opening"], plan["day"]), balance("CLBD", plan["closing"], plan["day"])]
    return statement(plan, old) | {"Bal": both}


def reported(payment):
    reason = [{"Rsn": {"Cd": payment["reason"]}}] if "reason" in payment else []
    return {"OrgnlEndToEndId": payment["id"], "TxSts": payment["status"], "StsRsnInf": reason}


def status(plan):
    return {
        "GrpHdr": {"MsgId": "STATUS-1", "CreDtTm": CREATED},
        "OrgnlGrpInfAndSts": {
            "OrgnlMsgId": plan["message"],
            "OrgnlMsgNmId": "pain.001.001.09",
            "GrpSts": "PART",
        },
        "OrgnlPmtInfAndSts": [
            {
                "OrgnlPmtInfId": plan["message"] + "-1",
                "TxInfAndSts": [reported(payment) for payment in plan["payments"]],
            }
        ],
    }


def main():
    plan = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = pathlib.Path(sys.argv[2])
    head = {"GrpHdr": {"MsgId": "M-1", "CreDtTm": CREATED}}
    files = {
        "statement.xml": (camt_053_001_08, "BkToCstmrStmt", head | {"Stmt": [with_balances(plan)]}),
        "old.xml": (camt_053_001_02, "BkToCstmrStmt", head | {"Stmt": [with_balances(plan, True)]}),
        "notification.xml": (camt_054_001_08, "BkToCstmrDbtCdtNtfctn", head | {"Ntfctn": [statement(plan)]}),
        "status.xml": (pain_002_001_10, "CstmrPmtStsRpt", status(plan)),
    }
    for name, (module, root, content) in files.items():
        document = DictDecoder().decode({root: content}, module.Document)
        space = "urn:iso:std:iso:20022:tech:xsd:" + module.__name__.rsplit(".", 1)[1].replace("_", ".")
        text = XmlSerializer().render(document, ns_map={"iso": space})
        (folder / name).write_text(text, encoding="utf-8")
    print(f"bank.py: {len(files)} files, {len(plan['entries'])} entries")


main()
