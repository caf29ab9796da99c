//! The API names of the reference service.

use std::time::Duration;

use dora::http::WrittenGuid;
use dora::{Array, Message, Object, Request, RequestOrigin, Status, Value, value};

/// Handles every API name.
pub(crate) async fn call(request: Request<Value>) -> Result<Value, Status> {
    let param = request.body();
    Ok(match request.method().as_str() {
        "/t/echo" => request.into_body(),
        "/t/task" => task(&request)?,
        "/t/throw" => return Err(Status::raw(1231, "asbddddfds")),
        "/t/throw_cn" => return Err(Status::raw(-42, "业务异常: 库存不足")),
        "/t/throw0" => return Err(Status::raw(0, "plain message")),
        "/t/throw_pdo" => return Err(Status::raw(100_001, "code kept as int")),
        "/t/error" | "/t/exit" => panic!("the handler dies"),
        "/t/null" | "/t/void" => Value::Null,
        "/t/true" => true.into(),
        "/t/int" => i64::MIN.into(),
        "/t/float" => (0.1 + 0.2).into(),
        "/t/string" => BINARY.to_vec().into(),
        "/t/list" => value!([10, 20, 30]),
        "/t/sparse" => value!({ 5 => "a", 7 => "b", "k" => "c", -3 => "d" }),
        "/t/empty" => value!([]),
        "/t/object" => {
            let properties = [("a", value!(1)), ("b", value!({ "x" => null }))];
            Object::std_class(properties.into_iter().collect()).into()
        }
        "/t/point" => {
            let properties = [("x", 1), ("\0*\0y", 2), ("\0Point\0z", 3)];
            Object::new("Point", properties.into_iter().collect()).into()
        }
        "/t/shared" => {
            let shared = Object::std_class([("n", 1)].into_iter().collect());
            value!({ "first" => shared.clone(), "second" => shared })
        }
        "/t/ref" => value!({ "a" => 5, "b" => 5 }),
        "/t/big" => vec![b'D'; count(param, "n", MOST_LETTERS)?].into(),
        "/t/sleep" => {
            let us = count(param, "us", LONGEST_SLEEP)?;
            tokio::time::sleep(Duration::from_micros(us as u64)).await;
            value!({ "slept" => us as i64 })
        }
        _ => value!({ "hehe" => "ohyes123" }),
    })
}

/// A text, a NUL, and bytes that are no text.
pub(crate) const BINARY: &[u8] = b"\xe4\xbd\xa0\xe5\xa5\xbd\0bin\xff\xfe";

/// What a PHP handler is given: the task.
fn task(request: &Request<Value>) -> Result<Value, Status> {
    let packet = request.origin().and_then(RequestOrigin::packet);
    let packet = packet.ok_or_else(|| Status::internal("a call that came in no packet"))?;
    // The call as it came, with fields that Dora has no name for.
    let call = packet.raw.clone().map(Value::unpack).transpose()?.unwrap_or_default();
    let mut task = Array::new();
    task.insert("type", packet.kind.word());
    match request.extensions().get::<WrittenGuid>() {
        Some(WrittenGuid(guid)) => task.insert("guid", guid.clone()),
        None => task.insert("guid", &packet.guid.as_bytes()[..]),
    };
    // Before June 2016 there was but one.
    if !packet.kind.is_legacy() {
        let door = request.origin().map(RequestOrigin::door);
        task.insert("protocol", if door == Some("http") { "http" } else { "tcp" });
    }
    task.insert("api", call);
    Ok(task.into())
}

/// What `/t/big` gives at most: a caller must not choose how much memory is taken.
/// An answer that is over the packet limit is an error all the same.
const MOST_LETTERS: usize = 4 << 20;

/// Microseconds that `/t/sleep` sleeps at most.
const LONGEST_SLEEP: usize = 60_000_000;

/// A number of the parameter that counts something; 0 without one.
fn count(param: &Value, name: &str, most: usize) -> Result<usize, Status> {
    let number = param.get(name).and_then(Value::as_int).unwrap_or(0);
    let count = usize::try_from(number).unwrap_or(0);
    if count > most {
        return Err(Status::invalid_argument(format!(
            "param.{name} is {count}, and at most {most} is served"
        )));
    }
    Ok(count)
}
