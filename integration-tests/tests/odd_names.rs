//! Services and rpcs with names that Rust, tower or generated code has already:
//! they compile, can be called and raise no lint.

#![deny(warnings, clippy::all)]

mod odd {
    dora::include_proto!("odd");
}

use dora::{Request, Response, Status};
use odd::Thing;
use odd::names_client::NamesClient;
use odd::names_server::{Names, NamesServer};

struct Echo;

macro_rules! echo {
    ($($name:ident)*) => {
        impl Names for Echo {
            $(async fn $name(&self, request: Request<Thing>) -> Result<Response<Thing>, Status> {
                Ok(request.into_body().into())
            })*
        }

        #[tokio::test]
        async fn every_rpc_can_be_called() {
            let names = NamesClient::new(NamesServer::new(Echo));
            let sent = Thing { t: Some(Box::default()) };
            $(assert_eq!(names.$name(sent.clone()).await.unwrap(), sent);)*
        }
    };
}

echo! {
    into_ try_into_ new_ clone_ cmp into_parts from_number drop default fmt call poll_ready to_owned borrow next r#type self_ r#gen inner unary request response service layer from_arc method descriptor codegen names timeout add eq hash main result ok none some
}

impl odd::t_server::T for Echo {
    async fn get(&self, request: Request<Thing>) -> Result<Response<Thing>, Status> {
        Ok(request.into_body().into())
    }
}

impl odd::result_server::Result for Echo {
    async fn get(&self, request: Request<Thing>) -> Result<Response<Thing>, Status> {
        Ok(request.into_body().into())
    }
}

impl odd::empty_server::Empty for Echo {}

#[tokio::test]
async fn services_may_be_called_anything() {
    let sent = Thing::default();
    let client = odd::t_client::TClient::new(odd::t_server::TServer::new(Echo));
    assert_eq!(client.get(sent.clone()).await.unwrap(), sent);
    let client = odd::result_client::ResultClient::new(odd::result_server::ResultServer::new(Echo));
    assert_eq!(client.get(sent.clone()).await.unwrap(), sent);
}

#[tokio::test]
async fn a_service_may_be_empty() {
    let server = odd::empty_server::EmptyServer::new(Echo);
    let status =
        dora::DynamicClient::new(server).call("/odd.Empty/Get", dora::Value::Null).await.unwrap_err();
    assert_eq!(status.code(), dora::Code::Unimplemented);
}
