//! Who may call, and who may command.

use dora::http::Forms;
use serde_json::{Value, json};

use crate::host::{reference, serve};
use crate::http::{Answer, Peer, post};

fn ask(door: Forms, path: &str, headers: &str) -> Answer {
    let call = json!({ "name": "getStat", "param": 1 });
    let params = json!({ "guid": "g", "api": { "cmd": call } });
    let mut peer = Peer::connect(serve(reference(), door));
    peer.send(&post(path, &params, headers));
    let answer = peer.answer();
    if answer.status != 200 {
        peer.expect_close();
    }
    answer
}

fn code(answer: &Answer) -> Value {
    answer.json()["code"].clone()
}

#[test]
fn a_form_of_a_foreign_page_calls_nothing() {
    for headers in ["Origin: http://evil.example\r\n", "Origin: null\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
        assert_eq!(ask(Forms::new(), "/api/multisync", headers).status, 403, "{headers}");
        assert_eq!(ask(Forms::new().open_control(), "/server/cmd", headers).status, 403, "{headers}");
        assert_eq!(code(&ask(Forms::new().any_origin(), "/api/multisync", headers)), 0, "{headers}");
    }
    assert_eq!(code(&ask(Forms::new(), "/api/multisync", "Origin: http://here\r\n")), 0);
}

#[test]
fn commands_are_unknown_until_they_are_opened() {
    assert_eq!(code(&ask(Forms::new(), "/server/cmd", "")), 100_011);
    assert_eq!(code(&ask(Forms::new().open_control(), "/server/cmd", "")), 0);
    let guarded = || Forms::new().control_token("secret");
    assert_eq!(ask(guarded(), "/server/cmd", "").status, 401);
    assert_eq!(ask(guarded(), "/server/cmd", "Authorization: Bearer other\r\n").status, 401);
    assert_eq!(code(&ask(guarded(), "/server/cmd", "Authorization: Bearer secret\r\n")), 0);
    // By whatever spelling of the path.
    assert_eq!(ask(guarded(), "//server//cmd/?a=b", "").status, 401);
    assert_eq!(code(&ask(guarded(), "/api/multisync", "")), 0, "calls need no token");
}

#[test]
fn calls_need_the_token_where_there_is_one() {
    let guarded = || Forms::new().token("secret");
    let refused = ask(guarded(), "/api/multisync", "");
    assert_eq!(refused.status, 401);
    assert_eq!(refused.headers.get("www-authenticate").map(String::as_str), Some("Bearer"));
    assert_eq!(ask(guarded(), "/no/such", "").status, 401);
    assert_eq!(code(&ask(guarded(), "/api/multisync", "Authorization: Bearer secret\r\n")), 0);
}
