//! Compiles and runs the code of Dora's guide (`src/guide/` of the facade).
//!
//! The guide is documentation of the facade, which generates nothing for itself:
//! its code is compiled here, beside a generated service.

use dora::{Request, Response, Status};

/// What `proto/users.proto` declares.
pub mod users {
    #![allow(missing_docs, reason = "generated messages have none")]
    dora::include_proto!("users.v1");
}
use users::users_server::Users;
use users::{GetUserRequest, SendMailRequest, SentMail, User};

/// The service as the first chapter writes it.
#[derive(Debug)]
pub struct Directory;

impl Users for Directory {
    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<User>, Status> {
        match request.body().id {
            7 => Ok(User { id: 7, name: "Ada".into() }.into()),
            id => Err(Status::not_found(format!("no user {id}"))),
        }
    }

    async fn send_mail(&self, request: Request<SendMailRequest>) -> Result<Response<SentMail>, Status> {
        Ok(SentMail { to: format!("user-{}@example.org", request.body().id) }.into())
    }
}

macro_rules! chapters {
    ($($chapter:ident)*) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!(concat!("../../src/guide/", stringify!($chapter), ".md"))]
            mod $chapter {}
        )*

        #[cfg(test)]
        const CHAPTERS: &[&str] = &[$(stringify!($chapter)),*];
    };
}

chapters! {
    first_service errors deadlines batches layers auth limits resilience discovery monitor configuration testing shutdown logging tls php
    doors connect performance carry from_tonic from_php
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// A chapter that is not compiled here, or not shown there, is found.
    #[test]
    fn every_chapter_is_shown_and_compiled() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/guide");
        let module = fs::read_to_string(folder.join("mod.rs")).expect("the guide");
        let mut files = 0;
        for entry in fs::read_dir(&folder).expect("the guide") {
            let name = entry.expect("an entry").file_name().into_string().expect("a plain name");
            let Some(chapter) = name.strip_suffix(".md") else { continue };
            assert!(CHAPTERS.contains(&chapter), "guide-tests does not compile {name}");
            assert!(module.contains(&format!("include_str!(\"{name}\")")), "mod.rs does not show {name}");
            files += 1;
        }
        assert_eq!(files, CHAPTERS.len());
    }
}
