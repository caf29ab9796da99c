//! The description of what there is to call.

use dora::connect::Connect;
use serde_json::{Value, json};

use crate::client::{failed, send};
use crate::host::Host;

/// All that `$ref` names.
fn references(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            into.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| references(value, into));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, into)),
        _ => {}
    }
}

#[test]
fn services_are_described_with_the_words_of_their_proto() {
    let host = Host::start();
    let answer = send(&host, "GET", "/openapi.json", "", b"");
    let document = answer.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(
        document["tags"],
        json!([{ "name": "library.v1.Library", "description": "Books on shelves." }])
    );
    let get = &document["paths"]["/library.v1.Library/GetBook"]["post"];
    assert_eq!(get["description"], "One book by number.");
    let request = &get["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(request, &json!({ "$ref": "#/components/schemas/library.v1.GetBookRequest" }));
    let schemas = &document["components"]["schemas"];
    let id = json!({ "type": "string", "format": "int64", "description": "The number of the book." });
    assert_eq!(schemas["library.v1.GetBookRequest"]["properties"]["id"], id);
    assert_eq!(
        schemas["library.v1.Book"]["properties"]["bookTitle"]["description"],
        "As it stands on the cover."
    );
    assert_eq!(schemas["library.v1.Edition"]["enum"], json!(["EDITION_UNSPECIFIED", "EDITION_FIRST"]));
    let all = &schemas["library.v1.All"]["properties"];
    assert_eq!(all["numbers"]["additionalProperties"]["format"], "int64");
    assert_eq!(all["moment"]["format"], "date-time");
    assert_eq!(all["within"], json!({ "$ref": "#/components/schemas/library.v1.All" }));
    assert!(document["paths"]["/library.v1.Library/Note"]["post"]["responses"]["202"].is_object());

    let listed = &document["paths"]["/v1/books"]["get"];
    let names: Vec<_> =
        listed["parameters"].as_array().into_iter().flatten().map(|one| &one["name"]).collect();
    assert_eq!(names, ["ids", "since"]);
    assert_eq!(listed["responses"]["200"]["content"]["application/json"]["schema"]["type"], "array");
    let added = &document["paths"]["/v1/{shelf}/books"]["post"];
    assert_eq!(
        (&added["parameters"][0]["in"], &added["parameters"][0]["required"]),
        (&json!("path"), &json!(true))
    );

    let mut named = Vec::new();
    references(&document, &mut named);
    for name in named {
        let pointer = name.strip_prefix('#').expect("within the document");
        assert!(document.pointer(pointer).is_some_and(Value::is_object), "{name}");
    }
}

#[test]
fn nobody_is_told_where_that_is_wanted() {
    let host = Host::with(|server| server, Connect::new().without_openapi());
    failed(&send(&host, "GET", "/openapi.json", "", b""), 404, "unimplemented");
}
