//~ GetUserRequest
//~ error[E0053]: method `get_user` has an incompatible type for trait
use compile_hints::{SendMailRequest, SentMail, User, Users};
use dora::{Request, Response, Status};

struct Mine;

impl Users for Mine {
    async fn get_user(&self, _: Request<SendMailRequest>) -> Result<Response<User>, Status> {
        Err(Status::not_found("nobody"))
    }

    async fn send_mail(&self, _: Request<SendMailRequest>) -> Result<Response<SentMail>, Status> {
        Err(Status::not_found("nobody"))
    }
}

fn main() {
    drop(Mine);
}
