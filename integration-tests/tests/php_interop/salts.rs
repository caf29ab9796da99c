//! Systems with a salt of their own.

use std::time::Duration;

use dora::Code;
use dora_integration_tests::php::{PhpClient, PhpServer};
use dora_integration_tests::raw::Dialect;
use serde_json::json;

use crate::packets::{empty, packet, run};
use crate::server::{self, endpoint};

fn salted(salt: &str) -> impl Iterator<Item = Dialect> {
    let salt = Some(salt.as_bytes().to_vec());
    [Dialect::GUID, Dialect::PLAIN].into_iter().map(move |dialect| Dialect { salt: salt.clone(), ..dialect })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_salt_on_both_ends_is_all_it_takes() {
    for dialect in salted("pepper 与 salt") {
        let address = server::start(&dialect).await;
        let client = PhpClient::new(address, dialect.clone());
        client.run_script("typed.php", b"").expect("all arrays are as expected");

        let server = PhpServer::start(&dialect).expect("the server starts");
        let channel = endpoint(server.address(), &dialect).connect().await.expect("it listens");
        let answer = channel.dynamic().call("/t/echo", "salted").await.expect("an answer");
        assert_eq!(answer, "salted".into());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_salt_is_an_error_on_either_end() {
    for (ours, theirs) in salted("ours").zip(salted("theirs")) {
        let address = server::start(&ours).await;
        let mut client = PhpClient::new(address, theirs.clone());
        client.timeout = Duration::from_millis(300);
        let results = run(&client, &json!([{"call": "single", "name": "/t/echo", "param": []}]));
        // As with the original: the refusal is signed as well, and dropped.
        assert_eq!(results, [packet(100_009, "the recive wrong or timeout", empty())], "{theirs:?}");

        let server = PhpServer::start(&theirs).expect("the server starts");
        let channel = endpoint(server.address(), &ours).connect().await.expect("it listens");
        let status = channel.dynamic().call("/t/echo", 1).await.expect_err("another salt");
        assert_eq!((status.raw_code(), status.code()), (100_005, Code::DataLoss), "{status}");
        assert_eq!(status.peer(), Some(channel.peer()));
    }
}
