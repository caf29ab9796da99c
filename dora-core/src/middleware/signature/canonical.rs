//! What of a call is signed, and how a signature travels.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::call::metadata::Metadata;
use crate::call::mode::Mode;
use crate::call::packed::Packed;

use super::key::SigningKey;

/// The key of the metadata under which a signature travels.
pub(super) const KEY: &str = "dora-signature";
/// What is signed begins so: a secret that is used elsewhere too signs nothing else.
const DOMAIN: &[u8] = b"dora-call-1";
const VERSION: &str = "1";
const NONCE: usize = 16;
const CODE: usize = 32;

/// A call, as far as it is signed.
pub(super) struct Signed<'a> {
    /// The name that the call is sent as.
    pub(super) method: &'a [u8],
    pub(super) mode: Mode,
    /// That of its batch first. Signatures among it are not signed.
    pub(super) metadata: [&'a Metadata; 2],
    pub(super) body: &'a Packed,
}

/// A signature, as it travels: `1;key;milliseconds;nonce;code`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature<'a> {
    pub(super) key: &'a str,
    /// When it was made, in milliseconds since 1970.
    pub(super) made: u64,
    pub(super) nonce: [u8; NONCE],
    code: [u8; CODE],
}

impl<'a> Signature<'a> {
    pub(super) fn make(key: &'a SigningKey, call: &Signed<'_>, made: u64) -> Self {
        let nonce = fastrand::u128(..).to_be_bytes();
        let code = code(key, call, made, &nonce).finalize().into_bytes().into();
        Self { key: key.id(), made, nonce, code }
    }

    /// Whether it is this key's of this call, in a time that does not depend on where it
    /// differs.
    pub(super) fn fits(&self, key: &SigningKey, call: &Signed<'_>) -> bool {
        code(key, call, self.made, &self.nonce).verify_slice(&self.code).is_ok()
    }

    pub(super) fn parse(value: &'a str) -> Option<Self> {
        let mut parts = value.split(';');
        let mut next = || parts.next();
        let (version, key, made, nonce, code) = (next()?, next()?, next()?, next()?, next()?);
        if version != VERSION || next().is_some() {
            return None;
        }
        let nonce = const_hex::decode_to_array(nonce).ok()?;
        let code = const_hex::decode_to_array(code).ok()?;
        Some(Self { key, made: made.parse().ok()?, nonce, code })
    }

    pub(super) fn text(&self) -> String {
        let (nonce, code) = (const_hex::encode(self.nonce), const_hex::encode(self.code));
        format!("{VERSION};{};{};{nonce};{code}", self.key, self.made)
    }
}

/// Every part with its length before it, so that no two calls are signed alike.
fn code(key: &SigningKey, call: &Signed<'_>, made: u64, nonce: &[u8; NONCE]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.secret()).expect("HMAC takes keys of any length");
    let mut part = |bytes: &[u8]| {
        mac.update(&(bytes.len() as u64).to_be_bytes());
        mac.update(bytes);
    };
    part(DOMAIN);
    part(key.id().as_bytes());
    part(&made.to_be_bytes());
    part(nonce);
    part(call.method);
    part(match call.mode {
        Mode::Wait => b"wait",
        Mode::NoResult => b"no_result",
        Mode::Deferred => b"deferred",
    });
    part(call.body.packer.to_string().as_bytes());
    part(&call.body.bytes);
    for metadata in call.metadata {
        for (key, value) in metadata.iter().filter(|(key, _)| *key != KEY) {
            part(key.as_bytes());
            part(value.as_bytes());
        }
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::body::Body;
    use crate::call::packer::Packer;

    #[test]
    fn what_is_signed_reads_back_and_nothing_else_fits() {
        let key = SigningKey::new("k1", [7; 32]).expect("a key");
        let none = Metadata::new();
        let pairs: Metadata = [("tenant", "acme")].into_iter().collect();
        let packed = |packer, bytes: &'static [u8]| match Body::packed(packer, bytes.into()) {
            Body::Packed(packed) => packed,
            _ => unreachable!("it is packed"),
        };
        let body = packed(Packer::Protobuf, b"abc");
        let call = Signed { method: b"/t/a", mode: Mode::Wait, metadata: [&none, &pairs], body: &body };
        let text = Signature::make(&key, &call, 1_000).text();
        let signature = Signature::parse(&text).expect("a signature");
        assert!(signature.fits(&key, &call));
        // Whose the pairs are does not matter: the batch's travel before the call's.
        assert!(signature.fits(&key, &Signed { metadata: [&pairs, &none], ..call }));

        let (other, php) = (packed(Packer::Protobuf, b"abd"), packed(Packer::Php, b"abc"));
        assert!(!signature.fits(&key, &Signed { method: b"/t/b", ..call }));
        assert!(!signature.fits(&key, &Signed { mode: Mode::NoResult, ..call }));
        assert!(!signature.fits(&key, &Signed { metadata: [&none, &none], ..call }));
        assert!(!signature.fits(&key, &Signed { metadata: [&pairs, &pairs], ..call }));
        assert!(!signature.fits(&key, &Signed { body: &other, ..call }));
        assert!(!signature.fits(&key, &Signed { body: &php, ..call }));
        assert!(!signature.fits(&SigningKey::new("k1", [8; 32]).expect("a key"), &call));
        assert!(!Signature { made: 1_001, ..signature.clone() }.fits(&key, &call));
        assert!(!Signature { nonce: [0; 16], ..signature.clone() }.fits(&key, &call));
        let (front, code) = text.rsplit_once(';').expect("parts");
        for text in
            ["", "1;k1", &format!("2{}", &text[1..]), &format!("{text};"), &format!("{front};{}", &code[2..])]
        {
            assert_eq!(Signature::parse(text), None, "{text:?}");
        }
    }
}
