//! `google.api.http`: the paths and verbs that a `.proto` gives its methods.

use std::sync::Arc;

use hyper::Method;
use prost_reflect::{DynamicMessage, FieldDescriptor, MessageDescriptor, MethodDescriptor, Value};
use thiserror::Error;

use super::fields::{Field, field};
use super::template::Template;

/// The extension of method options: `option (google.api.http) = { .. }`.
const EXTENSION: &str = "google.api.http";

/// What `google.api.http` says of all methods.
#[derive(Debug, Default)]
pub(super) struct Rules(Vec<Arc<Rule>>);

/// A verb and a path that a method is called by.
#[derive(Debug)]
pub(super) struct Rule {
    /// The place of the method in the schema.
    pub(super) rpc: usize,
    pub(super) verb: Method,
    pub(super) template: Template,
    /// The fields that the template's variables are, in their order.
    pub(super) variables: Vec<Field>,
    pub(super) body: RuleBody,
    /// The field that is the body of the answer; default the whole message.
    pub(super) response_body: Option<FieldDescriptor>,
}

/// What the body of a request is.
#[derive(Debug)]
pub(super) enum RuleBody {
    /// There is none; fields that are not in the path are in the query.
    None,
    /// The message.
    Whole,
    /// A field of it; the others are in the query.
    Field(FieldDescriptor),
}

/// What of a rule cannot be meant.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuleError {
    /// Its path is no template.
    #[error("the path {template:?} is no template: {why}")]
    Template {
        /// The path.
        template: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It names a field that there is not.
    #[error("{message} has no field {field}")]
    NoField {
        /// The field, or a path of fields.
        field: String,
        /// Where it should be.
        message: String,
    },
    /// A variable is a field that no path can hold.
    #[error("{field} is a list, map or message: a path cannot hold it")]
    NotInPath {
        /// The field.
        field: String,
    },
    /// It says no path.
    #[error("it says none of get, put, post, delete, patch and custom")]
    NoPath,
    /// Its verb is none.
    #[error("{verb:?} is no verb of HTTP")]
    Verb {
        /// The verb.
        verb: String,
    },
}

impl Rules {
    /// Reads what is said of the method at `rpc`.
    pub(super) fn add(&mut self, rpc: usize, method: &MethodDescriptor) -> Result<(), RuleError> {
        let Some(extension) = method.parent_pool().get_extension_by_name(EXTENSION) else { return Ok(()) };
        let options = method.options();
        if !options.has_extension(&extension) {
            return Ok(());
        }
        let said = options.get_extension(&extension);
        let Some(said) = said.as_message() else { return Ok(()) };
        self.0.push(Arc::new(Rule::read(rpc, method, said)?));
        let more = said.get_field_by_name("additional_bindings");
        for said in more.iter().filter_map(|more| more.as_list()).flatten().filter_map(Value::as_message) {
            self.0.push(Arc::new(Rule::read(rpc, method, said)?));
        }
        Ok(())
    }

    /// Puts them into the order that they are tried in.
    pub(super) fn sort(&mut self) {
        self.0.sort_by(|a, b| a.template.order().cmp(&b.template.order()));
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.0.iter()
    }

    /// The rule for a path, and the values of its variables.
    ///
    /// # Errors
    /// The verbs that the path has, of which `verb` is none; no verbs if no rule has
    /// the path.
    pub(super) fn find(&self, verb: &Method, path: &str) -> Result<(&Arc<Rule>, Vec<String>), Vec<&Method>> {
        let mut others = Vec::new();
        for rule in &self.0 {
            let Some(values) = rule.template.matches(path) else { continue };
            if rule.verb == *verb {
                return Ok((rule, values));
            }
            others.push(&rule.verb);
        }
        Err(others)
    }
}

impl Rule {
    fn read(rpc: usize, method: &MethodDescriptor, said: &DynamicMessage) -> Result<Self, RuleError> {
        let (verb, path) = pattern(said)?;
        let template = Template::parse(&path)?;
        let input = method.input();
        let variables = template.variables.iter().map(|variable| in_path(&input, &variable.field));
        let variables = variables.collect::<Result<_, _>>()?;
        let body = match text(said, "body").as_str() {
            "" => RuleBody::None,
            "*" => RuleBody::Whole,
            name => RuleBody::Field(own_field(&input, name)?),
        };
        let response_body = match text(said, "response_body").as_str() {
            "" => None,
            name => Some(own_field(&method.output(), name)?),
        };
        Ok(Self { rpc, verb, template, variables, body, response_body })
    }
}

fn pattern(said: &DynamicMessage) -> Result<(Method, String), RuleError> {
    for (name, verb) in [
        ("get", Method::GET),
        ("put", Method::PUT),
        ("post", Method::POST),
        ("delete", Method::DELETE),
        ("patch", Method::PATCH),
    ] {
        if said.has_field_by_name(name) {
            return Ok((verb, text(said, name)));
        }
    }
    let custom = said.get_field_by_name("custom").filter(|_| said.has_field_by_name("custom"));
    let custom = custom.as_ref().and_then(|custom| custom.as_message()).ok_or(RuleError::NoPath)?;
    let verb = text(custom, "kind");
    match Method::from_bytes(verb.as_bytes()) {
        Ok(method) => Ok((method, text(custom, "path"))),
        Err(_) => Err(RuleError::Verb { verb }),
    }
}

fn text(message: &DynamicMessage, field: &str) -> String {
    let value = message.get_field_by_name(field);
    value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn own_field(message: &MessageDescriptor, name: &str) -> Result<FieldDescriptor, RuleError> {
    message
        .get_field_by_name(name)
        .ok_or_else(|| RuleError::NoField { field: name.to_owned(), message: message.full_name().to_owned() })
}

fn in_path(message: &MessageDescriptor, path: &str) -> Result<Field, RuleError> {
    let field = field(message, path).ok_or_else(|| RuleError::NoField {
        field: path.to_owned(),
        message: message.full_name().to_owned(),
    })?;
    match field.is_text() && !field.is_list() {
        true => Ok(field),
        false => Err(RuleError::NotInPath { field: path.to_owned() }),
    }
}
