//! Statuses of the errors of `anyhow`.

use super::status::Status;

/// The [`Status`] within the error, if there is one: as its cause, or as context
/// on it. Else [`Code::Unknown`](super::code::Code::Unknown) with the texts of the
/// whole chain, which the caller sees.
impl From<anyhow::Error> for Status {
    fn from(error: anyhow::Error) -> Self {
        // Context is found by anyhow alone, causes of causes by their chain alone.
        let within = error.downcast_ref::<Self>();
        let within = within.or_else(|| error.chain().find_map(|cause| cause.downcast_ref()));
        match within {
            Some(status) => status.clone(),
            None => Self::unknown(format!("{error:#}")).with_source(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::io;

    use anyhow::Context;

    use super::*;
    use crate::call::code::Code;

    fn handler(result: Result<(), anyhow::Error>) -> Result<(), Status> {
        result?;
        Ok(())
    }

    #[test]
    fn a_status_is_found_wherever_it_is() {
        let plain = anyhow::Error::from(Status::not_found("no user 7"));
        let below = anyhow::Error::from(Status::not_found("no user 7")).context("while reading");
        let above: Result<(), io::Error> = Err(io::Error::other("the disk"));
        let above = above.context(Status::not_found("no user 7")).expect_err("it failed");
        for error in [plain, below, above] {
            let status = handler(Err(error)).expect_err("it failed");
            assert_eq!((status.code(), status.message()), (Code::NotFound, "no user 7"));
        }
    }

    #[test]
    fn other_errors_are_unknown_and_tell_their_chain() {
        let error = anyhow::Error::from(io::Error::other("the disk")).context("while reading");
        let status = handler(Err(error)).expect_err("it failed");
        assert_eq!((status.code(), status.message()), (Code::Unknown, "while reading: the disk"));
        assert_eq!(status.source().map(ToString::to_string).as_deref(), Some("while reading"));
    }
}
