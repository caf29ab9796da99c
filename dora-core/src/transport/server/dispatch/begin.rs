//! The calls of a packet, begun.

use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use tokio::time::Instant;
use tower::Service;

use crate::call::deadline::Deadline;
use crate::call::direct::First;
use crate::call::dora_code;
use crate::call::metadata::Metadata;
use crate::call::mode::{Mode, PacketKind};
use crate::call::packed::PackMessage;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::carry::incoming::Asked;
use crate::carry::reply::data;
use crate::pack::packet::ResponsePacket;

use super::super::answer::Reply;
use super::super::batches;
use super::super::cost::{Cost, LARGE};
use super::super::packet::{Run, run};
use super::super::running::{Inline, Started};
use super::super::stats::Weight;
use super::super::tasks::Dear;
use super::{Arrived, Dispatch, Size};

impl<S> Dispatch<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
{
    /// Begins what a packet asks for, or notes that it waits for a place.
    pub(super) fn begin(&mut self, packet: Asked, size: Size, reply: Reply, cx: &mut Context<'_>) {
        let calls = packet.request.calls().len();
        if calls <= self.shared.config.max_calls
            && self.work.weight().calls.saturating_add(calls) > self.shared.config.max_calls
        {
            // What it waits here uses up some of its caller's time.
            self.held = Some(Box::new(Arrived { packet, size, reply }));
            return;
        }
        let Asked { mut request, kind, .. } = packet;
        let weight = Weight { calls, bytes: size.bytes };
        if let Some(why) = self.shared.overload(weight, self.work.weight().bytes) {
            let status = Status::resource_exhausted(why);
            self.tell(|observer, connection| observer.calls_shed(connection, calls));
            return self.refuse(reply, Some(kind), status);
        }
        let mode = kind.mode();
        if kind == PacketKind::Control {
            return self.command(&request, reply);
        }
        if mode == Mode::Deferred && calls == 0 {
            self.acknowledge(reply);
            // The original never pushes a result here; its caller waits in vain.
            let status = Status::raw(dora_code::NO_CALLS, dora_code::NO_CALLS_MESSAGE);
            return self.answer(reply, ResponsePacket::refused(reply.guid, &status).later());
        }
        if mode != Mode::Wait {
            self.acknowledge(reply);
        }
        if calls > 1 {
            let account = self.share.account(&self.shared.ledger);
            request.extensions_mut().insert(batches::budget(
                mode,
                account,
                &reply.manner,
                &self.shared.config,
            ));
        }
        if mode == Mode::Wait {
            let due = (self.now, self.shared.call_timeout, request.deadline());
            let deadline = move || by_when(due);
            match request.is_batch() {
                true => self.start(request, (weight, reply), (None, deadline), cx),
                false => self.begin_one(request, size, (weight, reply), deadline, cx),
            }
            return;
        }
        let run = run(&mut self.service, request, cx);
        let push =
            (mode == Mode::Deferred).then(|| (reply, Arc::clone(self.share.account(&self.shared.ledger))));
        self.work.spawn(run, weight, push, self.watcher.clone());
    }

    /// Begins a single call whose caller waits for it.
    fn begin_one(
        &mut self,
        request: Request,
        size: Size,
        (weight, reply): (Weight, Reply),
        deadline: impl FnOnce() -> Deadline,
        cx: &mut Context<'_>,
    ) {
        let callee = self.known.callee(request.method(), &self.shared, &self.connection);
        let (cost, direct) = callee.parts(size.packed >= LARGE, &self.shared.costs);
        if cost.is_spawned(self.parallel) {
            let (cost, account) = (Arc::clone(cost), Arc::clone(self.share.account(&self.shared.ledger)));
            let (run, deadline) = (Box::pin(run(&mut self.service, request, cx)), deadline());
            return self.work.start_task(Dear { run, reply, weight, deadline, cost, account });
        }
        let Some(direct) = direct.filter(|direct| reply.is_plain() && direct.is_open()) else {
            let cost = Arc::clone(cost);
            return self.start(request, (weight, reply), (Some(&cost), deadline), cx);
        };
        let (outbox, encoder, mut packed) = (&mut self.outbox, &self.shared.encoder, None);
        let mut show = |metadata: &Metadata, message: &dyn PackMessage| {
            packed = Some(reply.manner.encode_success(encoder, (metadata, message), outbox.buffer()));
        };
        let first = self.work.first_poll(Some(cost), cx, |cx| direct.call(request, cx, &mut show));
        let status = match (packed, first.polled) {
            // Whatever became of the handler afterwards: it is answered.
            (Some(Ok(())), _) => {
                self.traffic.answers += 1;
                return;
            }
            (Some(Err(unfit)), _) => unfit.status(),
            (None, First::Failed(status)) => status,
            (None, First::Shown) => Status::internal("the call has ended without a result"),
            (None, First::Pending(call)) => {
                let about = (Some(Arc::clone(cost)), deadline());
                return self.work.park(Inline::Direct(call), (weight, reply), about, first.knows_its_waker);
            }
        };
        self.answer(reply, ResponsePacket::ended(reply.guid, data(Err(status))));
    }

    /// Calls the server's service, and polls once; most handlers are done then and need
    /// not be parked.
    fn start(
        &mut self,
        request: Request,
        about: (Weight, Reply),
        (cost, deadline): (Option<&Arc<Cost>>, impl FnOnce() -> Deadline),
        cx: &mut Context<'_>,
    ) {
        let run = run(&mut self.service, request, cx);
        // The box of a run that was done at once serves the next one.
        let place = match self.spare.take() {
            Some(mut place) => {
                place.set(run);
                place
            }
            None => Box::pin(run),
        };
        let started = self.work.start(place, about, (cost, deadline), cx);
        if let Started::Done(data, mut place) = started {
            let (_, reply) = about;
            self.answer(reply, ResponsePacket::ended(reply.guid, data));
            place.set(Run::Ended { status: None });
            self.spare = Some(place);
        }
    }
}

/// When a call that begins now must have ended that may take so long, or until its own
/// deadline.
fn by_when((now, most, deadline): (Instant, Duration, Option<Deadline>)) -> Deadline {
    let most = Deadline::from_instant(now, most);
    deadline.map_or(most, |deadline| deadline.min(most))
}
