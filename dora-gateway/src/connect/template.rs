//! Path templates of `google.api.http`: `/v1/{name=shelves/*}/books/{id}:move`.

use std::ops::Range;

use percent_encoding::percent_decode_str;

use super::rules::RuleError;

/// A path with variables.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Template {
    segments: Vec<Segment>,
    verb: Option<String>,
    pub(super) variables: Vec<Variable>,
}

/// In the order of what is matched first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(String),
    One,
    Rest,
}

/// A field, and the segments that it is read from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Variable {
    /// `book.id`.
    pub(super) field: String,
    at: Range<usize>,
    is_many: bool,
}

impl Template {
    /// # Errors
    /// It is no template.
    pub(super) fn parse(text: &str) -> Result<Self, RuleError> {
        let wrong = |why| RuleError::Template { template: text.to_owned(), why };
        let rest = text.strip_prefix('/').ok_or_else(|| wrong("it does not begin with a slash"))?;
        let mut template = Self { segments: Vec::new(), verb: None, variables: Vec::new() };
        let rest = match rest.rsplit_once(':') {
            Some((rest, verb)) if !verb.contains(['}', '/']) => {
                template.verb = Some(verb.to_owned());
                rest
            }
            _ => rest,
        };
        let mut rest = rest;
        loop {
            rest = match rest.strip_prefix('{') {
                Some(variable) => {
                    let (variable, after) =
                        variable.split_once('}').ok_or_else(|| wrong("a brace is not closed"))?;
                    template.variable(variable).map_err(wrong)?;
                    after
                }
                None => {
                    let end = rest.find('/').unwrap_or(rest.len());
                    let (segment, after) = rest.split_at(end);
                    template.segment(segment).map_err(wrong)?;
                    after
                }
            };
            match rest.strip_prefix('/') {
                Some(after) => rest = after,
                None if rest.is_empty() => break,
                None => return Err(wrong("a slash is missing behind a brace")),
            }
        }
        let before_last = template.segments.split_last().map_or(&[][..], |(_, before)| before);
        if before_last.contains(&Segment::Rest) {
            return Err(wrong("** stands before other segments"));
        }
        Ok(template)
    }

    fn variable(&mut self, text: &str) -> Result<(), &'static str> {
        let (field, pattern) = text.split_once('=').unwrap_or((text, "*"));
        let start = self.segments.len();
        for segment in pattern.split('/') {
            self.segment(segment)?;
        }
        let at = start..self.segments.len();
        let is_many = at.len() > 1 || self.segments.last() == Some(&Segment::Rest);
        self.variables.push(Variable { field: field.to_owned(), at, is_many });
        Ok(())
    }

    fn segment(&mut self, text: &str) -> Result<(), &'static str> {
        self.segments.push(match text {
            "*" => Segment::One,
            "**" => Segment::Rest,
            "" => return Err("a segment is empty"),
            text if text.contains(['{', '}', '*', '=']) => return Err("a segment is not a word, * or **"),
            text => Segment::Literal(text.to_owned()),
        });
        Ok(())
    }

    /// By what two templates that match one path are told: words before wildcards.
    pub(super) fn order(&self) -> impl Ord + '_ {
        (&self.segments, self.verb.is_none(), &self.verb)
    }

    /// The values of the variables, in their order; `None` for another path. A value
    /// that is not UTF-8 is one, too.
    pub(super) fn matches(&self, path: &str) -> Option<Vec<String>> {
        let path = path.strip_prefix('/')?;
        let path = match &self.verb {
            Some(verb) => path.strip_suffix(verb.as_str())?.strip_suffix(':')?,
            None => path,
        };
        let parts: Vec<&str> = path.split('/').collect();
        let has_rest = self.segments.last() == Some(&Segment::Rest);
        let fixed = self.segments.len() - usize::from(has_rest);
        if parts.len() < fixed || (!has_rest && parts.len() > fixed) {
            return None;
        }
        for (segment, part) in self.segments.iter().zip(&parts) {
            let fits = match segment {
                Segment::Literal(word) => percent_decode_str(part).eq(word.bytes()),
                Segment::One => !part.is_empty(),
                Segment::Rest => true,
            };
            if !fits {
                return None;
            }
        }
        let value = |variable: &Variable| {
            let end = if variable.at.end > fixed { parts.len() } else { variable.at.end };
            let parts = parts.get(variable.at.start..end)?;
            parts
                .iter()
                .map(|part| decoded(part, variable.is_many))
                .collect::<Option<Vec<_>>>()
                .map(|it| it.join("/"))
        };
        self.variables.iter().map(value).collect()
    }

    /// As OpenAPI writes it: `/v1/{name}/books/{id}:move`.
    pub(super) fn openapi(&self) -> String {
        let mut out = String::new();
        let mut place = 0;
        while let Some(segment) = self.segments.get(place) {
            out.push('/');
            match self.variables.iter().find(|variable| variable.at.start == place) {
                Some(variable) => {
                    out.push_str(&format!("{{{}}}", variable.field));
                    place = variable.at.end;
                    continue;
                }
                None => match segment {
                    Segment::Literal(word) => out.push_str(word),
                    Segment::One => out.push('*'),
                    Segment::Rest => out.push_str("**"),
                },
            }
            place += 1;
        }
        if let Some(verb) = &self.verb {
            out.push(':');
            out.push_str(verb);
        }
        out
    }
}

