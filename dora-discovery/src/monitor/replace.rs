//! Files that others read at any time.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Replaces the content of `path`, so that who reads it finds the old one or the new one,
/// whole; also after the machine has lost its power. Who may read the file may read it
/// still.
///
/// # Errors
/// Its folder cannot be written to.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = beside(path)?;
    let written = write(&beside, path, content);
    if written.is_err() {
        // Nothing of it is of use to anybody.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn write(beside: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(beside)?;
    file.write_all(content)?;
    if let Ok(before) = fs::metadata(path) {
        file.set_permissions(before.permissions())?;
    }
    file.sync_all()?;
    drop(file);
    fs::rename(beside, path)
}

/// Whether there is something that [`replace`] would replace, which it can.
///
/// # Errors
/// Its folder cannot be written to, or there is none.
pub(super) fn check(path: &Path) -> io::Result<bool> {
    let beside = beside(path)?;
    drop(File::create(&beside)?);
    fs::remove_file(&beside)?;
    Ok(fs::metadata(path).is_ok_and(|file| file.len() > 0))
}

/// A hidden file in the same folder: a rename must stay within a file system. Of nobody
/// else: two monitors may keep one file, from containers in which both are process 1.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let no_file = || io::Error::new(io::ErrorKind::InvalidInput, "it names no file");
    let name = path.file_name().ok_or_else(no_file)?.to_string_lossy();
    Ok(path.with_file_name(format!(".{name}.{:016x}", fastrand::u64(..))))
}
