//! Tokens that are not taken, and how each refusal reads: one table, one token a row.
//!
//! Owns: the recipe language of the table. A row is `name | header | payload | token | refusal`; `~` stands
//! for a sound header or payload. In a header `KID` is the key's name and `OTHER` another key's; `hex …`
//! gives bytes. In the token, names in braces stand for parts of the sound token, or for parts made wrong.
//! Promises: every row but those that say `ok` would be a sound token if its one flaw were mended.
//! Refuses to know: anything outside this folder's public items.

use super::{Jws, SecretKey, Typ, sign};
use crate::types::{Hash, Refused, b64, b64_decode};
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};

const TABLE: &str = r#"
sound                        | ~ | ~ | {H}.{P}.{S} | ok
largest integer              | ~ | {"n":9007199254740991} | {H}.{P}.{S} | ok
eight levels                 | ~ | {"a":[[[[[[[]]]]]]]} | {H}.{P}.{S} | ok
header in another order      | {"kid":"KID","alg":"EdDSA","typ":"command+jwt"} | ~ | {H}.{P}.{S} | ok

empty text                   | ~ | ~ | | token_malformed
one part                     | ~ | ~ | {H} | token_malformed
two parts                    | ~ | ~ | {H}.{P} | token_malformed
four parts                   | ~ | ~ | {H}.{P}.{S}.{S} | token_malformed
dot at the end               | ~ | ~ | {H}.{P}.{S}. | token_malformed
empty header part            | ~ | ~ | .{P}.{S} | token_malformed
empty payload part           | ~ | ~ | {H}..{S} | token_malformed
empty signature part         | ~ | ~ | {H}.{P}. | token_malformed
only dots                    | ~ | ~ | .. | token_malformed
padded header                | ~ | ~ | {H}=.{P}.{S} | token_malformed
padded payload               | ~ | ~ | {H}.{P}=.{S} | token_malformed
padded signature             | ~ | ~ | {H}.{P}.{S}== | token_malformed
stray bits in payload        | ~ | ~ | {H}.{P stray}.{S} | token_malformed
stray bits in signature      | ~ | ~ | {H}.{P}.{S stray} | token_malformed
impossible length            | ~ | ~ | {H}.{P}AAA.{S} | token_malformed
standard alphabet            | ~ | ~ | {H}.{P}.{S standard} | token_malformed
space before                 | ~ | ~ |  {H}.{P}.{S} | token_malformed
space after                  | ~ | ~ | {H}.{P}.{S}{space} | token_malformed
line end after               | ~ | ~ | {H}.{P}.{S}{line end} | token_malformed
line end within              | ~ | ~ | {H}.{line end}{P}.{S} | token_malformed
byte order mark before       | ~ | ~ | {bom}{H}.{P}.{S} | token_malformed
not ASCII                    | ~ | ~ | {H}.{P}é.{S} | token_malformed
JSON serialisation           | ~ | ~ | {"protected":"{H}","payload":"{P}","signature":"{S}"} | token_malformed
signature of 63 bytes        | ~ | ~ | {H}.{P}.{S 63} | token_malformed
signature of 65 bytes        | ~ | ~ | {H}.{P}.{S 65} | token_malformed
signature in hexadecimal     | ~ | ~ | {H}.{P}.{S hex} | token_malformed

too long                     | ~ | {"aud":"FILL"} | {H}.{P}.{S} | token_too_large
too long and no token        | ~ | ~ | {fill} | token_too_large

