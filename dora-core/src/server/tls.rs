//! A server that speaks TLS.

use crate::transport::server::tls::ServerTls;

use super::Server;

impl<L> Server<L> {
    /// Speaks TLS on all its connections. Default: plain.
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.server.upgrade = Some(tls.upgrade());
        self
    }
}
