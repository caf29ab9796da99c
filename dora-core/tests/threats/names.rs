//! Control characters in what peers send.

use dora_core::call::name::MethodName;
use dora_core::call::packer::Packer;
use dora_core::call::status::Status;
use dora_core::guid::Guid;
use dora_core::server::Server;

use crate::support::{call, frame_for, pack, serve};

const EVIL: &str = "a\r\nSet-Cookie: b\x1b[31m\u{202e}";

fn assert_printable(shown: &str) {
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
    assert!(!shown.contains('\u{202e}'), "{shown:?}");
}

#[test]
fn names_guids_and_messages_show_escaped() {
    let name = MethodName::from(EVIL.to_owned());
    let guid = Guid::from_bytes(b"\r\n\x1b[31mZZZZZZZZZZZZZZZZZZZZZZZZ\0").expect("32 bytes");
    let status = Status::not_found(EVIL);
    for shown in [
        format!("{name}"),
        format!("{name:?}"),
        format!("{guid}"),
        format!("{guid:?}"),
        format!("{status}"),
        format!("{status:?}"),
    ] {
        assert_printable(&shown);
    }
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_answered_escaped() {
    let server = serve(Server::builder()).await;
    let mut raw = server.raw().await;
    let guid = Guid::from_bytes(b"\r\n\x1b[31mZZZZZZZZZZZZZZZZZZZZZZZZ\0").expect("32 bytes");
    raw.send(&frame_for(&guid, None, &pack(&call(EVIL), Packer::Php))).await;
    let (echoed, body) = raw.frame().await;
    assert_eq!(echoed, guid, "any 32 bytes are a guid");
    let answer = crate::support::open_answer(&body, dora_core::pack::envelope::Shape::One);
    let dora_core::pack::packet::ResponseData::One(Err(status)) = answer.data else { panic!("no method") };
    assert_printable(status.message());
}
