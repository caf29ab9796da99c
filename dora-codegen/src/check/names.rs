//! Names that differ in the `.proto` and are one in Rust.

use std::collections::{HashMap, HashSet};

use prost_reflect::{DescriptorPool, EnumDescriptor, MessageDescriptor};

use crate::config::Config;
use crate::error::{Position, Problem};
use crate::model::{self, Service};
use crate::naming;
use crate::resolve::Includes;

/// All names that clash, of `services` and of the types that are generated.
pub(super) fn check(
    services: &[&Service],
    pool: &DescriptorPool,
    includes: &Includes,
    config: &Config,
) -> Vec<Problem> {
    let is_ours = |name: &str| !config.is_extern(name);
    let mut names = Names {
        includes,
        mocks: config.mocks,
        taken: HashMap::new(),
        clashes: HashSet::new(),
        problems: vec![],
    };
    let messages = || pool.all_messages().filter(|m| is_ours(m.full_name()) && !m.is_map_entry());
    messages().for_each(|message| names.message(&message));
    let enums = pool.all_enums().filter(|enumeration| is_ours(enumeration.full_name()));
    enums.for_each(|enumeration| names.enumeration(&enumeration));
    services.iter().for_each(|service| names.service(service));
    let files = pool.files().filter(|file| {
        let items = file.messages().map(|m| m.full_name().to_owned());
        let items = items.chain(file.enums().map(|e| e.full_name().to_owned()));
        items.chain(file.services().map(|s| s.full_name().to_owned())).any(|name| is_ours(&name))
    });
    files.for_each(|file| names.package(file.package_name()));
    names.problems
}

/// The number of `EnumDescriptorProto.value`.
const VALUE: i32 = 2;

/// What a name is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Type,
    Module,
    Field,
    /// Of a oneof.
    Variant,
    /// Of an enum.
    Value,
    Method,
}

/// Who has a name.
#[derive(Clone, Debug)]
struct Owner {
    /// "message `shop.v1.Order`".
    what: String,
    at: Option<Position>,
}

struct Names<'a> {
    includes: &'a Includes,
    mocks: bool,
    /// By what they lie in.
    taken: HashMap<(String, Kind, String), Owner>,
    /// Whose types clash; their modules then do, too.
    clashes: HashSet<String>,
    problems: Vec<Problem>,
}

