//! Chunks: how the parts of an entry are laid down, whichever database keeps them.
//!
//! Owns: the form. A chunk holds consecutive parts of one entry, about 64 KiB of them, each followed by a
//! line feed; an erased part is the line `{"erased":"<64 hex leaf hash>"}`. From 4 KiB on a chunk is one
//! zstd frame. The first bytes tell which it is: a chunk that would by chance begin like a frame is made
//! one.
//! Promises: unpacking gives back what was packed, for any parts without line feeds.
//! Refuses to know: what a part says, and what its leaf hash is.

use super::port::{Line, StoredPart};
use crate::types::{Hash, Malformed};
use zstd::bulk::{Compressor, Decompressor};
use zstd::compress_bound;

/// The most parts an entry can have: chunk ids leave 14 bits for the index.
pub(super) const PARTS_MOST: usize = 16_384;
/// A chunk takes no further part that would bring it over this size.
const FULL: usize = 64 * 1024;
/// From this size on it is worth compressing.
const WORTH: usize = 4 * 1024;
/// Four times what the log allows a part; a frame that claims more is damaged, or meant to exhaust us.
const PART_MOST: usize = 64 * 1024;
/// Level 1: parts repeat their member names, and the higher levels gain little for their time.
const LEVEL: i32 = 1;
const FRAME: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const ERASED: (&[u8], &[u8]) = (b"{\"erased\":\"", b"\"}");

/// Some consecutive parts of one entry.
pub(super) struct Chunk {
    /// The index of the first part in it.
    pub(super) first: usize,
    /// The lines, compressed or not.
    pub(super) bytes: Vec<u8>,
}

/// Packs parts; keeps its buffers and its compression context from one entry to the next.
pub(super) struct Packer {
    zstd: Compressor<'static>,
    lines: Vec<u8>,
    frame: Vec<u8>,
}

impl Packer {
    pub(super) fn new() -> Result<Self, std::io::Error> {
        Ok(Self { zstd: Compressor::new(LEVEL)?, lines: Vec::new(), frame: Vec::new() })
    }

    /// Packs an entry's parts, handing each chunk to `take` as it is full.
    pub(super) fn pack<'a>(
        &mut self,
        parts: impl ExactSizeIterator<Item = Line<'a>>,
        mut take: impl FnMut(Chunk),
    ) -> Result<(), Malformed> {
        if parts.len() > PARTS_MOST {
            return Err(Malformed(format!("{} parts; an entry has {PARTS_MOST} at most", parts.len())));
        }
        let mut first = 0;
        self.lines.clear();
        for (index, part) in parts.enumerate() {
            let gone;
            let part = match part {
                Line::Whole(part) => {
                    fit(part).map_err(|why| Malformed(format!("part {index} {why}")))?;
                    part
                }
                Line::Erased(leaf) => {
                    gone = line_of(leaf);
                    &gone
                }
            };
            let after = self.lines.len().saturating_add(part.len());
            if after >= FULL && !self.lines.is_empty() {
                take(Chunk { first, bytes: self.seal()? });
                self.lines.clear();
                first = index;
            }
            self.lines.extend_from_slice(part);
            self.lines.push(b'\n');
        }
        if !self.lines.is_empty() {
            take(Chunk { first, bytes: self.seal()? });
        }
        Ok(())
    }

    /// The chunk with one part replaced by its leaf hash, or `None` if it is so already.
    pub(super) fn erase(
        &mut self,
        unpacker: &mut Unpacker,
        chunk: &[u8],
        offset: usize,
        leaf: Hash,
    ) -> Result<Option<Vec<u8>>, Malformed> {
        if self.replace(unpacker, chunk, offset, leaf)? { self.seal().map(Some) } else { Ok(None) }
    }

    /// The same, as plain lines whatever their size: readers take both.
    pub(super) fn erase_plain(
        &mut self,
        unpacker: &mut Unpacker,
        chunk: &[u8],
        offset: usize,
        leaf: Hash,
    ) -> Result<Option<Vec<u8>>, Malformed> {
        Ok(self.replace(unpacker, chunk, offset, leaf)?.then(|| self.lines.clone()))
    }

    /// Lays out a chunk's lines with one part replaced by its leaf hash; false: it is so already.
    fn replace(
        &mut self,
        unpacker: &mut Unpacker,
        chunk: &[u8],
        offset: usize,
        leaf: Hash,
    ) -> Result<bool, Malformed> {
        let lines = unpacker.lines(chunk)?;
        self.lines.clear();
        let mut found = false;
        for (at, line) in split(lines)?.enumerate() {
            if at != offset {
                self.lines.extend_from_slice(line);
            } else if let StoredPart::Erased(before) = part(line) {
                if before == leaf {
                    return Ok(false);
                }
                return Err(Malformed(format!("it was erased before, with the leaf {before}")));
            } else {
                found = true;
                self.lines.extend_from_slice(&line_of(leaf));
            }
            self.lines.push(b'\n');
        }
        if found { Ok(true) } else { Err(Malformed("there is no such part".into())) }
    }

    fn seal(&mut self) -> Result<Vec<u8>, Malformed> {
        if self.lines.len() < WORTH && !self.lines.starts_with(&FRAME) {
            return Ok(self.lines.clone());
        }
        self.frame.clear();
        self.frame.reserve(compress_bound(self.lines.len()));
        self.zstd
            .compress_to_buffer(&self.lines, &mut self.frame)
            .map_err(|e| Malformed(format!("compression failed: {e}")))?;
        Ok(self.frame.clone())
    }
}

