//! Work that takes long, beside the workers of the runtime: they serve others too.

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::LazyLock;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;
use tokio::task::{spawn_blocking, yield_now};

/// From so many bytes on a message is read or written beside the workers.
pub(super) const MUCH: usize = 64 << 10;

/// How many are worked on at a time: as many as there are cores, so that the threads that
/// others wait for are not all taken.
static PLACES: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, usize::from)));

/// Does work on so many bytes: where it stands, or, if that would take long, beside the
/// workers, when there is a place.
pub(super) async fn run<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes < MUCH {
        return work();
    }
    // Never closed: without a place it is done all the same.
    let place = PLACES.acquire().await;
    let done = spawn_blocking(move || {
        let done = work();
        drop(place);
        done
    });
    // Whoever waits for the worker has it now, however soon this is done.
    yield_now().await;
    match done.await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime ends, and the call with it.
            Err(_) => pending().await,
        },
    }
}