impl Names<'_> {
    /// Gives `owner` the name; `false` if another has it.
    fn take(&mut self, within: &str, kind: Kind, name: impl ToString, owner: Owner) -> bool {
        let key = (within.to_owned(), kind, name.to_string());
        let Some(first) = self.taken.get(&key) else {
            self.taken.insert(key, owner);
            return true;
        };
        if first.what == owner.what || !self.clashes.insert(format!("{}{}", first.what, owner.what)) {
            return true;
        }
        let would = match kind {
            Kind::Type => "be the type",
            Kind::Module => "have the module",
            Kind::Field => "be the field",
            Kind::Variant | Kind::Value => "be the variant",
            Kind::Method => "be the method",
        };
        let place = first.at.as_ref().map(|at| format!(" ({at})")).unwrap_or_default();
        let problem = Problem::new(format!(
            "{} would {would} `{}`, and so would {}{place}",
            owner.what, key.2, first.what
        ));
        let at = owner.at.or_else(|| first.at.clone());
        let problem = match &at {
            Some(at) => problem.at(at),
            None => problem,
        };
        self.problems.push(problem.help(match kind {
            Kind::Method => "rename one, and keep its old name as (dora.method).name",
            Kind::Value => "rename one: the name of the enum is cut off the front of its values",
            _ => "rename one of them",
        }));
        false
    }

    fn message(&mut self, message: &MessageDescriptor) {
        let file = message.parent_file();
        let owner = |what: String, path: &[i32], includes: &Includes| Owner {
            what,
            at: Some(model::position(&file, path, includes)),
        };
        let this = owner(format!("message `{}`", message.full_name()), message.path(), self.includes);
        let within = scope(message.package_name(), message.parent_message());
        self.take(&within, Kind::Type, naming::type_name(message.name()), this.clone());
        if has_module(message) {
            self.take(&within, Kind::Module, naming::message_module(message.name()), this);
        }
        let inner = scope(message.package_name(), Some(message.clone()));
        for field in message.fields() {
            let this = owner(format!("field `{}`", field.full_name()), field.path(), self.includes);
            match field.containing_oneof().filter(|oneof| !oneof.is_synthetic()) {
                None => self.take(&inner, Kind::Field, naming::message_module(field.name()), this),
                Some(oneof) => {
                    let oneof = format!("{inner}::{}", oneof.name());
                    self.take(&oneof, Kind::Variant, naming::type_name(field.name()), this)
                }
            };
        }
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            let this = owner(format!("oneof `{}`", oneof.full_name()), oneof.path(), self.includes);
            self.take(&inner, Kind::Field, naming::message_module(oneof.name()), this.clone());
            let mut name = naming::type_name(oneof.name()).to_string();
            let nested = message.child_messages().map(|child| naming::type_name(child.name()));
            let mut nested = nested.chain(message.child_enums().map(|child| naming::type_name(child.name())));
            // As prost does.
            if nested.any(|nested| nested == name) {
                name.push_str("OneOf");
            }
            self.take(&inner, Kind::Type, name, this);
        }
    }

    fn enumeration(&mut self, enumeration: &EnumDescriptor) {
        let file = enumeration.parent_file();
        let full_name = enumeration.full_name();
        let at = model::position(&file, enumeration.path(), self.includes);
        let within = scope(enumeration.package_name(), enumeration.parent_message());
        let owner = Owner { what: format!("enum `{full_name}`"), at: Some(at) };
        self.take(&within, Kind::Type, naming::type_name(enumeration.name()), owner);
        let mut numbers = HashSet::new();
        for (value, index) in enumeration.enum_descriptor_proto().value.iter().zip(0..) {
            // Of the aliases of a number prost names but the first.
            if numbers.insert(value.number()) {
                let path = [enumeration.path(), &[VALUE, index]].concat();
                let at = model::position(&file, &path, self.includes);
                let what = format!("value `{}` of `{full_name}`", value.name());
                let variant = naming::variant(enumeration.name(), value.name());
                self.take(full_name, Kind::Value, variant, Owner { what, at: Some(at) });
            }
        }
    }

    fn service(&mut self, service: &Service) {
        let what = format!("service `{}`", service.full_name);
        for module in service.names.modules(self.mocks) {
            let owner = Owner { what: what.clone(), at: Some(service.at.clone()) };
            if !self.take(&scope(&service.package, None), Kind::Module, module, owner) {
                break;
            }
        }
        for method in &service.methods {
            let what = format!("rpc `{}.{}`", service.full_name, method.name);
            let owner = Owner { what, at: Some(method.at.clone()) };
            self.take(&service.full_name, Kind::Method, &method.rust_name, owner);
        }
    }

    /// The modules that a package lies in.
    fn package(&mut self, package: &str) {
        for (end, _) in package.match_indices('.').chain([(package.len(), "")]) {
            let (parent, name) = package[..end].rsplit_once('.').unwrap_or(("", &package[..end]));
            if !name.is_empty() {
                let owner = Owner { what: format!("package `{}`", &package[..end]), at: None };
                self.take(&scope(parent, None), Kind::Module, naming::message_module(name), owner);
            }
        }
    }
}

/// What lies in `parent`, by its full name: of what lies in two parents that are
/// one module in Rust, only those are at fault.
fn scope(package: &str, parent: Option<MessageDescriptor>) -> String {
    parent.map_or_else(|| package.to_owned(), |parent| parent.full_name().to_owned())
}

/// Whether prost makes a module for what is nested in `message`.
fn has_module(message: &MessageDescriptor) -> bool {
    message.child_messages().any(|child| !child.is_map_entry())
        || message.child_enums().len() > 0
        || message.oneofs().any(|oneof| !oneof.is_synthetic())
}
