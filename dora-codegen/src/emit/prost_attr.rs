//! What prost's attributes say of a field: `#[prost(int64, tag = "1")]`.

use syn::{Attribute, LitStr, Token};

/// The part of `#[prost(...)]` that we need.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ProstAttr {
    /// The numbers of the field, or of all members of the oneof.
    pub(super) tags: Vec<i32>,
    /// The enum type of the values, as seen from the module of the field.
    pub(super) enumeration: Option<String>,
    /// The type of the oneof, as seen from the module of the field.
    pub(super) oneof: Option<String>,
}

impl ProstAttr {
    /// `None` if there is no such attribute.
    pub(super) fn of(attrs: &[Attribute]) -> Option<Self> {
        let attr = attrs.iter().find(|attr| attr.path().is_ident("prost"))?;
        let mut found = Self::default();
        let parsed = attr.parse_nested_meta(|meta| {
            if !meta.input.peek(Token![=]) {
                return Ok(());
            }
            let value = meta.value()?.parse::<LitStr>()?.value();
            let name = meta.path.get_ident().map(ToString::to_string);
            found.set(name.as_deref().unwrap_or_default(), value);
            Ok(())
        });
        parsed.is_ok().then_some(found)
    }

    fn set(&mut self, name: &str, value: String) {
        match name {
            "tag" | "tags" => {
                let tags = value.split(',');
                self.tags = tags.filter_map(|tag| tag.trim().parse().ok()).collect();
            }
            "oneof" => self.oneof = Some(value),
            "enumeration" => self.enumeration = Some(value),
            // `map = "string, enumeration(Color)"`
            "map" => {
                self.enumeration = value
                    .split_once("enumeration(")
                    .and_then(|(_, rest)| rest.strip_suffix(')'))
                    .map(str::to_owned);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let attr = |attr: Attribute| ProstAttr::of(&[attr]).unwrap();
        let plain = attr(syn::parse_quote!(#[prost(bytes = "bytes", optional, tag = "7")]));
        assert_eq!(plain.tags, [7]);
        assert_eq!(plain.enumeration, None);

        let map = syn::parse_quote!(#[prost(map = "string, enumeration(super::Color)", tag = "2")]);
        assert_eq!(attr(map).enumeration.as_deref(), Some("super::Color"));

        let oneof = attr(syn::parse_quote!(#[prost(oneof = "notice::Kind", tags = "1, 20")]));
        assert_eq!(oneof.tags, [1, 20]);
        assert_eq!(oneof.oneof.as_deref(), Some("notice::Kind"));
    }
}
