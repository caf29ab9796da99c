//! Tasks of the Dora workspace.
fn main() {}
