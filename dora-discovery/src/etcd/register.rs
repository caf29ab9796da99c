//! Announces an instance under a lease.

use std::fmt;
use std::future::pending;
use std::time::Duration;

use dora_core::call::status::BoxError;
use dora_core::discovery::record::InstanceRecord;
use dora_core::discovery::register::{Register, Standing};
use etcd_client::{
    Client, Compare, CompareOp, Error, GetOptions, KeyValue, LeaseKeepAliveStream, LeaseKeeper, PutOptions,
    ResponseHeader, Txn, TxnOp, TxnOpResponse,
};

use crate::json;

use super::cluster::{Cluster, EtcdError};
use super::term;

/// The shortest lease that etcd keeps is about this, whatever it is asked for.
const LEAST_LEASE: Duration = Duration::from_secs(2);

/// Tries to replace a key that others write, too.
const TRIES: usize = 5;

/// Announces an instance in etcd: one key under a lease, which the members keep by their
/// own clocks.
pub struct EtcdRegister {
    cluster: Cluster,
    ttl: Duration,
    /// Outlives connections: the next member knows it, too.
    lease: Option<i64>,
    /// The place of this run among all that had its address: of which generation, and the
    /// revision at which it was first announced.
    term: Option<(u64, i64)>,
    session: Option<Session>,
}

/// A connection, and the stream that renews the lease on it.
struct Session {
    client: Client,
    renewals: Option<(LeaseKeeper, LeaseKeepAliveStream)>,
}

impl EtcdRegister {
    pub(super) fn new(cluster: Cluster, ttl: Duration) -> Self {
        Self { cluster, ttl, lease: None, term: None, session: None }
    }

    /// For how long an announcement holds that is not renewed, in whole seconds, 2 at
    /// least. Default: 10 s.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        let up = Duration::from_nanos(999_999_999);
        let ttl = Duration::from_secs((lease + up).as_secs()).max(LEAST_LEASE);
        Self { ttl, ..self }
    }

    async fn announce_at_one(&mut self, record: &InstanceRecord, text: &str) -> Result<Standing, EtcdError> {
        // Put back when all went well; what did not, or was dropped half-way, is not used again.
        let mut session = match self.session.take() {
            Some(session) => session,
            None => Session { client: self.cluster.connect().await?, renewals: None },
        };
        let lease = self.hold(&mut session).await?;
        let term = self.put(&mut session.client, lease, record, text).await?;
        self.session = Some(session);
        let Some(term) = term else { return Ok(Standing::Superseded) };
        self.term = Some((record.generation, term));
        Ok(Standing::Announced)
    }

    /// A lease that has all of its time before it: the one that there is, or a new one.
    async fn hold(&mut self, session: &mut Session) -> Result<i64, EtcdError> {
        if let Some(lease) = self.lease {
            if self.renew(session, lease).await? {
                return Ok(lease);
            }
            self.lease = None;
            session.renewals = None;
        }
        let ttl = i64::try_from(self.ttl.as_secs()).unwrap_or(i64::MAX);
        let lease = self.cluster.ask(session.client.lease_grant(ttl, None)).await?.id();
        self.lease = Some(lease);
        session.renewals = Some(self.cluster.ask(session.client.lease_keep_alive(lease)).await?);
        Ok(lease)
    }

    /// Whether there is still something to renew.
    async fn renew(&self, session: &mut Session, lease: i64) -> Result<bool, EtcdError> {
        let Some((keeper, answers)) = &mut session.renewals else {
            let begun = self.cluster.ask(async {
                match session.client.lease_keep_alive(lease).await {
                    // What the client says of a lease that is over.
                    Err(Error::LeaseKeepAliveError(_)) => Ok(None),
                    begun => begun.map(Some),
                }
            });
            session.renewals = begun.await?;
            return Ok(session.renewals.is_some());
        };
        let answer = self.cluster.ask(async {
            keeper.keep_alive().await?;
            let ended = || Error::LeaseKeepAliveError("the stream of renewals has ended".to_owned());
            answers.message().await?.ok_or_else(ended)
        });
        Ok(answer.await?.ttl() > 0)
    }

    /// Has the key say `record`, unless a later run has it. The term that it then has.
    async fn put(
        &self,
        client: &mut Client,
        lease: i64,
        record: &InstanceRecord,
        text: &str,
    ) -> Result<Option<i64>, EtcdError> {
        let key = self.cluster.key(&record.address);
        let held = self.term.filter(|(generation, _)| *generation == record.generation);
        let held = held.map(|(_, term)| term);
        for _ in 0..TRIES {
            // What is under our lease, we have written; and a record does not change.
            let ours = Compare::lease(&*key, CompareOp::Equal, lease);
            let read = || TxnOp::get(&*key, None::<GetOptions>);
            // It is read again only by who has not heard that it was written.
            let unheard = if held.is_none() { vec![read()] } else { Vec::new() };
            let look = Txn::new().when([ours]).and_then(unheard).or_else([read()]);
            let found = self.cluster.ask(client.txn(look)).await?;
            let revision = found.header().map_or(0, ResponseHeader::revision);
            let known = found.op_responses().into_iter().find_map(first);
            if found.succeeded() {
                return Ok(held.or_else(|| known.map(|known| term::of(known.value()))));
            }
            let other = known.as_ref().map_or(0, |known| term::of_another(known.value(), record));
            if held.is_some_and(|held| other >= held) {
                return Ok(None);
            }
            // A run that is new here is later than all that were.
            let term = held.unwrap_or(revision.max(other.saturating_add(1)));
            let seen = known.map_or(0, |known| known.mod_revision());
            let same = Compare::mod_revision(&*key, CompareOp::Equal, seen);
            let under = PutOptions::new().with_lease(lease);
            let put = TxnOp::put(&*key, term::with_term(text, term), Some(under));
            if self.cluster.ask(client.txn(Txn::new().when([same]).and_then([put]))).await?.succeeded() {
                return Ok(Some(term));
            }
        }
        let busy = Error::Internal(format!("others keep writing {key}"));
        Err(self.cluster.refused(&busy))
    }

    async fn revoke(&mut self, lease: i64) -> Result<(), EtcdError> {
        let mut client = match self.session.take() {
            Some(session) => session.client,
            None => self.cluster.connect().await?,
        };
        let revoked = self.cluster.ask(async {
            match client.lease_revoke(lease).await {
                // It is over, and all that was under it.
                Err(Error::GRpcStatus(status)) if status.message().contains("lease not found") => Ok(()),
                revoked => revoked.map(drop),
            }
        });
        revoked.await
    }
}

