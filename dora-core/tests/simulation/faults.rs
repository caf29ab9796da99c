//! What befalls the servers and their links, drawn beforehand.

use std::time::Duration;

use fastrand::Rng;
use tokio::sync::watch;
use turmoil::Sim;

use crate::world::{CLIENT, SERVERS};

/// What befalls a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The process dies, and a new one takes its place.
    Killed,
    /// It drains, as in a rolling restart, and a new one takes its place.
    Drained,
    /// Nothing passes between it and the client.
    Cut,
    /// What it is sent is lost.
    Deaf,
    /// What it sends is lost.
    Mute,
    /// Packets are held back, and come all at once.
    Held,
    /// Each packet takes long.
    Slow,
}

const FAULTS: [Fault; 7] =
    [Fault::Killed, Fault::Drained, Fault::Cut, Fault::Deaf, Fault::Mute, Fault::Held, Fault::Slow];

/// The links as they are without a fault.
const QUICK: Duration = Duration::from_millis(5);
const SLOW: Duration = Duration::from_millis(400);

/// A fault of a server, and when it begins and ends.
#[derive(Clone, Copy, Debug)]
struct Planned {
    server: &'static str,
    fault: Fault,
    begins: Duration,
    ends: Duration,
}

/// All that happens, in order.
pub(crate) struct Plan {
    /// Whether it begins or ends, and when.
    events: Vec<(Duration, bool, Planned)>,
    /// Of each server: told when connections to it have lost something. No system goes
    /// on with one whose bytes are not acknowledged, however often they are sent
    /// (`TCP_USER_TIMEOUT`), but the simulated one sends nothing twice and does not notice.
    lost: [watch::Sender<()>; SERVERS.len()],
    /// Of each server: told when it is to drain.
    drains: [watch::Sender<()>; SERVERS.len()],
}

impl Plan {
    /// Faults of each server, one after the other, until `end`.
    pub(crate) fn new(rng: &mut Rng, end: Duration) -> Self {
        let mut events = Vec::new();
        for server in SERVERS {
            let mut now = Duration::from_millis(rng.u64(100..1500));
            while now < end {
                let fault = FAULTS[rng.usize(..FAULTS.len())];
                let ends = (now + Duration::from_millis(rng.u64(50..1200))).min(end);
                let planned = Planned { server, fault, begins: now, ends };
                events.extend([(planned.begins, true, planned), (planned.ends, false, planned)]);
                now = ends + Duration::from_millis(rng.u64(200..2000));
            }
        }
        events.sort_by_key(|(when, begins, _)| (std::cmp::Reverse(*when), *begins));
        let told = || SERVERS.map(|_| watch::Sender::new(()));
        Self { events, lost: told(), drains: told() }
    }

    /// What is told when `SERVERS[server]` is to drain.
    pub(crate) fn drains(&self, server: usize) -> watch::Receiver<()> {
        self.drains[server].subscribe()
    }

    /// What is told when connections to `SERVERS[server]` have lost something.
    pub(crate) fn losses(&self) -> [watch::Receiver<()>; SERVERS.len()] {
        self.lost.each_ref().map(watch::Sender::subscribe)
    }

    /// Lets happen what is due; what it was, in words.
    pub(crate) fn apply(&mut self, now: Duration, sim: &mut Sim<'_>) -> Vec<String> {
        let mut happened = Vec::new();
        while let Some((_, begins, planned)) = self.events.pop_if(|(when, ..)| *when <= now) {
            let Planned { server, fault, .. } = planned;
            match (fault, begins) {
                (Fault::Killed, true) => sim.crash(server),
                (Fault::Drained, true) => tell(&self.drains, server),
                (Fault::Killed | Fault::Drained, false) => sim.bounce(server),
                (Fault::Cut, true) => sim.partition(CLIENT, server),
                (Fault::Deaf, true) => sim.partition_oneway(CLIENT, server),
                (Fault::Mute, true) => sim.partition_oneway(server, CLIENT),
                (Fault::Cut | Fault::Deaf | Fault::Mute, false) => {
                    sim.repair(CLIENT, server);
                    tell(&self.lost, server);
                }
                (Fault::Held, true) => sim.hold(CLIENT, server),
                (Fault::Held, false) => sim.release(CLIENT, server),
                (Fault::Slow, true) => sim.set_link_latency(CLIENT, server, SLOW),
                (Fault::Slow, false) => sim.set_link_latency(CLIENT, server, QUICK),
            }
            let what = if begins { "begins" } else { "ends" };
            happened.push(format!("{:>6} ms  {server}: {fault:?} {what}", now.as_millis()));
        }
        happened
    }
}

/// Tells those who listen at this server.
fn tell(senders: &[watch::Sender<()>; SERVERS.len()], server: &str) {
    let told = SERVERS.iter().zip(senders).find(|(name, _)| **name == server);
    told.iter().for_each(|(_, sender)| sender.send_replace(()));
}
