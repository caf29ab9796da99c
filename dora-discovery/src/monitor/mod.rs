//! Files that are kept current, for clients that read nothing else.

mod keeper;
mod php;
mod replace;

use std::fmt;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dora_core::discovery::directory::Directory;
use dora_core::discovery::record::InstanceRecord;
use dora_core::discovery::register::DEFAULT_LEASE;
use tokio::time::{MissedTickBehavior, interval};

use crate::file::Format;

use self::keeper::Keeper;

/// What the logs are told by.
const TARGET: &str = "dora::monitor";

/// How often the original's monitor writes.
const DEFAULT_REFRESH: Duration = Duration::from_secs(10);

/// Keeps files of instances current: what the `Monitor` of Dora-RPC does, for any
/// registry.
///
/// | file | is |
/// | --- | --- |
/// | `.php` | what PHP clients of Dora-RPC include: `return array(group => ..)` |
/// | `.json` | `{"updated": <seconds since 1970>, "instances": [..]}`, as registries have them |
/// | `.toml` | the same |
///
/// The latter two are what a target `file:///..` reads. Each is replaced as a whole: who
/// reads it at any time finds all of one list. It is written when the list changes, and
/// every 10 s while a registry confirms it, so that its age can be told from its
/// `updated`.
///
/// An outage of the registry changes nothing. Nor does a list that is empty for less than a
/// lease, as one is after a registry has lost its data. And a file that stands when the
/// monitor starts is left until a registry has answered for a lease without a break: it
/// may just have come back, and not all have announced themselves again.
///
/// ```
/// use dora::discovery::{Monitor, Target};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = std::env::temp_dir().join(format!("dora-monitor-doc-{}", std::process::id()));
/// # std::fs::create_dir(&folder)?;
/// let file = folder.join("servers.php");
/// let servers = Target::new("10.0.2.15:9567,10.0.2.16:9567")?;
/// let monitor = Monitor::new(servers.all_groups()).file(&file)?;
/// # let (end, ended) = tokio::sync::oneshot::channel::<()>();
/// # let signal = async { drop(ended.await) };
/// // let signal = dora::shutdown_signal();
/// let running = tokio::spawn(monitor.run(signal));
/// # while !file.exists() { tokio::time::sleep(std::time::Duration::from_millis(1)).await; }
/// # drop(end);
/// running.await??;
/// assert!(std::fs::read_to_string(&file)?.contains("'10.0.2.15_9567' =>"));
/// # std::fs::remove_dir_all(folder)?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a monitor does nothing until it runs"]
pub struct Monitor {
    directory: Directory,
    files: Vec<(PathBuf, Kind)>,
    refresh: Duration,
    hold: Duration,
}

/// How a file is written.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Php,
    Instances(Format),
}

/// Why a monitor keeps no files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MonitorError {
    /// The name of a file does not say how it is to be written.
    #[error("{path:?}: {what}")]
    Name {
        /// Which.
        path: PathBuf,
        /// What to call it.
        what: String,
    },
    /// A file cannot be written.
    #[error("cannot write {path:?}: {source}")]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Monitor {
    /// A monitor of these instances, which keeps no file yet. Of a
    /// [`Target`](crate::target::Target), [`all_groups`](crate::target::Target::all_groups)
    /// are what a monitor is for.
    pub fn new(directory: impl Into<Directory>) -> Self {
        Self { directory: directory.into(), files: Vec::new(), refresh: DEFAULT_REFRESH, hold: DEFAULT_LEASE }
    }

    /// Keeps this file, too; its name says how it is written: `.php`, `.json`, `.toml`.
    ///
    /// # Errors
    /// [`MonitorError::Name`].
    pub fn file(mut self, path: impl Into<PathBuf>) -> Result<Self, MonitorError> {
        let path = path.into();
        let kind = match path.extension().and_then(|extension| extension.to_str()) {
            Some("php") => Kind::Php,
            _ => match Format::of(&path) {
                Ok(format) => Kind::Instances(format),
                Err(error) => {
                    let what = format!("{error}, or .php for PHP clients");
                    return Err(MonitorError::Name { path, what });
                }
            },
        };
        self.files.push((path, kind));
        Ok(self)
    }

    /// Writes a list that did not change so often, while a registry confirms it. Default:
    /// 10 s.
    ///
    /// # Panics
    /// It is zero.
    pub fn refresh(self, every: Duration) -> Self {
        assert!(!every.is_zero(), "files cannot be written all the time");
        Self { refresh: every, ..self }
    }

    /// For how long a list that may lack somebody is not believed: one that is empty, and at
    /// the start all, where a file stands already. At least the lease of the servers, who
    /// announce themselves within it after a registry has lost its data. Default: 10 s.
    pub fn hold(self, time: Duration) -> Self {
        Self { hold: time, ..self }
    }

    /// Keeps the files until `signal` ends; then what is known and not written yet is
    /// written. A file that cannot be written later on is logged, and tried again.
    ///
    /// # Errors
    /// [`MonitorError::Write`]: a file cannot be written at the start.
    pub async fn run(self, signal: impl Future<Output = ()>) -> Result<(), MonitorError> {
        let mut keeper = Keeper::new(self.files, self.hold).await?;
        let mut watch = self.directory.watch();
        let mut due = interval(self.refresh);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(signal);
        loop {
            tokio::select! {
                biased;
                () = &mut signal => break,
                list = watch.changed() => keeper.listed(list),
                _ = due.tick() => {}
                () = keeper.held() => {}
            }
            keeper.write(&watch).await;
        }
        keeper.write(&watch).await;
        tracing::info!(target: TARGET, "the files are left as they are");
        Ok(())
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: Vec<_> = self.files.iter().map(|(path, _)| path).collect();
        f.debug_struct("Monitor").field("directory", &self.directory).field("files", &files).finish()
    }
}

impl Kind {
    fn render(self, list: &[Arc<InstanceRecord>], confirmed: SystemTime) -> io::Result<Vec<u8>> {
        match self {
            Self::Php => Ok(php::render(list, confirmed).into_bytes()),
            Self::Instances(format) => format.write(list, confirmed).map_err(io::Error::other),
        }
    }
}

/// Files are written where nobody waits for the disk.
async fn blocking<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, MonitorError> {
    let own = path.clone();
    let done = tokio::task::spawn_blocking(move || work(&own)).await;
    let done = done.unwrap_or_else(|panic| Err(io::Error::other(panic)));
    done.map_err(|source| MonitorError::Write { path, source })
}