/// A segment decoded; of several, a slash within one stays what it is written as.
fn decoded(part: &str, is_many: bool) -> Option<String> {
    if !is_many {
        return percent_decode_str(part).decode_utf8().ok().map(Into::into);
    }
    let mut out = String::new();
    let mut rest = part;
    while let Some(at) = rest.to_ascii_lowercase().find("%2f") {
        let (before, slash) = rest.split_at(at);
        let (slash, after) = slash.split_at(3);
        out.push_str(&percent_decode_str(before).decode_utf8().ok()?);
        out.push_str(slash);
        rest = after;
    }
    out.push_str(&percent_decode_str(rest).decode_utf8().ok()?);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_matched_as_the_annotation_has_it() {
        for (template, path, values) in [
            ("/v1/users/{id}", "/v1/users/7", Some(vec!["7"])),
            ("/v1/users/{id}", "/v1/users/a%2Fb", Some(vec!["a/b"])),
            ("/v1/users/{id}", "/v1/users/", None),
            ("/v1/users/{id}", "/v1/users/7/x", None),
            ("/v1/users/{id}", "/v1/users/%ff", None),
            ("/v1/{name=shelves/*}/books/{id}", "/v1/shelves/3/books/9", Some(vec!["shelves/3", "9"])),
            ("/v1/{name=shelves/*}", "/v1/racks/3", None),
            ("/v1/{name=files/**}", "/v1/files/a/b%2Fc", Some(vec!["files/a/b%2Fc"])),
            ("/v1/{name=files/**}:stat", "/v1/files/a/b:stat", Some(vec!["files/a/b"])),
            ("/v1/{name=files/**}:stat", "/v1/files/a/b", None),
            ("/v1/jobs/{id}:cancel", "/v1/jobs/7:cancel", Some(vec!["7"])),
            ("/v1/**", "/v1/a/b", Some(vec![])),
            ("/v1/a%20b", "/v1/a%2520b", Some(vec![])),
            ("/", "/v1", None),
        ] {
            let parsed = Template::parse(template);
            if template == "/" {
                assert!(parsed.is_err());
                continue;
            }
            let matched = parsed.expect(template).matches(path);
            let values = values.map(|values| values.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(matched, values, "{template} {path}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for bad in ["", "v1", "/v1//x", "/v1/{id", "/v1/{id}x", "/v1/**/x", "/v1/{a=**}/x", "/v1/x*", "/{a=}"]
        {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn words_are_matched_before_wildcards() {
        let parse = |text| Template::parse(text).expect("a template");
        let (word, one, rest) = (parse("/v1/me"), parse("/v1/{id}"), parse("/v1/{id=**}"));
        assert!(word.order() < one.order() && one.order() < rest.order());
        assert!(parse("/v1/{id}:x").order() < one.order());
        assert_eq!(parse("/v1/{name=shelves/*}/books/{id}:move").openapi(), "/v1/{name}/books/{id}:move");
    }
}