/// Unpacks chunks; keeps its buffer and its context from one chunk to the next.
pub(super) struct Unpacker {
    zstd: Decompressor<'static>,
    lines: Vec<u8>,
}

impl Unpacker {
    pub(super) fn new() -> Result<Self, std::io::Error> {
        Ok(Self { zstd: Decompressor::new()?, lines: Vec::new() })
    }

    /// Appends a chunk's parts to `parts`; returns their size in bytes.
    pub(super) fn unpack(&mut self, chunk: &[u8], parts: &mut Vec<StoredPart>) -> Result<usize, Malformed> {
        let lines = self.lines(chunk)?;
        parts.extend(split(lines)?.map(part));
        Ok(lines.len())
    }

    fn lines<'a>(&'a mut self, chunk: &'a [u8]) -> Result<&'a [u8], Malformed> {
        if !chunk.starts_with(&FRAME) {
            return Ok(chunk);
        }
        let size = Decompressor::upper_bound(chunk).unwrap_or(usize::MAX);
        if size > PART_MOST.saturating_add(FULL) {
            return Err(Malformed("a compressed chunk is cut off or too large".into()));
        }
        self.lines.clear();
        self.lines.reserve(size);
        self.zstd
            .decompress_to_buffer(chunk, &mut self.lines)
            .map_err(|e| Malformed(format!("a compressed chunk does not unpack: {e}")))?;
        Ok(&self.lines)
    }
}

/// Whether a part can stand on a line of its own and be told from an erased one.
fn fit(bytes: &[u8]) -> Result<(), &'static str> {
    if bytes.contains(&b'\n') {
        return Err("contains a line feed");
    }
    if bytes.len() > PART_MOST {
        return Err("is larger than 64 KiB");
    }
    if erased(bytes).is_some() {
        return Err("has the form of an erased part");
    }
    Ok(())
}

fn split(lines: &[u8]) -> Result<impl Iterator<Item = &[u8]>, Malformed> {
    let lines =
        lines.strip_suffix(b"\n").ok_or_else(|| Malformed("a chunk does not end with a line".into()))?;
    Ok(lines.split(|byte| *byte == b'\n'))
}

fn part(line: &[u8]) -> StoredPart {
    erased(line).map_or_else(|| StoredPart::Whole(line.to_vec()), StoredPart::Erased)
}

fn line_of(leaf: Hash) -> Vec<u8> {
    [ERASED.0, leaf.to_string().as_bytes(), ERASED.1].concat()
}

