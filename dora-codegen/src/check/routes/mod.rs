//! `google.api.http`: paths that no request could reach, or that two methods answer.

mod template;

use std::collections::HashMap;

use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value,
};

use crate::config::Config;
use crate::error::{Position, Problem};
use crate::model;
use crate::nearest::nearest;
use crate::resolve::Includes;

use self::template::Template;

/// The extension of method options: `option (google.api.http) = { .. }`.
const EXTENSION: &str = "google.api.http";

/// The messages of Google's that a path can hold: JSON writes them as a string, or can read
/// them from one.
const TEXTS: [&str; 12] = [
    "BoolValue",
    "BytesValue",
    "DoubleValue",
    "Duration",
    "FieldMask",
    "FloatValue",
    "Int32Value",
    "Int64Value",
    "StringValue",
    "Timestamp",
    "UInt32Value",
    "UInt64Value",
];

/// All that is wrong with the paths of the services that are generated.
pub(super) fn check(pool: &DescriptorPool, includes: &Includes, config: &Config) -> Vec<Problem> {
    let Some(extension) = pool.get_extension_by_name(EXTENSION) else { return vec![] };
    let (mut problems, mut taken) = (vec![], Taken::default());
    let services = pool.services().filter(|service| !config.is_extern(service.full_name()));
    let methods: Vec<_> = services.flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    for method in &methods {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        taken.take("POST".to_owned(), path, method, &at(method, &extension, includes));
    }
    for method in &methods {
        let at = at(method, &extension, includes);
        for rule in rules(method, &extension) {
            let found = Rule { method, rule: &rule }.check(&mut taken, &at);
            problems.extend(found.into_iter().map(|problem| problem.at(&at)));
        }
    }
    problems
}

/// Where a method's option stands; where that is not known, where the method does.
fn at(method: &MethodDescriptor, extension: &ExtensionDescriptor, includes: &Includes) -> Position {
    /// The field of a method's options in its descriptor.
    const OPTIONS: i32 = 4;
    let file = method.parent_file();
    let number = i32::try_from(extension.number()).unwrap_or_default();
    let option = [method.path(), &[OPTIONS, number]].concat();
    let option = model::position(&file, &option, includes);
    match option.line {
        0 => model::position(&file, method.path(), includes),
        _ => option,
    }
}

/// The rule of a method, and those that it has beside it.
fn rules(method: &MethodDescriptor, extension: &ExtensionDescriptor) -> Vec<DynamicMessage> {
    let options = method.options();
    if !options.has_extension(extension) {
        return vec![];
    }
    let rule = options.get_extension(extension);
    let Some(rule) = rule.as_message() else { return vec![] };
    let more = beside(rule);
    [rule.clone()].into_iter().chain(more).collect()
}

fn beside(rule: &DynamicMessage) -> Vec<DynamicMessage> {
    let more = rule.get_field_by_name("additional_bindings");
    more.iter().filter_map(|more| more.as_list()).flatten().filter_map(Value::as_message).cloned().collect()
}

/// What answers to each verb and shape of path, and where that was said.
#[derive(Default)]
struct Taken(HashMap<(String, String), (String, Position)>);

impl Taken {
    /// Notes that `method` has a path; who has it already, another path of its own aside.
    fn take(
        &mut self,
        verb: String,
        shape: String,
        method: &MethodDescriptor,
        at: &Position,
    ) -> Option<(String, Position)> {
        let name = method.full_name().to_owned();
        self.0.insert((verb, shape), (name, at.clone()))
    }
}

/// One rule of a method.
struct Rule<'a> {
    method: &'a MethodDescriptor,
    rule: &'a DynamicMessage,
}

