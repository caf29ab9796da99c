//! A client in a thread of its own, whose CPU time is its alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use dora::Channel;
use dora::discovery::Target;

pub(super) struct Client {
    ask: tokio::sync::mpsc::UnboundedSender<()>,
    told: Receiver<Duration>,
    instances: Arc<AtomicUsize>,
}

impl Client {
    pub(super) fn start(target: Target) -> Self {
        let (ask, asked) = tokio::sync::mpsc::unbounded_channel();
        let (tell, told) = channel();
        let instances = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&instances);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(run(target, asked, &tell, &count));
        });
        Self { ask, told, instances }
    }

    /// How many it knows.
    pub(super) fn instances(&self) -> usize {
        self.instances.load(Ordering::Relaxed)
    }

    /// What its thread has used.
    pub(super) fn cpu(&self) -> Duration {
        self.ask.send(()).expect("it runs");
        self.told.recv().expect("it runs")
    }
}

async fn run(
    target: Target,
    mut asked: tokio::sync::mpsc::UnboundedReceiver<()>,
    tell: &Sender<Duration>,
    instances: &AtomicUsize,
) {
    let fleet = Channel::to(target);
    let mut look = tokio::time::interval(Duration::from_millis(10));
    loop {
        tokio::select! {
            question = asked.recv() => match question {
                Some(()) => tell.send(cpu()).expect("it waits"),
                None => return,
            },
            // Cheap, other than `Fleet::instances`, and so no part of what is measured.
            _ = look.tick() => {
                let known = fleet.directory().map_or(0, |status| status.instances);
                instances.store(known, Ordering::Relaxed);
            }
        }
    }
}

/// CPU time of this thread: the first number is in nanoseconds.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells it");
    let nanos = stat.split_whitespace().next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanos.expect("a number"))
}
