//! What a caller may have meant who called a method that is not there.

use super::name::Brief;
use super::status::Status;

/// How much is compared at most, in steps of one letter against one: who calls
/// unknown names must not cost much more than who calls good ones.
const BUDGET: usize = 16 * 1024;

/// What a name costs that is only looked at.
const LOOK: usize = 8;

/// A longer name is no slip of the pen.
const LONGEST_NAME: usize = 96;

/// Names that are offered at most.
const OFFERED: usize = 3;

/// The status of a call of `name`, which none of `known` is.
pub(crate) fn no_method<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Status {
    let mut message = format!("no method is called {:?}", Brief(name.as_bytes()));
    let nearest = nearest(name, known);
    for (index, near) in nearest.iter().enumerate() {
        message.push_str(match index {
            0 => "; did you mean ",
            _ if index + 1 == nearest.len() => " or ",
            _ => ", ",
        });
        message.push_str(&format!("{near:?}"));
    }
    if !nearest.is_empty() {
        message.push('?');
    }
    Status::unimplemented(message)
}

/// The names nearest to `name`, the nearest first.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Vec::new();
    }
    let most = (name.len() / 4).clamp(1, 3);
    let mut budget = BUDGET;
    let mut near = Vec::new();
    for candidate in known {
        let Some(rest) = budget.checked_sub(LOOK) else { break };
        budget = rest;
        if last_word(candidate).eq_ignore_ascii_case(last_word(name)) {
            near.push((0, candidate));
        } else if candidate.len().abs_diff(name.len()) <= most {
            let Some(rest) = budget.checked_sub(name.len() * candidate.len()) else { break };
            budget = rest;
            let distance = distance(name.as_bytes(), candidate.as_bytes());
            if distance <= most {
                near.push((distance, candidate));
            }
        }
    }
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(OFFERED).map(|(_, candidate)| candidate).collect()
}

/// What stands behind the last separator of a path, or of `version::interface::method`.
fn last_word(name: &str) -> &str {
    name.rsplit(['/', ':', '.']).next().unwrap_or(name)
}

/// How many letters are to be changed, put in or taken out (Levenshtein), the
/// case aside.
fn distance(from: &[u8], to: &[u8]) -> usize {
    let mut row: Vec<_> = (0..=to.len()).collect();
    for (done, letter) in from.iter().enumerate() {
        let mut diagonal = done;
        let mut left = done + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(to) {
            let changed = diagonal + usize::from(!letter.eq_ignore_ascii_case(other));
            diagonal = *cell;
            left = changed.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = done + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 6] = [
        "/users.v1.Users/GetUser",
        "/user/get",
        "/user/put",
        "1.0::App\\Users::getUser",
        "/users.v1.Users/Count",
        "/order/list",
    ];

    fn said(name: &str) -> String {
        no_method(name, KNOWN.into_iter()).message().to_owned()
    }

    #[test]
    fn distances_are_those_of_the_book() {
        for (from, to, steps) in
            [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("ab", "ba", 2), ("A", "a", 0)]
        {
            assert_eq!(distance(from.as_bytes(), to.as_bytes()), steps, "{from} {to}");
            assert_eq!(distance(to.as_bytes(), from.as_bytes()), steps, "{to} {from}");
        }
    }

    #[test]
    fn slips_are_mended() {
        assert_eq!(
            said("/user/gt"),
            r#"no method is called "/user/gt"; did you mean "/user/get" or "/user/put"?"#
        );
        assert_eq!(
            said("/users.v1.Users/getuser"),
            r#"no method is called "/users.v1.Users/getuser"; did you mean "/users.v1.Users/GetUser" or "1.0::App\\Users::getUser"?"#
        );
        assert!(said("GetUser").contains("did you mean \"/users.v1.Users/GetUser\""));
        assert!(said("/order/ilst").ends_with("did you mean \"/order/list\"?"));
    }

    #[test]
    fn what_resembles_nothing_is_only_refused() {
        for name in ["", "/t.Others/Drop", "x", &"/user/get".repeat(100)] {
            assert!(!said(name).contains("did you mean"), "{}", said(name));
        }
    }

    #[test]
    fn the_work_is_bounded() {
        // 30 names of 22 letters fit the budget: the one that is near is too far down.
        let far: Vec<_> = (0..1000).map(|n| format!("/service/{n:013}")).collect();
        let near = ["/aaaaaaa/aaaaaaaaaaaab"];
        let known = far.iter().map(String::as_str).chain(near);
        assert_eq!(
            no_method("/aaaaaaa/aaaaaaaaaaaaa", known).message(),
            r#"no method is called "/aaaaaaa/aaaaaaaaaaaaa""#
        );
    }
}
