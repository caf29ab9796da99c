//! Listening on a path.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};

use tokio::net::UnixListener;

use crate::transport::io::address::Address;

use super::accept::Accept;
use super::incoming::Incoming;

/// A listener on a path, which takes the path away with it.
#[derive(Debug)]
pub struct UnixPath {
    listener: UnixListener,
    path: Owned,
}

/// A socket's file. Dropped, it is removed, unless a successor has put its own
/// in its place.
#[derive(Debug)]
struct Owned {
    path: PathBuf,
    inode: (u64, u64),
}

impl Drop for Owned {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            // Gone already, or not ours to remove.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Listens on `path`, where a socket may stand that nobody listens on any more;
/// with `replace`, one that somebody does.
pub(super) fn bind(path: &Path, replace: bool) -> io::Result<UnixPath> {
    let stands = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if stands && !replace && UnixStream::connect(path).is_ok() {
        let message = "another server listens on it";
        return Err(io::Error::new(io::ErrorKind::AddrInUse, message));
    }
    if !stands {
        let listener = UnixListener::bind(path)?;
        return Ok(UnixPath { path: Owned { path: path.to_owned(), inode: inode(path)? }, listener });
    }
    // Put in its place in one step, so that callers find the one or the other.
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let listener = UnixListener::bind(&beside)?;
    let owned = Owned { inode: inode(&beside)?, path: path.to_owned() };
    if let Err(error) = fs::rename(&beside, path) {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    Ok(UnixPath { path: owned, listener })
}

impl Accept for UnixPath {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Incoming>>> {
        Accept::poll_accept(&mut self.listener, cx)
    }

    fn address(&self) -> Option<Address> {
        Some(self.path.path.clone().into())
    }

    fn close(self) -> Vec<Incoming> {
        // Nobody new finds it, then nobody is left in its queue.
        drop(self.path);
        self.listener.close()
    }
}
