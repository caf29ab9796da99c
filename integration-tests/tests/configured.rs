//! What `Config` changes, compiled and used.

use std::collections::{BTreeMap, HashMap};

use prost::Message;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod rpc {
    //! The runtime under another path.

    pub use ::dora;
}

mod proto {
    // The tree that lies beside generated files.
    include!(concat!(env!("OUT_DIR"), "/configured/dora-protos.rs"));
}

use proto::configured::store_client::StoreClient;
use proto::configured::store_mock::MockStore;
use proto::configured::store_server::{Store, StoreServer};
use proto::configured::{Color, Everything, everything::Choice};
use rpc::dora::mapped::{Mapped, Reading};
use rpc::dora::{Code, Limits, Request, Response, Status, Value, value};

/// In place of `google.protobuf.Timestamp`: whole seconds, to PHP as an int.
#[derive(Clone, Copy, PartialEq, Message)]
struct Moment {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

impl Mapped for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.seconds)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D, reading: Reading) -> Result<Self, D::Error> {
        <i64 as Mapped>::deserialize(deserializer, reading).map(|seconds| Self { seconds })
    }
}

/// In place of `google.protobuf.Empty`.
#[derive(Clone, Copy, PartialEq, Message)]
struct Nothing {}

impl Mapped for Nothing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Mapped::serialize(&(), serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D, reading: Reading) -> Result<Self, D::Error> {
        <() as Mapped>::deserialize(deserializer, reading).map(|()| Self {})
    }
}

struct Shelf;

impl Store for Shelf {
    async fn put(&self, request: Request<Everything>) -> Result<Response<Moment>, Status> {
        Ok(request.body().at.unwrap_or_default().into())
    }

    async fn get(&self, request: Request<Moment>) -> Result<Response<Everything>, Status> {
        Ok(Everything { at: Some(*request.body()), ..Everything::default() }.into())
    }
}

fn everything() -> Everything {
    // Each field of the type that was chosen for it.
    let by_name: BTreeMap<String, bytes::Bytes> =
        [("b".to_owned(), "B".into()), ("a".to_owned(), "A".into())].into();
    let hashed: HashMap<i32, i32> = [(7, Color::Red.into())].into();
    let raw: Vec<u8> = vec![0, 255];
    let shared: bytes::Bytes = "shared".into();
    Everything {
        raw: raw.clone(),
        raws: vec![raw.clone()],
        shared,
        by_name,
        hashed,
        at: Some(Moment { seconds: 60 }),
        within: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
        note: Some("note".to_owned()),
        nothing: Some(Nothing {}),
        color: Color::Red.into(),
        inner: Some(Box::default()),
        choice: Some(Choice::Blob(raw)),
        ..Everything::default()
    }
}

#[tokio::test]
async fn a_server_may_leave_rpcs_out() {
    struct Closed;
    impl Store for Closed {}

    let store = StoreClient::new(StoreServer::new(Closed));
    let status = store.put(everything()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert_eq!(status.message(), "this server does not implement /configured.Store/Put");
}

#[tokio::test]
async fn a_mock_of_types_of_ones_own() {
    let (mock, mut handle) = MockStore::new();
    handle.expect_put(|request| Ok(request.into_body().at.unwrap_or_default()));
    let store = StoreClient::new(StoreServer::new(mock));
    assert_eq!(store.put(everything()).await.unwrap(), Moment { seconds: 60 });
}

#[test]
fn serde_has_a_form_for_every_type() {
    fn both<T: Serialize + for<'de> Deserialize<'de>>(value: &T) -> (String, T) {
        let json = serde_json::to_string(value).unwrap();
        let back = serde_json::from_str(&json).unwrap();
        (json, back)
    }
    let sent = everything();
    let (json, back) = both(&sent);
    assert_eq!(back, sent);
    for part in [
        r#""raw":"AP8=""#,
        r#""by_name":{"a":"QQ==","b":"Qg=="}"#,
        r#""at":60"#,
        r#""color":1"#,
        r#""within":"1s""#,
    ] {
        assert!(json.contains(part), "{part}: {json}");
    }
    assert_eq!(both(&Color::Red), ("1".to_owned(), Color::Red));
    assert_eq!(serde_json::from_str::<Color>(r#""COLOR_RED""#).unwrap(), Color::Red);
    let error = serde_json::from_str::<Color>("9").unwrap_err().to_string();
    assert!(error.contains('9'), "{error}");
}

#[test]
fn a_btree_map_is_read_as_a_hash_map_is() {
    let sent = everything();
    assert_eq!(Everything::decode(sent.encode_to_vec().as_slice()).unwrap(), sent);
    let php = rpc::dora::mapped::to_php(&sent).unwrap();
    assert_eq!(rpc::dora::mapped::from_php::<Everything>(&php, &Limits::default()).unwrap(), sent);
    let list: Everything =
        rpc::dora::mapped::from_php(br#"a:1:{s:7:"by_name";a:0:{}}"#, &Limits::default()).unwrap();
    assert!(list.by_name.is_empty());
}

#[tokio::test]
async fn types_of_ones_own_travel() {
    let store = StoreClient::new(StoreServer::new(Shelf));
    assert_eq!(store.put(everything()).await.unwrap(), Moment { seconds: 60 });
    assert_eq!(store.get(Moment { seconds: 7 }).await.unwrap().at, Some(Moment { seconds: 7 }));
    let values = rpc::dora::DynamicClient::new(StoreServer::new(Shelf));
    let at = values.call("/configured.Store/Put", value!({ "at" => 8 })).await.unwrap();
    assert_eq!(at, Value::from(8));
}
