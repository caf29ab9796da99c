//! TLS and mTLS on both ends, with rustls and ring.

pub use dora_core::transport::client::tls::ClientTls;
pub use dora_core::transport::io::alpn::ALPN;
pub use dora_core::transport::io::tls::error::{PemContent, TlsError};
pub use dora_core::transport::io::tls::identity::Identity;
pub use dora_core::transport::io::tls::trust::Trust;
pub use dora_core::transport::server::tls::{ClientIdentity, ServerTls};
