//! A test peer over a plain blocking socket, and frames made by hand.
//!
//! Every wait ends: nothing here blocks for longer than [`PATIENCE`].

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use flate2::Compression;
use flate2::read::{GzDecoder, GzEncoder};

/// How long a peer may take for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The salt that PHP systems are deployed with.
pub const DEFAULT_SALT: &[u8] = b"=&$*#@(*&%(@";

/// The largest whole packet by default, length field included.
pub const MAX_PACKET: usize = 2 * 1024 * 1024;

/// One end of a connection.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
}

impl Peer {
    /// Connects to a server.
    ///
    /// # Errors
    ///
    /// When it cannot be reached.
    pub fn connect(address: impl ToSocketAddrs) -> anyhow::Result<Self> {
        let address = address.to_socket_addrs()?.next().context("no address")?;
        let stream = TcpStream::connect_timeout(&address, PATIENCE)
            .with_context(|| format!("cannot connect to {address}"))?;
        Self::over(stream)
    }

    /// Waits for a client to connect.
    ///
    /// # Errors
    ///
    /// When none comes in time.
    pub fn accept(listener: &TcpListener) -> anyhow::Result<Self> {
        listener.set_nonblocking(true)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false)?;
                    return Self::over(stream);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ensure!(Instant::now() < deadline, "nobody connected");
                    thread::sleep(Duration::from_millis(2));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn over(stream: TcpStream) -> anyhow::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream })
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// When the socket has none.
    pub fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.stream.local_addr()?)
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    ///
    /// When the other end does not take them.
    pub fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(bytes).context("cannot send")
    }

    /// Says that nothing more will be sent (FIN), and goes on reading.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub fn finish_sending(&mut self) -> anyhow::Result<()> {
        Ok(self.stream.shutdown(Shutdown::Write)?)
    }

    /// Reads one whole frame, length field included.
    ///
    /// # Errors
    ///
    /// When none comes in time, or the connection closes instead.
    pub fn frame(&mut self) -> anyhow::Result<Vec<u8>> {
        let frame = self.frame_or_close()?;
        frame.context("closed where a frame was to come")
    }

    /// Reads one whole frame; `None` when the connection closes before it begins.
    ///
    /// # Errors
    ///
    /// When neither happens in time, or it closes within a frame.
    pub fn frame_or_close(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let deadline = Instant::now() + PATIENCE;
        let mut frame = vec![0; 4];
        let first = self.read(&mut frame, deadline)?;
        if first == 0 {
            return Ok(None);
        }
        self.fill(&mut frame[first..], deadline)?;
        let length = u32::from_be_bytes(frame[..].try_into()?) as usize;
        ensure!(length <= 8 * MAX_PACKET, "a frame of {length} bytes is announced");
        frame.resize(4 + length, 0);
        self.fill(&mut frame[4..], deadline).with_context(|| format!("in a frame of {length} bytes"))?;
        Ok(Some(frame))
    }

    /// Checks that the other end closes (FIN or RST) without sending more.
    ///
    /// # Errors
    ///
    /// When bytes come, or nothing happens in time.
    pub fn expect_close(&mut self) -> anyhow::Result<()> {
        let mut byte = [0];
        match self.read(&mut byte, Instant::now() + PATIENCE)? {
            0 => Ok(()),
            _ => bail!("byte {:#04x} where a close was to come", byte[0]),
        }
    }

    /// Checks that the other end neither sends nor closes for `duration`.
    ///
    /// # Errors
    ///
    /// When it does.
    pub fn expect_silence(&mut self, duration: Duration) -> anyhow::Result<()> {
        let mut byte = [0];
        self.stream.set_read_timeout(Some(duration))?;
        match self.stream.read(&mut byte) {
            Err(error) if is_timeout(error.kind()) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(0) => bail!("closed where silence was to be"),
            Ok(_) => bail!("byte {:#04x} where silence was to be", byte[0]),
        }
    }

    fn fill(&mut self, mut rest: &mut [u8], deadline: Instant) -> anyhow::Result<()> {
        while !rest.is_empty() {
            let count = self.read(rest, deadline)?;
            ensure!(count > 0, "closed {} bytes early", rest.len());
            rest = &mut rest[count..];
        }
        Ok(())
    }

    /// Reads at least one byte; 0 means closed, by FIN or RST.
    fn read(&mut self, into: &mut [u8], deadline: Instant) -> anyhow::Result<usize> {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = left.max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(left))?;
        match self.stream.read(into) {
            Ok(count) => Ok(count),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(0),
            Err(error) if is_timeout(error.kind()) => bail!("nothing came in time"),
            Err(error) => Err(error.into()),
        }
    }
}

/// A generation of the PHP systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// A guid in the header: 2017-01 and newer.
    Guid,
    /// None there: releases 0.4.x.
    Plain,
    /// None there, and results that are bare values: 2015 to June 2016.
    Bare,
}

impl Generation {
    /// Its word for the scripts of `php/`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Guid => "guid",
            Self::Plain => "plain",
            Self::Bare => "bare",
        }
    }
}

/// What a PHP system is configured to speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// The generation of its code.
    pub generation: Generation,
    /// The salt of signed frames; `None` for unsigned ones.
    pub salt: Option<Vec<u8>>,
    /// Whether bodies are compressed.
    pub gzip: bool,
}

