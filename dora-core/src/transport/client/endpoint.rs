//! Where a server is and how it is spoken to.

use std::sync::Arc;
use std::time::Duration;

use crate::call::packer::Packer;
use crate::call::status::Status;
use crate::pack::limits::Limits;
use crate::wire::checksum::Salt;
use crate::wire::decoder::Decoder;
use crate::wire::encoder::Encoder;
use crate::wire::header::{DEFAULT_MAX_PACKET, Generation};

/// A server's address and the manner of speaking to it.
///
/// What stands by default is how two Dora ends speak: guid header, protobuf, no
/// signature, no compression. A PHP server wants [`Endpoint::php`], and the
/// signature and compression that its `SW_DATASIGEN_FLAG` and
/// `SW_DATACOMPRESS_FLAG` say.
#[derive(Clone, Debug)]
pub struct Endpoint {
    authority: Arc<str>,
    pub(super) generation: Generation,
    pub(super) packer: Packer,
    pub(super) salt: Option<Salt>,
    pub(super) gzip: Option<usize>,
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) max_packet: usize,
    pub(super) max_buffered: usize,
    pub(super) limits: Limits,
}

impl Endpoint {
    /// The server at `host:port`.
    ///
    /// # Errors
    /// `Code::InvalidArgument`: there is no port, or no host, in it.
    pub fn new(authority: impl Into<String>) -> Result<Self, Status> {
        let authority = authority.into();
        let port = authority.rsplit_once(':').map(|(host, port)| (!host.is_empty(), port.parse::<u16>()));
        if !matches!(port, Some((true, Ok(_)))) {
            return Err(Status::invalid_argument(format!("{authority:?} is not of the form host:port")));
        }
        Ok(Self {
            authority: authority.into(),
            generation: Generation::Guid,
            packer: Packer::Protobuf,
            salt: None,
            gzip: None,
            timeout: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(300),
            max_packet: DEFAULT_MAX_PACKET,
            max_buffered: 64 << 20,
            limits: Limits::default(),
        })
    }

    /// Speaks PHP's `serialize`, calls methods by their legacy names, and lets
    /// go of an idle connection before a PHP server does (it does after 10 s).
    #[must_use]
    pub fn php(self) -> Self {
        Self { packer: Packer::Php, idle_timeout: Duration::from_secs(8), ..self }
    }

    /// How packets and messages are packed. Default: [`Packer::Protobuf`].
    #[must_use]
    pub fn packer(self, packer: Packer) -> Self {
        Self { packer, ..self }
    }

    /// The generation of the frame header. Default: [`Generation::Guid`].
    /// `Plain` carries PHP packing only and one call at a time.
    #[must_use]
    pub fn generation(self, generation: Generation) -> Self {
        Self { generation, ..self }
    }

    /// Signs frames with the original salt (`SW_DATASIGEN_FLAG`). Default: not signed.
    #[must_use]
    pub fn signed(self) -> Self {
        Self { salt: Some(Salt::default()), ..self }
    }

    /// Signs frames with another salt.
    #[must_use]
    pub fn salt(self, salt: impl AsRef<[u8]>) -> Self {
        Self { salt: Some(Salt::new(salt.as_ref())), ..self }
    }

    /// Gzips every request (`SW_DATACOMPRESS_FLAG`): a PHP server with that flag
    /// inflates every body it gets. Default: not. Answers are inflated in any case.
    #[must_use]
    pub fn gzip(self) -> Self {
        Self { gzip: Some(0), ..self }
    }

    /// Gzips requests whose body has at least `bytes` bytes; for Dora servers,
    /// which tell each body by itself.
    #[must_use]
    pub fn gzip_over(self, bytes: usize) -> Self {
        Self { gzip: Some(bytes), ..self }
    }

    /// How long a call may take when neither it nor its method says. Default 3 s.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// How long connecting may take. Default 3 s.
    #[must_use]
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        Self { connect_timeout: timeout, ..self }
    }

    /// A connection without calls is let go after this; the next call makes
    /// another. Default 5 minutes, with [`php`](Self::php) 8 s.
    #[must_use]
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        Self { idle_timeout: timeout, ..self }
    }

    /// The largest packet in bytes, both ways. Default 2 MiB.
    #[must_use]
    pub fn max_packet(self, bytes: usize) -> Self {
        Self { max_packet: bytes, ..self }
    }

    /// Bytes of requests that may wait behind those that are being written, for a
    /// server that does not read; calls beyond it fail at once. Default 64 MiB.
    #[must_use]
    pub fn max_buffered(self, bytes: usize) -> Self {
        Self { max_buffered: bytes, ..self }
    }

    /// Bounds on unpacking answers.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// `host:port`.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Whether the settings go together.
    pub(crate) fn check(&self) -> Result<(), Status> {
        if self.is_serial() && self.packer != Packer::Php {
            return Err(Status::failed_precondition(format!(
                "the Plain generation carries PHP packing only, not {}",
                self.packer
            )));
        }
        Ok(())
    }

    /// Whether answers may have no guid, so that one call must end before the next.
    pub(super) fn is_serial(&self) -> bool {
        self.generation == Generation::Plain
    }

    pub(super) fn decoder(&self) -> Decoder {
        Decoder::new(self.max_packet, self.salt.clone())
    }

    pub(super) fn encoder(&self) -> Encoder {
        Encoder::new(self.max_packet, self.salt.clone())
    }
}
