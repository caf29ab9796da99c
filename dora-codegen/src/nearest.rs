//! What somebody may have meant who wrote a name that is not there.

/// Names that are offered at most.
const OFFERED: usize = 3;

/// Of `known`, those that look like `name`, the nearest first.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let name = name.trim_start_matches('.');
    // Slips of the pen: a third of the letters, at most three.
    let most = ((name.chars().count() + 1) / 3).clamp(1, 3);
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|known| {
            if last_word(name).eq_ignore_ascii_case(last_word(known)) {
                return Some((0, known));
            }
            // `"Order.id"` is meant for the end of a name.
            let ends = std::iter::successors(Some(known), |end| end.split_once('.').map(|(_, end)| end));
            let steps = ends.map(|end| distance(name, end)).min()?;
            (steps <= most).then_some((steps, known))
        })
        .collect();
    if near.iter().any(|(steps, _)| *steps == 0) {
        near.retain(|(steps, _)| *steps == 0);
    }
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(OFFERED).map(|(_, known)| known).collect()
}

fn last_word(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// How many letters are to be changed, put in or taken out (Levenshtein), the
/// case aside.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (done, letter) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], done + 1);
        for (index, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(!letter.eq_ignore_ascii_case(other));
            diagonal = row[index + 1];
            row[index + 1] = changed.min(row[index] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_at_the_end_of_a_name_too() {
        let known = ["users.v1.User", "users.v1.User.name", "users.v1.Users"];
        for (name, near) in [
            (".users.v1.Usr", &["users.v1.User", "users.v1.Users"][..]),
            ("user", &["users.v1.User"]),
            ("User.nmae", &["users.v1.User.name"]),
            (".accounts.User", &["users.v1.User"]),
            ("Order", &[]),
        ] {
            assert_eq!(nearest(name, known), near, "{name}");
        }
    }

    #[test]
    fn distances_are_those_of_the_book() {
        for (from, to, steps) in
            [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("ab", "ba", 2), ("A", "a", 0)]
        {
            assert_eq!((distance(from, to), distance(to, from)), (steps, steps), "{from} {to}");
        }
    }
}
