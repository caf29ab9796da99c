//! Who calls: found out on a server, said by a client.
//!
//! [`AuthLayer`] asks a function of yours about each call, which goes by whatever the call
//! shows: a token, the certificate of its connection, the key its frame was signed with.
//! All end in one identity of your own type, which layers and handlers read with
//! [`Request::identity`](crate::Request::identity). On a client [`TokenLayer`] shows a token.
//! The guide's chapter is [`guide::auth`](crate::guide::auth).

pub use dora_core::middleware::auth::client::{TokenLayer, WithToken, WithTokenFuture};
pub use dora_core::middleware::auth::credentials::Credentials;
pub use dora_core::middleware::auth::server::{Auth, AuthFuture, AuthLayer, Authorize, AuthorizeLayer};
pub use dora_core::middleware::auth::token::Token;
#[cfg(feature = "hmac")]
pub use dora_core::middleware::signature::key::{KeyError, Keyring, SigningKey};
#[cfg(feature = "hmac")]
pub use dora_core::middleware::signature::sign::{Sign, SignLayer};
#[cfg(feature = "hmac")]
pub use dora_core::middleware::signature::verify::{Signer, Verify, VerifyLayer};