fn erased(line: &[u8]) -> Option<Hash> {
    let digits = line.strip_prefix(ERASED.0)?.strip_suffix(ERASED.1)?;
    Hash::parse(std::str::from_utf8(digits).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pack(parts: &[Vec<u8>]) -> Result<Vec<Chunk>, Malformed> {
        let mut chunks = Vec::new();
        Packer::new().unwrap().pack(parts.iter().map(|part| Line::Whole(part)), |c| chunks.push(c))?;
        Ok(chunks)
    }

    fn unpack(chunks: &[Chunk]) -> Vec<StoredPart> {
        let (mut unpacker, mut parts) = (Unpacker::new().unwrap(), Vec::new());
        for chunk in chunks {
            assert_eq!(chunk.first, parts.len(), "chunks follow each other");
            unpacker.unpack(&chunk.bytes, &mut parts).unwrap();
        }
        parts
    }

    fn line() -> impl Strategy<Value = Vec<u8>> {
        let bytes = proptest::collection::vec(any::<u8>(), 0..3000);
        bytes.prop_map(|mut b| {
            b.retain(|x| *x != b'\n');
            b
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn unpacking_gives_back_what_was_packed(parts in proptest::collection::vec(line(), 0..120)) {
            let back = unpack(&pack(&parts).unwrap());
            prop_assert_eq!(back, parts.into_iter().map(StoredPart::Whole).collect::<Vec<_>>());
        }

        #[test]
        fn damage_is_an_error_or_other_parts_but_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut framed = FRAME.to_vec();
            framed.extend_from_slice(&bytes);
            let mut unpacker = Unpacker::new().unwrap();
            let _ = unpacker.unpack(&bytes, &mut Vec::new());
            let _ = unpacker.unpack(&framed, &mut Vec::new());
        }
    }

    #[test]
    fn chunks_are_full_small_ones_plain_and_large_ones_compressed() {
        let small = pack(&[b"{}".to_vec(), Vec::new()]).unwrap();
        assert_eq!(small.len(), 1);
        assert_eq!(small[0].bytes, b"{}\n\n");

        let parts: Vec<_> =
            (0..10_010).map(|i| format!("{{\"n\":{i},\"salt\":\"{i:0300}\"}}").into()).collect();
        let chunks = pack(&parts).unwrap();
        assert!((48..60).contains(&chunks.len()), "{}", chunks.len());
        assert!(chunks.iter().all(|c| c.bytes.starts_with(&FRAME) && c.bytes.len() < 16_000));
        assert_eq!(unpack(&chunks), parts.into_iter().map(StoredPart::Whole).collect::<Vec<_>>());
    }

    #[test]
    fn a_small_chunk_that_looks_like_a_frame_is_made_one() {
        let odd = vec![[&FRAME[..], b"rest"].concat()];
        assert_eq!(unpack(&pack(&odd).unwrap()), vec![StoredPart::Whole(odd[0].clone())]);
    }

    #[test]
    fn what_could_not_be_told_apart_is_refused() {
        let erased = format!("{{\"erased\":\"{}\"}}", Hash([7; 32])).into_bytes();
        for bad in [erased, b"a\nb".to_vec(), vec![b'x'; PART_MOST + 1]] {
            assert!(pack(&[b"{}".to_vec(), bad]).is_err());
        }
        assert!(pack(&vec![Vec::new(); PARTS_MOST]).is_ok());
        assert!(pack(&vec![Vec::new(); PARTS_MOST + 1]).is_err());
    }

    #[test]
    fn a_frame_that_was_cut_or_changed_is_noticed() {
        let whole = pack(&[vec![b'x'; 50_000]]).unwrap().remove(0).bytes;
        let mut unpacker = Unpacker::new().unwrap();
        for length in 4..whole.len() {
            assert!(unpacker.unpack(&whole[..length], &mut Vec::new()).is_err(), "{length}");
        }
        assert!(unpacker.unpack(&[], &mut Vec::new()).is_err());
        unpacker.unpack(&whole, &mut Vec::new()).expect("still works after errors");
    }

    #[test]
    fn erasing_replaces_one_part_and_once() {
        for size in [10, 3000] {
            let parts: Vec<Vec<u8>> = (0..5).map(|i| vec![b'a' + i; size]).collect();
            let (mut packer, mut unpacker) = (Packer::new().unwrap(), Unpacker::new().unwrap());
            let before = pack(&parts).unwrap().remove(0).bytes;
            let leaf = Hash([9; 32]);
            let after = packer.erase(&mut unpacker, &before, 2, leaf).unwrap().expect("changed");
            let mut back = Vec::new();
            unpacker.unpack(&after, &mut back).unwrap();
            let mut want: Vec<_> = parts.into_iter().map(StoredPart::Whole).collect();
            want[2] = StoredPart::Erased(leaf);
            assert_eq!(back, want);
            assert!(packer.erase(&mut unpacker, &after, 2, leaf).unwrap().is_none());
            assert!(packer.erase(&mut unpacker, &after, 2, Hash([8; 32])).is_err());
            assert!(packer.erase(&mut unpacker, &after, 5, leaf).is_err());
        }
    }
}
