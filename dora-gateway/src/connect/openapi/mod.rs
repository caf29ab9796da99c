//! What there is to call, as OpenAPI 3.1 (<https://spec.openapis.org/oas/v3.1.0>).

mod comments;
mod components;

use prost_reflect::{FieldDescriptor, MethodDescriptor};
use serde_json::{Map, Value, json};

use self::comments::{described, text};
use self::components::Components;
use super::rules::{Rule, RuleBody};
use super::schema::{Rpc, Schema};

/// The description of all methods of `schema`.
pub(super) fn document(schema: &Schema) -> Value {
    let mut components = Components::default();
    let mut paths = Map::new();
    for rpc in &schema.rpcs {
        let body = request_body(components.message(&rpc.input), true);
        let operation = operation(rpc, rpc.method.path(), Vec::new(), Some(body), None, &mut components);
        put(&mut paths, rpc.method.path().to_owned(), "post", operation);
    }
    for (place, rule) in schema.rules.iter().enumerate() {
        let Some(rpc) = schema.rpcs.get(rule.rpc) else { continue };
        // OpenAPI knows no other verbs.
        let verb = rule.verb.as_str().to_ascii_lowercase();
        if !["get", "put", "post", "delete", "options", "head", "patch", "trace"].contains(&&*verb) {
            continue;
        }
        let body = match &rule.body {
            RuleBody::None => None,
            RuleBody::Whole => Some(request_body(components.message(&rpc.input), false)),
            RuleBody::Field(field) => Some(request_body(components.field(field), false)),
        };
        let parameters = parameters(rpc, rule, &mut components);
        let id = format!("{}:{place}", rpc.method.path());
        let operation = operation(rpc, &id, parameters, body, rule.response_body.as_ref(), &mut components);
        put(&mut paths, rule.template.openapi(), &verb, operation);
    }
    let tags: Vec<Value> = services(schema)
        .into_iter()
        .map(|(name, description)| described(json!({ "name": name }), description))
        .collect();
    let titles: Vec<&str> = tags.iter().filter_map(|tag| tag["name"].as_str()).collect();
    json!({
        "openapi": "3.1.0",
        "info": { "title": titles.join(", "), "version": version(schema) },
        "tags": tags,
        "paths": paths,
        "components": { "schemas": components.into_schemas() },
    })
}

fn put(paths: &mut Map<String, Value>, path: String, verb: &str, operation: Value) {
    let path = paths.entry(path).or_insert_with(|| json!({}));
    if let Some(verbs) = path.as_object_mut() {
        verbs.entry(verb).or_insert(operation);
    }
}

/// The services, and what their comments say.
fn services(schema: &Schema) -> Vec<(&'static str, String)> {
    let mut services: Vec<(&'static str, String)> = Vec::new();
    for rpc in &schema.rpcs {
        let name = rpc.method.service().name();
        if services.last().is_none_or(|(last, _)| *last != name) {
            let service = rpc.descriptor.parent_service();
            services.push((name, text(&service.parent_file(), service.path())));
        }
    }
    services
}

/// Of all services; where they differ, of the first.
fn version(schema: &Schema) -> &'static str {
    schema.rpcs.first().map_or("1.0", |rpc| rpc.method.service().version())
}

fn request_body(schema: Value, required: bool) -> Value {
    json!({ "required": required, "content": { "application/json": { "schema": schema } } })
}

fn operation(
    rpc: &Rpc,
    id: &str,
    parameters: Vec<Value>,
    body: Option<Value>,
    response: Option<&FieldDescriptor>,
    components: &mut Components,
) -> Value {
    let result = match response {
        Some(field) => components.field(field),
        None => components.message(&rpc.output),
    };
    let mut responses = Map::new();
    if rpc.has_no_result() {
        responses.insert("202".to_owned(), json!({ "description": "It is begun." }));
    } else {
        let content = json!({ "application/json": { "schema": result } });
        responses.insert("200".to_owned(), json!({ "description": "The result.", "content": content }));
    }
    responses.insert("default".to_owned(), components.error());
    let mut operation = json!({
        "operationId": id.trim_start_matches('/'),
        "tags": [rpc.method.service().name()],
        "responses": responses,
    });
    if let Some(members) = operation.as_object_mut() {
        if !parameters.is_empty() {
            members.insert("parameters".to_owned(), parameters.into());
        }
        members.extend(body.map(|body| ("requestBody".to_owned(), body)));
        if is_deprecated(&rpc.descriptor) {
            members.insert("deprecated".to_owned(), true.into());
        }
    }
    let file = rpc.descriptor.parent_file();
    described(operation, text(&file, rpc.descriptor.path()))
}

fn is_deprecated(method: &MethodDescriptor) -> bool {
    let options = method.method_descriptor_proto().options.as_ref();
    options.is_some_and(prost_reflect::prost_types::MethodOptions::deprecated)
}

/// The variables of the path, and the fields that the query may have.
fn parameters(rpc: &Rpc, rule: &Rule, components: &mut Components) -> Vec<Value> {
    let mut parameters = Vec::new();
    for (variable, field) in rule.template.variables.iter().zip(&rule.variables) {
        let field = field.descriptor();
        let schema = components.field(field);
        let parameter = json!({ "name": variable.field, "in": "path", "required": true, "schema": schema });
        parameters.push(described(parameter, text(&field.parent_message().parent_file(), field.path())));
    }
    let body = match &rule.body {
        RuleBody::Whole => return parameters,
        RuleBody::Field(field) => Some(field),
        RuleBody::None => None,
    };
    let is_in_path = |field: &FieldDescriptor| {
        rule.template.variables.iter().any(|variable| variable.field.split('.').next() == Some(field.name()))
    };
    for field in rpc.input.fields().filter(|field| Some(field) != body && !is_in_path(field)) {
        let is_text = super::fields::field(&rpc.input, field.name()).is_some_and(|field| field.is_text());
        if !is_text {
            continue;
        }
        let parameter =
            json!({ "name": field.json_name(), "in": "query", "schema": components.field(&field) });
        parameters.push(described(parameter, text(&rpc.input.parent_file(), field.path())));
    }
    parameters
}
