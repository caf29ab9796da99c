//! `.proto` files as nobody writes them, each made from a seed: names that Rust
//! or generated code has already, names that are one in Rust, types within types,
//! comments that look like code, and now and then a mistake.

use std::collections::HashSet;
use std::fmt::Write as _;

use fastrand::Rng;

/// Rust's keywords, its prelude, names that generated code uses, and names that
/// differ in little.
const NAMES: &[&str] = &[
    "type",
    "self",
    "Self",
    "super",
    "crate",
    "async",
    "gen",
    "match",
    "extern",
    "fn",
    "dyn",
    "try",
    "union",
    "Result",
    "Option",
    "Some",
    "None",
    "Ok",
    "Err",
    "Box",
    "Vec",
    "String",
    "Default",
    "Clone",
    "Debug",
    "Message",
    "Mapped",
    "Fields",
    "core",
    "std",
    "prost",
    "dora",
    "codegen",
    "value",
    "fields",
    "name",
    "V",
    "W",
    "S",
    "D",
    "T",
    "H",
    "E",
    "foo_bar",
    "FooBar",
    "a1",
    "A_1",
    "x__y",
    "HTTPCode",
    "Into",
    "new",
    "i32",
    "str",
    "bool",
    "write",
    "read",
    "READING",
    "NAME",
    "Enumeration",
    "encode",
    "to_owned",
    "drop",
    "Item",
    "item",
    "items",
    "Order_line",
    "user",
    "User2",
    "_under",
    "Trailing_",
    "PartialEq",
    "Hash",
    "Copy",
    "Kind",
    "kind",
    "from",
    "try_from",
    "From",
    "as_str_name",
    "is_valid",
    "clear",
    "merge",
    "Request",
    "Response",
    "Status",
    "Iterator",
    "Send",
    "Sync",
    "Sized",
    "alloc",
    "u8",
    "usize",
    "format",
    "vec",
    "println",
    "Serialize",
];

const SCALARS: &[&str] = &[
    "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "sfixed64", "float", "double",
    "bool", "string", "bytes",
];

const KEYS: &[&str] = &["string", "int32", "uint64", "sint64", "fixed32", "bool"];

const GOOGLE: &[&str] =
    &["Timestamp", "Duration", "Struct", "Any", "Empty", "StringValue", "BytesValue", "Value"];

const COMMENTS: &[&str] = &[
    "Plain.",
    "See [User], Vec<T> and <b>this",
    "```rust\n{i}// panic!();\n{i}// ```",
    "    let x = 1;",
    "~~~\n{i}// never closed",
    "a[1] = `b[2]` and `open; }",
    "- one\n{i}//   - two\n{i}// continued",
    "# Heading\n{i}//\n{i}// https://example.com/a_b_c",
    "| a | b |\n{i}// | - | - |\n{i}// | 1 | 2 |",
    "\\ back*slash* **",
    "\u{feff}unseen \u{202e}turned \u{1f980}",
    "/* nested",
    "\t tab ```",
    "[a]: nowhere\n{i}//\n{i}// [a][]",
];

