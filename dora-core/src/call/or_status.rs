//! A code for any error.

use std::borrow::Cow;

use super::code::Code;
use super::status::{BoxError, Status};

/// Gives the error of any `Result`, and the nothing of an `Option`, a code:
/// what a handler ends with.
///
/// ```
/// use dora::{Code, OrStatus, Status};
///
/// fn age(users: &[(&str, &str)], name: &str) -> Result<u32, Status> {
///     let (_, age) = users
///         .iter()
///         .find(|(known, _)| *known == name)
///         .or_status_with(Code::NotFound, || format!("no user {name}"))?;
///     age.parse().or_status(Code::DataLoss)
/// }
///
/// let users = [("ada", "36"), ("bob", "?")];
/// assert_eq!(age(&users, "ada").expect("she is there"), 36);
/// assert_eq!(age(&users, "eve").expect_err("nobody").message(), "no user eve");
/// assert_eq!(age(&users, "bob").expect_err("no age").code(), Code::DataLoss);
/// ```
pub trait OrStatus<T>: sealed::Sealed {
    /// Fails with `code` and the text of the error, which callers see; with `none`
    /// for an `Option`.
    ///
    /// # Errors
    /// The error, with `code`; it becomes the status's source. Of a [`Status`] the
    /// message stays as it is.
    fn or_status(self, code: Code) -> Result<T, Status>;

    /// Fails with `code` and `message`: callers are told that, and not the error's
    /// own text.
    ///
    /// # Errors
    /// The error, with `code` and `message`; it becomes the status's source.
    fn or_status_with<M>(self, code: Code, message: impl FnOnce() -> M) -> Result<T, Status>
    where
        M: Into<Cow<'static, str>>;
}

mod sealed {
    pub trait Sealed {}
    impl<T, E> Sealed for Result<T, E> {}
    impl<T> Sealed for Option<T> {}
}

impl<T, E: Into<BoxError>> OrStatus<T> for Result<T, E> {
    fn or_status(self, code: Code) -> Result<T, Status> {
        self.map_err(|error| {
            let error = error.into();
            let text = match error.downcast_ref::<Status>() {
                Some(status) => status.message().to_owned(),
                None => error.to_string(),
            };
            Status::new(code, text).with_source(error)
        })
    }

    fn or_status_with<M>(self, code: Code, message: impl FnOnce() -> M) -> Result<T, Status>
    where
        M: Into<Cow<'static, str>>,
    {
        self.map_err(|error| Status::new(code, message()).with_source(error))
    }
}

impl<T> OrStatus<T> for Option<T> {
    fn or_status(self, code: Code) -> Result<T, Status> {
        self.ok_or_else(|| Status::new(code, "none"))
    }

    fn or_status_with<M>(self, code: Code, message: impl FnOnce() -> M) -> Result<T, Status>
    where
        M: Into<Cow<'static, str>>,
    {
        self.ok_or_else(|| Status::new(code, message()))
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn the_error_is_the_source_and_its_text_the_message() {
        let status = "x".parse::<u8>().or_status(Code::InvalidArgument).expect_err("no number");
        assert_eq!(
            (status.code(), status.message()),
            (Code::InvalidArgument, "invalid digit found in string")
        );
        assert!(status.source().is_some_and(|cause| cause.is::<std::num::ParseIntError>()));
    }

    #[test]
    fn a_message_hides_the_errors_text_from_callers() {
        let result = "x".parse::<u8>().or_status_with(Code::Internal, || "the directory is broken");
        let status = result.expect_err("no number");
        assert_eq!((status.code(), status.message()), (Code::Internal, "the directory is broken"));
        assert!(status.source().is_some());
    }

    #[test]
    fn a_status_changes_its_code_alone() {
        let result: Result<(), _> = Err(Status::raw(1231, "out of stock"));
        let status = result.or_status(Code::FailedPrecondition).expect_err("it failed");
        assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "out of stock"));
    }

    #[test]
    fn nothing_is_an_error_too() {
        assert_eq!(None::<u8>.or_status(Code::NotFound).expect_err("nothing").code(), Code::NotFound);
        assert_eq!(Some(7).or_status(Code::NotFound).expect("something"), 7);
    }
}
