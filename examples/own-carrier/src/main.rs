//! Calls over two queues in memory, one for requests and one for answers, as a
//! message broker has them. A message is a guid and the body behind it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use dora::carry::{Frame, PackLayer, UnpackLayer};
use dora::{BoxError, Guid, Packer, Request, Response, Status};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tower::{Layer, Service, ServiceExt, service_fn};

mod greet {
    dora::include_proto!("greet.v1");
}
use greet::greeter_client::GreeterClient;
use greet::greeter_server::{Greeter, GreeterServer};
use greet::{GreetRequest, Greeting};

struct Polite;

impl Greeter for Polite {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<Greeting>, Status> {
        Ok(Greeting { text: format!("Good day, {}!", request.body().name) }.into())
    }
}

fn message(frame: &Frame) -> Vec<u8> {
    [frame.guid.as_bytes(), &frame.body[..]].concat()
}

fn frame(message: &[u8]) -> Option<Frame> {
    let (guid, body) = message.split_at_checked(Guid::LEN)?;
    Some(Frame::new(Guid::from_bytes(guid)?, body.to_vec()))
}

/// The server's end: each request is answered when its call ends.
async fn serve(mut requests: UnboundedReceiver<Vec<u8>>, answers: UnboundedSender<Vec<u8>>) {
    let frames = UnpackLayer::new("queues").layer(GreeterServer::new(Polite));
    while let Some(request) = requests.recv().await {
        let Some(request) = frame(&request) else { continue };
        let (frames, answers) = (frames.clone(), answers.clone());
        tokio::spawn(async move {
            let Ok(answer) = frames.oneshot(request).await;
            answers.send(message(answer.first()))
        });
    }
}

/// The client's end: each answer goes to the caller whose guid it has. To carry
/// deferred calls, a caller would wait for a second one too: `Answer::with_later`.
fn carrier(
    requests: UnboundedSender<Vec<u8>>,
    mut answers: UnboundedReceiver<Vec<u8>>,
) -> impl Service<Frame, Response = Frame, Error = BoxError, Future: Send> + Clone {
    let waiting = Arc::new(Mutex::new(HashMap::<Guid, oneshot::Sender<Frame>>::new()));
    let answered = Arc::clone(&waiting);
    tokio::spawn(async move {
        while let Some(answer) = answers.recv().await {
            let Some(frame) = frame(&answer) else { continue };
            let caller = answered.lock().expect("nobody panics").remove(&frame.guid);
            let _ = caller.map(|caller| caller.send(frame));
        }
    });
    service_fn(move |frame: Frame| {
        let (caller, answer) = oneshot::channel();
        let mut waiting = waiting.lock().expect("nobody panics");
        waiting.retain(|_, caller| !caller.is_closed()); // those who gave up
        waiting.insert(frame.guid, caller);
        let sent = requests.send(message(&frame));
        async move {
            sent?;
            Ok(answer.await?)
        }
    })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let ((requests, incoming), (answers, outgoing)) = (unbounded_channel(), unbounded_channel());
    tokio::spawn(serve(incoming, answers));

    let queues = PackLayer::new(Packer::Json).peer("queues").layer(carrier(requests, outgoing));
    let greeter = GreeterClient::new(queues);
    let (ada, bob) = tokio::try_join!(
        greeter.greet(GreetRequest { name: "Ada".into() }),
        greeter.greet(GreetRequest { name: "Bob".into() }),
    )?;
    println!("{}\n{}", ada.text, bob.text);
    Ok(())
}
