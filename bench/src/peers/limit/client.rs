//! The calling side of one connection.
//!
//! A call puts its frame into the connection's output. When it is alone it writes at once by
//! itself: nobody could share the write. Otherwise it wakes the driver, which lets the other
//! callers run once before it writes, so that what they have to say goes out in the same write.

use std::{
    future::poll_fn,
    mem,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use parking_lot::Mutex;
use tokio::{
    io::AsyncReadExt,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

use super::frame::{Decoder, Frame, GUID, Output};
use crate::{message::EchoMessage, peers::Connection};

const METHOD: &str = "/bench.v1.Echo/Echo";

/// Reads per wake-up, before the driver lets others run.
const MAX_READS: usize = 16;

/// One connection; clones share it, and the last one closes it.
#[derive(Clone)]
pub(crate) struct Client {
    shared: Arc<Shared>,
    _driver: Arc<AbortOnDrop>,
}

impl Client {
    pub(super) fn new(stream: TcpStream) -> Self {
        let (read, write) = stream.into_split();
        let shared = Arc::new(Shared { write, state: Mutex::default() });
        shared.state.lock().slots.nonce = fastrand::u64(..);
        let mut driver = Driver {
            shared: Arc::clone(&shared),
            read,
            input: Decoder::default(),
            sending: Output::default(),
            yielded: false,
            wakers: Vec::new(),
        };
        let driver = tokio::spawn(async move {
            let error = poll_fn(|cx| driver.poll(cx)).await;
            driver.shared.close(&error);
        });
        Self { shared, _driver: Arc::new(AbortOnDrop(driver)) }
    }
}

impl Connection for Client {
    async fn echo(&mut self, message: EchoMessage) -> anyhow::Result<EchoMessage> {
        let call = Call { shared: &self.shared, message: Some(message), slot: None };
        call.await?.message()
    }
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Shared {
    write: OwnedWriteHalf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    slots: Slots,
    output: Output,
    /// The driver while it sleeps and nobody has woken it yet.
    driver: Option<Waker>,
    /// Whether the driver has frames in hand that are not written yet.
    writing: bool,
    closed: Option<String>,
}

impl Shared {
    fn close(&self, error: &anyhow::Error) {
        let mut state = self.state.lock();
        state.closed = Some(format!("{error:#}"));
        let wakers: Vec<_> = state.slots.waiting().collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Sends `message`; gives the slot where its reply will lie.
    fn start(&self, message: EchoMessage, waker: Waker) -> anyhow::Result<usize> {
        let mut state = self.state.lock();
        if let Some(error) = &state.closed {
            anyhow::bail!("connection closed: {error}");
        }
        let State { slots, output, .. } = &mut *state;
        let (slot, guid) = slots.insert(waker)?;
        output.push(&guid, Some(METHOD), message)?;
        let alone = state.slots.in_flight == 1 && !state.writing;
        if alone && state.output.try_write(self.write.as_ref())? {
            return Ok(slot);
        }
        let driver = state.driver.take();
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        Ok(slot)
    }
}

struct Call<'a> {
    shared: &'a Shared,
    message: Option<EchoMessage>,
    slot: Option<usize>,
}

impl Future for Call<'_> {
    type Output = anyhow::Result<Frame>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(message) = self.message.take() {
            let slot = self.shared.start(message, cx.waker().clone())?;
            self.slot = Some(slot);
            return Poll::Pending;
        }
        let Some(slot) = self.slot else {
            return Poll::Ready(Err(anyhow::anyhow!("the call was not sent")));
        };
        let mut state = self.shared.state.lock();
        if let Some(frame) = state.slots.take(slot, cx.waker()) {
            drop(state);
            self.slot = None;
            return Poll::Ready(Ok(frame));
        }
        match &state.closed {
            Some(error) => Poll::Ready(Err(anyhow::anyhow!("connection closed: {error}"))),
            None => Poll::Pending,
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.shared.state.lock().slots.remove(slot);
        }
    }
}

/// The task of one connection.
struct Driver {
    shared: Arc<Shared>,
    read: OwnedReadHalf,
    input: Decoder,
    sending: Output,
    yielded: bool,
    wakers: Vec<Waker>,
}

impl Driver {
    /// Runs until the connection ends; gives why.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<anyhow::Error> {
        if let Poll::Ready(Err(error)) = self.poll_read(cx) {
            return Poll::Ready(error);
        }
        self.poll_write(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<anyhow::Result<()>> {
        for _ in 0..MAX_READS {
            if ready!(pin!(self.read.read_buf(&mut self.input.room())).poll(cx))? == 0 {
                return Poll::Ready(Err(anyhow::anyhow!("end of stream")));
            }
            let mut state = self.shared.state.lock();
            while let Some(frame) = self.input.next()? {
                self.wakers.extend(state.slots.complete(frame));
            }
            drop(state);
            self.wakers.drain(..).for_each(Waker::wake);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<anyhow::Error> {
        loop {
            if self.sending.is_empty() {
                let mut state = self.shared.state.lock();
                state.writing = false;
                if state.output.is_empty() {
                    self.yielded = false;
                    state.driver = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                if !self.yielded {
                    self.yielded = true;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                self.yielded = false;
                state.writing = true;
                mem::swap(&mut state.output, &mut self.sending);
            }
            match self.sending.try_write(self.shared.write.as_ref()) {
                Ok(true) => {}
                Ok(false) => {
                    if let Err(error) = ready!(self.shared.write.as_ref().poll_write_ready(cx)) {
                        return Poll::Ready(error.into());
                    }
                }
                Err(error) => return Poll::Ready(error.into()),
            }
        }
    }
}

/// The calls in flight. A guid holds its slot's index and generation, so that no map is needed to
/// find the caller of a reply.
#[derive(Default)]
struct Slots {
    slots: Vec<Slot>,
    free: Vec<usize>,
    in_flight: usize,
    nonce: u64,
}

struct Slot {
    guid: [u8; GUID],
    generation: u32,
    state: SlotState,
}

enum SlotState {
    Vacant,
    Waiting(Waker),
    Ready(Frame),
}

impl Slots {
    fn insert(&mut self, waker: Waker) -> anyhow::Result<(usize, [u8; GUID])> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { guid: [0; GUID], generation: 0, state: SlotState::Vacant });
            self.slots.len() - 1
        });
        let slot = &mut self.slots[index];
        slot.generation = slot.generation.wrapping_add(1);
        let mut id = [0; GUID / 2];
        id[..4].copy_from_slice(&u32::try_from(index)?.to_be_bytes());
        id[4..8].copy_from_slice(&slot.generation.to_be_bytes());
        id[8..].copy_from_slice(&self.nonce.to_be_bytes());
        const_hex::encode_to_slice(id, &mut slot.guid).map_err(anyhow::Error::msg)?;
        slot.state = SlotState::Waiting(waker);
        self.in_flight += 1;
        Ok((index, slot.guid))
    }

    /// Lays the reply into its slot; gives who waits for it. A reply that nobody waits for is
    /// dropped.
    fn complete(&mut self, frame: Frame) -> Option<Waker> {
        let mut index = [0; 4];
        const_hex::decode_to_slice(&frame.guid[..8], &mut index).ok()?;
        let slot = self.slots.get_mut(u32::from_be_bytes(index) as usize)?;
        if slot.guid != frame.guid || !matches!(slot.state, SlotState::Waiting(_)) {
            return None;
        }
        match mem::replace(&mut slot.state, SlotState::Ready(frame)) {
            SlotState::Waiting(waker) => Some(waker),
            SlotState::Vacant | SlotState::Ready(_) => None,
        }
    }

    /// The reply, if it has come; else remembers `waker`.
    fn take(&mut self, index: usize, waker: &Waker) -> Option<Frame> {
        let slot = self.slots.get_mut(index)?;
        if let SlotState::Waiting(waiting) = &mut slot.state {
            waiting.clone_from(waker);
            return None;
        }
        match self.remove(index)? {
            SlotState::Ready(frame) => Some(frame),
            SlotState::Vacant | SlotState::Waiting(_) => None,
        }
    }

    fn remove(&mut self, index: usize) -> Option<SlotState> {
        let slot = self.slots.get_mut(index)?;
        let state = mem::replace(&mut slot.state, SlotState::Vacant);
        self.free.push(index);
        self.in_flight -= 1;
        Some(state)
    }

    fn waiting(&self) -> impl Iterator<Item = Waker> {
        self.slots.iter().filter_map(|slot| match &slot.state {
            SlotState::Waiting(waker) => Some(waker.clone()),
            SlotState::Vacant | SlotState::Ready(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::net::TcpListener;

    use super::*;
    use crate::message::sample;

    fn reply(guid: [u8; GUID]) -> Frame {
        Frame { guid, body: Bytes::new() }
    }

    #[test]
    fn a_reply_reaches_its_own_caller_only() {
        let mut slots = Slots::default();
        let (first, given_up) = slots.insert(Waker::noop().clone()).unwrap();
        slots.remove(first);
        let (second, guid) = slots.insert(Waker::noop().clone()).unwrap();
        assert_eq!(first, second);
        assert!(slots.complete(reply(given_up)).is_none());
        assert!(slots.take(second, Waker::noop()).is_none());
        assert!(slots.complete(reply([b'f'; GUID])).is_none());
        assert!(slots.complete(reply(guid)).is_some());
        assert!(slots.complete(reply(guid)).is_none());
        assert!(slots.take(second, Waker::noop()).is_some());
        assert_eq!(slots.in_flight, 0);
    }

    #[tokio::test]
    async fn calls_fail_when_the_connection_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut client = Client::new(TcpStream::connect(addr).await.unwrap());
        let mut other = client.clone();
        let serve = async {
            let (stream, _) = listener.accept().await.unwrap();
            stream.readable().await.unwrap();
        };
        let (first, second, ()) = tokio::join!(client.echo(sample(1)), other.echo(sample(1)), serve);
        assert!(first.is_err() && second.is_err());
        assert!(client.echo(sample(1)).await.is_err());
    }
}
