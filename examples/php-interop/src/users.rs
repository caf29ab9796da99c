//! The API that moved from PHP to Rust.

use std::time::Duration;

use dora::{Request, Response, Server, Status};

mod proto {
    dora::include_proto!("users.v1");
}
use proto::users_server::{Users, UsersServer};
use proto::{Address, FindUsersRequest, GetUserRequest, SendMailRequest, SentMail, User, UserList};

/// A server with the API mounted.
pub(crate) fn server() -> Server {
    Server::builder().add_service(UsersServer::new(Directory))
}

struct Directory;

impl Users for Directory {
    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<User>, Status> {
        Ok(user(request.body().id)?.into())
    }

    async fn find_users(&self, request: Request<FindUsersRequest>) -> Result<Response<UserList>, Status> {
        let mut users = users();
        users.retain(|user| user.name.starts_with(&request.body().prefix));
        Ok(UserList { users }.into())
    }

    async fn send_mail(&self, request: Request<SendMailRequest>) -> Result<Response<SentMail>, Status> {
        let SendMailRequest { id, text } = request.into_body();
        let user = user(id)?;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let to = format!("{}@example.org", user.name.to_lowercase());
        Ok(SentMail { to, bytes: text.len() as i64 }.into())
    }
}

fn user(id: i64) -> Result<User, Status> {
    let found = users().into_iter().find(|user| user.id == id);
    // The code and message that PHP callers are used to: there it was
    // `throw new Exception("no user $id", 1404)`.
    found.ok_or_else(|| Status::raw(1404, format!("no user {id}")))
}

fn users() -> Vec<User> {
    let address = Some(Address { city: "London".into() });
    vec![
        User { id: 7, name: "Ada".into(), tags: vec!["admin".into(), "poet".into()], address },
        User { id: 8, name: "Adele".into(), ..User::default() },
    ]
}