impl Rule<'_> {
    fn check(&self, taken: &mut Taken, at: &Position) -> Vec<Problem> {
        let name = self.method.full_name();
        let Some((verb, path)) = self.pattern() else {
            return vec![
                Problem::new(format!("google.api.http of `{name}` has no path"))
                    .help("give it one of get, put, post, delete, patch and custom"),
            ];
        };
        let mut problems = vec![];
        if verb.is_empty()
            || !verb.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
        {
            problems.push(Problem::new(format!("google.api.http of `{name}`: {verb:?} is no verb of HTTP")));
        }
        let template = match Template::parse(&path) {
            Ok(template) => template,
            Err(why) => {
                let wrong = format!("google.api.http of `{name}`: the path {path:?} is no template: {why}");
                problems
                    .push(Problem::new(wrong).help("a path is such as \"/v1/shelves/{shelf}/books/{id}\""));
                return problems;
            }
        };
        problems.extend(self.variables(&template));
        problems.extend(self.bodies(&verb, &template));
        problems.extend(self.nested());
        if let Some((other, place)) = taken.take(verb.clone(), template.shape, self.method, at) {
            problems.push(
                Problem::new(format!("`{name}` and `{other}` ({place}) both answer to {verb} {path}"))
                    .help("a request leads to one rpc: give one of the two another path"),
            );
        }
        problems
    }

    /// The verb and the path.
    fn pattern(&self) -> Option<(String, String)> {
        for verb in ["get", "put", "post", "delete", "patch"] {
            if self.rule.has_field_by_name(verb) {
                return Some((verb.to_ascii_uppercase(), self.text(verb)));
            }
        }
        if !self.rule.has_field_by_name("custom") {
            return None;
        }
        let custom = self.rule.get_field_by_name("custom")?;
        let custom = custom.as_message()?;
        Some((text(custom, "kind"), text(custom, "path")))
    }

    fn variables(&self, template: &Template) -> Vec<Problem> {
        let (name, input) = (self.method.full_name(), self.method.input());
        let mut problems = vec![];
        for (place, path) in template.variables.iter().enumerate() {
            if template.variables.iter().take(place).any(|before| before == path) {
                problems.push(Problem::new(format!(
                    "google.api.http of `{name}` has {{{path}}} in its path twice"
                )));
            }
            problems.extend(variable(name, &input, path));
        }
        problems
    }

    /// What the body is, beside the path.
    fn bodies(&self, verb: &str, template: &Template) -> Vec<Problem> {
        let (name, mut problems) = (self.method.full_name(), vec![]);
        let body = self.text("body");
        match &*body {
            "" => {}
            _ if verb == "GET" => problems.push(
                Problem::new(format!("google.api.http of `{name}` has a body, and a GET has none"))
                    .help("leave body out: fields that are not in the path are in the query"),
            ),
            "*" => {}
            field => {
                problems.extend(own_field(name, &self.method.input(), field, "body"));
                let within = |path: &&String| path.split('.').next() == Some(field);
                if let Some(path) = template.variables.iter().find(within) {
                    let twice = format!(
                        "google.api.http of `{name}` has {field} as its body and {{{path}}} in its path"
                    );
                    problems.push(Problem::new(twice).help("a field is read from one of the two"));
                }
            }
        }
        let response = self.text("response_body");
        if !response.is_empty() {
            problems.extend(own_field(name, &self.method.output(), &response, "response_body"));
        }
        problems
    }

    /// Rules beside this one, where only a method's own may have some.
    fn nested(&self) -> Option<Problem> {
        let deeper = beside(self.rule).iter().any(|rule| !beside(rule).is_empty());
        deeper.then(|| {
            let name = self.method.full_name();
            Problem::new(format!(
                "google.api.http of `{name}` has additional_bindings within additional_bindings"
            ))
            .help("put them all beside each other")
        })
    }

    fn text(&self, field: &str) -> String {
        text(self.rule, field)
    }
}

fn text(message: &DynamicMessage, field: &str) -> String {
    let value = message.get_field_by_name(field);
    value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// What is wrong with a variable: there is no such field, or a path cannot hold it.
fn variable(name: &str, input: &MessageDescriptor, path: &str) -> Option<Problem> {
    let missing = |help: String| {
        let input = input.full_name();
        let wrong = format!("google.api.http of `{name}`: {path:?} in its path is no field of {input}");
        Some(Problem::new(wrong).help(help))
    };
    let (mut message, mut parts) = (input.clone(), path.split('.').peekable());
    while let Some(part) = parts.next() {
        let field = message.get_field_by_name(part).or_else(|| message.get_field_by_json_name(part));
        let Some(field) = field else { return missing(meant(&message, part)) };
        let is_one = !field.is_list() && !field.is_map();
        match (field.kind(), parts.peek()) {
            (Kind::Message(inner), Some(_)) if is_one => message = inner,
            (Kind::Message(inner), None) if is_one && is_text(&inner) => return None,
            (Kind::Message(_), _) => return Some(not_in_path(name, path)),
            (_, None) if is_one => return None,
            (_, None) => return Some(not_in_path(name, path)),
            (_, Some(_)) => return missing(format!("{} is no message", field.full_name())),
        }
    }
    None
}

fn is_text(message: &MessageDescriptor) -> bool {
    message.full_name().strip_prefix("google.protobuf.").is_some_and(|name| TEXTS.contains(&name))
}

fn not_in_path(name: &str, path: &str) -> Problem {
    Problem::new(format!(
        "google.api.http of `{name}`: {path} is a list, map or message: a path cannot hold it"
    ))
    .help("put it into the query, by leaving it out of the path, or into the body")
}

fn own_field(name: &str, message: &MessageDescriptor, field: &str, option: &str) -> Option<Problem> {
    if message.get_field_by_name(field).is_some() {
        return None;
    }
    let wrong =
        format!("google.api.http of `{name}`: {option} {field:?} is no field of {}", message.full_name());
    Some(Problem::new(wrong).help(meant(message, field)))
}

/// What to write instead.
fn meant(message: &MessageDescriptor, part: &str) -> String {
    let fields: Vec<_> = message.fields().collect();
    let near = nearest(part, fields.iter().map(|field| field.name()));
    match &*near {
        [] => match &*fields.iter().map(|field| field.name().to_owned()).collect::<Vec<_>>() {
            [] => format!("{} has no fields", message.full_name()),
            known => format!("{} has {}", message.full_name(), known.join(", ")),
        },
        near => format!("did you mean {}?", near.join(" or ")),
    }
}
