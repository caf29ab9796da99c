//! Gzip of whole bodies, as PHP's `gzencode` and `gzdecode`.

use std::cell::RefCell;
use std::io::{self, BufRead, Read};

use bytes::Bytes;
use flate2::bufread::GzDecoder;
use flate2::{Compress, Compression, FlushCompress, Status};

/// The level that the PHP sources use.
pub const LEVEL: u32 = 4;

/// Whether a body is a gzip member.
#[must_use]
pub fn is_gzip(body: &[u8]) -> bool {
    body.starts_with(&[0x1f, 0x8b])
}

/// Inflates the first gzip member of `body`; what follows it is ignored, as
/// `gzdecode` ignores it.
///
/// # Errors
/// Broken data, or more than `max` bytes inflated: known while inflating, so
/// that a small body cannot take more memory than that.
pub fn inflate(body: &[u8], max: usize) -> io::Result<Bytes> {
    let mut inflating = Inflating::new(body, body.len().saturating_mul(2), max);
    inflating.step(usize::MAX)?;
    Ok(inflating.into_bytes())
}

/// A gzip member that is inflated piece by piece, so that others get their turn in
/// between.
#[derive(Debug)]
pub struct Inflating<R> {
    decoder: GzDecoder<R>,
    inflated: Vec<u8>,
    max: usize,
}

impl<R: BufRead> Inflating<R> {
    /// The first member of what `body` gives, to at most `max` bytes, of which `expected`
    /// are made room for.
    pub fn new(body: R, expected: usize, max: usize) -> Self {
        Self { decoder: GzDecoder::new(body), inflated: Vec::with_capacity(expected.min(max)), max }
    }

    /// Inflates up to `bytes` more; whether that was all.
    ///
    /// # Errors
    /// As [`inflate`].
    pub fn step(&mut self, bytes: usize) -> io::Result<bool> {
        // One more than there may be: that there are too many is known by it.
        let left = self.max.saturating_sub(self.inflated.len()).saturating_add(1);
        let most = u64::try_from(bytes.min(left)).unwrap_or(u64::MAX);
        let read = self.decoder.by_ref().take(most).read_to_end(&mut self.inflated)?;
        if self.inflated.len() > self.max {
            let max = self.max;
            return Err(io::Error::other(format!("inflates to over {max} bytes (Limits::bytes)")));
        }
        Ok(u64::try_from(read).unwrap_or(u64::MAX) < most)
    }

    /// What was inflated.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.inflated.into()
    }
}

thread_local! {
    // A fresh deflate state costs several times what a small body takes to compress.
    static STATE: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(LEVEL), false));
}

/// Appends `body` as one gzip member to `out`.
pub fn deflate(body: &[u8], out: &mut Vec<u8>) {
    // Method deflate, no flags, no time, no extra flags, Unix: as `gzencode` writes it.
    out.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
    STATE.with_borrow_mut(|state| {
        state.reset();
        let mut rest = body;
        loop {
            out.reserve((rest.len() / 2).max(64));
            let before = state.total_in();
            // Only a misuse of the stream can fail, and it ends the loop as well.
            let status = state.compress_vec(rest, out, FlushCompress::Finish);
            let taken = usize::try_from(state.total_in().saturating_sub(before)).unwrap_or(usize::MAX);
            rest = rest.get(taken..).unwrap_or_default();
            if !matches!(status, Ok(Status::Ok | Status::BufError)) {
                break;
            }
        }
    });
    out.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    // The trailer counts modulo 2^32.
    let [a, b, c, d, ..] = body.len().to_le_bytes();
    out.extend_from_slice(&[a, b, c, d]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_deflated_inflates() {
        let long: Vec<u8> = (0..300_000u32).flat_map(|i| i.wrapping_mul(i).to_le_bytes()).collect();
        for body in [&b""[..], b"a:0:{}", &long, &[b'D'; 100_000]] {
            let mut out = b"before".to_vec();
            deflate(body, &mut out);
            let member = out.get(6..).expect("appended");
            assert!(is_gzip(member));
            assert_eq!(inflate(member, body.len()).expect("own bytes"), body);
        }
    }

    #[test]
    fn a_bomb_is_capped_and_broken_data_refused() {
        let mut bomb = Vec::new();
        deflate(&[0; 10_000_000], &mut bomb);
        assert!(bomb.len() < 50_000);
        let error = inflate(&bomb, 1 << 20).expect_err("over the limit");
        assert_eq!(error.to_string(), "inflates to over 1048576 bytes (Limits::bytes)");
        assert!(inflate(bomb.get(..1000).expect("long"), 1 << 30).is_err());
    }

    #[test]
    fn a_body_is_inflated_in_as_many_steps_as_its_pieces_are() {
        let body = vec![b'D'; 1000];
        let mut member = Vec::new();
        deflate(&body, &mut member);
        for (step, steps) in [(1, 1001), (300, 4), (999, 2), (1000, 2), (1001, 1), (usize::MAX, 1)] {
            let (mut inflating, mut taken) = (Inflating::new(&*member, 0, 1000), 1);
            while !inflating.step(step).expect("good") {
                taken += 1;
            }
            assert_eq!((taken, inflating.into_bytes()), (steps, body.clone().into()), "in steps of {step}");
        }
        let mut over = Inflating::new(&*member, 0, 999);
        assert!(!over.step(999).expect("as much as may be"));
        assert!(over.step(1).is_err());
    }

    #[test]
    fn what_follows_the_member_is_ignored() {
        let mut out = Vec::new();
        deflate(b"first", &mut out);
        deflate(b"second", &mut out);
        out.extend_from_slice(b"garbage");
        assert_eq!(inflate(&out, 100).expect("a member"), "first");
    }
}
