//! The public text form of a proof: C2SP tlog-proof, files named `.tlog-proof`.
//!
//! Owns: the text's lines.
//! Promises: what it writes other readers of the format take, and it reads only what has one spelling.
//! The `extra` line carries the envelope, which is the leaf of the proof; parts are not in it.
//! Refuses to know: whether a proof holds; [`Proof::verify`] judges that.

use super::envelope::{Envelope, MAX_ENVELOPE};
use super::proof::{Proof, Unproven};
use crate::types::{Hash, Malformed};
use data_encoding::BASE64;

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Bytes of a text that is read, at most: an envelope in base64, a path, and a note with cosignatures.
const MAX_TEXT: usize = 256 * 1024;

impl Proof {
    /// The proof of the envelope as text:
    ///
    /// ```text
    /// c2sp.org/tlog-proof@v1
    /// extra <base64 of the envelope>
    /// index <its seq>
    /// <base64 of a hash, one a line>
    ///
    /// <the checkpoint's note>
    /// ```
    pub fn to_tlog_proof(&self) -> Result<String, Unproven> {
        let index = Envelope::decode(self.envelope.as_bytes())?.seq;
        let extra = BASE64.encode(self.envelope.as_bytes());
        let path: String = self.path.iter().map(|hash| BASE64.encode(&hash.0) + "\n").collect();
        Ok(format!("{HEADER}\nextra {extra}\nindex {index}\n{path}\n{}", self.checkpoint))
    }

    /// Reads the text; the proof has no parts. What it says is not checked here.
    pub fn from_tlog_proof(text: &str) -> Result<Self, Malformed> {
        if text.len() > MAX_TEXT {
            return Err(Malformed("a proof is at most 256 KiB".into()));
        }
        let malformed = |what: &str| Malformed(format!("not a proof of this log: {what}"));
        let (head, checkpoint) = text.split_once("\n\n").ok_or_else(|| malformed("no checkpoint"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(malformed("the first line names another format"));
        }
        let extra = lines.next().and_then(|line| line.strip_prefix("extra "));
        let extra = extra.and_then(|text| BASE64.decode(text.as_bytes()).ok());
        let envelope =
            extra.filter(|bytes| bytes.len() <= MAX_ENVELOPE).and_then(|b| String::from_utf8(b).ok());
        let envelope = envelope.ok_or_else(|| malformed("no extra line with an envelope"))?;
        let seq = Envelope::decode(envelope.as_bytes()).map_err(|e| malformed(&e.to_string()))?.seq;
        if lines.next() != Some(format!("index {seq}").as_str()) {
            return Err(malformed("the index is not the envelope's seq"));
        }
        let path = lines.map(|line| hash(line).ok_or_else(|| malformed("a line of the path is not a hash")));
        Ok(Self::of_envelope(envelope, path.collect::<Result<_, _>>()?, checkpoint.to_owned()))
    }
}

fn hash(line: &str) -> Option<Hash> {
    BASE64.decode(line.as_bytes()).ok()?.try_into().ok().map(Hash)
}

#[cfg(test)]
mod tests {
    use super::super::proof::tests::{proof, verifier};
    use super::*;

    #[test]
    fn the_text_is_read_back() {
        let proof = proof();
        let text = proof.to_tlog_proof().expect("text");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "c2sp.org/tlog-proof@v1");
        assert_eq!(lines[1], format!("extra {}", BASE64.encode(proof.envelope.as_bytes())));
        assert_eq!(lines[2], "index 5");
        assert_eq!(lines[6..9], ["", "points.example/log", "8"]);
        let back = Proof::from_tlog_proof(&text).expect("a proof");
        assert_eq!(back, Proof { parts: vec![], ..proof });
        assert!(back.verify(&verifier()).is_ok());
        assert_eq!(back.to_tlog_proof(), Ok(text));
    }

    #[test]
    fn any_other_text_is_refused() {
        let good = proof().to_tlog_proof().expect("text");
        let extra = good.lines().nth(1).expect("extra").to_owned();
        let bad = [
            good.replace("@v1", "@v2"),
            good.replace("index 5", "index 05"),
            good.replace("index 5", "index 4"),
            good.replace("index 5\n", ""),
            good.replace(&format!("{extra}\n"), ""),
            good.replace(&extra, "extra "),
            good.replace(&extra, &format!("{extra}A")),
            good.replace(&extra, &extra.replace("extra ", "extra  ")),
            good.replace("\n\n", "\n"),
            good.replacen("=\n\n", "=\n \n\n", 1),
            good.replacen("\n\n", "\r\n\n", 1),
            String::new(),
            "x".repeat(MAX_TEXT + 1),
        ];
        for text in bad {
            assert_ne!(text, good);
            assert!(Proof::from_tlog_proof(&text).is_err(), "{text}");
        }
    }
}
