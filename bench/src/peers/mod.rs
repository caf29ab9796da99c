//! The systems under comparison, one file each, all with the same two functions.
//!
//! To add one: write the file, and name it in `peers!` below. The first one named there is the one
//! whose ratios to the others are told.

pub(crate) mod dora;
mod http;
mod limit;
mod raw;
mod swoft;
mod tarpc;
mod tonic;

/// The certificate of peers that speak TLS, which `build.rs` has made.
const CERTIFICATE: &str = include_str!(concat!(env!("OUT_DIR"), "/dora/cert.pem"));
const KEY: &str = include_str!(concat!(env!("OUT_DIR"), "/dora/key.pem"));
/// The name that it is for.
const CERTIFIED: &str = "localhost";

use std::{future::Future, net::SocketAddr};

use clap::ValueEnum;
use tokio::net::TcpListener;

use crate::message::EchoMessage;

/// An RPC system that can serve `bench.v1.Echo` and call it.
pub(crate) trait Peer: 'static {
    /// Whether one connection carries several calls at once.
    const MULTIPLEXED: bool = true;

    /// Whether it is a variant of another one, which is compared only where it is named.
    const VARIANT: bool = false;

    /// One connection to a server.
    type Connection: Connection;

    /// Serves every connection that `listener` accepts, until dropped.
    fn serve(listener: TcpListener) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Opens one connection.
    fn connect(addr: SocketAddr) -> impl Future<Output = anyhow::Result<Self::Connection>> + Send;
}

/// One connection; clones share it.
pub(crate) trait Connection: Clone + Send + 'static {
    /// Sends `message` and waits for the same to come back.
    fn echo(&mut self, message: EchoMessage) -> impl Future<Output = anyhow::Result<EchoMessage>> + Send;
}

/// What can be done with a peer once its type is known.
pub(crate) trait Visitor {
    /// What comes of it.
    type Output;

    /// Does it.
    fn visit<P: Peer>(self) -> Self::Output;
}

macro_rules! peers {
    ($($name:ident => $peer:ty),+ $(,)?) => {
        /// The name of a peer on the command line.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
        pub(crate) enum PeerName {
            $(#[allow(missing_docs, reason = "its name says it")] $name,)+
        }

        impl PeerName {
            /// All of them but variants.
            pub(crate) fn plain() -> Vec<Self> {
                let all = [$((Self::$name, <$peer as Peer>::VARIANT)),+];
                all.into_iter().filter(|(_, variant)| !variant).map(|(name, _)| name).collect()
            }

            /// Calls `visitor` with the type that this name stands for: from there on, all is static.
            pub(crate) fn visit<V: Visitor>(self, visitor: V) -> V::Output {
                match self {
                    $(Self::$name => visitor.visit::<$peer>(),)+
                }
            }

            /// [`Peer::MULTIPLEXED`] of the type that this name stands for.
            pub(crate) fn is_multiplexed(self) -> bool {
                match self {
                    $(Self::$name => <$peer as Peer>::MULTIPLEXED,)+
                }
            }
        }
    };
}

peers! {
    AxumJson => http::AxumHttp1,
    AxumJsonH2c => http::AxumHttp2,
    Dora => dora::Dora,
    DoraForms => http::DoraForms,
    DoraJson => http::DoraHttp1,
    DoraJsonH2c => http::DoraHttp2,
    DoraLimited => dora::DoraLimited,
    DoraStack => dora::DoraStack,
    DoraSwoft => swoft::Swoft,
    DoraTls => dora::DoraTls,
    Limit => limit::Limit,
    Raw => raw::Raw,
    Tarpc => tarpc::Tarpc,
    Tonic => tonic::Tonic,
    TonicTls => tonic::TonicTls,
}

impl std::fmt::Display for PeerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.to_possible_value().ok_or(std::fmt::Error)?;
        f.write_str(value.get_name())
    }
}
