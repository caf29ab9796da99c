//! What stands between a connection and the user's layers, put together once for
//! every door.

use std::any::TypeId;
use std::sync::Arc;
use std::time::Duration;

use tower::Layer;
use tower::layer::util::Identity;

use crate::call::direct::Lookup;

use super::catch_panic::{CatchPanic, CatchPanicLayer};
use super::deadline::{DeadlineLayer, WithDeadline};
use super::direct::Methods;
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
    let timed = DeadlineLayer::new(most).always_ready(is_bare::<L>()).layer(inner);
    ResolveLayer::new(router).layer(TraceLayer.layer(timed))
}

/// The methods of the `router` for those who read packets: where the user's `layer` is
/// none, they call them past a [`stack`] that promises the same.
pub fn methods<L: 'static>(router: Router, _layer: &L, most: Duration) -> Arc<dyn Lookup> {
    Arc::new(Methods::new(router, most, is_bare::<L>()))
}

fn is_bare<L: 'static>() -> bool {
    TypeId::of::<L>() == TypeId::of::<Identity>()
}
