//! The task of one endpoint: makes the connection when it is needed, and makes it
//! anew when it was lost.

use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::task::Poll;

use tokio::time::{Instant, sleep_until, timeout};

use crate::call::dora_code;
use crate::call::observe::Closed;
use crate::call::status::Status;
use crate::sync::spawn;
use crate::transport::io::address::Address;
use crate::transport::io::stream::Stream;

use super::connection::Connection;
use super::end::{End, Turned};
use super::link::Link;
use super::link_state::{Backoff, LinkState};
use super::log::Log;
use super::readiness::PROBATION;

/// Runs until no channel is left.
///
/// Not an `async fn`: a runtime may drop its task before it was ever polled, and then
/// too all calls end.
pub(super) fn drive(link: Arc<Link>) -> impl Future<Output = ()> + Send {
    let gone = Gone(Arc::clone(&link));
    async move {
        let _gone = gone;
        attempts(link).await;
    }
}

/// Makes one connection after the other, whenever one is wanted.
async fn attempts(link: Arc<Link>) {
    let (mut backoff, mut log) = (Backoff::default(), Log::default());
    while wanted(&link).await {
        let begun = Instant::now();
        match connect(&link).await {
            Ok(stream) => run(&link, stream, begun, &mut backoff, &mut log).await,
            Err(status) => {
                let pause = backoff.failed();
                log.attempt_failed(&link, &status, begun, pause);
                link.observed.attempt_failed(&status);
                link.failed(&status, Some(pause), begun);
                link.attempted(Some(status.clone()));
                fail_current(&link, &status.unsent());
            }
        }
        let until = link.core().state.down_until();
        if let Some(until) = until {
            sleep_until(until).await;
            link.up();
        }
    }
}

/// Ends all calls when the task ends, of itself or with its runtime: nobody else
/// would.
struct Gone(Arc<Link>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.end(&self.0.status(Status::unavailable("the task of the channel's connection has ended")));
    }
}

/// The same for a connection that was told to take no more calls.
struct FormerGone {
    link: Arc<Link>,
    lane: u32,
}

impl Drop for FormerGone {
    fn drop(&mut self) {
        let status = Status::unavailable("the task of the channel's connection has ended");
        self.link.fail(self.lane, &self.link.status(status), &[]);
    }
}

fn fail_current(link: &Link, status: &Status) {
    let id = link.core().current.id;
    link.fail(id, status, &[]);
}

/// Runs a connection until it ends, or takes no more calls.
async fn run(link: &Arc<Link>, stream: Stream, begun: Instant, backoff: &mut Backoff, log: &mut Log) {
    let mut connection = Connection::new(Arc::clone(link), stream);
    log.connected(link);
    link.observed.connected();
    link.stands();
    link.attempted(None);
    let end = match link.is_proven() {
        true => connection.run().await,
        false => match timeout(PROBATION, connection.run()).await {
            Ok(end) => end,
            Err(_) => {
                link.prove();
                connection.run().await
            }
        },
    };
    if connection.is_answered() {
        backoff.answered();
    }
    log.ended(link, connection.lane(), &end);
    match end {
        End::Turned(turned) => {
            let gone = FormerGone { link: Arc::clone(link), lane: connection.lane() };
            let mut log = log.of_former();
            spawn(async move {
                let _gone = gone;
                let end = connection.run().await;
                log.ended(&connection.link, connection.lane(), &end);
                connection.link.observed.closed(&match (&end, turned) {
                    // It went as it was told to.
                    (End::LetGo, Turned::Drained) => Closed::Drained,
                    (End::LetGo, Turned::Unheard) => Closed::Lost("nothing was ever heard on it".to_owned()),
                    (end, _) => why(end),
                });
                connection.close(end).await;
            });
        }
        end => {
            link.observed.closed(&why(&end));
            let of_use = connection.is_answered() || matches!(end, End::LetGo | End::Spoiled(_));
            let lost = matches!(end, End::Lost(_));
            let status = connection.close(end).await;
            match status {
                Some(status) if !of_use => link.failed(&status, backoff.unheard(), begun),
                Some(_) if lost => link.lost(),
                _ => {}
            }
        }
    }
}

/// What an observer is told of a connection's end.
fn why(end: &End) -> Closed {
    match end {
        End::LetGo | End::Spoiled(_) => Closed::LetGo,
        End::Turned(_) => Closed::Drained,
        End::Lost(status) => Closed::Lost(status.message().to_owned()),
    }
}

/// Waits until a connection is needed; false when no channel is left.
async fn wanted(link: &Link) -> bool {
    poll_fn(|cx| {
        let mut mine = Some(cx.waker().clone());
        let mut core = link.core();
        match core.state {
            LinkState::Leaving => return Poll::Ready(false),
            LinkState::Connecting => return Poll::Ready(true),
            _ => {}
        }
        core.current.alarm = None;
        std::mem::swap(&mut core.current.task, &mut mine);
        drop(core);
        Poll::Pending
    })
    .await
}

async fn connect(link: &Link) -> Result<Stream, Status> {
    let endpoint = &link.endpoint;
    let failed = |message| link.status(Status::raw(dora_code::NO_SERVER, message));
    let connecting = endpoint.connector.connect(endpoint.address(), endpoint.silence_timeout);
    match timeout(endpoint.connect_timeout, connecting).await {
        Ok(stream) => {
            stream.map_err(|error| failed(unconnected(endpoint.address(), &error)).with_source(error))
        }
        Err(_) => Err(failed(format!(
            "no connection to {} within {:?}: is the host up, and does a firewall let this port through?",
            endpoint.address(),
            endpoint.connect_timeout
        ))),
    }
}

/// Why there is no connection, for whoever has to look after it.
fn unconnected(address: &Address, error: &io::Error) -> String {
    match error.kind() {
        // For a Unix socket: there is no such file, or nobody has it open.
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
            format!("nothing listens at {address} ({error}): is the server running, and is this its address?")
        }
        _ => format!("cannot connect to {address}: {error}"),
    }
}
