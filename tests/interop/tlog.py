"""The log, by aics-tlog: checkpoint, tiles, inclusion, consistency, proof bundles.

    python tlog.py FOLDER VKEY [older checkpoint ...]

FOLDER is a static export or mirror of the log: checkpoint, tile/<L>/<N>, tile/entries/<N>. VKEY is the log's verifier
key, or a file that holds it; take it from somewhere else than the folder.
"""

import os
import sys

from aics_tlog import (
    Bundle,
    FileSystemTileReader,
    MemoryTileReader,
    TileMissingError,
    TileVerificationError,
    audit_tiles,
    bundle_from_tiles,
    consistency_proof_from_tiles,
    inclusion_proof_from_tiles,
    parse_note,
    parse_vkey,
    read_entry,
    tree_root_from_tiles,
    verify_bundle,
    verify_checkpoint,
    verify_consistency,
    verify_leaf_inclusion,
)


def fail(what):
    sys.exit(f"tlog.py: {what}")


def flipped(data, at=None):
    changed = bytearray(data)
    changed[len(changed) // 2 if at is None else at] ^= 1
    return bytes(changed)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def verified(note, vkey):
    """The checkpoint if the log's key signed it, else None."""
    try:
        result = verify_checkpoint(parse_note(note), vkey)
    except ValueError:
        return None
    return result if result.ok else None


def audits(reader, checkpoint):
    try:
        return audit_tiles(reader, checkpoint.size, checkpoint.root)
    except (TileMissingError, TileVerificationError):
        return None


def check_tiles(folder, checkpoint):
    """Audits every tile, then a copy of the folder with one bit flipped in each of them."""
    report = audits(FileSystemTileReader(folder), checkpoint)
    if report is None:
        fail("the tiles do not have the checkpoint's root")
    tiles = {}
    for parent, _, names in os.walk(os.path.join(folder, "tile")):
        for name in names:
            path = os.path.join(parent, name)
            tiles[os.path.relpath(path, folder).replace(os.sep, "/")] = read(path)
    if audits(MemoryTileReader(tiles), checkpoint) is None:
        fail("a copy of the tiles does not have the checkpoint's root")
    noticed = 0
    for path, data in tiles.items():
        if audits(MemoryTileReader({**tiles, path: flipped(data)}), checkpoint) is None:
            noticed += 1
    # A tile that a wider one superseded is not read any more, so its bits are nobody's.
    if noticed < report.tiles + report.bundles:
        fail(f"NOT noticed: a flipped bit in {report.tiles + report.bundles - noticed} of {len(tiles)} tiles")
    return report


def check_inclusion(reader, note, checkpoint, vkey):
    """Proves entries from the tiles, and in bundles that need no tiles any more."""
    size, root, count = checkpoint.size, checkpoint.root, 0
    for index in sorted({0, size // 2, size - 1, *range(0, size, max(1, size // 20))}):
        entry, proof = read_entry(reader, index, size), inclusion_proof_from_tiles(reader, index, size)
        if not verify_leaf_inclusion(entry, index, size, proof, root):
            fail(f"entry {index} is not included")
        if verify_leaf_inclusion(flipped(entry), index, size, proof, root):
            fail(f"NOT noticed: a flipped bit in entry {index}")
        if proof and verify_leaf_inclusion(entry, index, size, [flipped(proof[0]), *proof[1:]], root):
            fail(f"NOT noticed: a flipped bit in the path of entry {index}")
        bundle = bundle_from_tiles(reader, index, note)
        if not verify_bundle(bundle, vkey).ok:
            fail(f"the bundle of entry {index} does not verify")
        other = Bundle(flipped(entry), index, bundle.inclusion_proof, bundle.checkpoint_note, None, None)
        if verify_bundle(other, vkey).ok:
            fail(f"NOT noticed: a flipped bit in the bundle of entry {index}")
        count += 1
    return count


def check_consistency(reader, checkpoint, older):
    """Every older tree is the beginning of the newest one; with signed notes for some of them."""
    size, root = checkpoint.size, checkpoint.root
    roots = {old: tree_root_from_tiles(reader, old, size) for old in range(1, size, max(1, size // 20))}
    for old in older:
        if tree_root_from_tiles(reader, old.size, size) != old.root:
            fail(f"the older checkpoint of size {old.size} is of another log")
        roots[old.size] = old.root
    for old, old_root in roots.items():
        proof = consistency_proof_from_tiles(reader, old, size)
        if not verify_consistency(old, size, old_root, root, proof):
            fail(f"the tree of {size} entries does not begin with the tree of {old}")
        if verify_consistency(old, size, flipped(old_root), root, proof):
            fail(f"NOT noticed: another root at size {old}")
        if proof and verify_consistency(old, size, old_root, root, [flipped(proof[-1]), *proof[:-1]]):
            fail(f"NOT noticed: a flipped bit in the proof from size {old}")
    return len(roots)


def main(folder, vkey, *older):
    vkey = parse_vkey((read(vkey).decode() if os.path.exists(vkey) else vkey).strip())
    note = read(os.path.join(folder, "checkpoint"))
    checkpoint = verified(note, vkey)
    if checkpoint is None:
        fail("the checkpoint does not verify under this key")
    flips = [at for at in range(len(note)) if verified(flipped(note, at), vkey)]
    if flips:
        fail(f"NOT noticed: a flipped bit in byte {flips[0]} of the checkpoint")
    report = check_tiles(folder, checkpoint)
    reader = FileSystemTileReader(folder)
    entries = check_inclusion(reader, note, checkpoint, vkey)
    before = [verified(read(path), vkey) for path in older]
    if None in before:
        fail("an older checkpoint does not verify under this key")
    sizes = check_consistency(reader, checkpoint, before)
    print(
        f"tlog.py: {checkpoint.origin}, {checkpoint.size} entries: checkpoint, {report.tiles} tiles, {report.bundles} entry "
        f"bundles, {entries} inclusions, {sizes} older sizes ({len(before)} of them signed) hold; "
        "each was also noticed when a bit of it was flipped"
    )


try:
    main(*sys.argv[1:])
except (KeyError, OSError, ValueError) as error:
    fail(f"not readable: {error!r}")