impl Dialect {
    /// Guid in the header, unsigned, not compressed: the default of PHP systems.
    pub const GUID: Self = Self { generation: Generation::Guid, salt: None, gzip: false };

    /// No guid in the header: releases 0.4.x.
    pub const PLAIN: Self = Self { generation: Generation::Plain, ..Self::GUID };

    /// No guid in the header, and bare results: 2015 to June 2016.
    pub const BARE: Self = Self { generation: Generation::Bare, ..Self::GUID };

    /// Whether the header holds a guid.
    #[must_use]
    pub fn has_guid(&self) -> bool {
        self.generation == Generation::Guid
    }

    /// With a checksum, made with the default salt.
    #[must_use]
    pub fn signed(self) -> Self {
        Self { salt: Some(DEFAULT_SALT.to_vec()), ..self }
    }

    /// With compressed bodies.
    #[must_use]
    pub fn gzip(self) -> Self {
        Self { gzip: true, ..self }
    }

    /// All eight since June 2016: both generations, signed or not, compressed or not.
    #[must_use]
    pub fn all() -> Vec<Self> {
        [Self::GUID, Self::PLAIN].into_iter().flat_map(Self::with_flags).collect()
    }

    /// The four of a generation: signed or not, compressed or not.
    #[must_use]
    pub fn with_flags(self) -> [Self; 4] {
        let signed = self.clone().signed();
        [self.clone(), self.gzip(), signed.clone(), signed.gzip()]
    }

    /// A whole frame around the serialized value `body`.
    ///
    /// # Panics
    ///
    /// When the body is longer than a length field can say.
    #[must_use]
    pub fn frame(&self, guid: &[u8; 32], body: &[u8]) -> Vec<u8> {
        let body = if self.gzip { gzip(body) } else { body.to_vec() };
        let mut content = Vec::new();
        if let Some(salt) = &self.salt {
            content.extend(checksum(&body, salt));
        }
        if self.has_guid() {
            content.extend(guid);
        }
        content.extend(body);
        let length = u32::try_from(content.len()).expect("a body under 4 GiB");
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend(content);
        frame
    }

    /// The header's guid (empty where it has none) and the body of a frame.
    ///
    /// # Errors
    ///
    /// When length, checksum or compression are not of this dialect.
    pub fn open(&self, frame: &[u8]) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
        let (length, mut content) = frame.split_at_checked(4).context("no length")?;
        let length = u32::from_be_bytes(length.try_into()?) as usize;
        ensure!(length == content.len(), "the length does not match");
        let mut stated = None;
        if self.salt.is_some() {
            let crc;
            (crc, content) = content.split_at_checked(4).context("no checksum")?;
            stated = Some(crc.to_vec());
        }
        let mut guid = &[][..];
        if self.has_guid() {
            (guid, content) = content.split_at_checked(32).context("no guid")?;
        }
        let salt = self.salt.as_deref();
        let right = salt.map(|salt| checksum(content, salt).to_vec());
        ensure!(stated == right, "the checksum does not fit");
        let body = if self.gzip { gunzip(content)? } else { content.to_vec() };
        Ok((guid.to_vec(), body))
    }
}

/// Compresses as PHP's `gzencode($bytes, 4)`.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut encoder = GzEncoder::new(bytes, Compression::new(4));
    encoder.read_to_end(&mut packed).expect("memory does not fail to be read");
    packed
}

/// Decompresses as PHP's `gzdecode`.
///
/// # Errors
///
/// When the bytes are no gzip.
pub fn gunzip(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut plain).context("no gzip")?;
    Ok(plain)
}

fn checksum(body: &[u8], salt: &[u8]) -> [u8; 4] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(body);
    crc.update(salt);
    crc.finalize().to_be_bytes()
}

fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUID: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

    #[test]
    fn what_a_dialect_frames_it_opens() {
        for dialect in Dialect::all().into_iter().chain(Dialect::BARE.with_flags()) {
            let frame = dialect.frame(GUID, b"a:0:{}");
            let (guid, body) = dialect.open(&frame).expect("its own frame");
            assert_eq!(body, b"a:0:{}");
            assert_eq!(guid.is_empty(), !dialect.has_guid());
        }
    }

    #[test]
    fn a_flipped_bit_is_found_only_when_signed() {
        for (dialect, found) in [(Dialect::GUID, false), (Dialect::GUID.signed(), true)] {
            let mut frame = dialect.frame(GUID, b"i:5;");
            *frame.last_mut().expect("a byte") ^= 1;
            assert_eq!(dialect.open(&frame).is_err(), found);
        }
    }

    #[test]
    fn frames_closes_and_silence_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut client = Peer::connect(address).expect("it listens");
        let mut server = Peer::accept(&listener).expect("it connected");
        let frame = Dialect::GUID.frame(GUID, b"i:5;");
        client.send(&frame[..7]).expect("sent");
        client.send(&frame[7..]).expect("sent");
        assert_eq!(server.frame().expect("a frame"), frame);
        server.expect_silence(Duration::from_millis(20)).expect("silence");
        client.finish_sending().expect("sent");
        server.expect_close().expect("closed");
        server.send(&frame).expect("half open");
        assert_eq!(client.frame().expect("a frame"), frame);
    }
}
