//! The interfaces of the reference service, for Swoft's callers.

use dora::{Object, Request, RequestOrigin, Status, Value, value};

use crate::api::BINARY;

/// Handles every `version::interface::method`.
pub(crate) async fn call(request: Request<Value>) -> Result<Value, Status> {
    let name = request.method().as_str().to_owned();
    let parts: Vec<_> = name.splitn(3, "::").collect();
    let [version, interface, method] = parts[..] else {
        return Err(Status::not_found(format!("{name:?} is no version::interface::method")));
    };
    let arguments = Arguments(request.body());
    match request.origin().map(RequestOrigin::door) {
        Some("swoft-v1") => first(version, interface, method, &arguments),
        _ => second(version, interface, method, &arguments),
    }
}

/// The interface of 2.x.
fn second(version: &str, interface: &str, method: &str, arguments: &Arguments<'_>) -> Result<Value, Status> {
    if interface != r"App\Rpc\Lib\DemoInterface" || !["1.0", "1.2"].contains(&version) {
        let message = format!("Route({version}-{interface}) is not founded!");
        return Err(Status::raw(-32_600, message));
    }
    // PHP's methods have their names in any case.
    Ok(match &*method.to_ascii_lowercase() {
        "getlist" => {
            let (id, kind) = (arguments.int(0, "id")?, arguments.any(1, "type")?);
            match version {
                "1.0" => value!({ "name" => ["list"], "v" => "1.0", "uid" => id, "type" => kind }),
                _ => value!({ "name" => ["list2"], "v" => "1.2" }),
            }
        }
        "delete" => (arguments.int(0, "id")? > 100).into(),
        "returnnull" => Value::Null,
        "echo" => arguments.any(0, "v")?,
        "float" => (0.1 + 0.2).into(),
        "opt" => {
            let a = arguments.int(0, "a")?;
            let b = if arguments.has(1, "b") { arguments.int(1, "b")? } else { 7 };
            // As in PHP: what is no integer any more is a float.
            a.checked_add(b).map_or_else(|| (a as f64 + b as f64).into(), Value::from)
        }
        "obj" => {
            let full = [("a", value!(1)), ("list", value!([]))];
            let full = Object::std_class(full.into_iter().collect());
            let empty = Object::std_class(std::iter::empty::<(&str, Value)>().collect());
            value!({ "o" => full, "e" => empty })
        }
        "error" => return Err(Status::raw(324_231, "error message")),
        "coded" => return Err(Status::raw(arguments.int(0, "code")?, "带中文的错误")),
        "bin" => BINARY.to_vec().into(),
        _ => {
            let message = format!("Method({interface}::{method}) is not founded!");
            return Err(Status::raw(-32_601, message));
        }
    })
}

/// The interface of 1.x.
fn first(version: &str, interface: &str, method: &str, arguments: &Arguments<'_>) -> Result<Value, Status> {
    let known = interface == r"App\Lib\DemoInterface" && ["0", "1.0.1"].contains(&version);
    Ok(match &*method.to_ascii_lowercase() {
        "getuser" if known => value!({ "id" => arguments.any(0, "id")?, "name" => "用户/1" }),
        "list3" if known => value!([1, 2.5, "x"]),
        "nothing" if known => Value::Null,
        "falsevalue" if known => false.into(),
        "emptystring" if known => "".into(),
        "boom" if known => return Err(Status::raw(500_123, "boom 失败")),
        "boom0" if known => return Err(Status::raw(0, "no code")),
        "code200" if known => return Err(Status::raw(200, "an error with code 200")),
        "bin" if known => BINARY.to_vec().into(),
        _ => {
            let message = format!("The {method} of {interface} {version} is not exist!");
            return Err(Status::raw(0, message));
        }
    })
}

/// The arguments of a call: by their places, or by their names. What PHP says of wrong
/// ones has code 0.
struct Arguments<'a>(&'a Value);

impl Arguments<'_> {
    fn find(&self, place: i64, name: &str) -> Option<&Value> {
        self.0.get(place).or_else(|| self.0.get(name))
    }

    fn has(&self, place: i64, name: &str) -> bool {
        self.find(place, name).is_some()
    }

    fn any(&self, place: i64, name: &str) -> Result<Value, Status> {
        let found = self.find(place, name).cloned();
        found.ok_or_else(|| Status::raw(0, format!("too few arguments: {name} is missing")))
    }

    fn int(&self, place: i64, name: &str) -> Result<i64, Status> {
        let value = self.any(place, name)?;
        let wrong = || Status::raw(0, format!("{name} must be an integer, and is {}", value.type_name()));
        value.as_int().ok_or_else(wrong)
    }
}
