"""The roots, by pymerkle: every entry's parts, and the tree over all envelopes.

    python roots.py envelopes.ndjson parts.ndjson checkpoint [proof.json ...]

The lines of parts.ndjson are {"seq": n, "index": i, "part": "<text>"}, or "erased": "<leaf hash, hexadecimal>"
instead of the part. Checked are `parts.n` and `parts.root` of every envelope, the inclusion of every part, the root
in the checkpoint (its signature is tlog.py's business), and the paths in our own proof bundles.
"""

import base64
import json
import sys

from pymerkle import InmemoryTree, InvalidProof, verify_inclusion


class Erased(bytes):
    """The leaf hash of a part that is gone."""


class Tree(InmemoryTree):
    """RFC 6962 with SHA-256 is pymerkle's default; a leaf may come as its hash."""

    def hash_buff(self, data):
        return bytes(data) if isinstance(data, Erased) else super().hash_buff(data)


def fail(what):
    sys.exit(f"roots.py: {what}")


def tree_of(leaves):
    tree = Tree()
    tree.append_entries(leaves)
    return tree


def proves(tree, index, leaf_hash, root, path=None):
    """Whether a path (pymerkle's own, or ours) leads from a leaf hash to the root."""
    proof = tree.prove_inclusion(index + 1)
    if path is not None:
        proof.path = [leaf_hash, *path]
    try:
        verify_inclusion(leaf_hash, root, proof, index=index + 1, size=tree.get_size(), algorithm="sha256")
    except InvalidProof:
        return False
    return True


def flipped(data):
    changed = bytearray(data)
    changed[len(changed) // 2] ^= 1
    return bytes(changed)


def check_parts(envelope, parts):
    """Compares an entry's parts with its envelope, and proves each; returns how many."""
    seq, committed = envelope["seq"], bytes.fromhex(envelope["parts"]["root"])
    if sorted(parts) != list(range(envelope["parts"]["n"])):
        fail(f"entry {seq} should have {envelope['parts']['n']} parts and has {sorted(parts)}")
    leaves = [parts[index] for index in sorted(parts)]
    tree = tree_of(leaves)
    if tree.get_root() != committed:
        fail(f"entry {seq}: its parts do not have the root in its envelope")
    for index, leaf in enumerate(leaves):
        if not proves(tree, index, tree.hash_buff(leaf), committed):
            fail(f"entry {seq}: part {index} is not included")
        if proves(tree, index, tree.hash_buff(flipped(leaf)), committed):
            fail(f"NOT noticed: a flipped bit in part {index} of entry {seq}")
        if tree_of([*leaves[:index], flipped(leaf), *leaves[index + 1 :]]).get_root() == committed:
            fail(f"NOT noticed: another root with part {index} of entry {seq} changed")
    return len(leaves)


def check_bundle(path, lines, tree, root):
    """Checks the paths of one of our own proof bundles."""
    with open(path, encoding="utf-8") as file:
        bundle = json.load(file)
    envelope = json.loads(bundle["envelope"])
    line = bundle["envelope"].encode()
    hashes = [bytes.fromhex(text) for text in bundle["path"]]
    if not proves(tree, envelope["seq"], tree.hash_buff(line), root, hashes):
        fail(f"{path}: the envelope's path does not lead to the root")
    if proves(tree, envelope["seq"], tree.hash_buff(flipped(line)), root, hashes):
        fail(f"NOT noticed: a flipped bit in the envelope of {path}")
    entry, parts_root = tree_of([b""] * envelope["parts"]["n"]), bytes.fromhex(envelope["parts"]["root"])
    for own in bundle["parts"]:
        part, hashes = own["part"].encode(), [bytes.fromhex(text) for text in own["path"]]
        if not proves(entry, own["index"], entry.hash_buff(part), parts_root, hashes):
            fail(f"{path}: the path of part {own['index']} does not lead to the entry's root")
        if proves(entry, own["index"], entry.hash_buff(flipped(part)), parts_root, hashes):
            fail(f"NOT noticed: a flipped bit in part {own['index']} of {path}")


def main(envelopes, parts_file, checkpoint, *bundles):
    with open(envelopes, "rb") as file:
        lines = file.read().splitlines()
    with open(checkpoint, encoding="utf-8") as file:
        _, size, root = file.read().split("\n")[:3]
    size, root = int(size), base64.b64decode(root, validate=True)
    parts = {}
    with open(parts_file, encoding="utf-8") as file:
        for line in map(json.loads, file):
            leaf = Erased.fromhex(line["erased"]) if "erased" in line else line["part"].encode()
            parts.setdefault(line["seq"], {})[line["index"]] = leaf
    if len(lines) < size:
        fail(f"the checkpoint is over {size} entries, there are {len(lines)}")
    tree = tree_of(lines[:size])
    if tree.get_root() != root:
        fail("the envelopes do not have the root in the checkpoint")
    for index in range(0, size, max(1, size // 50)):
        leaf = tree.get_leaf(index + 1)
        if not proves(tree, index, leaf, root):
            fail(f"envelope {index} is not included")
        if proves(tree, index, tree.hash_buff(flipped(lines[index])), root):
            fail(f"NOT noticed: a flipped bit in envelope {index}")
    if tree_of([*lines[: size - 1], flipped(lines[size - 1])]).get_root() == root:
        fail("NOT noticed: a flipped bit in the last envelope")
    count = sum(check_parts(json.loads(line), parts.pop(n, {})) for n, line in enumerate(lines))
    if parts:
        fail(f"parts of entries that are not there: {sorted(parts)}")
    for bundle in bundles:
        check_bundle(bundle, lines, tree, root)
    print(
        f"roots.py: {count} parts of {len(lines)} entries, the root over {size} envelopes and {len(bundles)} proofs hold; "
        "each was also noticed when a bit of it was flipped"
    )


try:
    main(*sys.argv[1:])
except (KeyError, OSError, ValueError) as error:
    fail(f"not readable: {error!r}")
