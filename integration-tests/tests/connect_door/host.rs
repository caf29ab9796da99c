//! The library, served.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use dora::connect::Connect;
use dora::{Code, Request, RequestOrigin, Response, Server, Status};
use dora_integration_tests::raw::PATIENCE;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::library::library_server::{Library, LibraryServer};
use crate::library::{
    AddBookRequest, All, Author, Book, BookList, Failure, GetBookRequest, ListBooksRequest, Said,
};

/// A library.
#[derive(Clone, Default)]
pub(crate) struct Shelves {
    /// What was noted.
    pub(crate) noted: Arc<Mutex<Vec<Book>>>,
}

impl Library for Shelves {
    async fn get_book(&self, request: Request<GetBookRequest>) -> Result<Response<Book>, Status> {
        let GetBookRequest { id, shelf, edition } = request.into_body();
        match id {
            7 => Ok(Book { id, book_title: format!("Notes{shelf}"), edition, ..Book::default() }.into()),
            8 => Ok(Book { id, book_title: "x".repeat(10_000), ..Book::default() }.into()),
            id => Err(Status::not_found(format!("no book {id}"))),
        }
    }

    async fn list_books(&self, request: Request<ListBooksRequest>) -> Result<Response<BookList>, Status> {
        let ListBooksRequest { author, ids, since } = request.into_body();
        let Author { name, born } = author.unwrap_or_default();
        let seconds = since.map_or(0, |since| since.seconds);
        let book = |id| Book { id, book_title: format!("{name} {born} {seconds}"), ..Book::default() };
        Ok(BookList { total: 1, books: ids.into_iter().map(book).collect() }.into())
    }

    async fn add_book(&self, request: Request<AddBookRequest>) -> Result<Response<Book>, Status> {
        let AddBookRequest { shelf, book, check } = request.into_body();
        let book = book.ok_or_else(|| Status::invalid_argument("no book"))?;
        Ok(Book { book_title: format!("{} on {shelf}, {check}", book.book_title), ..book }.into())
    }

    async fn echo(&self, request: Request<All>) -> Result<Response<All>, Status> {
        Ok(request.into_body().into())
    }

    async fn fail(&self, request: Request<Failure>) -> Result<Response<()>, Status> {
        let Failure { code, raw, text, details } = request.into_body();
        let status = match Code::from_number(code.into()) {
            Some(code) => Status::new(code, text),
            None => Status::raw(raw, text),
        };
        let mut status = status.with_details(details);
        status.metadata_mut().insert("reason", "wanted");
        Err(status)
    }

    async fn sleep(&self, request: Request<prost_types::Duration>) -> Result<Response<()>, Status> {
        let span =
            Duration::try_from(*request.body()).map_err(|error| Status::out_of_range(error.to_string()))?;
        tokio::time::sleep(span).await;
        Ok(().into())
    }

    async fn beside(&self, request: Request<()>) -> Result<Response<Said>, Status> {
        let remaining = request.deadline().map(|at| at.remaining(tokio::time::Instant::now()));
        let said = Said {
            pairs: request.metadata().iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            remaining_ms: remaining.map_or(-1, |left| i64::try_from(left.as_millis()).unwrap_or(i64::MAX)),
            door: request.origin().map(RequestOrigin::door).unwrap_or_default().to_owned(),
        };
        let mut response = Response::new(said);
        response.metadata_mut().append("tag", "a");
        response.metadata_mut().append("tag", "b");
        Ok(response)
    }

    async fn note(&self, request: Request<Book>) -> Result<Response<()>, Status> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).push(request.into_body());
        Ok(().into())
    }
}

/// A server that stops when this is dropped.
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    pub(crate) shelves: Shelves,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Host {
    pub(crate) fn start() -> Self {
        Self::with(|server| server, Connect::new())
    }

    /// With limits, and a door, of one's own.
    pub(crate) fn with(set: impl FnOnce(Server) -> Server, door: Connect) -> Self {
        let shelves = Shelves::default();
        let server = set(Server::builder().add_service(LibraryServer::new(shelves.clone())));
        let (sender, receiver) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let dora = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                let http = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                sender.send(http.local_addr().expect("bound")).expect("the test waits");
                let server = server.door_with_listener(http, door);
                server.serve_with_listener(dora, async { drop(stopped.await) }).await.expect("it serves");
            });
        });
        let address = receiver.recv_timeout(PATIENCE).expect("it listens");
        Self { address, shelves, stop: Some(stop), thread: Some(thread) }
    }

    /// Tells it to drain.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the server panicked");
        }
    }
}
