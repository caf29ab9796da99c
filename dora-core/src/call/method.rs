//! Methods and services: what generated code says about them.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use super::mode::Mode;
use super::priority::Priority;

/// A service as its `.proto` declares it. Generated code holds one in a static.
///
/// ```
/// use dora::{Method, ServiceDescriptor};
///
/// static USERS: ServiceDescriptor = ServiceDescriptor::new("users.v1.Users", &[&GET_USER]);
/// static GET_USER: Method =
///     Method::new(&USERS, "GetUser", "/users.v1.Users/GetUser").with_aliases(&["/user/get"]);
///
/// assert_eq!(GET_USER.service().methods().len(), 1);
/// ```
pub struct ServiceDescriptor {
    name: &'static str,
    version: &'static str,
    group: Option<&'static str>,
    interface: Option<&'static str>,
    file_descriptor_set: &'static [u8],
    methods: &'static [&'static Method],
}

/// A method as its `.proto` declares it, with all its options. Two methods are
/// equal when their paths are.
pub struct Method {
    service: &'static ServiceDescriptor,
    name: &'static str,
    path: &'static str,
    aliases: &'static [&'static str],
    idempotent: bool,
    timeout: Option<Duration>,
    mode: Mode,
    priority: Option<Priority>,
    fields: &'static [&'static str],
}

impl ServiceDescriptor {
    /// The service of the full name `name` (`package.Service`), version `1.0`,
    /// with its methods in the order of the `.proto`.
    #[must_use]
    pub const fn new(name: &'static str, methods: &'static [&'static Method]) -> Self {
        Self { name, version: "1.0", group: None, interface: None, file_descriptor_set: &[], methods }
    }

    /// The same with another version (option `version`).
    #[must_use]
    pub const fn with_version(self, version: &'static str) -> Self {
        Self { version, ..self }
    }

    /// The same in a group (option `group`).
    #[must_use]
    pub const fn with_group(self, group: &'static str) -> Self {
        Self { group: Some(group), ..self }
    }

    /// The same with the PHP class name that Swoft peers call it by (option
    /// `interface`).
    #[must_use]
    pub const fn with_interface(self, interface: &'static str) -> Self {
        Self { interface: Some(interface), ..self }
    }

    /// The same with the descriptors of its file and of what that imports, as
    /// [`file_descriptor_set`](Self::file_descriptor_set) has them.
    #[must_use]
    pub const fn with_file_descriptor_set(self, set: &'static [u8]) -> Self {
        Self { file_descriptor_set: set, ..self }
    }

    /// The full name: `package.Service`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The version; `1.0` where the `.proto` does not say.
    #[must_use]
    pub const fn version(&self) -> &'static str {
        self.version
    }

    /// The group it registers in.
    #[must_use]
    pub const fn group(&self) -> Option<&'static str> {
        self.group
    }

    /// The PHP class name that Swoft peers call it by.
    #[must_use]
    pub const fn interface(&self) -> Option<&'static str> {
        self.interface
    }

    /// A `google.protobuf.FileDescriptorSet` of the files of its package and all that
    /// they import, but for Google's own (`google/protobuf/*.proto`), in bytes: what its
    /// messages look like, with the comments of the `.proto`. Empty where generated code
    /// has none, which is so without a server.
    #[must_use]
    pub const fn file_descriptor_set(&self) -> &'static [u8] {
        self.file_descriptor_set
    }

    /// Its methods, in the order of the `.proto`.
    #[must_use]
    pub const fn methods(&self) -> &'static [&'static Method] {
        self.methods
    }
}

impl Method {
    /// The method `name` of `service`, called by `path` (`/package.Service/Method`).
    #[must_use]
    pub const fn new(service: &'static ServiceDescriptor, name: &'static str, path: &'static str) -> Self {
        Self {
            service,
            name,
            path,
            aliases: &[],
            idempotent: false,
            timeout: None,
            mode: Mode::Wait,
            priority: None,
            fields: &[],
        }
    }

    /// The same with legacy API names (option `name`).
    #[must_use]
    pub const fn with_aliases(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// The same, of which calling twice is the same as calling once (option
    /// `idempotent`).
    #[must_use]
    pub const fn with_idempotent(self) -> Self {
        Self { idempotent: true, ..self }
    }

    /// The same with a default timeout (option `timeout_ms`).
    #[must_use]
    pub const fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// The same with a default mode (option `mode`).
    #[must_use]
    pub const fn with_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// The same with a priority (option `priority`).
    #[must_use]
    pub const fn with_priority(self, priority: Priority) -> Self {
        Self { priority: Some(priority), ..self }
    }

    /// The same with the names of its request's fields, in the order of their numbers:
    /// what callers of its `interface` mean by positional parameters.
    #[must_use]
    pub const fn with_fields(self, fields: &'static [&'static str]) -> Self {
        Self { fields, ..self }
    }

