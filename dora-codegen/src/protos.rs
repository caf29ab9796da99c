//! One path or several.

use std::path::{Path, PathBuf};

/// What [`compile`](crate::compile) takes: one path, or an array, slice or
/// vector of paths.
pub trait Protos: sealed::Sealed {
    /// The paths.
    #[doc(hidden)]
    fn into_paths(self) -> Vec<PathBuf>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! one {
    ($($path:ty),*) => {$(
        impl sealed::Sealed for $path {}

        impl Protos for $path {
            fn into_paths(self) -> Vec<PathBuf> {
                vec![self.into()]
            }
        }
    )*};
}

one!(&str, &String, String, &Path, &PathBuf, PathBuf);

macro_rules! several {
    ($($(const $n:ident)? $paths:ty),*) => {$(
        impl<P: AsRef<Path> $(, const $n: usize)?> sealed::Sealed for $paths {}

        impl<P: AsRef<Path> $(, const $n: usize)?> Protos for $paths {
            fn into_paths(self) -> Vec<PathBuf> {
                self.iter().map(|path| path.as_ref().to_owned()).collect()
            }
        }
    )*};
}

several!(&[P], Vec<P>, &Vec<P>, const N [P; N], const N &[P; N]);