impl Register for EtcdRegister {
    async fn announce(&mut self, record: &InstanceRecord) -> Result<Standing, BoxError> {
        let text = json::encode(record)?;
        let mut tries = self.cluster.members();
        loop {
            match self.announce_at_one(record, &text).await {
                Ok(standing) => return Ok(standing),
                Err(error) => {
                    self.cluster.turn();
                    tries -= 1;
                    if tries == 0 {
                        return Err(error.into());
                    }
                }
            }
        }
    }

    /// Ends the lease: a key of this address that a later run has written is under a lease
    /// of its own.
    async fn withdraw(&mut self, _: &InstanceRecord) -> Result<(), BoxError> {
        let Some(lease) = self.lease else { return Ok(()) };
        let mut tries = self.cluster.members();
        loop {
            match self.revoke(lease).await {
                Ok(()) => {
                    self.lease = None;
                    return Ok(());
                }
                Err(error) => {
                    self.cluster.turn();
                    tries -= 1;
                    if tries == 0 {
                        return Err(error.into());
                    }
                }
            }
        }
    }

    fn lease(&self) -> Duration {
        self.ttl
    }

    async fn lost(&mut self) {
        match &mut self.session {
            Some(Session { renewals: Some((_, answers)), .. }) => {
                // Nothing is asked meanwhile: what comes is the end of the stream.
                while let Ok(Some(_)) = answers.message().await {}
                self.session = None;
            }
            _ => pending().await,
        }
    }

    fn name(&self) -> String {
        self.cluster.name()
    }
}

impl fmt::Debug for EtcdRegister {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdRegister")
            .field("cluster", &self.cluster)
            .field("ttl", &self.ttl)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

fn first(answer: TxnOpResponse) -> Option<KeyValue> {
    match answer {
        TxnOpResponse::Get(mut got) => got.take_kvs().into_iter().next(),
        _ => None,
    }
}

#[cfg(test)]
#[path = "register_tests.rs"]
mod tests;
