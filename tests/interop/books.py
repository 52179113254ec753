"""The journal as beancount reads it: what bean-check checks, and every asserted balance.

    python books.py FILE.beancount
"""

import sys

from beancount import loader
from beancount.core import data

entries, errors, _ = loader.load_file(sys.argv[1])
for error in errors[:5]:
    print(f"books.py: {error.source.get('lineno')}: {error.message}", file=sys.stderr)
if errors:
    sys.exit(1)
documents = sum(isinstance(entry, data.Transaction) for entry in entries)
balances = sum(isinstance(entry, data.Balance) for entry in entries)
if not documents or not balances:
    sys.exit("books.py: there is nothing to check")
print(f"books.py: {documents} documents, {balances} balances hold")
