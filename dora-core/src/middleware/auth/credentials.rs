//! What a call shows of who makes it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::call::extensions::Extensions;
use crate::call::head::RequestHead;
use crate::call::metadata::Metadata;
use crate::call::method::Method;
use crate::call::name::MethodName;
use crate::call::origin::{Connection, Peer, RequestOrigin};

use super::token::{KEY, bearer};

/// What a call shows of who makes it: its metadata, and what its connection has proved. For
/// an authenticator, which is to find out who that is. Never shows a secret by `Debug`.
#[derive(Clone)]
pub struct Credentials {
    method: MethodName,
    descriptor: Option<&'static Method>,
    metadata: Metadata,
    connection: Option<Arc<Connection>>,
    values: Extensions,
}

impl Credentials {
    /// What `call` shows.
    #[must_use]
    pub fn of(call: &RequestHead) -> Self {
        Self {
            method: call.method().clone(),
            descriptor: call.descriptor(),
            metadata: call.metadata().clone(),
            connection: call.origin().map(RequestOrigin::connection).cloned(),
            values: call.extensions().clone(),
        }
    }

    /// The token under `authorization`, as a
    /// [`TokenLayer`](super::client::TokenLayer) writes it: `Bearer ..`. What a call of a
    /// batch says for itself goes before what the batch says for all.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        // A batch's pairs stand before the call's own.
        let said = self.metadata.iter().filter(|(key, _)| *key == KEY).last();
        said.and_then(|(_, value)| bearer(value))
    }

    /// What was proved of the caller, by type: a `dora::tls::ClientIdentity` where it has
    /// shown a certificate, a `dora::auth::Signer` where its frame was signed. What a layer further out
    /// has put into the request's extensions comes first, then what whoever accepted the
    /// connection knows.
    #[must_use]
    pub fn proved<T: Any + Send + Sync>(&self) -> Option<&T> {
        let of_connection = || self.connection.as_ref()?.values().get();
        self.values.get().or_else(of_connection)
    }

    /// The canonical path of the method that is called.
    #[must_use]
    pub const fn method(&self) -> &MethodName {
        &self.method
    }

    /// The method as its `.proto` declares it.
    #[must_use]
    pub const fn descriptor(&self) -> Option<&'static Method> {
        self.descriptor
    }

    /// Pairs that travel with the call.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The other end of the connection.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.connection.as_ref().map_or(&Peer::InProcess, |connection| connection.peer())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("method", &self.method)
            .field("metadata", &self.metadata)
            .field("peer", self.peer())
            .finish_non_exhaustive()
    }
}
