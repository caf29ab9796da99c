//! What stands between a connection and the user's layers, put together once for
//! every door.

use std::any::TypeId;
use std::time::Duration;

use tower::Layer;
use tower::layer::util::Identity;

use super::catch_panic::{CatchPanic, CatchPanicLayer};
use super::deadline::{DeadlineLayer, WithDeadline};
use super::resolve::{Resolve, ResolveLayer};
use super::route::Router;
use super::trace::{Trace, TraceLayer};

/// A service within the layers that every server has.
pub type Stacked<S> = Resolve<Trace<WithDeadline<CatchPanic<S>>>>;

/// The service that calls of all doors go through: names resolved and batches
/// taken apart, a span for each call, no call longer than `most` or its deadline, panics caught, then
/// the user's `layer`, then the `router`.
pub fn stack<L: Layer<Router> + 'static>(router: Router, layer: &L, most: Duration) -> Stacked<L::Service> {
    let inner = CatchPanicLayer.layer(layer.layer(router.clone()));
    // Without layers of the user's there is nothing that could not be ready.
    let bare = TypeId::of::<L>() == TypeId::of::<Identity>();
    let timed = DeadlineLayer::new(most).always_ready(bare).layer(inner);
    ResolveLayer::new(router).layer(TraceLayer.layer(timed))
}
