"""Orders to a bank validate against the ISO schemas that the package sepaxml ships; counts and sums are right.

    python pain.py FILE.xml ...
"""

import decimal
import pathlib
import sys
import xml.etree.ElementTree as tree

import sepaxml
import xmlschema

SCHEMAS = pathlib.Path(sepaxml.__file__).parent / "schemas"


def fail(what):
    sys.exit(f"pain.py: {what}")


def check_sums(element, amounts, name):
    count = int(element.findtext("{*}NbOfTxs"))
    total = decimal.Decimal(element.findtext("{*}CtrlSum"))
    if (count, total) != (len(amounts), sum(amounts)):
        fail(f"{name}: {count} payments of {total} in all, but they are {len(amounts)} of {sum(amounts)}")


def check(path):
    root = tree.parse(path).getroot()
    message = root.tag[1:].split("}")[0].rsplit(":", 1)[1]
    try:
        xmlschema.XMLSchema(SCHEMAS / f"{message}.xsd").validate(path)
    except xmlschema.XMLSchemaValidationError as e:
        fail(f"{path}: {e.reason}")
    amounts = lambda element: [decimal.Decimal(amount.text) for amount in element.iter() if amount.tag.endswith("InstdAmt")]
    for block in root.iterfind(".//{*}PmtInf"):
        check_sums(block, amounts(block), "PmtInf")
    check_sums(root.find(".//{*}GrpHdr"), amounts(root), "GrpHdr")
    return len(amounts(root))


payments = sum(check(path) for path in sys.argv[1:])
print(f"pain.py: {len(sys.argv) - 1} files, {payments} payments")
