//! A library, implemented.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dora::tls::ClientIdentity;
use dora::{Code, Request, RequestOrigin, Response, Status};

use crate::library::library_server::Library;
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
        let values = request.origin().map(|origin| origin.connection().values());
        let client = values.and_then(|values| values.get::<ClientIdentity>());
        let client = client.and_then(|client| Some(("its certificate", client.dns_names().next()?)));
        let said = Said {
            pairs: request
                .metadata()
                .iter()
                .chain(client)
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
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
