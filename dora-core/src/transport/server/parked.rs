//! Futures that wait, polled one by one so that each can be counted.
//!
//! `FuturesUnordered` polls all that were woken in one go and, to stop in
//! between, wakes its own task: a connection whose handlers are dear would hold
//! its worker for as long as there are any.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::turn::Turn;

/// Waiting futures. A place, and its waker, is used again and again.
#[derive(Debug)]
pub(super) struct Parked<F> {
    places: Vec<Place<F>>,
    free: Vec<usize>,
    woken: Arc<Woken>,
}

#[derive(Debug)]
struct Place<F> {
    future: Option<F>,
    bell: Arc<Bell>,
    waker: Waker,
}

/// Who was woken, in order, and the task that polls them.
#[derive(Debug, Default)]
struct Woken {
    queue: Mutex<VecDeque<usize>>,
    task: AtomicWaker,
}

/// The waker of a place. It outlives the futures that stand there: a late one
/// costs its successor a poll.
#[derive(Debug)]
struct Bell {
    place: usize,
    queued: AtomicBool,
    woken: Arc<Woken>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.woken.queue.lock().push_back(self.place);
            self.woken.task.wake();
        }
    }
}

impl<F> Default for Parked<F> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new(), woken: Arc::default() }
    }
}

impl<F: Future + Unpin> Parked<F> {
    /// The waker of the place where the next future will stand.
    pub(super) fn next_waker(&mut self) -> &Waker {
        let index = self.next_place();
        &self.places[index].waker
    }

    /// Parks a future. Unless it was polled with [`next_waker`](Self::next_waker),
    /// it is polled again soon.
    pub(super) fn park(&mut self, future: F, knows_its_waker: bool) {
        let index = self.next_place();
        self.free.pop();
        let place = &mut self.places[index];
        place.future = Some(future);
        if !knows_its_waker {
            place.bell.wake_by_ref();
        }
    }

    fn next_place(&mut self) -> usize {
        if self.free.is_empty() {
            let place = self.grow();
            self.free.push(place);
        }
        self.free[self.free.len() - 1]
    }

    fn grow(&mut self) -> usize {
        let place = self.places.len();
        let bell = Arc::new(Bell { place, queued: AtomicBool::new(false), woken: Arc::clone(&self.woken) });
        self.places.push(Place { future: None, waker: Waker::from(Arc::clone(&bell)), bell });
        place
    }

    /// All that wait.
    pub(super) fn iter(&self) -> impl Iterator<Item = &F> {
        self.places.iter().filter_map(|place| place.future.as_ref())
    }

    /// Takes out those of which `leaves` says so.
    pub(super) fn take_all(&mut self, leaves: impl Fn(&F) -> bool) -> Vec<F> {
        let places = self.places.iter_mut().enumerate();
        let leaving = places.filter_map(|(index, place)| {
            let future = place.future.take_if(|future| leaves(future))?;
            self.free.push(index);
            Some(future)
        });
        leaving.collect()
    }

    /// The next one to end, and what it came to. Pending, too, when the turn is spent.
    pub(super) fn poll_next(&mut self, turn: &mut Turn, cx: &Context<'_>) -> Poll<(F, F::Output)> {
        self.woken.task.register(cx.waker());
        while !turn.is_spent() {
            let Some(index) = self.woken.queue.lock().pop_front() else { break };
            let Some(place) = self.places.get_mut(index) else { continue };
            place.bell.queued.store(false, Ordering::Release);
            let Some(future) = &mut place.future else { continue };
            let polled = Pin::new(future).poll(&mut Context::from_waker(&place.waker));
            turn.count(0, Instant::now);
            if let Poll::Ready(output) = polled
                && let Some(future) = place.future.take()
            {
                self.free.push(index);
                return Poll::Ready((future, output));
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;
    use crate::transport::server::turn::Budget;

    fn turn(frames: u32) -> Turn {
        Turn::new(Budget { frames, bytes: 1, time: Duration::from_secs(3600) }, Instant::now())
    }

    fn is_empty<F>(parked: &Parked<F>) -> bool {
        parked.free.len() == parked.places.len()
    }

    fn context() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    #[test]
    fn a_turn_polls_no_more_than_its_budget_and_the_next_one_goes_on() {
        let mut parked = Parked::default();
        for n in 0..10 {
            parked.park(std::future::ready(n), false);
        }
        let mut came = Vec::new();
        for _ in 0..4 {
            let mut turn = turn(3);
            while let Poll::Ready((_, n)) = parked.poll_next(&mut turn, &context()) {
                came.push(n);
            }
            assert!(came.len() % 3 == 0 || is_empty(&parked));
        }
        assert_eq!(came, (0..10).collect::<Vec<_>>());
        assert!(is_empty(&parked));
    }

    #[test]
    fn who_is_woken_is_polled_and_places_are_used_again() {
        let mut parked = Parked::default();
        for round in 0..100 {
            let (near, far) = oneshot::channel();
            let (_idle, other) = oneshot::channel::<i32>();
            let mut far = Box::pin(far);
            let mut cx = Context::from_waker(parked.next_waker());
            assert!(far.as_mut().poll(&mut cx).is_pending());
            parked.park(far, true);
            parked.park(Box::pin(other), false);
            let mut all = turn(100);
            assert!(parked.poll_next(&mut all, &context()).is_pending());
            near.send(round).expect("awaited");
            assert!(matches!(parked.poll_next(&mut all, &context()), Poll::Ready((_, Ok(n))) if n == round));
            drop(_idle);
            assert!(matches!(parked.poll_next(&mut all, &context()), Poll::Ready((_, Err(_)))));
            assert!(is_empty(&parked));
        }
        assert_eq!(parked.places.len(), 2);
    }

    #[test]
    fn a_late_waker_of_one_that_is_gone_does_no_harm() {
        let mut parked = Parked::default();
        let stale = parked.next_waker().clone();
        parked.park(std::future::ready(1), true);
        stale.wake_by_ref();
        assert!(matches!(parked.poll_next(&mut turn(9), &context()), Poll::Ready((_, 1))));
        stale.wake_by_ref();
        assert!(parked.poll_next(&mut turn(9), &context()).is_pending());
        drop(parked);
        stale.wake();
    }
}
