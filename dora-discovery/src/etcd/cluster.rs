//! A cluster of etcd, and how one of its members is reached.

use std::error::Error as _;
use std::fmt;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dora_core::discovery::register::DEFAULT_LEASE;
use etcd_client::{Certificate, Client, ConnectOptions, Identity, TlsOptions};
use tokio::time::timeout;

use super::INSTANCES;
use super::discover::EtcdDiscover;
use super::register::EtcdRegister;

/// Where instances stand unless the target says.
const DEFAULT_PREFIX: &str = "dora";

/// How long a member may take for an answer. Then another one is asked.
const PATIENCE: Duration = Duration::from_secs(2);

/// A cluster of etcd, and the folder in it where instances stand. Works with etcd 3.4 and
/// newer.
///
/// One member is asked at a time, and another one when it fails, hangs, or has lost its
/// leader: a cluster works with it as long as it has a quorum.
///
/// ```
/// use std::time::Duration;
///
/// use dora::Channel;
/// use dora::discovery::Etcd;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let etcd = Etcd::new(["10.0.0.1:2379", "10.0.0.2:2379"]).prefix("shop").user("dora", "secret");
/// let server = dora::Server::builder().register(etcd.register().with_lease(Duration::from_secs(5)));
/// let fleet = Channel::to(etcd.discover());
/// # drop((server, fleet));
/// # }
/// ```
#[derive(Clone)]
pub struct Etcd {
    members: Vec<String>,
    prefix: String,
    user: Option<(String, String)>,
    tls: Option<Tls>,
}

/// Files, read at each connection: renewed ones are taken without a restart.
#[derive(Clone)]
struct Tls {
    ca: PathBuf,
    identity: Option<(PathBuf, PathBuf)>,
}

/// Why etcd is not asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EtcdError {
    /// A file of certificates or keys cannot be read.
    #[error("cannot read {path:?}, for TLS to etcd: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The member refused, or is not there.
    #[error("etcd at {member}: {what}")]
    Member {
        /// Its address.
        member: String,
        /// What is wrong, and where.
        what: String,
    },
    /// The member did not answer in time.
    #[error("etcd at {member} has not answered within {:?}", PATIENCE)]
    Silent {
        /// Its address.
        member: String,
    },
}

impl Etcd {
    /// The cluster of these members: `host:port`.
    pub fn new<A: Into<String>>(members: impl IntoIterator<Item = A>) -> Self {
        let members = members.into_iter().map(Into::into).collect();
        Self { members, prefix: DEFAULT_PREFIX.to_owned(), user: None, tls: None }
    }

    /// Instances stand below this, and what else of Dora's is there. Slashes at both ends
    /// make no difference. Default: `dora`.
    #[must_use]
    pub fn prefix(self, prefix: impl AsRef<str>) -> Self {
        Self { prefix: prefix.as_ref().trim_matches('/').to_owned(), ..self }
    }