    /// The service it belongs to.
    #[must_use]
    pub const fn service(&self) -> &'static ServiceDescriptor {
        self.service
    }

    /// Its own name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// `/package.Service/Method`: the name it is called by.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// The legacy API names it answers to as well. The first of them is what a
    /// client that speaks PHP's packing calls it by.
    #[must_use]
    pub const fn aliases(&self) -> &'static [&'static str] {
        self.aliases
    }

    /// All names that a server knows it by: its path, its legacy API names, and
    /// `version::interface::method` as Swoft writes it (a PHP method begins with a
    /// small letter).
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names = vec![self.path.to_owned()];
        names.extend(self.aliases.iter().map(|&alias| alias.to_owned()));
        if let Some(interface) = self.service.interface {
            let version = self.service.version;
            let small: String = small(self.name).collect();
            names.push(format!("{version}::{interface}::{small}"));
            if small != self.name {
                names.push(format!("{version}::{interface}::{}", self.name));
            }
        }
        names
    }

    /// Whether `name` is one of its [`names`](Self::names); case counts.
    ///
    /// ```
    /// use dora::{Method, ServiceDescriptor};
    ///
    /// static USERS: ServiceDescriptor = ServiceDescriptor::new("users.v1.Users", &[&GET_USER])
    ///     .with_version("1.2")
    ///     .with_interface("App\\Users");
    /// static GET_USER: Method =
    ///     Method::new(&USERS, "GetUser", "/users.v1.Users/GetUser").with_aliases(&["/user/get"]);
    ///
    /// for name in ["/users.v1.Users/GetUser", "/user/get", "1.2::App\\Users::getUser"] {
    ///     assert!(GET_USER.is_called(name));
    /// }
    /// ```
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.path == name || self.aliases.contains(&name) || self.is_triple(name)
    }

    /// Whether `name` is what Swoft calls it by.
    fn is_triple(&self, name: &str) -> bool {
        let Some(interface) = self.service.interface else { return false };
        let method = name
            .strip_prefix(self.service.version)
            .and_then(|rest| rest.strip_prefix("::")?.strip_prefix(interface)?.strip_prefix("::"));
        method.is_some_and(|method| method == self.name || method.chars().eq(small(self.name)))
    }

    /// Whether calling it twice is the same as calling it once. Default: not.
    #[must_use]
    pub const fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// How long a caller waits who does not say. Default: the endpoint's timeout.
    #[must_use]
    pub const fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// The names of its request's fields in the order of their numbers, where its
    /// service has an [`interface`](ServiceDescriptor::interface); else none. A request
    /// that is one value, as a `google.protobuf.StringValue` is, has one without a name.
    #[must_use]
    pub const fn fields(&self) -> &'static [&'static str] {
        self.fields
    }

    /// What a caller waits for who does not say. Default: the result.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// How much its calls matter that do not say, and at most: what
    /// [`Priority::of`] goes by. Default: none.
    #[must_use]
    pub const fn priority(&self) -> Option<Priority> {
        self.priority
    }
}

/// A name with a small first letter, as PHP writes methods.
fn small(name: &str) -> impl Iterator<Item = char> {
    let mut letters = name.chars();
    letters.next().into_iter().flat_map(char::to_lowercase).chain(letters)
}

impl PartialEq for Method {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for Method {}

impl Hash for Method {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.path.hash(state);
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Method({})", self.path)
    }
}

impl fmt::Debug for ServiceDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceDescriptor")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("group", &self.group)
            .field("interface", &self.interface)
            .field("methods", &self.methods)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static USERS: ServiceDescriptor =
        ServiceDescriptor::new("t.Users", &[&GET]).with_version("1.2").with_interface("App\\Users");
    static GET: Method = Method::new(&USERS, "GetUser", "/t.Users/GetUser").with_aliases(&["/user/get"]);
    static PLAIN: ServiceDescriptor = ServiceDescriptor::new("t.Plain", &[&COUNT]);
    static COUNT: Method = Method::new(&PLAIN, "count", "/t.Plain/count");

    #[test]
    fn a_method_is_called_by_its_names_and_no_others() {
        for method in [&GET, &COUNT] {
            assert!(method.names().iter().all(|name| method.is_called(name)), "{:?}", method.names());
        }
        assert_eq!(GET.names().len(), 4);
        assert_eq!(COUNT.names(), ["/t.Plain/count"]);
        let others = [
            "",
            "GetUser",
            "/user/get/",
            "/t.users/GetUser",
            "1.2::App\\Users::",
            "1.2::App\\Users::GETUser",
            "1.2::App\\Users::getUserx",
            "1.2App\\Users::getUser",
            "1.1::App\\Users::getUser",
            "1.0::::count",
        ];
        for name in others {
            assert!(!GET.is_called(name) && !COUNT.is_called(name), "{name:?}");
        }
    }
}
