//! XML, as much of it as banks' messages need, and no more.
//!
//! Owns: reading a document into elements within bounds, writing one.
//! Promises: no document type is read, so no entity can be defined: neither one that swells nor one that names a
//! file. Size, depth and number of elements are bounded before memory is used. Every element is of the namespace
//! that the reader expects.
//! Refuses to know: what the elements mean.

use crate::types::Malformed;
use quick_xml::XmlVersion;
use quick_xml::escape::{escape, resolve_xml_entity};
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;

/// Most bytes of a document.
pub(super) const MOST_BYTES: usize = 64 << 20;
/// Most elements inside one another.
const MOST_DEPTH: usize = 40;
/// Most elements of a document.
const MOST_ELEMENTS: usize = 4_000_000;
/// What a bank may add beside the standard: it is passed over, whatever its namespace.
const BESIDE: &str = "SplmtryData";

/// An element with what is in it, without name prefixes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    pub(super) text: String,
    children: Vec<Element>,
}

impl Element {
    /// The children of this name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first element down a path of names.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |element, name| element.children.iter().find(|child| child.name == *name))
    }

    /// The text down a path of names, without white space around it; `None` if there is none.
    pub(super) fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.at(path).map(|element| element.text.trim()).filter(|text| !text.is_empty())
    }

    /// The same, where it must be there.
    pub(super) fn need(&self, path: &[&str]) -> Result<&str, Malformed> {
        let missing = || Malformed(format!("{} without {}", self.name, path.join("/")));
        self.text_at(path).ok_or_else(missing)
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a document whose root element is `Document` in a namespace of which `accepts` approves. Returns the root
/// and what `accepts` said.
pub(super) fn read<T>(bytes: &[u8], accepts: impl Fn(&str) -> Option<T>) -> Result<(Element, T), Malformed> {
    if bytes.len() > MOST_BYTES {
        return Err(Malformed(format!("the document has {} bytes; at most {MOST_BYTES}", bytes.len())));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes)
        .map_err(|e| Malformed(format!("the document is not UTF-8 at byte {}", e.valid_up_to())))?;
    let mut tree = Tree::default();
    let mut reader = NsReader::from_str(text);
    reader.config_mut().enable_all_checks(true);
    let mut found = None;
    loop {
        let (space, event) = match reader.read_resolved_event() {
            Ok(read) => read,
            Err(e) => return Err(Malformed(format!("not well-formed XML: {e}"))),
        };
        let space = match space {
            ResolveResult::Bound(Namespace(space)) => Some(space.to_owned()),
            ResolveResult::Unbound => None,
            ResolveResult::Unknown(prefix) => {
                return Err(Malformed(format!("the prefix {prefix:?} is not declared")));
            }
        };
        match event {
            Event::Start(_) | Event::Empty(_) if tree.open.is_empty() && tree.root.is_none() => {
                let space = space.as_deref().unwrap_or("");
                let unknown = || Malformed(format!("documents of the namespace {space:?} are not read here"));
                found = Some((accepts(space).ok_or_else(unknown)?, space.to_owned()));
                tree.start(&event)?;
            }
            Event::Start(_) | Event::Empty(_) => {
                let expected = found.as_ref().map(|(_, space)| space.as_str());
                if space.as_deref() != expected && !tree.is_beside() {
                    return Err(Malformed(format!("an element of the namespace {space:?} in the document")));
                }
                tree.start(&event)?;
            }
            Event::End(_) => tree.end()?,
            Event::Text(text) => tree.text(&text.xml10_content())?,
            Event::CData(text) => tree.text(&text.xml10_content())?,
            Event::GeneralRef(name) => {
                let known = if name.is_char_ref() {
                    let resolved = name.resolve_char_ref();
                    resolved.ok().flatten().filter(|c| is_xml_char(*c)).map(String::from)
                } else {
                    resolve_xml_entity(&name).map(String::from)
                };
                let unknown = || Malformed(format!("the entity &{}; is not defined", &*name));
                tree.text(&known.ok_or_else(unknown)?)?;
            }
            Event::DocType(_) => {
                return Err(Malformed("the document has a document type (DTD), which is never read".into()));
            }
            Event::Decl(decl) => {
                let utf8 =
                    |name: &str| name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("us-ascii");
                if let Some(Ok(name)) = decl.encoding()
                    && !utf8(name.as_ref())
                {
                    return Err(Malformed("the document says that it is not UTF-8".into()));
                }
            }
            Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    let root = tree.root.filter(|_| tree.open.is_empty());
    let root = root.ok_or_else(|| Malformed("the document ends before its root element does".into()))?;
    if root.name != "Document" {
        return Err(Malformed(format!("the root element is {}, not Document", root.name)));
    }
    let (accepted, _) = found.ok_or_else(|| Malformed("the document has no root element".into()))?;
    Ok((root, accepted))
}

/// XML 1.0, production 2.
fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[derive(Default)]
struct Tree {
    open: Vec<Element>,
    root: Option<Element>,
    count: usize,
}

impl Tree {
    fn is_beside(&self) -> bool {
        self.open.iter().any(|element| element.name == BESIDE)
    }

    fn start(&mut self, event: &Event<'_>) -> Result<(), Malformed> {
        let (start, empty) = match event {
            Event::Start(start) => (start, false),
            Event::Empty(start) => (start, true),
            _ => return Ok(()),
        };
        self.count = self.count.saturating_add(1);
        if self.count > MOST_ELEMENTS || self.open.len() >= MOST_DEPTH {
            return Err(Malformed(format!(
                "the document has more than {MOST_ELEMENTS} elements, or more than {MOST_DEPTH} inside one another"
            )));
        }
        if self.root.is_some() {
            return Err(Malformed("the document has two root elements".into()));
        }
        let name = start.local_name().into_inner().to_owned();
        self.open.push(Element { name, attributes: attributes(start)?, ..Element::default() });
        if empty { self.end() } else { Ok(()) }
    }

    fn end(&mut self) -> Result<(), Malformed> {
        let done = self.open.pop().ok_or_else(|| Malformed("an element ends that did not begin".into()))?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(done),
            None => self.root = Some(done),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Malformed> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => return Err(Malformed("text outside of the root element".into())),
        }
        Ok(())
    }
}

fn attributes(start: &BytesStart<'_>) -> Result<Vec<(String, String)>, Malformed> {
    let mut out = vec![];
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|e| Malformed(format!("not well-formed XML: {e}")))?;
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let value = attribute.normalized_value(XmlVersion::Explicit1_0);
        let value = value.map_err(|e| Malformed(format!("not well-formed XML: {e}")))?;
        out.push((attribute.key.local_name().into_inner().to_owned(), value.into_owned()));
    }
    Ok(out)
}

