//! Comments of a `.proto` as documentation: here, in a library, so that rustdoc
//! reads them, and would run what it takes for examples.

#![deny(missing_docs)]

dora::include_proto!("golden.comments");
