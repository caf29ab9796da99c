//! Path templates of `google.api.http`: `/v1/{name=shelves/*}/books/{id}:move`.

/// A path with variables.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Template {
    /// The path with a wildcard for each variable: two of the same shape match the same.
    pub(super) shape: String,
    /// The fields that its variables are, in their order.
    pub(super) variables: Vec<String>,
}

impl Template {
    /// # Errors
    /// Why it is no template, as the server would say it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let path = text.strip_prefix('/').ok_or("it does not begin with a slash")?;
        let (path, verb) = match path.rsplit_once(':') {
            Some((path, verb)) if !verb.contains(['}', '/']) => (path, Some(verb)),
            _ => (path, None),
        };
        let (mut segments, mut variables) = (Vec::new(), Vec::new());
        let mut rest = path;
        loop {
            rest = match rest.strip_prefix('{') {
                Some(variable) => {
                    let (variable, after) = variable.split_once('}').ok_or("a brace is not closed")?;
                    let (field, pattern) = variable.split_once('=').unwrap_or((variable, "*"));
                    segments.extend(pattern.split('/'));
                    variables.push(field.to_owned());
                    after
                }
                None => {
                    let (segment, after) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                    segments.push(segment);
                    after
                }
            };
            match rest.strip_prefix('/') {
                Some(after) => rest = after,
                None if rest.is_empty() => break,
                None => return Err("a slash is missing behind a brace"),
            }
        }
        segments.iter().try_for_each(|segment| is_segment(segment))?;
        if segments.iter().rev().skip(1).any(|segment| *segment == "**") {
            return Err("** stands before other segments");
        }
        let verb = verb.map(|verb| format!(":{verb}")).unwrap_or_default();
        Ok(Self { shape: format!("/{}{verb}", segments.join("/")), variables })
    }
}

fn is_segment(segment: &str) -> Result<(), &'static str> {
    match segment {
        "*" | "**" => Ok(()),
        "" => Err("a segment is empty"),
        text if text.contains(['{', '}', '*', '=']) => Err("a segment is not a word, * or **"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_has_a_shape_and_variables() {
        for (text, shape, variables) in [
            ("/v1/users/{id}", "/v1/users/*", &["id"][..]),
            ("/v1/{name=shelves/*}/books/{book.id}:move", "/v1/shelves/*/books/*:move", &["name", "book.id"]),
            ("/v1/{name=files/**}", "/v1/files/**", &["name"]),
            ("/v1/a%20b", "/v1/a%20b", &[]),
            ("/v1/**", "/v1/**", &[]),
        ] {
            let template = Template::parse(text).expect(text);
            assert_eq!(
                (&*template.shape, &*template.variables),
                (shape, &*variables.iter().map(|&it| it.to_owned()).collect::<Vec<_>>()),
                "{text}"
            );
        }
    }

    /// As the server refuses them.
    #[test]
    fn what_is_no_template_is_refused() {
        for bad in
            ["", "v1", "/", "/v1//x", "/v1/{id", "/v1/{id}x", "/v1/**/x", "/v1/{a=**}/x", "/v1/x*", "/{a=}"]
        {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }
}