/// A `.proto` file of `package`.
pub fn proto(seed: u64, package: &str) -> String {
    let mut rng = Rng::with_seed(seed);
    let syntax = if rng.u8(..3) == 0 { Syntax::Proto2 } else { Syntax::Proto3 };
    let mistakes = rng.bool();
    // Few, so that some of them meet.
    let names = rng.choose_multiple(NAMES, 24).into_iter().copied().collect();
    let mut file =
        File { rng, syntax, mistakes, names, text: String::new(), messages: vec![], enums: vec![] };
    file.all(package);
    file.text
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Syntax {
    Proto2,
    Proto3,
}

struct File {
    rng: Rng,
    syntax: Syntax,
    /// Whether it may have some.
    mistakes: bool,
    names: Vec<&'static str>,
    text: String,
    /// Full names of what fields can be of.
    messages: Vec<String>,
    /// Full names, each with its first value.
    enums: Vec<(String, String)>,
}

impl File {
    fn all(&mut self, package: &str) {
        let syntax = if self.syntax == Syntax::Proto2 { "proto2" } else { "proto3" };
        self.comment(0);
        self.line(0, &format!("syntax = \"{syntax}\";"));
        self.line(0, &format!("package {package};"));
        for file in ["timestamp", "duration", "struct", "any", "empty", "wrappers"] {
            self.line(0, &format!("import \"google/protobuf/{file}.proto\";"));
        }
        let import = if self.mistake() { "dora/option.proto" } else { "dora/options.proto" };
        self.line(0, &format!("import \"{import}\";"));
        let mut taken = HashSet::new();
        for _ in 0..self.rng.usize(1..5) {
            match self.rng.u8(..4) {
                0 => self.enumeration(package, 0, &mut taken),
                _ => self.message(package, 0, &mut taken),
            }
        }
        for _ in 0..self.rng.usize(..3) {
            self.service(&mut taken);
        }
    }

    fn message(&mut self, scope: &str, depth: usize, taken: &mut HashSet<String>) {
        let name = self.name(taken);
        self.comment(depth);
        self.line(depth, &format!("message {name} {{"));
        let full_name = format!("{scope}.{name}");
        self.messages.push(full_name.clone());
        let mut inner = HashSet::new();
        for _ in 0..self.rng.usize(..3) {
            match self.rng.u8(..5) {
                0 | 1 if depth < 3 => self.message(&full_name, depth + 1, &mut inner),
                2 => self.enumeration(&full_name, depth + 1, &mut inner),
                _ => {}
            }
        }
        let mut number = 0;
        for _ in 0..self.rng.usize(..7) {
            match self.rng.u8(..8) {
                0 => self.oneof(depth + 1, &mut number, &mut inner),
                1 => {
                    let (key, value) = (self.one_of(KEYS), self.kind());
                    self.field(depth + 1, &format!("map<{key}, {value}>"), &value, &mut number, &mut inner);
                }
                _ => {
                    let kind = self.kind();
                    let label = match (self.rng.u8(..4), self.syntax) {
                        (0, _) => "repeated ",
                        (1, Syntax::Proto2) => "required ",
                        (2, Syntax::Proto3) => "",
                        _ => "optional ",
                    };
                    self.field(depth + 1, &format!("{label}{kind}"), &kind, &mut number, &mut inner);
                }
            }
        }
        self.line(depth, "}");
    }

    fn oneof(&mut self, depth: usize, number: &mut u32, taken: &mut HashSet<String>) {
        let name = self.name(taken);
        self.comment(depth);
        self.line(depth, &format!("oneof {name} {{"));
        for _ in 0..self.rng.usize(1..5) {
            let kind = self.kind();
            self.field(depth + 1, &kind, &kind, number, taken);
        }
        self.line(depth, "}");
    }

    fn field(
        &mut self,
        depth: usize,
        start: &str,
        kind: &str,
        number: &mut u32,
        taken: &mut HashSet<String>,
    ) {
        let name = self.name(taken);
        *number += if self.rng.u8(..9) == 0 { 1000 } else { 1 };
        let number = match self.mistake() {
            true => self.one_of(&["1", "0", "19000", "536870912"]).to_owned(),
            false => number.to_string(),
        };
        let mut options = vec![];
        if self.rng.u8(..6) == 0 {
            options.push("deprecated = true".to_owned());
        }
        if self.syntax == Syntax::Proto2 && !start.starts_with("map") && !start.starts_with("repeated") {
            options.extend(self.default_of(kind).map(|value| format!("default = {value}")));
        }
        if self.mistake() {
            options.push(self.one_of(&["(dora.field) = 1", "packed = 7", "lazi = true"]).to_owned());
        }
        let options = if options.is_empty() { String::new() } else { format!(" [{}]", options.join(", ")) };
        self.comment(depth);
        let end = if self.mistake() { "" } else { ";" };
        self.line(depth, &format!("{start} {name} = {number}{options}{end}"));
    }

    /// A default, for some of the fields that may have one.
    fn default_of(&mut self, kind: &str) -> Option<String> {
        if self.rng.bool() {
            return None;
        }
        if let Some((_, value)) = self.enums.iter().find(|(name, _)| kind == format!(".{name}")) {
            return Some(value.clone());
        }
        Some(match kind {
            "string" => self.one_of(&[r#""a\"b\\n{}""#, r#""é\t""#, r#""""#]).to_owned(),
            "bytes" => self.one_of(&[r#""\000\xff""#, r#""'""#]).to_owned(),
            "bool" => "true".to_owned(),
            "float" | "double" => self.one_of(&["inf", "-inf", "nan", "-0.0", "1e10", "7"]).to_owned(),
            "int32" | "sint32" => "-2147483648".to_owned(),
            "int64" | "sint64" | "sfixed64" => "-9223372036854775808".to_owned(),
            "uint64" => "18446744073709551615".to_owned(),
            "uint32" | "fixed32" => "4294967295".to_owned(),
            _ => return None,
        })
    }

    fn enumeration(&mut self, scope: &str, depth: usize, taken: &mut HashSet<String>) {
        let name = self.name(taken);
        self.comment(depth);
        self.line(depth, &format!("enum {name} {{"));
        let mut first = None;
        for number in 0..self.rng.i32(1..6) {
            let value = match self.rng.u8(..3) {
                0 => self.name(taken),
                1 => format!("{}_{}", name.to_uppercase(), self.name(&mut HashSet::new()).to_uppercase()),
                _ => format!("{name}{number}"),
            };
            if first.is_some() && !taken.insert(value.clone()) && !self.mistake() {
                continue;
            }
            let number = if number > 0 && self.rng.u8(..4) == 0 { -number } else { number };
            self.comment(depth + 1);
            self.line(depth + 1, &format!("{value} = {number};"));
            first.get_or_insert(value);
        }
        self.line(depth, "}");
        self.enums.push((format!("{scope}.{name}"), first.unwrap_or_default()));
    }

    fn service(&mut self, taken: &mut HashSet<String>) {
        let name = self.name(taken);
        self.comment(0);
        self.line(0, &format!("service {name} {{"));
        if self.rng.bool() {
            let option = if self.mistake() { "verson" } else { "version" };
            let version = self.rng.u8(..);
            self.line(1, &format!("option (dora.service) = {{ {option}: \"2.{version}\" }};"));
        }
        let mut rpcs = HashSet::new();
        for _ in 0..self.rng.usize(..5) {
            let rpc = self.name(&mut rpcs);
            let (input, output) = (self.message_kind(), self.message_kind());
            let stream = if self.mistake() { "stream " } else { "" };
            self.comment(1);
            self.line(1, &format!("rpc {rpc}({stream}{input}) returns ({output}) {{"));
            if self.rng.bool() {
                let mode = match self.mistake() {
                    true => "ASYNC",
                    false => self.one_of(&["WAIT", "NO_RESULT", "DEFERRED"]),
                };
                let name = format!("/{name}/`{rpc}`{{}}\\\"");
                self.line(2, &format!("option (dora.method) = {{ name: \"{name}\" mode: {mode} }};"));
            }
            self.line(1, "}");
        }
        self.line(0, "}");
    }

    /// A type: a scalar, one of Google's, or one of this file.
    fn kind(&mut self) -> String {
        match self.rng.u8(..9) {
            0..4 => self.one_of(SCALARS).to_owned(),
            4 if !self.enums.is_empty() => {
                let index = self.rng.usize(..self.enums.len());
                format!(".{}", self.enums[index].0)
            }
            5 if self.mistake() => ".no.Such".to_owned(),
            _ => self.message_kind(),
        }
    }

    fn message_kind(&mut self) -> String {
        if self.messages.is_empty() || self.rng.u8(..4) == 0 {
            return format!(".google.protobuf.{}", self.one_of(GOOGLE));
        }
        let index = self.rng.usize(..self.messages.len());
        format!(".{}", self.messages[index])
    }

    /// A name that nothing in the scope has.
    fn name(&mut self, taken: &mut HashSet<String>) -> String {
        loop {
            let mut name = self.rng.choice(&self.names).copied().unwrap_or("x").to_owned();
            if self.rng.u8(..3) == 0 {
                let _ = write!(name, "_{}", self.rng.choice(&self.names).copied().unwrap_or("y"));
            }
            if taken.insert(name.clone()) || self.mistake() {
                return name;
            }
        }
    }

    fn comment(&mut self, depth: usize) {
        if self.rng.u8(..3) == 0 {
            let indent = "  ".repeat(depth);
            let comment = self.one_of(COMMENTS).replace("{i}", &indent);
            self.line(depth, &format!("// {comment}"));
        }
    }

    fn mistake(&mut self) -> bool {
        self.mistakes && self.rng.u8(..60) == 0
    }

    fn one_of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.rng.usize(..list.len())]
    }

    fn line(&mut self, depth: usize, line: &str) {
        let _ = writeln!(self.text, "{}{line}", "  ".repeat(depth));
    }
}
