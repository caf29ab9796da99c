//! Who may call through a channel: what `readiness.rs` says, for a link.

use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use crate::call::status::Status;

use super::link::{Core, Link};
use super::link_state::LinkState;
use super::readiness::{Pass, Trust};

impl Link {
    /// Ready when this clone of the channel may call. While it may not, an attempt to
    /// connect is made for it.
    pub(super) fn poll_ready(&self, pass: &mut Pass, waker: &Waker) -> Poll<()> {
        if self.proven.load(Ordering::Relaxed) {
            pass.renew();
            return Poll::Ready(());
        }
        let mine = waker.clone();
        let mut core = self.core();
        let Core { state, readiness, current, .. } = &mut *core;
        let over = matches!(state, LinkState::Ended(_));
        if over || readiness.admits(pass, state.is_connected()) {
            let waited = readiness.leave(pass);
            drop(core);
            drop((waited, mine));
            return Poll::Ready(());
        }
        let other = readiness.wait(pass, mine);
        let task = state.want().then(|| current.task.take()).flatten();
        drop(core);
        drop(other);
        task.into_iter().for_each(Waker::wake);
        Poll::Pending
    }

    /// A clone of the channel makes a call.
    pub(super) fn spend(&self, pass: &mut Pass) {
        if !self.proven.load(Ordering::Relaxed) {
            let core = self.core();
            core.readiness.spend(pass, core.state.down_until().is_some());
        }
    }

    /// A clone of the channel goes.
    pub(super) fn leave(&self, pass: &mut Pass) {
        if pass.is_waiting() {
            let waker = self.core().readiness.leave(pass);
            drop(waker);
        }
    }

    /// Whether there is no doubt that calls are answered.
    pub(super) fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }

    /// The server has answered, or its connection stands for long enough.
    pub(super) fn prove(&self) {
        let mut core = self.core();
        self.proven.store(true, Ordering::Relaxed);
        let waiting = core.readiness.prove();
        drop(core);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// A connection stands.
    pub(super) fn stands(&self) {
        let mut core = self.core();
        let waiting = core.readiness.stands();
        drop(core);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// A connection that was of use is lost: whether there will be another one is not
    /// known.
    pub(super) fn lost(&self) {
        let mut core = self.core();
        self.proven.store(false, Ordering::Relaxed);
        let waiting = core.readiness.ended(Trust::Untried);
        drop(core);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// An attempt brought no connection, or one that was of no use. With a `pause`
    /// nothing is tried for so long, counted from `begun`; calls fail with `status`
    /// meanwhile.
    pub(super) fn failed(&self, status: &Status, pause: Option<Duration>, begun: Instant) {
        let mut core = self.core();
        if let Some(pause) = pause {
            core.state.down(status.clone(), pause, begun);
        }
        self.proven.store(false, Ordering::Relaxed);
        let waiting = core.readiness.ended(Trust::Doubtful);
        drop(core);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// The pause after a failed attempt is over: the next one is made at once if
    /// somebody waits for it.
    pub(super) fn up(&self) {
        let mut core = self.core();
        let wanted = self.is_waited_for(&core) || !core.current.queue.is_empty();
        core.state.up(wanted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::client::endpoint::Endpoint;

    fn link() -> Link {
        Link::new(Endpoint::new("127.0.0.1:1").expect("host:port"))
    }

    fn is_ready(link: &Link, pass: &mut Pass) -> bool {
        link.poll_ready(pass, Waker::noop()).is_ready()
    }

    fn fail(link: &Link) {
        let pause = Some(Duration::from_secs(1));
        link.failed(&Status::unavailable("refused"), pause, Instant::now());
    }

    fn connect(link: &Link) {
        link.core().state.connected();
        link.stands();
    }

    #[test]
    fn a_clone_gets_one_call_for_each_attempt() {
        let link = link();
        let mut balancer = Pass::default();
        assert!(is_ready(&link, &mut balancer), "nothing is known against it");
        link.spend(&mut balancer);
        assert!(!is_ready(&link, &mut balancer), "not before the first call found a connection");
        assert!(is_ready(&link, &mut Pass::default()), "a clone of its own has one too");
        fail(&link);
        assert!(!is_ready(&link, &mut balancer), "its first call was told");
        for _ in 0..10 {
            link.up();
            assert!(matches!(link.core().state, LinkState::Connecting), "it waits, so it is tried");
            assert!(!is_ready(&link, &mut balancer), "the pause is over, and nothing is known yet");
            fail(&link);
            assert!(is_ready(&link, &mut balancer) && is_ready(&link, &mut balancer), "until it is used");
            link.spend(&mut balancer);
            assert!(!is_ready(&link, &mut balancer));
        }
        connect(&link);
        assert!(is_ready(&link, &mut balancer));
        link.spend(&mut balancer);
        assert!(!is_ready(&link, &mut balancer), "the server may close the connection at once");
        link.prove();
        for _ in 0..10 {
            assert!(is_ready(&link, &mut balancer));
            link.spend(&mut balancer);
        }
    }

    #[test]
    fn who_comes_while_an_endpoint_is_in_doubt_waits_for_an_attempt() {
        let link = link();
        fail(&link);
        let mut call = Pass::default();
        assert!(!is_ready(&link, &mut call));
        link.core().state.up(false);
        assert!(!is_ready(&link, &mut call));
        assert!(matches!(link.core().state, LinkState::Connecting), "for it");
        fail(&link);
        assert!(is_ready(&link, &mut call), "to be told");
        assert!(!is_ready(&link, &mut Pass::default()), "the next one waits for the next attempt");
        link.up();
        connect(&link);
        assert!(is_ready(&link, &mut Pass::default()), "a connection stands");
    }

    #[test]
    fn who_no_longer_waits_leaves_nothing_behind() {
        let link = link();
        fail(&link);
        let mut passes: Vec<Pass> = (0..100).map(|_| Pass::default()).collect();
        for pass in &mut passes {
            assert!(!is_ready(&link, pass) && !is_ready(&link, pass));
        }
        assert_eq!(link.core().readiness.take_all().len(), 100, "each once");
        assert!(passes.iter_mut().all(|pass| !is_ready(&link, pass)));
        passes.iter_mut().for_each(|pass| link.leave(pass));
        assert!(!link.core().readiness.is_waited_for());
        link.up();
        assert!(matches!(link.core().state, LinkState::Idle), "nobody is there to try it for");
        // A place of an earlier round is not another clone's of this one.
        let (mut old, mut new) = (Pass::default(), Pass::default());
        assert!(!is_ready(&link, &mut old));
        fail(&link);
        assert!(!is_ready(&link, &mut new));
        link.leave(&mut old);
        assert!(link.core().readiness.is_waited_for());
    }

    #[test]
    fn a_lost_connection_is_missed_by_one_call_of_each_clone() {
        let link = link();
        connect(&link);
        link.prove();
        link.lost();
        let mut balancer = Pass::default();
        assert!(is_ready(&link, &mut balancer));
        link.spend(&mut balancer);
        assert!(!is_ready(&link, &mut balancer));
        connect(&link);
        link.prove();
        assert!(is_ready(&link, &mut balancer));
    }
}