alg none                     | {"alg":"none","typ":"command+jwt","kid":"KID"} | ~ | {H}.{P}.{S} | token_header
alg none, unsigned           | {"alg":"none","typ":"command+jwt","kid":"KID"} | ~ | {H}.{P}. | token_malformed
alg HS256                    | {"alg":"HS256","typ":"command+jwt","kid":"KID"} | ~ | {H}.{P}.{S} | token_header
alg Ed25519                  | {"alg":"Ed25519","typ":"command+jwt","kid":"KID"} | ~ | {H}.{P}.{S} | token_header
alg in other case            | {"alg":"eddsa","typ":"command+jwt","kid":"KID"} | ~ | {H}.{P}.{S} | token_header
alg missing                  | {"typ":"command+jwt","kid":"KID"} | ~ | {H}.{P}.{S} | token_header
alg null                     | {"alg":null,"typ":"command+jwt","kid":"KID"} | ~ | {H}.{P}.{S} | token_header
alg a list                   | {"alg":["EdDSA"],"typ":"command+jwt","kid":"KID"} | ~ | {H}.{P}.{S} | token_header
typ missing                  | {"alg":"EdDSA","kid":"KID"} | ~ | {H}.{P}.{S} | token_header
typ a number                 | {"alg":"EdDSA","typ":1,"kid":"KID"} | ~ | {H}.{P}.{S} | token_header
typ in other case            | {"alg":"EdDSA","typ":"Command+JWT","kid":"KID"} | ~ | {H}.{P}.{S} | token_type
typ unknown                  | {"alg":"EdDSA","typ":"JWT","kid":"KID"} | ~ | {H}.{P}.{S} | token_type
typ with application/        | {"alg":"EdDSA","typ":"application/command+jwt","kid":"KID"} | ~ | {H}.{P}.{S} | token_type
typ empty                    | {"alg":"EdDSA","typ":"","kid":"KID"} | ~ | {H}.{P}.{S} | token_type
typ unknown and alg none     | {"alg":"none","typ":"JWT","kid":"KID"} | ~ | {H}.{P}.{S} | token_header
kid missing                  | {"alg":"EdDSA","typ":"command+jwt"} | ~ | {H}.{P}.{S} | token_header
kid short                    | {"alg":"EdDSA","typ":"command+jwt","kid":"abcd"} | ~ | {H}.{P}.{S} | token_header
kid padded                   | {"alg":"EdDSA","typ":"command+jwt","kid":"KID="} | ~ | {H}.{P}.{S} | token_header
kid of another key           | {"alg":"EdDSA","typ":"command+jwt","kid":"OTHER"} | ~ | {H}.{P}.{S} | signature_invalid
header with crit             | {"alg":"EdDSA","typ":"command+jwt","kid":"KID","crit":["b64"]} | ~ | {H}.{P}.{S} | token_header
header with b64              | {"alg":"EdDSA","typ":"command+jwt","kid":"KID","b64":false} | ~ | {H}.{P}.{S} | token_header
header with jku              | {"alg":"EdDSA","typ":"command+jwt","kid":"KID","jku":"https://a"} | ~ | {H}.{P}.{S} | token_header
header with jwk              | {"alg":"EdDSA","typ":"command+jwt","kid":"KID","jwk":{}} | ~ | {H}.{P}.{S} | token_header
header with cty              | {"alg":"EdDSA","typ":"command+jwt","kid":"KID","cty":"JWT"} | ~ | {H}.{P}.{S} | token_header
duplicate alg                | {"alg":"EdDSA","alg":"EdDSA","typ":"command+jwt","kid":"KID"} | ~ | {H}.{P}.{S} | token_header
duplicate kid, escaped       | {"alg":"EdDSA","typ":"command+jwt","kid":"KID","k\u0069d":"OTHER"} | ~ | {H}.{P}.{S} | token_header
header an array              | ["EdDSA","command+jwt","KID"] | ~ | {H}.{P}.{S} | token_header
header a text                | "EdDSA" | ~ | {H}.{P}.{S} | token_header
header empty object          | {} | ~ | {H}.{P}.{S} | token_header
header no JSON               | alg=EdDSA | ~ | {H}.{P}.{S} | token_header
header twice                 | {"alg":"EdDSA","typ":"command+jwt","kid":"KID"}{} | ~ | {H}.{P}.{S} | token_header
header with byte order mark  | BOM{"alg":"EdDSA","typ":"command+jwt","kid":"KID"} | ~ | {H}.{P}.{S} | token_header
header not UTF-8             | hex 7b22616c67223aff7d | ~ | {H}.{P}.{S} | token_header
header very long             | {"alg":"EdDSA","typ":"command+jwt","kid":"KID",                                                                                                             "x":1} | ~ | {H}.{P}.{S} | token_header