    /// Asks as this user.
    #[must_use]
    pub fn user(self, name: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: Some((name.into(), password.into())), ..self }
    }

    /// Asks over TLS, of members whose certificates one in this file (PEM) has signed.
    #[must_use]
    pub fn ca(self, file: impl Into<PathBuf>) -> Self {
        let identity = self.tls.and_then(|tls| tls.identity);
        Self { tls: Some(Tls { ca: file.into(), identity }), ..self }
    }

    /// Shows members a certificate, and asks with its key; both files are PEM. After
    /// [`ca`](Self::ca): without it there is no TLS, and this is not used.
    #[must_use]
    pub fn identity(self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        let identity = Some((certificate.into(), key.into()));
        Self { tls: self.tls.map(|tls| Tls { identity, ..tls }), ..self }
    }

    /// Finds the instances below the prefix.
    #[must_use]
    pub fn discover(&self) -> EtcdDiscover {
        EtcdDiscover::new(self.cluster())
    }

    /// Announces an instance below the prefix.
    #[must_use]
    pub fn register(&self) -> EtcdRegister {
        EtcdRegister::new(self.cluster(), DEFAULT_LEASE)
    }

    /// Whether what it needs can be read.
    ///
    /// # Errors
    /// [`EtcdError::File`]: a file for TLS cannot be read.
    pub fn check(&self) -> Result<(), EtcdError> {
        self.options().map(drop)
    }

    pub(crate) fn cluster(&self) -> Cluster {
        // Not all ask the first one first.
        let at = fastrand::usize(..self.members.len().max(1));
        Cluster { etcd: self.clone(), at }
    }

    fn options(&self) -> Result<ConnectOptions, EtcdError> {
        let mut options = ConnectOptions::new().with_connect_timeout(PATIENCE).with_require_leader(true);
        if let Some((name, password)) = &self.user {
            options = options.with_user(name, password).with_auto_token_refresh(true);
        }
        if let Some(tls) = &self.tls {
            let mut files = TlsOptions::new().ca_certificate(Certificate::from_pem(read(&tls.ca)?));
            if let Some((certificate, key)) = &tls.identity {
                files = files.identity(Identity::from_pem(read(certificate)?, read(key)?));
            }
            options = options.with_tls(files);
        }
        Ok(options)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, EtcdError> {
    fs::read(path).map_err(|source| EtcdError::File { path: path.to_owned(), source })
}

impl fmt::Debug for Etcd {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Etcd")
            .field("members", &self.members)
            .field("prefix", &self.prefix)
            .field("user", &self.user.as_ref().map(|(name, _)| name))
            .field("tls", &self.tls.is_some())
            .finish()
    }
}

/// The members, and the one whose turn it is.
#[derive(Debug)]
pub(crate) struct Cluster {
    etcd: Etcd,
    at: usize,
}

impl Cluster {
    /// A client of the member whose turn it is. That it answers is not known yet.
    pub(super) async fn connect(&self) -> Result<Client, EtcdError> {
        let scheme = if self.etcd.tls.is_some() { "https" } else { "http" };
        let member = [format!("{scheme}://{}", self.member())];
        let options = self.etcd.options()?;
        self.ask(Client::connect(member, Some(options))).await
    }

    /// What the member says, if it says it in time.
    pub(super) async fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, etcd_client::Error>>,
    ) -> Result<T, EtcdError> {
        match timeout(PATIENCE, question).await {
            Ok(answer) => answer.map_err(|error| self.refused(&error)),
            Err(_) => Err(EtcdError::Silent { member: self.member().to_owned() }),
        }
    }

    /// `error` as one that names the member.
    pub(super) fn refused(&self, error: &etcd_client::Error) -> EtcdError {
        EtcdError::Member { member: self.member().to_owned(), what: plain(error) }
    }

    /// The member has failed: another one's turn.
    pub(super) fn turn(&mut self) {
        self.at = self.at.wrapping_add(1);
    }

    /// How many there are to turn to.
    pub(super) fn members(&self) -> usize {
        self.etcd.members.len().max(1)
    }

    fn member(&self) -> &str {
        self.etcd.members.get(self.at % self.members()).map_or("", String::as_str)
    }

    /// The key of what is below the prefix.
    pub(super) fn key(&self, rest: &str) -> String {
        match &*self.etcd.prefix {
            "" => format!("{INSTANCES}/{rest}"),
            prefix => format!("{prefix}/{INSTANCES}/{rest}"),
        }
    }

    pub(super) fn name(&self) -> String {
        format!("etcd://{}/{}", self.addresses(), self.etcd.prefix)
    }

    pub(super) fn addresses(&self) -> String {
        self.etcd.members.join(",")
    }
}

/// What is at the bottom of an error, in one line: its layers repeat each other.
fn plain(error: &etcd_client::Error) -> String {
    let etcd_client::Error::GRpcStatus(status) = error else { return error.to_string() };
    let mut cause = status.source();
    let mut bottom = None;
    while let Some(error) = cause {
        bottom = Some(error.to_string());
        cause = error.source();
    }
    match bottom {
        Some(bottom) if !status.message().contains(&bottom) => format!("{}: {bottom}", status.message()),
        _ => status.message().to_owned(),
    }
}
