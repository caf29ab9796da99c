//! Rust names for proto names.
//!
//! Messages, fields and enums are named by prost, and [`crate::emit::mapped`]
//! reads those names off prost's output. Here are only the names of what is
//! generated per service; they follow prost's rules.

use heck::{ToShoutySnakeCase, ToSnakeCase, ToUpperCamelCase};
use proc_macro2::{Ident, Span};

/// Methods that every client has, and those that the prelude gives to all that
/// is called by value: they get an underscore.
const TAKEN: [&str; 4] = ["new", "clone", "into", "try_into"];

/// The modules and types of one service.
#[derive(Clone, Debug)]
pub(crate) struct ServiceNames {
    /// The trait: `Greeter`.
    pub(crate) server_trait: Ident,
    /// What implements it, in generics: `T`, or another letter if that is the
    /// trait.
    pub(crate) handler: Ident,
    /// `GreeterServer`.
    pub(crate) server: Ident,
    /// `greeter_server`.
    pub(crate) server_module: Ident,
    /// `GreeterClient`.
    pub(crate) client: Ident,
    /// `greeter_client`.
    pub(crate) client_module: Ident,
    /// `greeter_descriptor`.
    pub(crate) descriptor_module: Ident,
    /// `greeter_mock`.
    pub(crate) mock_module: Ident,
    /// `MockGreeter`.
    pub(crate) mock: Ident,
    /// `MockGreeterHandle`.
    pub(crate) mock_handle: Ident,
}

impl ServiceNames {
    pub(crate) fn new(proto_name: &str) -> Self {
        let camel = proto_name.to_upper_camel_case();
        let snake = proto_name.to_snake_case();
        Self {
            server_trait: identifier(&camel),
            handler: identifier(if camel == "T" { "H" } else { "T" }),
            server: identifier(&format!("{camel}Server")),
            server_module: identifier(&format!("{snake}_server")),
            client: identifier(&format!("{camel}Client")),
            client_module: identifier(&format!("{snake}_client")),
            descriptor_module: identifier(&format!("{snake}_descriptor")),
            mock_module: identifier(&format!("{snake}_mock")),
            mock: identifier(&format!("Mock{camel}")),
            mock_handle: identifier(&format!("Mock{camel}Handle")),
        }
    }

    /// The modules that the service adds to those of its package.
    pub(crate) fn modules(&self, mocks: bool) -> impl Iterator<Item = &Ident> {
        let modules = [&self.client_module, &self.server_module, &self.descriptor_module];
        modules.into_iter().chain(mocks.then_some(&self.mock_module))
    }
}

/// The Rust method of an rpc: `GetUser` becomes `get_user`.
pub(crate) fn method(proto_name: &str) -> Ident {
    match proto_name.to_snake_case().as_str() {
        name if TAKEN.contains(&name) => identifier(&format!("{name}_")),
        name => identifier(name),
    }
}

/// The descriptor of an rpc: `GetUser` becomes `GET_USER`.
pub(crate) fn method_const(proto_name: &str) -> Ident {
    match proto_name.to_shouty_snake_case().as_str() {
        // The descriptor of the service itself.
        "SERVICE" => identifier("SERVICE_"),
        name => identifier(name),
    }
}

/// The type that prost makes of a message or an enum.
pub(crate) fn type_name(proto_name: &str) -> Ident {
    identifier(&proto_name.to_upper_camel_case())
}

/// The module that prost makes for what is nested in a message.
pub(crate) fn message_module(proto_name: &str) -> Ident {
    identifier(&proto_name.to_snake_case())
}

/// The variant that prost makes of the value `value` of the enum `proto_name`.
pub(crate) fn variant(proto_name: &str, value: &str) -> String {
    let value = value.to_upper_camel_case();
    let stripped = value.strip_prefix(&proto_name.to_upper_camel_case());
    match stripped {
        Some(rest) if rest.starts_with(char::is_uppercase) => rest.to_owned(),
        _ => value,
    }
}

/// An identifier, raw or with an underscore where a keyword stands in the way.
fn identifier(name: &str) -> Ident {
    match name {
        // A keyword since edition 2024, which syn does not count as one.
        "gen" => Ident::new_raw(name, Span::call_site()),
        name if syn::parse_str::<Ident>(name).is_ok() => Ident::new(name, Span::call_site()),
        "" | "_" | "super" | "self" | "Self" | "extern" | "crate" => {
            Ident::new(&format!("{name}_"), Span::call_site())
        }
        _ if name.starts_with(|c: char| c.is_numeric()) => Ident::new(&format!("_{name}"), Span::call_site()),
        _ => Ident::new_raw(name, Span::call_site()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_follow_prost() {
        for (proto, rust, constant) in [
            ("GetUser", "get_user", "GET_USER"),
            ("getUser", "get_user", "GET_USER"),
            ("HTTPGet", "http_get", "HTTP_GET"),
            ("Move", "r#move", "MOVE"),
            ("Gen", "r#gen", "GEN"),
            ("Self", "self_", "SELF"),
            ("New", "new_", "NEW"),
            ("Into", "into_", "INTO"),
            ("Service", "service", "SERVICE_"),
            ("_3D", "_3d", "_3D"),
        ] {
            assert_eq!(method(proto).to_string(), rust);
            assert_eq!(method_const(proto).to_string(), constant);
        }
    }

    #[test]
    fn variants_lose_the_name_of_their_enum() {
        for (value, name) in [
            ("COLOR_RED", "Red"),
            ("RED", "Red"),
            ("COLORFUL", "Colorful"),
            ("COLOR", "Color"),
            ("COLOR_1", "Color1"),
        ] {
            assert_eq!(variant("Color", value), name);
        }
    }

    #[test]
    fn service_names_are_those_of_tonic() {
        let names = ServiceNames::new("UserAccounts");
        assert_eq!(names.server_trait, "UserAccounts");
        assert_eq!(names.server, "UserAccountsServer");
        assert_eq!(names.client_module, "user_accounts_client");
    }
}