payload an array             | ~ | [] | {H}.{P}.{S} | token_payload
payload a number             | ~ | 1 | {H}.{P}.{S} | token_payload
payload a text               | ~ | "{}" | {H}.{P}.{S} | token_payload
payload null                 | ~ | null | {H}.{P}.{S} | token_payload
payload no JSON              | ~ | aud=a | {H}.{P}.{S} | token_payload
payload cut off              | ~ | {"aud":"a" | {H}.{P}.{S} | token_payload
payload twice                | ~ | {}{} | {H}.{P}.{S} | token_payload
payload with byte order mark | ~ | BOM{} | {H}.{P}.{S} | token_payload
payload not UTF-8            | ~ | hex 7b2261223a22ff227d | {H}.{P}.{S} | token_payload
payload in UTF-16            | ~ | hex 7b007d00 | {H}.{P}.{S} | token_payload
overlong UTF-8               | ~ | hex 7b2261223a22c080227d | {H}.{P}.{S} | token_payload
lone surrogate               | ~ | {"a":"\ud800"} | {H}.{P}.{S} | token_payload
duplicate member             | ~ | {"a":1,"a":1} | {H}.{P}.{S} | token_payload
duplicate nested member      | ~ | {"a":[{"b":{"c":1,"d":2,"c":3}}]} | {H}.{P}.{S} | token_payload
duplicate member, escaped    | ~ | {"a":1,"\u0061":2} | {H}.{P}.{S} | token_payload
member without a name        | ~ | {"":1} | {H}.{P}.{S} | token_payload
member for serde_json        | ~ | {"$serde_json::private::RawValue":"-1"} | {H}.{P}.{S} | token_payload
fraction                     | ~ | {"n":1.5} | {H}.{P}.{S} | token_payload
whole fraction               | ~ | {"n":1.0} | {H}.{P}.{S} | token_payload
exponent                     | ~ | {"n":1e3} | {H}.{P}.{S} | token_payload
negative                     | ~ | {"n":-1} | {H}.{P}.{S} | token_payload
negative zero                | ~ | {"n":-0} | {H}.{P}.{S} | token_payload
negative, nested             | ~ | {"a":[{"n":-1}]} | {H}.{P}.{S} | token_payload
2^53                         | ~ | {"n":9007199254740992} | {H}.{P}.{S} | token_payload
2^64                         | ~ | {"n":18446744073709551616} | {H}.{P}.{S} | token_payload
leading zero                 | ~ | {"n":01} | {H}.{P}.{S} | token_payload
not a number                 | ~ | {"n":NaN} | {H}.{P}.{S} | token_payload
nine levels                  | ~ | {"a":[[[[[[[[]]]]]]]]} | {H}.{P}.{S} | token_payload

signature over other header  | ~ | ~ | {H}.{P}.{S of other typ} | signature_invalid
signature over other payload | ~ | ~ | {H}.{P}.{S of other payload} | signature_invalid
payload swapped              | ~ | ~ | {H}.{P other}.{S} | signature_invalid
typ swapped                  | ~ | ~ | {H other}.{P}.{S} | signature_invalid
header in new order          | {"kid":"KID","alg":"EdDSA","typ":"command+jwt"} | ~ | {H}.{P}.{S sound} | signature_invalid
signature over payload only  | ~ | ~ | {H}.{P}.{S of payload only} | signature_invalid
signature of another key     | ~ | ~ | {H}.{P}.{S by other key} | signature_invalid
signature all zero           | ~ | ~ | {H}.{P}.{S zero} | signature_invalid
S plus L                     | ~ | ~ | {H}.{P}.{S plus L} | signature_invalid
S with its top bits set      | ~ | ~ | {H}.{P}.{S top} | signature_invalid
R of small order             | ~ | ~ | {H}.{P}.{S small R} | signature_invalid
R of mixed order             | ~ | ~ | {H}.{P}.{S mixed R} | signature_invalid
"#;

/// R is the neutral point and S = H(R, A, M)·a: holds in a reader that takes small-order points. Made once
/// outside this code for the sound token.
const SMALL_R: &str =
    "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABoWVAeAmz084T2MaAsqxWDh_z71vXPMTjmV8MA15aZDQ";
/// R is rB plus a point of order 8 and S = r + H(R, A, M)·a: holds in a reader that multiplies by the
/// cofactor. Made once outside this code for the sound token.
const MIXED_R: &str =
    "W2HC47k-bAZFDzJ-pyzf64zeaqAg0t2CerP4bnCMg5OthPN5tNrC9NvnpsNZDURyRiyZZG3bzy9o3uQmSconDw";
/// The token that those two were made for.
const MADE_FOR: &str = "c6f145f16699db7c480a29af60468019d78f064fd0b43278224fbf21f230e605";
/// The order of the base point, 2^252 + 27742317777372353535851937790883648493 (RFC 8032, section 5.1),
/// low byte first.
const L: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

const HEADER: &str = r#"{"alg":"EdDSA","typ":"command+jwt","kid":"KID"}"#;
const PAYLOAD: &str = r#"{"aud":"a network","n":1}"#;

fn key() -> SecretKey {
    SecretKey::from_seed([9; 32])
}

fn other_key() -> SecretKey {
    SecretKey::from_seed([10; 32])
}

/// The bytes of a header or payload from its cell.
fn cell(text: &str, sound: &str) -> Vec<u8> {
    if let Some(digits) = text.strip_prefix("hex ") {
        return data_encoding::HEXLOWER.decode(digits.as_bytes()).expect("hexadecimal");
    }
    let text = if text == "~" { sound } else { text };
    let (kid, other) = (key().public().kid().to_string(), other_key().public().kid().to_string());
    text.replace("KID", &kid)
        .replace("OTHER", &other)
        .replace("BOM", "\u{feff}")
        .replace("FILL", &"x".repeat(4096))
        .into_bytes()
}

/// The text of a token from the row's three cells.
fn assemble(header: &str, payload: &str, recipe: &str) -> String {
    let part = |text: &str, sound: &str| b64(&cell(text, sound));
    let (h, p) = (part(header, HEADER), part(payload, PAYLOAD));
    let (sound_h, sound_p) = (part("~", HEADER), part("~", PAYLOAD));
    let other_h = part("~", &HEADER.replace("command", "approval"));
    let other_p = part("~", &PAYLOAD.replace('1', "2"));
    let by_key = |input: String| key().sign(input.as_bytes());
    let s = by_key(format!("{h}.{p}"));

    let mut top = s;
    top[63] |= 0xE0;
    let parts = [
        ("{H}", h.clone()),
        ("{P}", p.clone()),
        ("{S}", b64(&s)),
        ("{H other}", other_h.clone()),
        ("{P other}", other_p.clone()),
        ("{P stray}", stray(&sound_p)),
        ("{S stray}", stray(&b64(&s))),
        ("{S standard}", data_encoding::BASE64_NOPAD.encode(&s)),
        ("{S hex}", data_encoding::HEXLOWER.encode(&s)),
        ("{S 63}", b64(&s[..63])),
        ("{S 65}", b64(&[&s[..], &[0]].concat())),
        ("{S zero}", b64(&[0; 64])),
        ("{S sound}", b64(&by_key(format!("{sound_h}.{sound_p}")))),
        ("{S of other typ}", b64(&by_key(format!("{other_h}.{p}")))),
        ("{S of other payload}", b64(&by_key(format!("{h}.{other_p}")))),
        ("{S of payload only}", b64(&by_key(p))),
        ("{S by other key}", b64(&other_key().sign(format!("{h}.{sound_p}").as_bytes()))),
        ("{S plus L}", b64(&plus_l(s))),
        ("{S top}", b64(&top)),
        ("{S small R}", SMALL_R.to_owned()),
        ("{S mixed R}", MIXED_R.to_owned()),
        ("{bom}", "\u{feff}".to_owned()),
        ("{space}", " ".to_owned()),
        ("{line end}", "\n".to_owned()),
        ("{fill}", "x".repeat(5000)),
    ];
    parts.iter().fold(recipe.to_owned(), |token, (name, part)| token.replace(name, part))
}

/// The same bytes with one of the unused bits of the last character set.
fn stray(part: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    assert_ne!(part.len() % 4, 0, "no unused bits");
    let (front, last) = part.split_at(part.len() - 1);
    let place = ALPHABET.find(last).expect("base64url");
    format!("{front}{}", &ALPHABET[place + 1..place + 2])
}

/// The signature with L added to its scalar: the same number in the group, another text.
fn plus_l(mut signature: [u8; 64]) -> [u8; 64] {
    let order = Hash::parse(L).expect("64 digits").0;
    let mut carry = 0;
    for (byte, more) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(more) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    signature
}

fn take(token: &str) -> Result<(), Refused> {
    Jws::parse(token)?.verify(&key().public())
}

#[test]
fn malformed_tokens_and_their_refusals() {
    let mut wrong = Vec::new();
    let mut names = Vec::new();
    for row in TABLE.lines().filter(|row| !row.is_empty()) {
        let cells: Vec<&str> = row.split('|').collect();
        let [name, header, payload, token, wanted] = cells[..] else { panic!("five cells: {row}") };
        // A space on each side of a bar belongs to the table; more of them belong to the cell.
        let bare = |cell: &'static str| {
            let cell = cell.strip_prefix(' ').unwrap_or(cell);
            cell.strip_suffix(' ').unwrap_or(cell)
        };
        let token = assemble(bare(header), bare(payload), bare(token));
        let got = take(&token).map_or_else(|refused| refused.code.code(), |()| "ok");
        if got != wanted.trim() {
            wrong.push(format!("{}: {got}, not {}: {token}", name.trim(), wanted.trim()));
        }
        names.push(name.trim());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let rows = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rows, "a name stands twice");
    assert!(rows > 100);
}

