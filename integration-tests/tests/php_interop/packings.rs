//! The same service to callers of every packing.

use std::net::SocketAddr;

use dora::{Code, Endpoint, Origin, Packer, value};
use dora_integration_tests::exact::Exact;
use dora_integration_tests::php::PhpClient;
use dora_integration_tests::raw::Dialect;
use serde_json::json;

use crate::packets::{run, single};
use crate::reference::reference_client::ReferenceClient;
use crate::reference::{BigRequest, Kinds, Leaf, SleepRequest, Word};
use crate::server;

const PACKERS: [Packer; 3] = [Packer::Php, Packer::Json, Packer::Protobuf];

fn endpoint(address: SocketAddr, packer: Packer) -> Endpoint {
    Endpoint::new(address.to_string()).expect("an address").packer(packer)
}

fn kinds() -> Kinds {
    Kinds {
        u64: u64::MAX,
        i64: i64::MIN,
        f64: f64::NEG_INFINITY,
        f32: 0.1,
        text: "你\"\\\n".into(),
        raw: vec![0, 0xff, b'"'].into(),
        colors: vec![2, 77],
        leaf: Some(Leaf { name: "a".into(), leaves: vec![Leaf::default()] }),
        by_number: [(-3, Leaf::default())].into(),
        maybe: Some(0),
        at: Some("2017-01-15T01:30:15.25Z".parse().expect("a timestamp")),
        nothing: Some(()),
        ..Kinds::default()
    }
}

#[tokio::test]
async fn rust_speaks_to_rust_in_every_packing_and_mode() {
    let address = server::start(&Dialect::GUID).await;
    for packer in PACKERS {
        let channel = endpoint(address, packer).connect().await.expect("it listens");
        let client = ReferenceClient::new(channel.clone());
        assert_eq!(client.echo(kinds()).await.expect("an answer"), kinds(), "{packer}");
        let task = client.task(Word { word: "w".into() }).await.expect("an answer");
        let name = task.api.expect("the call").name;
        let own_name = if packer == Packer::Protobuf { "/interop.v1.Reference/Task" } else { "/t/task" };
        assert_eq!(name, own_name, "{packer}");

        client.echo(kinds()).no_result().await.expect("accepted");
        let pending = client.echo(kinds()).deferred().await.expect("accepted");
        assert_eq!(pending.await.expect("the result"), kinds(), "{packer}");
        let batch = channel.batch().call(client.echo(kinds())).call(client.throw_cn(()));
        let (same, thrown) = batch.send().await.expect("results");
        assert_eq!(same.expect("an answer"), kinds(), "{packer}");
        let status = thrown.expect_err("it throws");
        assert_eq!((status.raw_code(), status.message()), (-42, "业务异常: 库存不足"), "{packer}");
        assert_eq!((status.origin(), status.peer()), (Origin::Service, Some(channel.peer())), "{packer}");

        let big = client.big(BigRequest { n: 1 << 20 }).await.expect("1 MiB");
        assert_eq!(big.len(), 1 << 20);
        let status = client.die(()).await.expect_err("it panics");
        assert_eq!((status.code(), status.origin()), (Code::Internal, Origin::Service), "{packer}");
    }
}

#[tokio::test]
async fn a_wrong_field_is_named_in_every_packing_that_has_names() {
    let address = server::start(&Dialect::GUID).await;
    for packer in [Packer::Php, Packer::Json] {
        let channel = endpoint(address, packer).connect().await.expect("it listens");
        let param = value!({ "leaf" => { "leaves" => [{}, { "name" => [1] }] } });
        let status = channel.dynamic().call("/t/echo", param).await.expect_err("a wrong field");
        assert_eq!((status.code(), status.origin()), (Code::InvalidArgument, Origin::Service), "{packer}");
        assert!(status.message().contains("leaf.leaves[1].name: expected a string"), "{packer}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_of_every_packing_are_answered_in_their_own_on_one_port_at_once() {
    let address = server::start(&Dialect::GUID).await;
    let rust =
        PACKERS.into_iter().flat_map(|packer| [(packer, false), (packer, true)]).map(|(packer, gzip)| {
            let endpoint = if gzip { endpoint(address, packer).gzip() } else { endpoint(address, packer) };
            tokio::spawn(async move {
                let client = ReferenceClient::new(endpoint.connect().await.expect("it listens"));
                for us in 0..200 {
                    assert_eq!(
                        client.sleep(SleepRequest { us }).await.expect("an answer").slept,
                        us,
                        "{packer}"
                    );
                    assert_eq!(client.echo(kinds()).await.expect("an answer"), kinds(), "{packer}");
                }
            })
        });
    let rust: Vec<_> = rust.collect();
    let dialects = Dialect::all().into_iter().filter(|dialect| dialect.salt.is_none());
    let php = dialects.map(|dialect| {
        let client = PhpClient::new(address, dialect);
        tokio::task::spawn_blocking(move || {
            let call = |us: i64| json!({"call": "single", "name": "/t/sleep", "param": {"us": us}});
            let results = run(&client, &(0..100).map(call).collect());
            for (us, result) in (0..).zip(&results) {
                assert_eq!(*result, single(Exact::map([("slept", Exact::Int(us))])), "{:?}", client.dialect);
            }
            assert_eq!(results.len(), 100);
        })
    });
    let php: Vec<_> = php.collect();
    for caller in rust.into_iter().chain(php) {
        caller.await.expect("all its answers");
    }
}
