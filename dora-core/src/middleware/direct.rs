//! The stack of a server to which the user added no layer, as one function.
//!
//! Between such a server's connections and its handlers nothing stands that is not
//! known here. What the layers of [`stack`](super::stack) do for a call, the first poll
//! of which mostly is the last, is done here by their own parts; a call that goes on is
//! handed to their futures.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tracing::Level;

use crate::call::BoxFuture;
use crate::call::direct::{Direct, First, Found, Lookup};
use crate::call::method::Method;
use crate::call::mount::Mount;
use crate::call::origin::Connection;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::slot::{BoxSlot, Show};
use crate::call::status::Status;
use crate::call::trace::listens;

use super::catch_panic::{CatchPanic, CatchPanicFuture, Whose, report};
use super::deadline::{self, DeadlineFuture};
use super::route::{Route, Router};

/// The methods of a server, called directly where nothing forbids it.
#[derive(Debug)]
pub(super) struct Methods {
    router: Router,
    /// No call runs longer.
    most: Duration,
    /// Whether the user added no layer.
    bare: bool,
}

impl Methods {
    pub(super) const fn new(router: Router, most: Duration, bare: bool) -> Self {
        Self { router, most, bare }
    }
}

impl Lookup for Methods {
    fn find(&self, name: &[u8], connection: &Arc<Connection>) -> Option<Found> {
        let Route { service, index, method } = self.router.named(name)?;
        let slot = self.bare.then(|| service.slot(*index)).flatten();
        let direct = slot.map(|slot| -> Box<dyn Direct> {
            Box::new(Bare {
                method,
                index: *index,
                service: Arc::clone(service),
                slot: Some(slot),
                most: self.most,
                whose: Whose::new(method, Arc::clone(connection)),
            })
        });
        Some(Found { method, direct })
    }
}

/// A method around which nothing stands.
struct Bare {
    method: &'static Method,
    index: usize,
    service: Arc<dyn Mount>,
    /// For the next call.
    slot: Option<BoxSlot>,
    most: Duration,
    whose: Whose,
}

impl Bare {
    /// A call whose panics end it alone, as those of a [`CatchPanic`].
    fn caught(&self, call: BoxSlot) -> CatchPanicFuture<BoxFuture<Response>> {
        CatchPanicFuture::running(call, self.whose.clone())
    }
}

impl Direct for Bare {
    fn is_open(&self) -> bool {
        // A call that has a span is polled within it, each time.
        !listens(Level::DEBUG)
    }

    fn call(&mut self, mut request: Request, cx: &mut Context<'_>, show: &mut Show<'_>) -> First {
        request.head_mut().resolve(self.method);
        let Some(deadline) = deadline::begin(&mut request, self.most) else {
            return First::Failed(deadline::not_begun());
        };
        let Some(mut slot) = self.slot.take().or_else(|| self.service.slot(self.index)) else {
            return First::Failed(Status::internal("the method has no slot any more"));
        };
        let polled = catch_unwind(AssertUnwindSafe(|| {
            slot.as_mut().put(request);
            slot.as_mut().poll_shown(cx, show)
        }));
        match polled {
            Ok(Poll::Ready(result)) => {
                self.slot = Some(slot);
                result.map_or_else(First::Failed, |()| First::Shown)
            }
            Ok(Poll::Pending) => {
                let call = DeadlineFuture::<CatchPanic<Router>>::pending(self.caught(slot), deadline, cx);
                First::Pending(Box::pin(call))
            }
            Err(panic) => {
                // What is left of it may panic again when it is dropped.
                drop(self.caught(slot));
                First::Failed(report(&*panic, &self.whose))
            }
        }
    }
}
