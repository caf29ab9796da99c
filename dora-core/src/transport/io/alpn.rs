//! How Dora is called among other protocols.

/// The protocol that two Dora ends agree on within TLS (ALPN), so that one port can tell
/// it from HTTP.
pub const ALPN: &[u8] = b"dora/1";
