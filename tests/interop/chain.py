"""The chain: the BLAKE3 of line n of the exported envelopes is `prev` of line n + 1.

    python chain.py envelopes.ndjson [net]

`net`, the network's id in hexadecimal, is compared with `prev` of the first entry. The same with b3sum alone:
    sed -n 5p envelopes.ndjson | tr -d '\\n' | b3sum      # is `prev` of line 6
The last line has no successor: the signed checkpoint holds it (tlog.py).
"""

import json
import random
import sys

from blake3 import blake3


def check(lines, net=None):
    """Raises at the first line that does not follow the one before."""
    for n, line in enumerate(lines):
        envelope = json.loads(line)
        # Before the first entry stands nothing: its `prev` is the hash of its own `pub`.
        genesis = line[line.find(b',"pub":') + 7 : line.rfind(b',"parts":')]
        before = blake3(lines[n - 1] if n else genesis).hexdigest()
        if envelope.get("prev") != before or envelope.get("seq") != n:
            raise ValueError(f"line {n + 1} does not follow: prev {envelope.get('prev')}, wanted {before}")
        if n == 0 and net and before != net:
            raise ValueError(f"this is network {before}, wanted {net}")


def must_reject(what, lines):
    try:
        check(lines)
    except ValueError:  # of which JSON and Unicode errors are kinds
        return
    sys.exit(f"chain.py: NOT noticed: {what}")


def main(path, net=None):
    with open(path, "rb") as file:
        lines = file.read().splitlines()
    if len(lines) < 3:
        sys.exit("chain.py: at least three lines are needed")
    try:
        check(lines, net)
    except ValueError as error:
        sys.exit(f"chain.py: {error}")
    chance = random.Random(1)
    flips = 0
    for n in chance.sample(range(len(lines) - 1), min(100, len(lines) - 1)):
        at, bit = chance.randrange(len(lines[n])), 1 << chance.randrange(8)
        flipped = bytearray(lines[n])
        flipped[at] ^= bit
        must_reject(f"bit {bit} of byte {at} of line {n + 1}", lines[:n] + [bytes(flipped)] + lines[n + 1 :])
        flips += 1
    must_reject("a missing line", lines[:1] + lines[2:])
    must_reject("two lines that changed places", [lines[0], lines[2], lines[1], *lines[3:]])
    print(f"chain.py: {len(lines)} envelopes follow each other; noticed {flips} flipped bits, a missing line, a swap")


main(*sys.argv[1:])