/// Writes a document, indented, so that people can read what they approve.
pub(super) struct Writer {
    out: String,
    open: Vec<&'static str>,
}

impl Writer {
    /// A document with the root element `Document` in a namespace.
    pub(super) fn document(namespace: &str) -> Self {
        let out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Document xmlns=\"{}\">\n",
            escape(namespace)
        );
        Self { out, open: vec!["Document"] }
    }

    fn indent(&mut self) {
        self.out.push_str(&"  ".repeat(self.open.len()));
    }

    fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            self.indent();
            self.out.push_str(&format!("</{name}>\n"));
        }
    }

    /// An element with what `inside` writes.
    pub(super) fn nest(&mut self, name: &'static str, inside: impl FnOnce(&mut Self)) {
        self.indent();
        self.out.push_str(&format!("<{name}>\n"));
        self.open.push(name);
        inside(self);
        self.close();
    }

    /// Elements inside one another, the innermost with a text: `a/b` is `<a><b>text</b></a>`.
    pub(super) fn leaf(&mut self, path: &[&'static str], text: &str) {
        match path {
            [] => {}
            [name] => {
                self.indent();
                self.out.push_str(&format!("<{name}>{}</{name}>\n", escape(text)));
            }
            [name, rest @ ..] => self.nest(name, |w| w.leaf(rest, text)),
        }
    }

    /// An amount with its currency.
    pub(super) fn money(&mut self, name: &'static str, currency: &str, amount: &str) {
        self.indent();
        self.out.push_str(&format!("<{name} Ccy=\"{}\">{}</{name}>\n", escape(currency), escape(amount)));
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        while !self.open.is_empty() {
            self.close();
        }
        self.out.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: &str = "urn:example";

    fn read_one(text: &str) -> Result<Element, String> {
        let accepts = |space: &str| (space == SPACE).then_some(());
        read(text.as_bytes(), accepts).map(|(root, ())| root).map_err(|e| e.0)
    }

    fn doc(inside: &str) -> String {
        format!("<?xml version=\"1.0\"?><d:Document xmlns:d=\"{SPACE}\">{inside}</d:Document>")
    }

    #[test]
    fn elements_texts_and_attributes() {
        let root =
            read_one(&doc("<d:A x=\"1 &amp; 2\"> a &lt; b &#228;<![CDATA[ <c> ]]><!-- no --></d:A><d:A/>"))
                .expect("read");
        assert_eq!(root.text_at(&["A"]), Some("a < b ä <c>"));
        assert_eq!(root.at(&["A"]).and_then(|a| a.attribute("x")), Some("1 & 2"));
        assert_eq!(root.all("A").count(), 2);
        assert_eq!(root.need(&["A", "B"]).map_err(|e| e.0), Err("Document without A/B".into()));
    }

    #[test]
    fn a_document_type_is_never_read() {
        let laughs = format!(
            "<?xml version=\"1.0\"?><!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY lol2 \"&lol;&lol;\">]>\
             <Document xmlns=\"{SPACE}\">&lol2;</Document>"
        );
        let external = format!(
            "<!DOCTYPE d [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><Document xmlns=\"{SPACE}\">&x;</Document>"
        );
        for text in [laughs, external, "<!DOCTYPE d SYSTEM \"http://example.com/d.dtd\"><d/>".into()] {
            assert!(read_one(&text).expect_err("refused").contains("(DTD)"), "{text}");
        }
        assert!(read_one(&doc("&lol;")).expect_err("refused").contains("is not defined"));
        assert!(read_one(&doc("<d:A x=\"&lol;\"/>")).is_err());
        assert!(read_one(&doc("&#0;")).is_err() && read_one(&doc("&#x1;")).is_err());
    }

    #[test]
    fn what_is_not_a_bounded_document_of_its_namespace_is_refused() {
        let deep = doc(&("<d:A>".repeat(60) + &"</d:A>".repeat(60)));
        let rows = [
            ("", "root element"),
            ("<Document xmlns=\"urn:example\">", "ends before"),
            ("<Document/>", "namespace \"\""),
            ("<Document xmlns=\"urn:other\"/>", "namespace \"urn:other\""),
            ("<Other xmlns=\"urn:example\"/>", "not Document"),
            ("<Document xmlns=\"urn:example\"/><Document xmlns=\"urn:example\"/>", "two root"),
            ("<Document xmlns=\"urn:example\"/>x", "outside"),
            ("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><Document xmlns=\"urn:example\"/>", "not UTF-8"),
            (deep.as_str(), "inside one another"),
            ("<Document xmlns=\"urn:example\"><x:A/></Document>", "not declared"),
            ("<Document xmlns=\"urn:example\"><A xmlns=\"urn:foreign\"/></Document>", "urn:foreign"),
            ("<Document xmlns=\"urn:example\"><A></B></Document>", "not well-formed"),
        ];
        for (text, says) in rows {
            let said = read_one(text).expect_err(text);
            assert!(said.contains(says), "{text}: {said}");
        }
        assert!(read(b"<Document>\xff</Document>", |_| Some(())).is_err());
        let beside = "<d:SplmtryData><d:Envlp><x xmlns=\"urn:bank\"/></d:Envlp></d:SplmtryData>";
        assert!(read_one(&doc(beside)).is_ok(), "what a bank adds beside the standard is passed over");
    }

    #[test]
    fn what_is_written_is_read() {
        let mut w = Writer::document(SPACE);
        w.nest("A", |w| {
            w.leaf(&["B", "C"], "a < b & \"c\" ä");
            w.money("D", "EUR", "1.00");
        });
        let bytes = w.finish();
        let root = read_one(std::str::from_utf8(&bytes).expect("UTF-8")).expect("read");
        assert_eq!(root.text_at(&["A", "B", "C"]), Some("a < b & \"c\" ä"));
        assert_eq!(root.at(&["A", "D"]).and_then(|d| d.attribute("Ccy")), Some("EUR"));
    }
}
