//! Services and rpcs: names that clash, options that make no sense.

use std::collections::HashMap;

use crate::error::{Position, Problem};
use crate::model::{Method, Service};

/// All that is wrong with `services`.
pub(super) fn check(services: &[&Service]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for service in services {
        service_options(service, &mut problems);
        for method in &service.methods {
            method_options(service, method, &mut problems);
        }
    }
    api_names(services, &mut problems);
    interfaces(services, &mut problems);
    problems
}

fn service_options(service: &Service, problems: &mut Vec<Problem>) {
    let options = [
        ("version", Some(&service.version)),
        ("group", service.group.as_ref()),
        ("interface", service.interface.as_ref()),
    ];
    for (option, value) in options {
        if value.is_some_and(|value| !is_plain(value)) {
            problems.push(
                Problem::new(format!("`{}` has an empty or malformed {option}", service.full_name))
                    .at(&service.at)
                    .help(format!("leave {option} out, or give it without blanks")),
            );
        }
    }
    if let Some(interface) = service.interface.as_ref().filter(|i| i.starts_with('\\')) {
        problems.push(
            Problem::new(format!("interface `{interface}` starts with a backslash"))
                .at(&service.at)
                .help("PHP's `UserInterface::class` has none: leave it out"),
        );
    }
}

fn method_options(service: &Service, method: &Method, problems: &mut Vec<Problem>) {
    let full_name = format!("{}.{}", service.full_name, method.name);
    if method.streaming {
        problems.push(
            Problem::new(format!("`{full_name}` streams, which the Dora wire cannot"))
                .at(&method.at)
                .help("drop `stream`: return a list, or a page and a cursor"),
        );
    }
    if method.timeout_ms == Some(0) {
        problems.push(
            Problem::new(format!("`{full_name}` has a timeout of 0: no call could succeed"))
                .at(&method.at)
                .help("give timeout_ms in milliseconds, or leave it out"),
        );
    }
    for name in method.aliases.iter().filter(|name| !is_plain(name)) {
        problems.push(
            Problem::new(format!("`{full_name}` has an empty or malformed name {name:?}"))
                .at(&method.at)
                .help("an API name is such as \"/user/get\": not empty, without blanks"),
        );
    }
}

/// Names that two rpcs answer to.
fn api_names(services: &[&Service], problems: &mut Vec<Problem>) {
    let mut seen: HashMap<&str, (String, &Position)> = HashMap::new();
    for service in services {
        for method in &service.methods {
            let full_name = format!("{}.{}", service.full_name, method.name);
            let names = std::iter::once(&method.path).chain(&method.aliases);
            for name in names.filter(|name| !name.is_empty()) {
                let Some((first, at)) = seen.insert(name, (full_name.clone(), &method.at)) else {
                    continue;
                };
                problems.push(
                    Problem::new(format!("`{full_name}` and `{first}` ({at}) both answer to {name:?}"))
                        .at(&method.at)
                        .help("an API name leads to one rpc: drop one of the two"),
                );
            }
        }
    }
}

/// Interfaces that two services answer for.
fn interfaces(services: &[&Service], problems: &mut Vec<Problem>) {
    let mut seen: HashMap<(&str, &str), &Service> = HashMap::new();
    for service in services {
        let Some(interface) = &service.interface else {
            continue;
        };
        if let Some(first) = seen.insert((interface, &service.version), service) {
            problems.push(
                Problem::new(format!(
                    "`{}` and `{}` ({}) are both version {} of interface `{interface}`",
                    service.full_name, first.full_name, first.at, service.version
                ))
                .at(&service.at)
                .help("give one of them another version, or another interface"),
            );
        }
    }
}

/// Not empty, and without blanks or control characters.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control())
}