#[test]
fn the_sound_token_is_the_one_that_sign_makes() {
    let token = assemble("~", "~", "{H}.{P}.{S}");
    assert_eq!(token, sign(&key(), Typ::Command, PAYLOAD.as_bytes()));
}

#[test]
fn the_flaws_of_the_table_are_real() {
    let sound = assemble("~", "~", "{H}.{P}.{S}");
    let jws = Jws::parse(&sound).expect("sound");
    assert_eq!(jws.identity().to_string(), MADE_FOR, "make SMALL_R and MIXED_R anew");
    // A reader that is not strict takes the first; the second is no signature without the cofactor either.
    let lax = VerifyingKey::from_bytes(key().public().as_bytes()).expect("a point");
    let signature =
        |text: &str| Signature::from_slice(&b64_decode(text).expect("base64url")).expect("64 bytes");
    assert!(lax.verify(jws.signing_input(), &signature(SMALL_R)).is_ok());
    assert!(lax.verify(jws.signing_input(), &signature(MIXED_R)).is_err());
    // The other alphabet and the stray bits do change the text.
    assert_ne!(assemble("~", "~", "{S standard}"), assemble("~", "~", "{S}"));
    assert_ne!(assemble("~", "~", "{P stray}"), assemble("~", "~", "{P}"));
}
